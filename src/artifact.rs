//! OSArtifact: ISO, disk and netboot images, built in the cluster from a container image.
//!
//! - [`api`]: the resource, in both shapes that exist in the field.

pub mod api;
