//! One request after the other, within the bounds of one question.

use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper_util::client::legacy::{self, Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use kube::client::ConfigExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service;

use ::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};

use super::Validators;
use super::failure::{Failure, Reason};
use super::guard::Guard;
use super::link::{is_same_origin, join, port, shown};
use super::settings::{ResolveSettings, names};
use crate::cluster::call::chain;
use crate::text::one_line;

/// Redirects of one request that are followed.
const REDIRECTS: usize = 5;
/// Longest name of a server's for its answer that is kept.
const VALIDATOR: usize = 256;
/// Bytes of a response's head.
const HEAD: usize = 64 << 10;

type Sender = Box<dyn Fn(Request<Empty<Bytes>>) -> ResponseFuture + Send + Sync>;

/// A client for one question.
pub struct Http<'a> {
    /// Now, as the question says.
    pub now: Timestamp,
    settings: &'a ResolveSettings,
    guard: Arc<Guard>,
    plain: Sender,
    secure: Option<Sender>,
    left: usize,
    begun: Instant,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// Who answered: where the redirects led to.
    pub from: Uri,
    /// Whether there were any.
    pub redirected: bool,
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body of a success; of others it is not read.
    pub body: Vec<u8>,
}

impl Reply {
    /// Who answered, for people.
    pub fn place(&self) -> String {
        shown(&self.from)
    }

    /// What this answer is called by its server.
    pub fn validators(&self) -> Validators {
        let text =
            |name| self.headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| text.len() <= VALIDATOR).map(str::to_owned);
        Validators { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED), page_size: None }
    }
}

impl Validators {
    /// Adds the headers that ask for an answer only if it is another one.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        let value = |text: &Option<String>| text.as_ref().and_then(|text| HeaderValue::from_str(text).ok());
        if let Some(etag) = value(&self.etag) {
            headers.insert(header::IF_NONE_MATCH, etag);
        }
        if let Some(time) = value(&self.last_modified) {
            headers.insert(header::IF_MODIFIED_SINCE, time);
        }
    }
}

impl<'a> Http<'a> {
    /// A client without connections.
    pub fn new(settings: &'a ResolveSettings, now: Timestamp) -> Self {
        let guard = Arc::new(Guard::new(settings));
        let connector = Connector(guard.clone());
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http1_max_buf_size(HEAD);
        let plain = builder.build::<_, Empty<Bytes>>(connector.clone());
        // The same roots as for an apiserver with a public certificate. They are only used for what is public here.
        let roots = kube::Config::new(Uri::from_static("https://localhost"));
        let secure = roots.rustls_https_connector_with_connector(connector).ok().map(|connector| {
            let client = builder.build::<_, Empty<Bytes>>(connector);
            Box::new(move |request| client.request(request)) as Sender
        });
        Self {
            now,
            settings,
            guard,
            plain: Box::new(move |request| plain.request(request)),
            secure,
            left: settings.total_limit,
            begun: Instant::now(),
        }
    }

    /// Whether half of the time is gone in which the question must be answered: what can be done without is left then.
    pub fn is_late(&self) -> bool {
        self.begun.elapsed() > self.settings.time_limit / 2
    }

    /// Sends a request and follows redirects. The credentials go to the address itself, and never any further.
    ///
    /// # Errors
    /// When nothing understandable comes back, or an address is refused.
    pub async fn follow(&mut self, address: &Uri, headers: &HeaderMap, credentials: Option<&HeaderValue>) -> Result<Reply, Failure> {
        let mut reply = self.get(address, headers, credentials).await?;
        for _ in 0..REDIRECTS {
            let Some(target) = redirect(&reply)? else { return Ok(reply) };
            self.check_step(&reply.from, &target)?;
            reply = Reply { redirected: true, ..self.get(&target, headers, None).await? };
        }
        match redirect(&reply)? {
            None => Ok(reply),
            Some(_) => Err(Failure::new(
                Reason::TooManyRedirects,
                format!("{address} redirects more than {REDIRECTS} times; name the address that it ends at"),
            )),
        }
    }

    /// Whether an answer may lead on to this address.
    ///
    /// # Errors
    /// When it gives up TLS.
    pub fn check_step(&self, from: &Uri, to: &Uri) -> Result<(), Failure> {
        if from.scheme_str() == Some("https") && to.scheme_str() == Some("http") && !self.may_be_plain(to) {
            let message = format!("{} leads to {}, without TLS; it must lead to an https address", shown(from), shown(to));
            return Err(Failure::new(Reason::Refused, message));
        }
        Ok(())
    }

    /// Whether the settings let this host be spoken to without TLS.
    pub fn may_be_plain(&self, address: &Uri) -> bool {
        let host = address.host().unwrap_or_default();
        names(&self.settings.insecure_registries, host, port(address)) || names(&self.settings.allowed_hosts, host, port(address))
    }

