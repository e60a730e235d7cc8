//! Channel servers, as k3s has them: they redirect to the version.

use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::failure::{Failure, Reason, of_status};
use super::http::{Http, is_redirect, location};
use super::link::{last_element, shown};
use super::order::{is_unfinished, looks_like_version, parse};
use super::{Answer, Published, Question};

/// Asks once; the redirect is the answer, and not followed.
///
/// # Errors
/// When the answer names no version.
pub async fn ask(http: &mut Http<'_>, address: &Uri, asked: &Question) -> Result<Answer, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain, */*;q=0.1"));
    asked.validators.ask(&mut headers);
    let reply = http.get(address, &headers, None).await?;
    let version = if is_redirect(reply.status) {
        let target = location(&reply)?;
        last_element(&target).filter(|version| looks_like_version(version)).ok_or_else(|| {
            let message = format!("{address} redirects to {}, which does not end in a version, for example /v1.2.3", shown(&target));
            Failure::new(Reason::Malformed, message)
        })?
    } else if reply.status == StatusCode::NOT_MODIFIED {
        return Ok(Answer::NotModified);
    } else if reply.status == StatusCode::OK {
        sole_version(&reply.body).ok_or_else(|| {
            let message = format!("{address} answers with a page in place of a version; it must redirect to one, or answer with one alone");
            Failure::new(Reason::Malformed, message)
        })?
    } else {
        return Err(of_status(reply.status, &reply.headers, &address.to_string(), None, http.now));
    };
    let prerelease = parse(&version).is_some_and(|version| is_unfinished(&version));
    let published = vec![Published { version, published: None, prerelease }];
    Ok(Answer::Versions { published, whole: true, validators: reply.validators(), not_before: None })
}

/// The version that a body is.
fn sole_version(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    looks_like_version(text).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_a_version_or_none() {
        for (body, expected) in [
            (&b"v1.2.3\n"[..], Some("v1.2.3")),
            (b" 1.30.4+k3s1 ", Some("1.30.4+k3s1")),
            (b"v1.2.3\nv1.2.4\n", None),
            (b"<html>", None),
            (b"\xff\xfe", None),
            (b"", None),
        ] {
            assert_eq!(sole_version(body).as_deref(), expected, "{body:?}");
        }
    }
}
