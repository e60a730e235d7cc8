//! One request and its answer, as few layers as possible: the answer's `Date` is the clock of a round, its status code
//! decides what it means, and that there was none is a class of its own.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::{HeaderMap, Request, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::core::Status;
use serde::de::DeserializeOwned;

use super::{Cluster, errors};

/// The most that one request may take, its whole answer included.
const LIMIT: Duration = Duration::from_secs(90);

/// Pauses before a look is tried again.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// A look that has taken so long is not tried again in this round.
const LONG: Duration = Duration::from_secs(5);

/// Longest text of a body that is quoted in an error.
const QUOTE: usize = 300;

/// Why a request brought no good answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The apiserver refused.
    #[error("{}", describe(.0))]
    Refused(Box<Status>),
    /// There was no answer, or not all of it: a write may or may not have been taken.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer is not what it should be.
    #[error("the answer cannot be understood: {0}")]
    Garbled(String),
    /// No credentials could be had, so nothing was sent.
    #[error("no credentials: {0}")]
    Credentials(String),
    /// The request cannot be built, so nothing was sent.
    #[error("the request cannot be built: {0}")]
    Unsent(String),
}

impl CallError {
    /// The HTTP status, if there was an answer.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether the same question may be answered a moment later.
    fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::Garbled(_) => true,
            Self::Refused(status) => matches!(status.code, 429 | 500 | 502..=504),
            Self::Credentials(_) | Self::Unsent(_) => false,
        }
    }
}

impl From<kube::core::request::Error> for CallError {
    fn from(error: kube::core::request::Error) -> Self {
        Self::Unsent(chain(&error))
    }
}

fn describe(status: &Status) -> String {
    match (status.message.as_str(), status.reason.as_str()) {
        ("", "") => format!("HTTP {}", status.code),
        ("", reason) => format!("{reason} (HTTP {})", status.code),
        (message, _) => message.to_string(),
    }
}

/// An error and all that it says about its causes, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text.replace('\n', " ")
}

/// The newest time that the apiserver told, in seconds; 0 if it told none.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicI64);

impl Clock {
    fn note(&self, headers: &HeaderMap) {
        let date = headers.get(header::DATE).and_then(|value| value.to_str().ok());
        if let Some(time) = date.and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()) {
            self.0.fetch_max(time.as_second(), Ordering::Relaxed);
        }
    }
}

impl Cluster {
    /// Begins a round: forgets the time, so that a clock that was wrong once is not believed for ever, and which
    /// permissions were missing.
    pub(super) fn begin(&self) {
        self.clock.0.store(0, Ordering::Relaxed);
        if let Ok(mut denied) = self.denied.lock() {
            denied.clear();
        }
    }

    fn note_denial(&self, status: &Status) {
        if status.code == 403
            && let Some(denial) = errors::missing_permission(&status.message)
            && let Ok(mut denied) = self.denied.lock()
        {
            denied.insert(denial);
        }
    }

    /// The newest time in the answers since the last reset; our own clock if no answer told any.
    #[expect(clippy::disallowed_methods, reason = "a proxy may have dropped the Date header; then there is no other clock")]
    pub(super) fn time(&self) -> Timestamp {
        match self.clock.0.load(Ordering::Relaxed) {
            0 => Timestamp::now(),
            seconds => Timestamp::from_second(seconds).unwrap_or_else(|_| Timestamp::now()),
        }
    }

    /// Sends a request when a slot is free, and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer, or its status is not 2xx.
    pub async fn call(&self, request: Request<Vec<u8>>) -> Result<Vec<u8>, CallError> {
        let _slot = self.slots.acquire().await.map_err(|error| CallError::Unsent(error.to_string()))?;
        match tokio::time::timeout(LIMIT, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(self.unanswered(format!("nothing within {} s", LIMIT.as_secs()))),
        }
    }

