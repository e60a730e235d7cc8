//! Go's text/template over a flat map of texts: what a Dockerfile template of an OSArtifact is written in.
//!
//! The language is Go's (1.26), with `Option("missingkey=zero")` over a `map[string]string`: a missing value is an empty
//! text. `tests/gotemplate/` holds what Go itself makes of some hundred templates. Other than in Go
//! - `define`, `template` and `block` are refused: one Dockerfile is one template;
//! - complex numbers are refused;
//! - names may have marks and numerals such as `²` in them: letters and digits are Rust's;
//! - a template that is not UTF-8 is refused by who reads it: this takes a `str`, while Go passes any bytes on;
//! - a template has bounds ([`MAX_STEPS`] and the like): it comes from somebody else, and must end.
//!
//! There is nothing in a template that could reach a file, the environment or the clock.
//!
//! - [`lex`]: a text into tokens. [`literal`]: numbers and quoted texts. [`parse`]: tokens into a [`tree`].
//! - [`exec`]: a tree and values into a text. [`functions`]: what can be called, and [`compare`], [`escape`].
//! - [`printf`]: verbs and arguments, [`spec`] and [`float`]: flags, widths, numbers. [`value`]: what a value is.

mod compare;
mod escape;
mod exec;
mod float;
mod functions;
mod lex;
mod literal;
mod parse;
mod printf;
mod spec;
mod tree;
mod value;

use std::collections::BTreeMap;

use thiserror::Error;

/// What a template can ask for: bytes by name, as a Secret has them.
pub type Values = BTreeMap<String, Vec<u8>>;

/// The longest template, in bytes.
pub const MAX_TEMPLATE: usize = 1 << 20;
/// The longest text that is made, of the result or in between, in bytes.
pub const MAX_TEXT: usize = 4 << 20;
/// How many bytes of text may be made, compared and looked up by in all.
pub const MAX_WORK: usize = 64 << 20;
/// How many nodes, operands and turns of loops are carried out.
pub const MAX_STEPS: usize = 1_000_000;
/// How deep blocks and parentheses may be nested.
pub const MAX_DEPTH: usize = 200;
/// How many variables may be in scope.
pub const MAX_VARIABLES: usize = 1000;

/// The longest message: a word of the template that stands in it may be of any length.
const MAX_MESSAGE: usize = 300;

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{line}:{column}: {message}")]
pub struct TemplateError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// What is wrong at a byte of the template.
#[derive(Debug)]
struct Fault {
    at: usize,
    message: String,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    fn in_text(self, template: &str) -> TemplateError {
        let before = template.get(..self.at).unwrap_or(template);
        let line = before.rsplit_once('\n').map_or(before, |(_, line)| line);
        let lines = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        let mut message: String = self.message.chars().take(MAX_MESSAGE).collect();
        message.push_str(if message.len() < self.message.len() { "…" } else { "" });
        TemplateError { line: lines, column: line.chars().count() + 1, message }
    }
}

/// What is wrong with a text that would be longer than [`MAX_TEXT`].
fn too_long() -> String {
    format!("a text of more than {MAX_TEXT} bytes")
}

/// Makes a text of a template and its values. It need not be UTF-8: `slice` counts bytes, as in Go.
///
/// # Errors
/// With line and column, where Go has an error as well, where something is refused, and where a bound is passed.
pub fn render(template: &str, values: &Values) -> Result<Vec<u8>, TemplateError> {
    if template.len() > MAX_TEMPLATE {
        let message = format!("the template has {} bytes, at most {MAX_TEMPLATE} are taken", template.len());
        return Err(TemplateError { line: 1, column: 1, message });
    }
    let tree = parse::parse(template).map_err(|fault| fault.in_text(template))?;
    exec::execute(&tree, values).map_err(|fault| fault.in_text(template))
}
