//! Why there is no answer.

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no such repository or channel.
    NotFound,
    /// Asked too often.
    RateLimited {
        /// When the server answers again.
        until: Timestamp,
    },
    /// The address is not one that a resource may have asked.
    Refused,
    /// The answer exceeds the bounds.
    TooLarge,
    /// The answer took too long.
    TimedOut,
    /// The answer is not what such a server says.
    Malformed,
    /// The server answered with this HTTP status.
    Server(u16),
    /// There is no connection.
    Unreachable,
    /// One redirect after the other.
    TooManyRedirects,
    /// Credentials are missing or wrong.
    Unauthorized,
}

/// Why there is no answer, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub reason: Reason,
    /// One sentence that names the address, and what would be right.
    pub message: String,
    /// When the server wants to be asked again at the earliest, if it said so.
    pub not_before: Option<Timestamp>,
}

impl Failure {
    /// A failure that says nothing on when to ask again.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), not_before: None }
    }
}

/// No server keeps us away for longer than this: a wrong clock must not silence a channel for a year.
const LONGEST_WAIT: i64 = 24 * 3600;
/// When a server says that it was asked too often, and not when to come again.
const USUAL_WAIT: i64 = 60;

/// What a status that is no success means. `credentials` says what would have to be set; None: such servers are asked without.
pub fn of_status(status: StatusCode, headers: &HeaderMap, address: &str, credentials: Option<&str>, now: Timestamp) -> Failure {
    let not_before = asked_to_wait(headers, now);
    let code = status.as_u16();
    let exhausted = headers.contains_key(header::RETRY_AFTER) || is_exhausted(headers);
    match code {
        429 => rate_limited(not_before, address, credentials, now),
        403 if exhausted => rate_limited(not_before, address, credentials, now),
        401 | 403 => {
            let cure = credentials.map_or_else(|| "name an address that needs none".into(), |name| format!("set {name}"));
            let message = format!("{address} answered {code}: credentials are missing, wrong or not enough; {cure}");
            Failure { reason: Reason::Unauthorized, message, not_before: None }
        }
        404 | 410 => Failure::new(
            Reason::NotFound,
            match credentials {
                Some(name) => format!("{address} answered {code}: there is no such place, or it is private; check spec.url, or set {name}"),
                None => format!("{address} answered {code}: there is no such place; check spec.url"),
            },
        ),
        _ => {
            let message = format!("{address} answered {code} in place of its versions; if that lasts, check spec.url and the server");
            Failure { reason: Reason::Server(code), message, not_before }
        }
    }
}

fn rate_limited(not_before: Option<Timestamp>, address: &str, credentials: Option<&str>, now: Timestamp) -> Failure {
    let until = not_before.unwrap_or_else(|| after(now, USUAL_WAIT));
    let cure = credentials.map_or_else(String::new, |name| format!("{name}, or "));
    let message = format!("{address} was asked too often and answers again at {until:.0}; set {cure}a longer spec.pollInterval");
    Failure { reason: Reason::RateLimited { until }, message, not_before: Some(until) }
}

/// Whether nothing is left of the number of requests that GitHub grants.
pub fn is_exhausted(headers: &HeaderMap) -> bool {
    headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0")
}

/// When the server wants to be asked again: Retry-After, or the reset of an exhausted limit.
pub fn asked_to_wait(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let retry = text("retry-after").and_then(|value| match value.parse::<i64>() {
        Ok(seconds) if seconds >= 0 => Some(after(now, seconds.min(LONGEST_WAIT))),
        Ok(_) => None,
        Err(_) => rfc2822::parse(value).ok().map(|time| time.timestamp()),
    });
    let reset = || text("x-ratelimit-reset")?.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let until = retry.or_else(|| if is_exhausted(headers) { reset() } else { None })?;
    Some(until.clamp(after(now, 1), after(now, LONGEST_WAIT)))
}

fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn statuses_and_what_they_mean() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let limited = |text: &str| Reason::RateLimited { until: at(text) };
        for (status, pairs, reason) in [
            (401, &[][..], Reason::Unauthorized),
            (403, &[], Reason::Unauthorized),
            (403, &[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1795266000")], Reason::Unauthorized),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795266000")], limited("2026-11-21T13:00:00Z")),
            (429, &[("retry-after", "90")], limited("2026-11-21T12:01:30Z")),
            (403, &[("retry-after", "Sat, 21 Nov 2026 12:10:00 GMT")], limited("2026-11-21T12:10:00Z")),
            (429, &[], limited("2026-11-21T12:01:00Z")),
            (429, &[("retry-after", "soon")], limited("2026-11-21T12:01:00Z")),
            (429, &[("retry-after", "99999999999")], limited("2026-11-22T12:00:00Z")),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], limited("2026-11-21T12:00:01Z")),
            (404, &[], Reason::NotFound),
            (410, &[], Reason::NotFound),
            (500, &[], Reason::Server(500)),
            (418, &[], Reason::Server(418)),
        ] {
            let failure = of_status(StatusCode::from_u16(status).unwrap(), &headers(pairs), "https://x.example/", Some("the token"), now);
            assert_eq!(failure.reason, reason, "{status} {pairs:?}");
            assert!(failure.message.contains("https://x.example/"), "{failure}");
        }
        let busy = of_status(StatusCode::SERVICE_UNAVAILABLE, &headers(&[("retry-after", "30")]), "x", None, now);
        assert_eq!((busy.reason, busy.not_before), (Reason::Server(503), Some(at("2026-11-21T12:00:30Z"))));
    }
}