    /// The next page, if it is of the same server.
    ///
    /// # Errors
    /// When it is of another one.
    pub fn next(&self, reply: &Reply) -> Result<Option<Uri>, Failure> {
        let Some(reference) = super::link::next_page(&reply.headers) else { return Ok(None) };
        match join(&reply.from, reference) {
            Some(next) if is_same_origin(&reply.from, &next) => Ok(Some(next)),
            _ => {
                let message = format!("{} names a next page on another server; it must be on the same one", reply.place());
                Err(Failure::new(Reason::Refused, message))
            }
        }
    }

    /// Sends one request, and follows nothing.
    ///
    /// # Errors
    /// When nothing understandable comes back, or the address is refused.
    pub async fn get(&mut self, address: &Uri, headers: &HeaderMap, credentials: Option<&HeaderValue>) -> Result<Reply, Failure> {
        self.guard.check(address.host().unwrap_or_default(), port(address)).map_err(|failure| at(address, &failure))?;
        let sender = match address.scheme_str() {
            Some("http") => &self.plain,
            Some("https") => self.secure.as_ref().ok_or_else(|| {
                let message =
                    format!("cannot ask {address}: this machine has no root certificates; install ca-certificates, or set SSL_CERT_FILE");
                Failure::new(Reason::Unreachable, message)
            })?,
            _ => return Err(Failure::new(Reason::Refused, format!("{address} is not asked; it must be an http or https address"))),
        };
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = address.clone();
        request.headers_mut().extend(headers.clone());
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(concat!("rounds/", env!("CARGO_PKG_VERSION"))));
        if let Some(credentials) = credentials {
            request.headers_mut().insert(header::AUTHORIZATION, credentials.clone());
        }
        let response = sender(request).await.map_err(|error| broken(address, &error))?;
        let (parts, body) = response.into_parts();
        let conditional = headers.contains_key(header::IF_NONE_MATCH) || headers.contains_key(header::IF_MODIFIED_SINCE);
        if parts.status == StatusCode::NOT_MODIFIED && !conditional {
            let message = format!(
                "{} answered 304, not modified, to a question that names no earlier answer; it must answer that with 200",
                shown(address)
            );
            return Err(Failure::new(Reason::Malformed, message));
        }
        let body = if parts.status.is_success() { self.read(address, body).await? } else { Vec::new() };
        Ok(Reply { from: address.clone(), redirected: false, status: parts.status, headers: parts.headers, body })
    }

    async fn read(&mut self, address: &Uri, mut body: Incoming) -> Result<Vec<u8>, Failure> {
        let limit = self.settings.body_limit.min(self.left);
        let too_large = || {
            let address = shown(address);
            let (each, all) = (self.settings.body_limit >> 10, self.settings.total_limit >> 10);
            Failure::new(Reason::TooLarge, format!("{address} answers with more than {each} KiB, or {all} KiB in all; it must be shorter"))
        };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let mut read = Vec::new();
        let mut fits = true;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(address, &error))?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > limit {
                fits = false;
                break;
            }
            read.extend_from_slice(&data);
        }
        let failure = if fits { None } else { Some(too_large()) };
        self.left = self.left.saturating_sub(read.len());
        failure.map_or(Ok(read), Err)
    }
}

/// Where a redirect leads to.
fn redirect(reply: &Reply) -> Result<Option<Uri>, Failure> {
    if !is_redirect(reply.status) {
        return Ok(None);
    }
    location(reply).map(Some)
}

/// Whether a status says that something is elsewhere.
pub fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// What the Location header of an answer names.
///
/// # Errors
/// When there is none, or it is no address.
pub fn location(reply: &Reply) -> Result<Uri, Failure> {
    let text = reply.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    text.and_then(|text| join(&reply.from, text)).ok_or_else(|| {
        let message = format!(
            "{} answered {} without saying where to; it needs a Location header with an address",
            reply.place(),
            reply.status.as_u16()
        );
        Failure::new(Reason::Malformed, message)
    })
}

fn at(address: &Uri, failure: &Failure) -> Failure {
    Failure { message: format!("cannot ask {}: {}", shown(address), failure.message), ..failure.clone() }
}

/// What an error of the client means. A refusal comes back through it from the connector.
fn broken(address: &Uri, error: &(dyn Error + 'static)) -> Failure {
    let mut malformed = false;
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(failure) = current.downcast_ref::<Failure>() {
            return at(address, failure);
        }
        malformed |= current.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
        cause = current.source();
    }
    let connecting = error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect);
    let (reason, what) = match (malformed, connecting) {
        (true, _) => (Reason::Malformed, "its answer is not HTTP"),
        (false, true) => (Reason::Unreachable, "no connection"),
        (false, false) => (Reason::Unreachable, "the connection broke off"),
    };
    Failure::new(reason, format!("cannot ask {}: {what} ({})", shown(address), one_line(&chain(error))))
}

/// Makes connections only where the guard lets them go.
#[derive(Clone)]
struct Connector(Arc<Guard>);

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Self::Response, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let guard = self.0.clone();
        Box::pin(async move {
            let host = address.host().unwrap_or_default();
            guard.connect(host, port(&address)).await.map(TokioIo::new)
        })
    }
}
