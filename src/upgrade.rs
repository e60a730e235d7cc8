//! NodeOpUpgrade: a Kairos image on selected nodes, by way of a NodeOp.
//!
//! - [`api`]: the resource.

pub mod api;
