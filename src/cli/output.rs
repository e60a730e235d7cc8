//! Data on stdout, talk on stderr; colours go where somebody sees them. A reader that has gone away (`| head`) is no error.

use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::Failure;
use crate::text;

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON document with a schemaVersion
    Json,
}

/// Prints a text. What steers a terminal is not let through, wherever it came from.
///
/// # Errors
/// When stdout cannot be written to.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    written(out.write_all(text::harmless(text).as_bytes()).and_then(|()| out.flush()))
}

/// Prints bytes as they are, for a file or another program. A terminal gets them without what would steer it.
///
/// # Errors
/// When stdout cannot be written to.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        drop(out);
        return print(&String::from_utf8_lossy(bytes));
    }
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(format!("stdout cannot be written to: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints a value as JSON.
///
/// # Errors
/// When stdout cannot be written to.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
    print(&format!("{}\n", text::harmless_json(&text)))
}

/// Says something on stderr in the place of the last so many lines.
pub fn redraw(text: &str, lines: usize) {
    if lines > 0 {
        // anstream takes escapes out where colours are not wanted, cursor movements included.
        let _ = write!(std::io::stderr(), "\x1b[{lines}A\x1b[J");
    }
    talk(text);
}

/// Says something on stderr. That nobody listens is no reason to stop working.
pub fn talk(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(text::harmless(text).as_bytes()).and_then(|()| err.flush());
}
