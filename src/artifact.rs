//! OSArtifact: ISO, disk and netboot images, built in the cluster from a container image. Pure.
//!
//! - [`api`]: the resource, in both shapes that exist in the field. [`normalise`]: both as one plan; [`mod@check`]: what a plan
//!   cannot be made of.
//! - [`build`], [`containers`], [`volumes`], [`dockerfile`], [`exporters`]: the objects that a plan becomes.
//! - [`decide`]: what an artifact needs now. [`work`]: one of them in one round. [`building`] and [`exporting`]: the two halves of
//!   a run. [`verdict`] and [`report`]: what became of its Jobs, and what they tell.
//! - [`status`], [`events`]: what is said about it. [`retention`]: what becomes of its Jobs. [`adopt`]: what was there before us.

pub mod adopt;
pub mod api;
pub mod build;
pub mod building;
pub mod check;
mod command;
pub mod containers;
pub mod decide;
pub mod dockerfile;
pub mod events;
pub mod exporters;
pub mod exporting;
pub mod normalise;
pub mod report;
pub mod retention;
pub mod spec_hash;
pub mod status;
mod tag;
pub mod verdict;
pub mod volumes;
pub mod work;

/// API version of an OSArtifact.
pub const API_VERSION: &str = "build.kairos.io/v1alpha2";
/// Kind of an OSArtifact.
pub const KIND: &str = "OSArtifact";
