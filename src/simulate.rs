//! A rollout in memory: the very same decisions and steps as in a cluster, in virtual time.
//!
//! - [`trace`]: what it looked like.

pub mod trace;
