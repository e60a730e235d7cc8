//! NodeOpUpgrade: a Kairos image on selected nodes, by way of a NodeOp of the same name. Pure.
//!
//! - [`api`]: the resource. [`decide`]: what it needs now. [`status`]: what is said about it, mostly what its NodeOp says.
//! - [`child`]: the NodeOp that it makes. [`script`]: what that runs, `preflight.sh` and `upgrade.sh`.
//! - [`bond`]: what it says to its NodeOp; of two upgrades over one node, the one created later wins.

pub mod api;
pub mod bond;
pub mod child;
pub mod decide;
pub mod script;
pub mod status;
