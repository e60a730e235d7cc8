//! The `rounds` binary: parse, run, exit code.

use std::process::ExitCode;

// A round allocates by the ten thousand, and musl's allocator is slow at that; glibc's is as fast, and keeps less.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rounds::cli::main()
}
