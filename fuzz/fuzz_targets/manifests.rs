//! Manifests of any bytes. The corpus is `tests/manifests/`.

#![no_main]

#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry::take(bytes));
