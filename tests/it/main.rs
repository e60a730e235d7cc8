//! The integration tests: one binary, one real control plane.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so by panicking")]

mod fleet;
mod harness;

mod admission;
mod adoption;
mod architecture;
mod artifacts;
mod channels;
mod commands;
mod cordons;
mod crashes;
mod decide;
mod definitions;
mod drains;
mod examples;
mod faults;
mod gotemplate;
mod hostile;
mod judges;
mod k3os_script;
mod kustomizations;
mod labels;
mod lifecycle;
mod metrics;
mod mishaps;
mod mutations;
mod node;
mod overlaps;
mod pictures;
mod polls;
mod privileges;
mod quiet;
mod reboots;
mod render;
mod resolve;
mod rollouts;
mod scale;
mod seeds;
mod shell;
mod simulate;
mod snapshots;
mod stuck;
mod sweeps;
mod trial;
mod twins;
mod upgrade_script;
mod upgrades;
