//! The `rounds` binary: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    rounds::cli::main()
}
