//! Asks a channel's URL which versions are published.
//!
//! The address comes from a resource, so from anybody who may write one. That is why every address is checked before it
//! is connected to, why answers and time are bounded, and why tokens and passwords are settings of the runner.
//!
//! - [`place`]: what kind of URL it is.
//! - [`settings`]: what the runner was told: credentials, hosts that are allowed, bounds.
//! - [`github`], [`server`], [`registry`]: what is asked of each kind, and what its answers mean.
//! - [`http`]: one request, bounded; [`guard`]: where it may go, [`cidr`] by address.
//! - [`failure`]: why there is no answer.
//! - [`choice`]: which of the versions is taken. Pure.

pub mod challenge;
pub mod choice;
pub mod cidr;
pub mod failure;
pub mod github;
pub mod guard;
pub mod http;
pub mod link;
pub mod order;
pub mod place;
pub mod registry;
pub mod server;
pub mod settings;

use jiff::Timestamp;

pub use failure::{Failure, Reason};
pub use place::Place;
pub use settings::ResolveSettings;

use crate::text::one_line;

/// Characters of a message.
const LONGEST_MESSAGE: usize = 1000;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Where versions are published.
    pub place: Place,
    /// What the last answer came with: the same answer is not sent again.
    pub validators: Validators,
    /// Now.
    pub now: Timestamp,
}

/// What a server calls the answer that it gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// Its ETag.
    pub etag: Option<String>,
    /// Its Last-Modified.
    pub last_modified: Option<String>,
    /// How many releases were asked for at once, when the usual number did not fit into the bounds.
    pub page_size: Option<u16>,
}

/// One version that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// As its publisher writes it.
    pub version: String,
    /// When it was published, where the server tells.
    pub published: Option<Timestamp>,
    /// Whether the server calls it a pre-release.
    pub prerelease: bool,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These versions are published.
    Versions {
        /// In the order of the server.
        published: Vec<Published>,
        /// Whether these are all: of very many releases, or very large ones, only the newest are looked at.
        whole: bool,
        /// For the next question.
        validators: Validators,
        /// When the server wants to be asked again at the earliest, if it said so.
        not_before: Option<Timestamp>,
    },
    /// The same ones as last time.
    NotModified,
    /// None that could be understood.
    Failed(Failure),
}

/// Asks. Takes no longer than the settings allow, and always comes back with an answer.
pub async fn resolve(asked: &Question, settings: &ResolveSettings) -> Answer {
    let mut http = http::Http::new(settings, asked.now);
    let answer = async {
        match &asked.place {
            Place::GitHub(repository) => github::ask(&mut http, repository, asked, settings).await,
            Place::Server(address) => server::ask(&mut http, address, asked).await,
            Place::Registry(repository) => registry::ask(&mut http, repository, asked, settings).await,
        }
    };
    let failure = match tokio::time::timeout(settings.time_limit, answer).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(failure)) => failure,
        Err(_) => {
            let limit = humantime::format_duration(settings.time_limit);
            Failure::new(
                Reason::TimedOut,
                format!("{} did not answer within {limit}; its whole answer must fit into that time", asked.place),
            )
        }
    };
    // It may quote addresses that a server made up.
    let mut message = one_line(&failure.message);
    if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    Answer::Failed(Failure { message, ..failure })
}
