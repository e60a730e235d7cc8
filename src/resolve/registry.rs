//! Tags of a repository of an OCI registry, as the distribution specification lists them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::challenge::challenges;
use super::failure::{Failure, Reason, of_status};
use super::http::{Http, Reply};
use super::link::port;
use super::order::{is_unfinished, parse};
use super::place::ImageRepository;
use super::settings::{Credentials, ResolveSettings, names};
use super::{Answer, Published, Question, Validators};

/// Pages that are looked at: registries may send fewer tags at once than are asked for, and tags are not sorted by age,
/// so that the newest may be on any page. The bounds of size and time hold as well.
const PAGES: usize = 50;
/// A tag may be as short as one letter: what fits into the bodies would not fit into the memory.
const MOST: usize = 20_000;
/// What helps where a registry refuses.
const CREDENTIALS: &str = "the runner's credentials for this registry";

#[derive(Deserialize)]
struct Tags {
    // Go writes an empty list as null.
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Asks for all tags.
///
/// # Errors
/// When there are more than fit into the bounds, or they cannot be had.
pub async fn ask(
    http: &mut Http<'_>,
    repository: &ImageRepository,
    asked: &Question,
    settings: &ResolveSettings,
) -> Result<Answer, Failure> {
    let credentials = credentials(repository, settings);
    let mut address = first_page(repository, settings)?;
    let mut authorization = None;
    let mut published = Vec::new();
    let mut validators = Validators::default();
    for page in 0..PAGES {
        let is_first = page == 0;
        let headers = headers(if is_first { &asked.validators } else { &validators }, is_first);
        let mut reply = http.follow(&address, &headers, authorization.as_ref()).await?;
        if reply.status == StatusCode::UNAUTHORIZED && authorization.is_none() && !reply.redirected {
            authorization = Some(authorize(http, &reply, repository, credentials).await?);
            reply = http.follow(&address, &headers, authorization.as_ref()).await?;
        }
        if reply.status == StatusCode::NOT_MODIFIED && is_first {
            return Ok(Answer::NotModified);
        }
        tags(&reply, http, &mut published)?;
        if is_first {
            validators = reply.validators();
        }
        if reply.redirected {
            authorization = None;
        }
        match http.next(&reply)? {
            Some(next) => address = next,
            None => return Ok(Answer::Versions { published, whole: true, validators, not_before: None }),
        }
    }
    let message = format!("{} has more than {PAGES} pages of tags; it must have fewer tags, or larger pages", asked.place);
    Err(Failure::new(Reason::TooLarge, message))
}

fn first_page(repository: &ImageRepository, settings: &ResolveSettings) -> Result<Uri, Failure> {
    let ImageRepository { registry, path } = repository;
    let address = |scheme: &str| {
        let text = format!("{scheme}://{registry}/v2/{path}/tags/list?n=1000");
        text.parse::<Uri>().map_err(|_| Failure::new(Reason::Malformed, format!("{text} is no address; check spec.url")))
    };
    let plain = address("http")?;
    let insecure = names(&settings.insecure_registries, plain.host().unwrap_or_default(), port(&plain));
    if insecure { Ok(plain) } else { address("https") }
}

fn credentials<'a>(repository: &ImageRepository, settings: &'a ResolveSettings) -> Option<&'a Credentials> {
    let known = &settings.registry_credentials;
    // Docker Hub's API has another host than its images' names.
    let hub = || known.get("docker.io").filter(|_| repository.registry == "registry-1.docker.io");
    known.get(&repository.registry).or_else(hub)
}

fn headers(validators: &Validators, conditional: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if conditional {
        validators.ask(&mut headers);
    }
    headers
}

