//! Log lines on stderr: text for people, JSON in a pod; and whether anything is printed in colour.

use std::ffi::OsStr;

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use super::global::{Color, Global, LogFormat};

/// Sets up logging and colours for the process.
pub fn init(global: &Global) {
    match global.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::AlwaysAnsi,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
    // kube logs every refused request as an error of its own; ours say more.
    let wanted = match global.verbose {
        0 => "info,kube_client=off",
        1 => "info,rounds=debug,kube_client=off",
        _ => "debug,rounds=trace",
    };
    // By module and level. Filters over spans and fields would bring an engine for regular expressions into the image.
    let given = global
        .log_filter
        .as_deref()
        .and_then(OsStr::to_str)
        .filter(|given| !given.is_empty())
        .and_then(|given| given.parse::<Targets>().ok());
    let filter = given.or_else(|| wanted.parse().ok()).unwrap_or_default();
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match global.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(colour()).without_time().boxed(),
    };
    registry().with(lines.with_filter(filter)).init();
}

/// Whether stderr is printed to in colour.
fn colour() -> bool {
    AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}
