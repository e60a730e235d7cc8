//! Log lines on stderr: text for people, JSON in a pod.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::global::{Global, LogFormat};

/// Sets up logging for the process.
pub fn init(global: &Global) {
    // kube logs every refused request as an error of its own; ours say more.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_client=off"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match global.log_format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => lines.with_ansi(colour()).without_time().init(),
    }
}

/// Whether stderr is a terminal whose user has not said NO_COLOR.
#[expect(clippy::disallowed_methods, reason = "NO_COLOR is a convention of terminals, no setting of ours")]
pub fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var("NO_COLOR").unwrap_or_default().is_empty()
}
