//! Rounds: day-2 work on immutable Kubernetes nodes, one declarative round at a time.
//!
//! A *round* is one pass: observe the cluster with lists, decide one idempotent step per resource with a pure function,
//! act on it with server-side apply, exit. The rooms, in the order in which the data goes through them:
//!
//! - [`snapshot`]: all that a round saw, its time included.
//! - [`nodeop`]: what a NodeOp needs next. Pure.
//! - [`labels`]: which nodes are to be looked at, and labelled with what was found. Pure.
//! - [`upgrade`]: what a NodeOpUpgrade needs next: a NodeOp of its own. Pure.
//! - [`artifact`]: what an OSArtifact needs next: a Job that builds it, and its exporters. Pure.
//! - [`channel`]: what an UpdateChannel needs next: its URL asked, its nodes brought to a version. Pure.
//! - [`plan`]: what a round wants to write, and [`reason`]: why.
//! - [`node`]: what runs on a node.
//! - [`gotemplate`]: what Dockerfile templates are written in. Pure.
//! - [`resolve`]: which versions a channel's URL publishes.
//! - [`settings`]: what the runner was told.
//! - [`text`]: what others wrote, made fit to be recorded and printed.

pub mod artifact;
pub mod channel;
pub mod cli;
pub mod cluster;
pub mod crds;
pub mod decide;
mod event;
pub mod gotemplate;
pub mod labels;
#[cfg(feature = "mutants")]
pub mod mutant;
#[cfg(not(feature = "mutants"))]
mod mutant;
pub mod names;
pub mod node;
pub mod nodeop;
pub mod outcome;
pub mod plan;
pub mod reason;
pub mod report;
pub mod resolve;
pub mod rollout;
pub mod round;
mod schema;
pub mod selector;
pub mod settings;
pub mod simulate;
pub mod snapshot;
pub mod sweep;
pub mod text;
pub mod upgrade;
mod walk;
pub mod yaml;