    /// Asks for something and decodes the answer. A round asks a dozen questions, and would come to nothing by a single one
    /// that is lost: they are asked up to three times, which for a write would be wrong.
    ///
    /// # Errors
    /// When there is no answer, its status is not 2xx, or it is not of type `T`.
    pub async fn fetch<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T, CallError> {
        let begun = tokio::time::Instant::now();
        for pause in AGAIN {
            match self.fetch_once(request.clone()).await {
                Err(error) if error.is_passing() && begun.elapsed() < LONG => {
                    tracing::debug!(%error, path = request.uri().path(), "asked again");
                    tokio::time::sleep(pause).await;
                }
                result => return result,
            }
        }
        self.fetch_once(request).await
    }

    async fn fetch_once<T: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Result<T, CallError> {
        let body = self.call(request).await?;
        serde_json::from_slice(&body).map_err(|error| CallError::Garbled(format!("{error}: {}", quote(&body))))
    }

    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Vec<u8>, CallError> {
        let answer = self.client.send(request.map(kube::client::Body::from)).await.map_err(|error| self.unsent(&error))?;
        let (head, mut body) = answer.into_parts();
        self.clock.note(&head.headers);
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        // Frame by frame into one buffer: a page of nodes is 5 MB, and collecting it would hold it twice.
        let mut bytes = Vec::with_capacity(usize::min(length, 16 << 20));
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(error) => return Err(self.unanswered(chain(&error))),
            }
        }
        if head.status.is_success() {
            return Ok(bytes);
        }
        let status = refusal(head.status.as_u16(), &bytes);
        self.note_denial(&status);
        Err(CallError::Refused(Box::new(status)))
    }

    fn unsent(&self, error: &kube::Error) -> CallError {
        match error {
            kube::Error::Auth(cause) => CallError::Credentials(chain(cause)),
            kube::Error::HyperError(cause) => self.unanswered(chain(cause)),
            kube::Error::Service(cause) => self.unanswered(chain(cause.as_ref())),
            other => self.unanswered(chain(other)),
        }
    }

    fn unanswered(&self, cause: String) -> CallError {
        CallError::NoAnswer(if self.server.is_empty() { cause } else { format!("{cause} ({})", self.server) })
    }
}

/// The Status object of a refusal; one that we make up when somebody else than an apiserver answered.
fn refusal(code: u16, body: &[u8]) -> Status {
    let mut status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| Status::failure(&quote(body), ""));
    status.code = code;
    status
}

fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(QUOTE)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake::fake;

    #[test]
    fn the_clock_is_the_newest_date_of_any_answer() {
        let clock = Clock::default();
        for (date, expected) in [
            ("Sat, 21 Nov 2026 05:08:10 GMT", 1_795_237_690),
            ("Sat, 21 Nov 2026 05:08:09 GMT", 1_795_237_690),
            ("nonsense", 1_795_237_690),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::DATE, date.parse().unwrap());
            clock.note(&headers);
            assert_eq!(clock.0.load(Ordering::Relaxed), expected, "{date}");
        }
    }

    #[tokio::test]
    async fn a_question_is_asked_three_times_unless_the_answer_is_clear() {
        for (code, expected) in [(500, 3), (429, 3), (504, 3), (200, 1), (403, 1), (404, 1), (410, 1)] {
            let (cluster, log) = fake(move |_| (code, serde_json::json!({})));
            let request = Request::get("/api/v1/nodes").body(Vec::new()).unwrap();
            assert_eq!(cluster.fetch::<serde_json::Value>(request).await.is_ok(), code == 200);
            assert_eq!(log.all().len(), expected, "{code}");
        }
    }

    #[test]
    fn an_answer_that_is_no_status_object_is_quoted_in_one_line() {
        let status = refusal(404, b"404 page not found\n");
        assert_eq!((status.code, status.message.as_str()), (404, "404 page not found"));
        let status = refusal(502, b"<html>\n<body>bad\tgateway</body>");
        assert_eq!(CallError::Refused(Box::new(status)).to_string(), "<html> <body>bad gateway</body>");
        assert_eq!(CallError::Refused(Box::new(refusal(503, b""))).to_string(), "HTTP 503");
    }
}
