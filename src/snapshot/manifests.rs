//! A snapshot from manifest files.
