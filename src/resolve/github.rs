//! Releases of a repository, as GitHub's API lists them: the newest first.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use jiff::Timestamp;
use serde::Deserialize;

use super::failure::{Failure, Reason, asked_to_wait, is_exhausted, of_status};
use super::http::{Http, Reply};
use super::place::GitHubRepository;
use super::settings::ResolveSettings;
use super::{Answer, Published, Question, Validators};

/// How many releases are asked for at once, and how many such pages are looked at. Each release comes with all of its
/// assets, and some have hundreds; each page is one of the requests that GitHub grants in an hour.
const SIZES: [(u16, usize); 3] = [(100, 3), (10, 6), (1, 10)];
/// What helps where the API refuses.
const TOKEN: &str = "a GitHub token of the runner that may read the repository";

#[derive(Deserialize)]
struct Release {
    tag_name: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    prerelease: bool,
    published_at: Option<Timestamp>,
}

/// Asks for the newest releases: up to 300, or fewer where they are large, or slow to come.
///
/// # Errors
/// When the first page cannot be had, or a further one for another reason than its size.
pub async fn ask(
    http: &mut Http<'_>,
    repository: &GitHubRepository,
    asked: &Question,
    settings: &ResolveSettings,
) -> Result<Answer, Failure> {
    let token = token(http, settings)?;
    let (mut reply, page_size) = first_page(http, repository, asked, settings, token.as_ref()).await?;
    if reply.status == StatusCode::NOT_MODIFIED {
        return Ok(Answer::NotModified);
    }
    let validators = Validators { page_size: (page_size != SIZES[0].0).then_some(page_size), ..reply.validators() };
    let pages = SIZES.iter().find(|(size, _)| *size == page_size).map_or(1, |(_, pages)| *pages);
    let mut published = Vec::new();
    let mut whole = false;
    for page in 1..=pages {
        releases(&reply, http.now, &mut published)?;
        let Some(next) = http.next(&reply)? else {
            whole = true;
            break;
        };
        // The rest is older: better without it than with a limit that is used up.
        if page == pages || is_exhausted(&reply.headers) || http.is_late() {
            break;
        }
        let token = token.as_ref().filter(|_| !reply.redirected);
        let redirected = reply.redirected;
        reply = match http.follow(&next, &headers(&Validators::default()), token).await {
            Ok(further) => Reply { redirected: redirected || further.redirected, ..further },
            Err(failure) if failure.reason == Reason::TooLarge => break,
            Err(failure) => return Err(failure),
        };
    }
    Ok(Answer::Versions { published, whole, validators, not_before: asked_to_wait(&reply.headers, http.now) })
}

/// The first page, with as many releases as fit into the bounds.
async fn first_page(
    http: &mut Http<'_>,
    repository: &GitHubRepository,
    asked: &Question,
    settings: &ResolveSettings,
    token: Option<&HeaderValue>,
) -> Result<(Reply, u16), Failure> {
    let base = settings.github_api.to_string();
    let GitHubRepository { owner, name } = repository;
    let known = asked.validators.page_size.filter(|known| SIZES.iter().any(|(size, _)| size == known)).unwrap_or(SIZES[0].0);
    let mut size = known;
    loop {
        let text = format!("{}/repos/{owner}/{name}/releases?per_page={size}", base.trim_end_matches('/'));
        let address: Uri =
            text.parse().map_err(|_| Failure::new(Reason::Malformed, format!("{text} is no address; check the runner's GitHub API")))?;
        // An answer of another size has another name.
        let validators = if size == known { asked.validators.clone() } else { Validators::default() };
        match http.follow(&address, &headers(&validators), token).await {
            Err(failure) if failure.reason == Reason::TooLarge => match SIZES.into_iter().find(|(smaller, _)| *smaller < size) {
                Some((smaller, _)) => size = smaller,
                None => return Err(failure),
            },
            other => return other.map(|reply| (reply, size)),
        }
    }
}

/// The token as a header, for the API's host alone.
fn token(http: &Http<'_>, settings: &ResolveSettings) -> Result<Option<HeaderValue>, Failure> {
    let Some(token) = &settings.github_token else { return Ok(None) };
    let api = &settings.github_api;
    if api.scheme_str() != Some("https") && !http.may_be_plain(api) {
        let message = format!("the GitHub token is not sent to {api}, without TLS; the API's address must be https");
        return Err(Failure::new(Reason::Refused, message));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal().trim())).map_err(|_| {
        Failure::new(Reason::Unauthorized, format!("the runner's GitHub token for {api} is no token: it has line breaks or the like"))
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn headers(validators: &Validators) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    headers.insert(HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));
    validators.ask(&mut headers);
    headers
}

fn releases(reply: &Reply, now: Timestamp, published: &mut Vec<Published>) -> Result<(), Failure> {
    if reply.status != StatusCode::OK {
        return Err(of_status(reply.status, &reply.headers, &reply.place(), Some(TOKEN), now));
    }
    let releases: Vec<Release> = serde_json::from_slice(&reply.body).map_err(|error| {
        let message = format!(
            "{} does not answer with a list of releases (line {}, column {}); it must be GitHub's API",
            reply.place(),
            error.line(),
            error.column()
        );
        Failure::new(Reason::Malformed, message)
    })?;
    let finished = releases.into_iter().filter(|release| !release.draft);
    published.extend(finished.map(|release| Published {
        version: release.tag_name,
        published: release.published_at,
        prerelease: release.prerelease,
    }));
    Ok(())
}
