//! Node labels: which Kairos a node runs, by a small unprivileged Job that looks at every boot once.
//!
//! A node whose annotation `operator.kairos.io/probed-boot` is not its present boot id gets a probe Job. What that tells is
//! applied to the Node under a field manager of its own, together with that annotation: what is not told any more goes,
//! and what somebody else wrote stays. Everything here is pure.
//!
//! - [`release`]: from the host's files to labels and annotations. [`report`]: how a probe tells them.
//! - [`job`]: the probe Job. [`probed`]: how far a node's probes are. [`decide`]: what is to be done. [`applied`]: what a
//!   write makes of a node.

pub mod applied;
pub mod decide;
pub mod job;
pub mod probed;
pub mod release;
pub mod report;
