//! What people and programs get to read of a round: tables, texts, diffs, JSON. Pure: from values to strings.
//!
//! Texts carry colours, which [`crate::cli`] takes out again where nobody would see them; no colour says anything that the
//! words beside it do not say.
//!
//! - [`status`]: where operations stand, [`artifact`], [`channel`]: and artifacts and channels. [`why`]: why a node does.
//! - [`plan_text`], [`plan_markdown`], [`diff`]: what a round would do.
//! - [`progress`], [`summary`]: what rounds do, and how it ended.
//! - [`metrics`]: the same for Prometheus.
//! - [`simulation`]: what a simulated rollout looked like, in pictures and words.
//! - [`table`], [`paint`], [`words`], [`markup`]: columns, colours, small words, and Markdown.

pub mod artifact;
pub mod channel;
pub mod diff;
pub mod markup;
pub mod metrics;
pub mod paint;
pub mod plan_markdown;
pub mod plan_text;
pub mod progress;
pub mod simulation;
pub mod status;
pub mod summary;
pub mod table;
pub mod why;
pub mod words;

#[cfg(test)]
pub(crate) mod cases;

/// Version of every JSON document that Rounds prints.
pub const SCHEMA_VERSION: u32 = 1;
