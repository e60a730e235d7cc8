//! A rollout in memory: the very same decisions and steps as in a cluster, in virtual time.
//!
//! - [`world`]: a cluster in memory, and what is going to happen in it. What the apiserver does with each write stands in
//!   `apiserver`, how what a snapshot shows goes on in `begin`, what controllers and kubelets do in `controllers` and `kubelet`, and [`workload`] holds everybody else's pods.
//! - [`fleet`]: a made-up one, for those who have none at hand.
//! - [`people`]: what people do to it meanwhile.
//! - [`rollout`]: rounds over it until nothing is left to do, one [`writes`] after the other.
//! - [`model`]: how long things take, and what fails.
//! - [`trace`]: what a rollout looked like; `doing`: what a node does at a moment of it.

mod apiserver;
mod begin;
mod controllers;
mod doing;
pub mod fleet;
mod kubelet;
pub mod model;
pub mod people;
pub mod rollout;
pub mod trace;
pub mod workload;
pub mod world;
pub mod writes;
