//! What people and programs get to read of a round: tables, texts, diffs, JSON. Pure: from values to strings.

pub mod diff;
pub mod plan_text;
pub mod progress;
pub mod summary;
pub mod table;
pub mod why;

/// Version of every JSON document that Rounds prints.
pub const SCHEMA_VERSION: u32 = 1;
