//! What a loop answers over HTTP: its metrics, whether it is alive, whether its rounds do their work. Small on purpose: no
//! request has a body that is read, no connection is used twice or lives long, and there are only so many of them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::Failure;
use crate::report::metrics;

/// How many are answered at a time.
const CONNECTIONS: usize = 64;
/// In which a connection must have asked, and got its answer.
const LIMIT: Duration = Duration::from_secs(5);
/// The least that the last good round may be old.
const FRESH: Duration = Duration::from_secs(60);
/// How many intervals old it may be.
const INTERVALS: u32 = 3;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const OPEN_METRICS: HeaderValue = HeaderValue::from_static(metrics::CONTENT_TYPE);

/// Where the loop posts what is asked for.
#[derive(Debug)]
pub struct Board {
    posted: Mutex<Posted>,
    /// How old the last good round may be.
    fresh: Duration,
}

#[derive(Debug, Default)]
struct Posted {
    text: Bytes,
    good: Option<Instant>,
}

impl Board {
    /// An empty board, of a loop with this interval.
    pub fn new(interval: Duration) -> Self {
        Self { posted: Mutex::default(), fresh: interval.saturating_mul(INTERVALS).max(FRESH) }
    }

    /// Posts the metrics after a round.
    pub fn post(&self, text: &str, good: bool) {
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        posted.text = Bytes::copy_from_slice(text.as_bytes());
        posted.good = good.then(Instant::now).or(posted.good);
    }

    fn read(&self) -> (Bytes, Option<Duration>) {
        let posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        (posted.text.clone(), posted.good.map(|good| good.elapsed()))
    }

    /// The answer to a request.
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = told(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let (text, age) = self.read();
        match request.uri().path() {
            "/metrics" => told(StatusCode::OK, if wants_open_metrics(request) { OPEN_METRICS } else { PROMETHEUS }, text),
            "/healthz" => told(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => match age {
                Some(age) if age <= self.fresh => told(StatusCode::OK, TEXT, "ok\n"),
                Some(age) => {
                    let text = format!("the last round that did its work was {} s ago\n", age.as_secs());
                    told(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
                }
                None => told(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no round has done its work yet\n"),
            },
            _ => told(StatusCode::NOT_FOUND, TEXT, "there are /metrics, /healthz and /readyz\n"),
        }
    }
}

fn wants_open_metrics<B>(request: &Request<B>) -> bool {
    let mut accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("application/openmetrics-text"))
}

fn told(status: StatusCode, kind: HeaderValue, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// Takes an address.
///
/// # Errors
/// When it cannot be had.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::new(format!("--metrics-address {address} cannot be listened on: {error}")))
}

/// Answers until the task is ended.
pub async fn serve(listener: TcpListener, board: Arc<Board>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let board = board.clone();
                tokio::spawn(async move {
                    // Who is too slow, or gone, is not waited for.
                    let _ = timeout(LIMIT, talk(stream, board)).await;
                    drop(seat);
                });
            }
            // Out of file descriptors, most likely.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn talk(stream: TcpStream, board: Arc<Board>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = board.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(LIMIT).keep_alive(false).max_buf_size(8192);
    server.serve_connection(TokioIo::new(stream), service).await
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn ask(board: &Board, method: Method, path: &str, accept: &str) -> (u16, String, String) {
        let request = Request::builder().method(method).uri(path).header(ACCEPT, accept).body(()).unwrap();
        let answer = board.answer(&request);
        let (head, body) = answer.into_parts();
        let body = futures::executor::block_on(body.collect()).unwrap().to_bytes();
        (head.status.as_u16(), head.headers[CONTENT_TYPE].to_str().unwrap().into(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn it_is_ready_while_the_last_good_round_is_no_older_than_three_intervals() {
        let board = Board::new(Duration::from_secs(30));
        let ready = |board: &Board| ask(board, Method::GET, "/readyz", "").0;
        assert_eq!(ready(&board), 503, "before the first round");
        board.post("text", false);
        assert_eq!(ready(&board), 503, "after one that could not do its work");
        board.post("text", true);
        board.post("text", false);
        assert_eq!(ready(&board), 200);
        assert_eq!(board.fresh, Duration::from_secs(90));
        let board = Board { fresh: Duration::ZERO, ..board };
        let (code, _, text) = ask(&board, Method::GET, "/readyz", "");
        assert_eq!((code, text.as_str()), (503, "the last round that did its work was 0 s ago\n"));
        assert_eq!(ask(&board, Method::GET, "/healthz", "").0, 200);
    }

    #[test]
    fn only_what_is_there_is_answered_and_in_the_format_that_was_asked_for() {
        let board = Board::new(Duration::from_secs(1));
        board.post("metrics\n", true);
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        let metrics = ask(&board, Method::GET, "/metrics", prometheus);
        assert_eq!(metrics, (200, metrics::CONTENT_TYPE.into(), "metrics\n".into()));
        assert!(ask(&board, Method::GET, "/metrics", "*/*").1.starts_with("text/plain; version=0.0.4"));
        assert_eq!(ask(&board, Method::GET, "/", "").0, 404);
        assert_eq!(ask(&board, Method::POST, "/metrics", "").0, 405);
    }
}
