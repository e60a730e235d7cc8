//! A proxy between a runner and the apiserver that does to requests what networks and apiservers do on their bad days.
//!
//! It asks a rule about every request. What it lets pass it sends on with the credentials of the corner's user, so that
//! the audit log still tells who wrote what.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::Corner;

/// What a rule is asked about.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method.
    pub method: Method,
    /// Path, without the query.
    pub path: String,
    /// The body as JSON; null if there is none.
    pub body: Value,
    /// Running number of the request, from 0.
    pub number: usize,
    /// Running number among the writes, from 0. Reads have none, nor have Events: nothing rests on them.
    pub write: Option<usize>,
}

impl Asked {
    /// Whether it writes something else than an Event.
    pub fn is_write(&self) -> bool {
        self.write.is_some()
    }

    /// Whether it lists this resource, of all namespaces.
    pub fn lists(&self, resource: &str) -> bool {
        self.method == Method::GET && self.path.ends_with(&format!("/{resource}"))
    }

    /// Whether it lets a Job run.
    pub fn starts(&self) -> bool {
        self.method == Method::PATCH && self.body.pointer("/spec/parallelism") == Some(&json!(1))
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It reaches the apiserver, and the answer comes back.
    Pass,
    /// It does not reach the apiserver; this HTTP status comes back, with a Status object as an apiserver would send it.
    Answer(u16),
    /// It reaches the apiserver; half of the answer comes back, and the connection breaks.
    Truncate,
    /// It reaches the apiserver; half of the answer comes back as if that were all.
    Garble,
    /// Nothing comes back, ever.
    Hang,
    /// The connection breaks.
    Drop,
    /// It reaches the apiserver, and then this comes back instead of its answer.
    TakenThen(Box<Fate>),
    /// It waits here until [`Proxy::deliver`]; its sender never hears of it.
    Hold,
    /// The answer is the newest one to the same question that is so old. While there is none, the present one.
    Stale(Duration),
}

/// A running proxy; it ends when it is dropped.
pub struct Proxy {
    /// A kubeconfig that leads to it, without credentials.
    pub kubeconfig: PathBuf,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    client: kube::Client,
    state: Mutex<State>,
}

struct State {
    rule: Box<dyn FnMut(&Asked) -> Fate + Send>,
    requests: usize,
    writes: usize,
    held: Vec<Whole>,
    recorded: BTreeMap<String, Vec<(Instant, Answer)>>,
}

/// A request with its whole body.
type Whole = Request<Vec<u8>>;
/// An answer with its whole body.
type Answer = Response<Bytes>;
type Body = BoxBody<Bytes, std::io::Error>;

impl Proxy {
    /// Starts a proxy for a corner's user. The rule is asked about one request after the other.
    pub fn start(corner: &Corner, rule: impl FnMut(&Asked) -> Fate + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (listener, shared) = runtime.block_on(async {
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
            let state = State { rule: Box::new(rule), requests: 0, writes: 0, held: Vec::new(), recorded: BTreeMap::new() };
            (listener, Arc::new(Shared { client: client(&corner.kubeconfig).await, state: Mutex::new(state) }))
        });
        let port = listener.local_addr().expect("an address").port();
        let kubeconfig = corner.plane.dir.join(format!("kubeconfig-proxy-{port}"));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
            "users": [{"name": "nobody", "user": {}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).expect("the proxy's kubeconfig");
        runtime.spawn(listen(listener, shared.clone()));
        Self { kubeconfig, shared, runtime: Some(runtime) }
    }

    /// How many writes have come, Events aside.
    pub fn writes(&self) -> usize {
        self.shared.state().writes
    }

    /// Sends on what was held back, and tells what the apiserver said to it.
    pub fn deliver(&self) -> Vec<StatusCode> {
        let held = std::mem::take(&mut self.shared.state().held);
        let runtime = self.runtime.as_ref().expect("it runs");
        held.into_iter().map(|request| runtime.block_on(self.shared.forward(request)).expect("an answer").status()).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // What hangs would be waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn client(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the corner's kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a configuration");
    config.default_retry = false;
    kube::Client::try_from(config).expect("a client")
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, shared.clone()));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let answer = service_fn(move |request| {
        let shared = shared.clone();
        // On its own: a request that was let through is taken even if its sender dies over it.
        async move { tokio::spawn(async move { shared.answer(request).await }).await.map_err(std::io::Error::other)? }
    });
    // An error is what was asked for, or a sender that died.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> std::io::Result<Response<Body>> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes().to_vec();
        head.headers.remove(header::HOST);
        let request = Request::from_parts(head, body);
        let fate = self.fate(&request);
        self.carry_out(fate, request).await
    }

