//! The integration tests: one binary, one real control plane.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so by panicking")]

mod harness;

mod cordons;
mod drains;
mod lifecycle;
mod quiet;
mod rollouts;
mod stuck;
