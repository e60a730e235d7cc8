//! NodeOp: a command on selected nodes.
pub mod api;
