//! Real nodes that really reboot: see README.md beside this file. One world for all tests; each test takes the nodes that it
//! needs, so that those that need one each run side by side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so by panicking")]

#[path = "../it/harness/wait.rs"]
mod wait;

mod scenario;
mod site;
mod world;

mod artifacts;
mod channels;
mod guards;
mod installed;
mod labels;
mod mishaps;
mod operations;
mod removal;
mod rolling;
mod runners;
mod seeds;
mod seen;
mod shipped;
mod upgrades;
