//! UpdateChannel: the version that nodes should run, looked up where releases are published, and brought to them within
//! slots. Pure: who asks a URL is [`crate::round`], with [`crate::resolve`].
//!
//! - [`api`]: the resource. [`decide`]: what it needs now. [`status`]: what is said about it.
//! - [`poll`]: whether its URL is to be asked. [`answer`]: what it has answered means. [`events`]: what of that is told.
//! - [`nodes`]: which nodes it is about, what they run, and who updates them.
//! - [`k3os`]: the NodeOp that it makes for k3OS nodes. [`kairos`], [`image`]: the NodeOpUpgrade for Kairos nodes.
//! - [`bond`]: what it says to the NodeOps that come of it: slots are shared, and nothing is updated while it polls.

pub mod answer;
pub mod api;
pub mod bond;
pub mod decide;
pub mod events;
pub mod image;
pub mod k3os;
pub mod kairos;
pub mod nodes;
pub mod poll;
pub mod status;

use crate::snapshot::Resource;

/// An UpdateChannel as a round sees it.
pub type Channel = Resource<api::UpdateChannelSpec, api::UpdateChannelStatus>;
