//! What addresses in answers mean: redirects, next pages, last elements of a path. Pure.

use http::{HeaderMap, Uri, header};
use percent_encoding::percent_decode_str;

/// The address that a reference in an answer of `base` names.
pub fn join(base: &Uri, reference: &str) -> Option<Uri> {
    let reference = reference.split('#').next().unwrap_or_default().trim();
    let scheme = base.scheme_str()?;
    let authority = base.authority()?;
    let is_absolute = reference.split_once(':').is_some_and(|(start, _)| {
        start.starts_with(|first: char| first.is_ascii_alphabetic())
            && start.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    let text = if is_absolute {
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{scheme}:{reference}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') {
        format!("{scheme}://{authority}{}{reference}", base.path())
    } else {
        let (folder, _) = base.path().rsplit_once('/')?;
        format!("{scheme}://{authority}{folder}/{reference}")
    };
    text.parse().ok().filter(|uri: &Uri| uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty()))
}

/// The page after this one, as a Link header names it (RFC 8288).
pub fn next_page(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        value.split('<').skip(1).find_map(|entry| {
            let (target, parameters) = entry.split_once('>')?;
            let is_next = parameters.split([';', ',']).filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
            });
            is_next.then_some(target)
        })
    })
}

/// Whether two addresses are of one server: what is sent to the one may be sent to the other.
pub fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

/// The port that a request goes to.
pub fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 })
}

/// An address for people. Without the query, in which a redirect may have put a signature.
pub fn shown(address: &Uri) -> String {
    let authority = address.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{}", address.scheme_str().unwrap_or_default(), address.path())
}

/// The last element of an address' path, decoded.
pub fn last_element(uri: &Uri) -> Option<String> {
    let (_, last) = uri.path().trim_end_matches('/').rsplit_once('/')?;
    percent_decode_str(last).decode_utf8().ok().map(|text| text.into_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn references_are_joined_to_what_they_stand_in() {
        let base = uri("https://example.org:8443/v2/a/tags/list?n=5");
        for (reference, expected) in [
            ("http://other.example/x?y#z", Some("http://other.example/x?y")),
            ("HTTPS://other.example/x", Some("https://other.example/x")),
            ("//other.example/x", Some("https://other.example/x")),
            ("/v2/b", Some("https://example.org:8443/v2/b")),
            ("?n=5&last=b", Some("https://example.org:8443/v2/a/tags/list?n=5&last=b")),
            ("list2", Some("https://example.org:8443/v2/a/tags/list2")),
            ("https://", None),
            ("mailto:me", None),
            ("file:///etc/passwd", None),
        ] {
            let joined = join(&base, reference).map(|uri| uri.to_string());
            assert_eq!(joined.as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        for (link, expected) in [
            (r#"<https://a.example/r?page=2>; rel="next", <https://a.example/r?page=9>; rel="last""#, Some("https://a.example/r?page=2")),
            (r#"<https://a.example/r?page=1>; rel="prev", <https://a.example/r?page=3>; rel="next""#, Some("https://a.example/r?page=3")),
            ("</v2/a/tags/list?last=b&n=5>; rel=next", Some("/v2/a/tags/list?last=b&n=5")),
            (r#"<b,c>; title="x"; rel="last next""#, Some("b,c")),
            (r#"<https://a.example/>; rel="first""#, None),
            ("nonsense", None),
            ("<unfinished", None),
        ] {
            let headers: HeaderMap = [(header::LINK, link.parse().unwrap())].into_iter().collect();
            assert_eq!(next_page(&headers), expected, "{link}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (one, other, same) in [
            ("https://a.example/x", "https://A.example:443/y", true),
            ("https://a.example/", "http://a.example:443/", false),
            ("https://a.example/", "https://a.example:8443/", false),
            ("https://a.example/", "https://a.example.evil/", false),
            ("https://a.example/", "https://a.example@evil.example/", false),
        ] {
            assert_eq!(is_same_origin(&uri(one), &uri(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn secrets_in_addresses_are_not_shown() {
        assert_eq!(shown(&uri("https://me:secret@a.example:8443/x?signature=secret")), "https://a.example:8443/x");
    }

    #[test]
    fn the_last_element_is_decoded() {
        for (address, expected) in [
            ("https://github.com/k3s-io/k3s/releases/tag/v1.30.4%2Bk3s1", Some("v1.30.4+k3s1")),
            ("https://a.example/v1.2.3/", Some("v1.2.3")),
            ("https://a.example/v1?x=/y", Some("v1")),
            ("https://a.example/", None),
            ("https://a.example/%ff", None),
        ] {
            assert_eq!(last_element(&uri(address)).as_deref(), expected, "{address}");
        }
    }
}
