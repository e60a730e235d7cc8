//! What a simulated rollout looked like, for people and programs: a [`Trace`](crate::simulate::trace::Trace) in; texts,
//! pictures and JSON out. Pure, and the same for the same trace.
//!
//! - [`facts`]: what a trace comes down to. [`summary`]: the same as text and as JSON; [`markdown`]: for a pull request.
//! - [`timeline`]: a picture for a terminal, at the end and while it runs; [`fold`]: large fleets in few rows.
//! - [`gantt`]: a picture for a page: [`rows`] of nodes, and a [`curve`] of those away; [`style`]: its colours; [`svg`]: elements.
//! - [`clock`]: durations and axes; [`look`]: which sign stands for which state.

pub mod clock;
pub mod curve;
pub mod facts;
pub mod fold;
pub mod gantt;
pub mod look;
pub mod markdown;
pub mod rows;
pub mod style;
pub mod summary;
pub mod svg;
pub mod timeline;

#[cfg(test)]
pub(crate) mod cases;
