//! For tests: a cluster that is a function in this process.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;

use super::Cluster;

/// One request as it would go over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method and path.
    pub(crate) what: String,
    /// The query, decoded and sorted.
    pub(crate) query: Vec<String>,
    /// Content type and Accept.
    pub(crate) types: (String, String),
    /// The body; null if there is none.
    pub(crate) body: Value,
}

/// The requests so far.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().into_iter().map(|seen| seen.what).collect()
    }
}

/// A cluster that answers with a status code and a body, at one second past the epoch's 1,795,237,690th.
pub(crate) fn fake(answer: impl Fn(&Seen) -> (u16, Value) + Send + Sync + 'static) -> (Cluster, Log) {
    let log = Log::default();
    let (seen, answer) = (log.clone(), Arc::new(answer));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (log, answer) = (seen.clone(), answer.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or_default().to_string()).unwrap_or_default();
            let mut query: Vec<String> =
                head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(decoded).collect();
            query.sort();
            let seen = Seen {
                what: format!("{} {}", head.method, head.uri.path()),
                query,
                types: (header(http::header::CONTENT_TYPE), header(http::header::ACCEPT)),
                body: serde_json::from_slice(&body).unwrap_or_default(),
            };
            log.0.lock().unwrap().push(seen.clone());
            let (code, value) = answer(&seen);
            let body = Body::from(value.to_string().into_bytes());
            let answer = Response::builder().status(code).header("date", "Sat, 21 Nov 2026 05:08:10 GMT").body(body).unwrap();
            Ok::<_, kube::Error>(answer)
        }
    });
    (Cluster::new(kube::Client::new(service, "default")), log)
}

fn decoded(text: &str) -> String {
    text.replace("%3D", "=").replace("%2C", ",").replace("%2F", "/").replace('+', " ")
}
