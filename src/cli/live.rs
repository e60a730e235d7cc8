//! What rounds do, while they do it: a few lines that are rewritten on a terminal, else a log line per thing that happened.

use std::io::IsTerminal;

use super::global::{Global, LogFormat};
use super::output;
use crate::report::paint::Tone;
use crate::report::progress::{Level, Memory, News, bars};
use crate::round::{Round, RoundError};
use crate::text;

/// Tells what happens.
#[derive(Debug)]
pub struct Live {
    format: LogFormat,
    /// The lines can be rewritten.
    rewrites: bool,
    /// How many of them stand on the screen.
    drawn: usize,
    memory: Memory,
}

impl Live {
    /// Lines that are rewritten where somebody watches, log lines elsewhere.
    pub fn new(global: &Global) -> Self {
        let rewrites = global.log_format == LogFormat::Text && global.verbose == 0 && std::io::stderr().is_terminal();
        Self { format: global.log_format, rewrites, drawn: 0, memory: Memory::default() }
    }

    /// Tells of a round.
    pub fn tell(&mut self, result: &Result<Round, RoundError>) {
        match result {
            Ok(round) => self.round(round),
            Err(error) => self.trouble(error),
        }
    }

    fn round(&mut self, round: &Round) {
        let news = self.memory.news(round);
        if !self.rewrites {
            news.iter().for_each(|news| log(self.format, news));
            return;
        }
        // What is wrong stays on the screen, above the lines that are rewritten.
        let wrong = news.iter().filter(|news| news.level <= Level::Warn);
        let mut text: String = wrong.map(|news| format!("{} {}\n", sign(news.level), text::one_line(&news.line()))).collect();
        let (columns, rows) = terminal_size::terminal_size().map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()));
        let lines = bars(round, columns, usize::max(rows, 4) - 2);
        text.extend(lines.iter().map(|line| format!("{line}\n")));
        self.draw(&text, lines.len());
    }

    fn trouble(&mut self, error: &RoundError) {
        if self.rewrites {
            let text = format!("{} {error}; it is tried again\n{} {}\n", sign(Level::Error), Tone::Strong.paint("hint:"), error.hint());
            self.draw(&text, 0);
        } else {
            tracing::error!(hint = error.hint(), "{error}");
        }
    }

    /// Leaves the last lines standing.
    pub fn finish(&mut self) {
        self.drawn = 0;
    }

    fn draw(&mut self, text: &str, drawn: usize) {
        output::redraw(text, self.drawn);
        self.drawn = drawn;
    }
}

fn sign(level: Level) -> String {
    match level {
        Level::Error => Tone::Bad.paint("error:"),
        Level::Warn => Tone::Wait.paint("note:"),
        Level::Info | Level::Debug => String::new(),
    }
}

/// A log line. For programs, what they filter by stands in fields of its own; a field that is None is left out.
fn log(format: LogFormat, news: &News) {
    let fields = format == LogFormat::Json;
    let text = text::one_line(&if fields { news.message.clone() } else { news.line() });
    let resource = Some(&news.resource).filter(|_| fields);
    let reason = news.reason.map(|reason| reason.code()).filter(|_| fields);
    let nodes = Some(news.nodes.join(",")).filter(|nodes| fields && !nodes.is_empty());
    match news.level {
        Level::Error => tracing::error!(resource, reason, nodes, "{text}"),
        Level::Warn => tracing::warn!(resource, reason, nodes, "{text}"),
        Level::Info => tracing::info!(resource, reason, nodes, "{text}"),
        Level::Debug => tracing::debug!(resource, reason, nodes, "{text}"),
    }
}
