//! The integration tests: one binary, one real control plane.

mod harness;

mod cordons;
mod drains;
mod lifecycle;
mod quiet;
mod rollouts;
mod stuck;