fn tags(reply: &Reply, http: &Http<'_>, published: &mut Vec<Published>) -> Result<(), Failure> {
    if reply.status != StatusCode::OK {
        return Err(of_status(reply.status, &reply.headers, &reply.place(), Some(CREDENTIALS), http.now));
    }
    let tags: Tags = serde_json::from_slice(&reply.body).map_err(|error| {
        Failure::new(
            Reason::Malformed,
            format!(
                "{} does not answer with a list of tags (line {}, column {}); it must be an OCI registry",
                reply.place(),
                error.line(),
                error.column()
            ),
        )
    })?;
    let tags = tags.tags.unwrap_or_default();
    if published.len() + tags.len() > MOST {
        return Err(Failure::new(Reason::TooLarge, format!("{} answers with more than {MOST} tags", reply.place())));
    }
    published.extend(tags.into_iter().map(|version| {
        let prerelease = parse(&version).is_some_and(|version| is_unfinished(&version));
        Published { version, published: None, prerelease }
    }));
    Ok(())
}

/// What a registry that answered 401 wants to see: a token from the place that it names, or user and password.
async fn authorize(
    http: &mut Http<'_>,
    reply: &Reply,
    repository: &ImageRepository,
    credentials: Option<&Credentials>,
) -> Result<HeaderValue, Failure> {
    let asked = challenges(&reply.headers);
    let basic = credentials.map(basic).transpose()?;
    if let Some(bearer) = asked.iter().find(|challenge| challenge.scheme == "bearer") {
        let realm = bearer.get("realm").unwrap_or_default();
        let scope = bearer.get("scope").map_or_else(|| format!("repository:{}:pull", repository.path), str::to_owned);
        let address = token_address(http, reply, realm, bearer.get("service"), &scope)?;
        return token(http, &address, basic.as_ref()).await;
    }
    if let Some(basic) = basic.filter(|_| asked.iter().any(|challenge| challenge.scheme == "basic")) {
        return Ok(basic);
    }
    Err(of_status(reply.status, &reply.headers, &reply.place(), Some(CREDENTIALS), http.now))
}

fn token_address(http: &Http<'_>, reply: &Reply, realm: &str, service: Option<&str>, scope: &str) -> Result<Uri, Failure> {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let join = if realm.contains('?') { '&' } else { '?' };
    let service = service.map_or_else(String::new, |service| format!("service={}&", encoded(service)));
    let text = format!("{realm}{join}{service}scope={}", encoded(scope));
    let address: Option<Uri> = text.parse().ok().filter(|address: &Uri| address.host().is_some());
    let address = address.ok_or_else(|| {
        Failure::new(Reason::Malformed, format!("{} names no address for tokens (realm); it must be an https address", reply.place()))
    })?;
    if address.scheme_str() != Some("https") && !http.may_be_plain(&address) {
        let message = format!("{} names {realm} for tokens, without TLS; it must be an https address", reply.place());
        return Err(Failure::new(Reason::Refused, message));
    }
    Ok(address)
}

async fn token(http: &mut Http<'_>, address: &Uri, basic: Option<&HeaderValue>) -> Result<HeaderValue, Failure> {
    let reply = http.follow(address, &headers(&Validators::default(), false), basic).await?;
    if reply.status != StatusCode::OK {
        return Err(of_status(reply.status, &reply.headers, &reply.place(), Some(CREDENTIALS), http.now));
    }
    // What is wrong with it is not told: parts of a token might be.
    let malformed =
        || Failure::new(Reason::Malformed, format!("{} does not answer with a token; it must have token or access_token", reply.place()));
    let answer: Token = serde_json::from_slice(&reply.body).map_err(|_| malformed())?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty()).ok_or_else(malformed)?;
    secret_header(&format!("Bearer {token}")).ok_or_else(malformed)
}

fn basic(credentials: &Credentials) -> Result<HeaderValue, Failure> {
    let Credentials { user, password } = credentials;
    secret_header(&format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal()))))
        .ok_or_else(|| Failure::new(Reason::Unauthorized, "the credentials for this registry cannot be sent"))
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
