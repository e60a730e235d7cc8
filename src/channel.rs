//! UpdateChannel: the version that nodes should run, looked up where releases are published.
//!
//! - [`api`]: the resource.

pub mod api;
