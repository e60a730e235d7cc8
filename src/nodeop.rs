//! NodeOp: a command on selected nodes.
//!
//! The way of one node: status claim → lock and cordon (one apply) → evict → Job, held → its uid into the claim →
//! start → result into the status → unlock and uncordon (one apply) → retention. Everything here is pure.
//!
//! - [`api`]: the resource. [`spec_hash`], [`runs`]: which run of it this is.
//! - [`adopt`], [`foreign_reboot`]: what the existing operator has recorded, left running, and was about to reboot.
//! - [`gate`], [`order`], [`pending`]: what may start, in which order, and who has to wait.
//! - [`place`]: a claim and the ways in which its entry moves on. [`advance`]: its next step; [`draining`] and [`running`]
//!   are its larger arms.
//! - [`drain`]: which pods leave. [`jobs`]: what runs on the node. [`verdict`]: what became of it.
//! - [`rebooting`]: from the command's success to a new boot that stands. [`reboot_pod`]: what waits on the node for it.
//! - [`version`]: what the node runs then. [`terms`]: what the resource says that has made the operation.
//! - [`release`], [`retention`], [`events`]: what follows. [`status`]: what is said about it.

pub mod adopt;
pub mod advance;
pub mod api;
pub mod compact;
pub mod decide;
pub mod drain;
pub mod draining;
pub mod entries;
pub mod events;
pub mod foreign_reboot;
pub mod gate;
pub mod jobs;
pub mod operation;
pub mod order;
pub mod pending;
pub mod place;
pub mod reboot_pod;
pub mod rebooting;
pub mod release;
pub mod retention;
pub mod running;
pub mod runs;
pub mod spec_hash;
pub mod status;
pub mod terms;
pub mod verdict;
pub mod version;