    fn fate(&self, request: &Whole) -> Fate {
        let mut state = self.state();
        let path = request.uri().path().to_string();
        let is_write = request.method() != Method::GET && !path.ends_with("/events");
        let body = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        let write = is_write.then_some(state.writes);
        let asked = Asked { method: request.method().clone(), path, body, number: state.requests, write };
        state.requests += 1;
        state.writes += usize::from(is_write);
        (state.rule)(&asked)
    }

    async fn carry_out(&self, mut fate: Fate, request: Whole) -> std::io::Result<Response<Body>> {
        if let Fate::TakenThen(then) = fate {
            self.forward(request.clone()).await?;
            fate = *then;
        }
        match fate {
            Fate::Pass => Ok(self.forward(request).await?.map(whole)),
            Fate::Answer(code) => Ok(refusal(code)),
            Fate::Truncate => Ok(self.forward(request).await?.map(broken)),
            Fate::Garble => {
                let mut answer = self.forward(request).await?;
                answer.headers_mut().remove(header::CONTENT_LENGTH);
                Ok(answer.map(|body| whole(body.slice(..body.len() / 2))))
            }
            Fate::Stale(age) => {
                let question = request.uri().to_string();
                let answer = self.forward(request).await?;
                Ok(self.older(question, answer, age).map(whole))
            }
            Fate::Hold => {
                self.state().held.push(request);
                std::future::pending().await
            }
            Fate::Hang => std::future::pending().await,
            Fate::Drop | Fate::TakenThen(_) => Err(std::io::Error::other("dropped")),
        }
    }

    /// Sends a request to the apiserver as the corner's user.
    async fn forward(&self, request: Whole) -> std::io::Result<Answer> {
        let answer = self.client.send(request.map(kube::client::Body::from)).await.map_err(std::io::Error::other)?;
        let (mut head, body) = answer.into_parts();
        head.headers.remove(header::TRANSFER_ENCODING);
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }

    #[expect(clippy::disallowed_methods, reason = "how old an answer is, a test tells by the clock on the wall")]
    fn older(&self, question: String, answer: Answer, age: Duration) -> Answer {
        let now = Instant::now();
        let mut state = self.state();
        let recorded = state.recorded.entry(question).or_default();
        recorded.push((now, answer.clone()));
        let old = recorded.iter().rev().find(|(at, _)| now.duration_since(*at) >= age);
        old.map_or(answer, |(_, answer)| answer.clone())
    }
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed()
}

/// Half of a body, and then the connection breaks.
fn broken(body: Bytes) -> Body {
    let half = Ok(Frame::data(body.slice(..body.len() / 2)));
    StreamBody::new(stream::iter([half, Err(std::io::Error::other("truncated"))])).boxed()
}

/// A refusal as an apiserver would send it.
fn refusal(code: u16) -> Response<Body> {
    let (reason, message) = match code {
        409 => ("Conflict", "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version"),
        429 => ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
        504 => ("Timeout", "the server was unable to return a response in the time allotted, but may still be processing the request"),
        _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code, "details": {},
    });
    let mut answer = Response::new(whole(Bytes::from(status.to_string())));
    *answer.status_mut() = StatusCode::from_u16(code).expect("an HTTP status");
    *answer.headers_mut() = HeaderMap::from_iter([(header::CONTENT_TYPE, "application/json".parse().expect("a header"))]);
    if code == 429 {
        answer.headers_mut().insert(header::RETRY_AFTER, "1".parse().expect("a header"));
    }
    answer
}
