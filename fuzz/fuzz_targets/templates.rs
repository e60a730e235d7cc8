//! Templates of any bytes.

#![no_main]

#[path = "../template.rs"]
mod template;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| template::take(bytes));
