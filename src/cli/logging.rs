//! Log lines on stderr: text for people, JSON in a pod; and whether anything is printed in colour.

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::EnvFilter;

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
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(wanted));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match global.log_format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => lines.with_ansi(colour()).without_time().init(),
    }
}

/// Whether stderr is printed to in colour.
fn colour() -> bool {
    AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}
