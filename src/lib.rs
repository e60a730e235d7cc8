//! Rounds.
pub mod nodeop;
pub mod rollout;
pub mod selector;
