//! A server on 127.0.0.1 that says what a test wants, and remembers what it was asked.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
}

impl Seen {
    /// A header as text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What is answered.
pub enum Say {
    /// A whole answer.
    This(Response<Bytes>),
    /// 200, and so many bytes, in pieces and without a length.
    Flood(usize),
    /// Nothing, ever.
    Nothing,
    /// 200 and half of a body, and then nothing, ever.
    Half(&'static str),
}

/// An answer with headers.
pub fn say(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Say {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Say::This(response.body(body.into()).unwrap())
}

/// A running server; it ends when it is dropped.
pub struct Server {
    /// 127.0.0.1:port.
    pub host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    sent: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts one.
    pub async fn start(answer: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(Mutex::new(0));
        let answer = Arc::new(answer);
        let (record, count) = (seen.clone(), sent.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (record, count, answer) = (record.clone(), count.clone(), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let path = request.uri().path_and_query().unwrap().to_string();
                    let seen = Seen { path, headers: request.headers().clone() };
                    let said = answer(&seen);
                    record.lock().unwrap().push(seen);
                    respond(said, count.clone())
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { host, seen, sent, task }
    }

    /// Its address.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The paths of that.
    pub fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.path).collect()
    }

    /// How many bytes of floods were taken from it.
    pub fn sent(&self) -> usize {
        *self.sent.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn respond(said: Say, sent: Arc<Mutex<usize>>) -> Result<Response<Body>, Infallible> {
    const PIECE: usize = 64 << 10;
    Ok(match said {
        Say::This(response) => response.map(|body| Full::new(body).boxed()),
        Say::Flood(bytes) => {
            let pieces = stream::iter(0..bytes / PIECE).map(move |_| {
                *sent.lock().unwrap() += PIECE;
                Ok(Frame::data(Bytes::from(vec![b' '; PIECE])))
            });
            Response::new(BodyExt::boxed(StreamBody::new(pieces)))
        }
        Say::Nothing => std::future::pending().await,
        Say::Half(body) => {
            let first = stream::once(async move { Ok(Frame::data(Bytes::from_static(body.as_bytes()))) });
            Response::new(BodyExt::boxed(StreamBody::new(first.chain(stream::pending()))))
        }
    })
}
