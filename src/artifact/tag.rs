//! Tags of images, as people and Kairos write them.

/// The version in a tag, with what makes it a pre-release: the whole of v1.2.3 or 1.2.3-rc1, and the v1.2.3 of Kairos' own
/// leap-15.6-standard-amd64-generic-v1.2.3-k3sv1.30.11-k3s1, where the last one counts before that of Kubernetes.
pub(super) fn version(image: &str) -> Option<String> {
    let tag = image.rsplit('/').next()?.split_once(':')?.1.split('@').next()?;
    let of_kubernetes = |part: &&str| part.starts_with("k3s") || part.starts_with("k0s");
    let parts: Vec<&str> = tag.split('-').take_while(|part| !of_kubernetes(part)).collect();
    let marked = parts.iter().rposition(|part| part.starts_with('v') && is_version(part));
    // Elsewhere than at the beginning, a number without a v may be that of the distribution.
    let at = marked.or_else(|| is_version(parts.first()?).then_some(0))?;
    Some(parts[at..].join("-"))
}

/// Whether it is three numbers, after a v or not.
fn is_version(part: &str) -> bool {
    let core = part.strip_prefix('v').unwrap_or(part).split(['+', '_']).next().unwrap_or_default();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    core.split('.').count() == 3 && core.split('.').all(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_tags_as_people_and_kairos_write_them() {
        for (image, expected) in [
            ("quay.io/acme/kairos:v3.6.0", Some("v3.6.0")),
            ("registry:5000/acme/kairos:1.2.3-rc1", Some("1.2.3-rc1")),
            ("kairos:v3.6.0@sha256:0123", Some("v3.6.0")),
            ("quay.io/kairos/opensuse:leap-15.6-core-amd64-generic-v3.6.0", Some("v3.6.0")),
            ("quay.io/kairos/opensuse:leap-15.6-core-amd64-generic-v3.6.0-rc2", Some("v3.6.0-rc2")),
            ("quay.io/kairos/opensuse:leap-15.6-standard-amd64-generic-v3.4.2-k3sv1.30.11-k3s1", Some("v3.4.2")),
            ("quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.4.2-rc1-k0sv1.30.0-k0s.0", Some("v3.4.2-rc1")),
            ("quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.6.0-k3s-v1.34.1-k3s1", Some("v3.6.0")),
            ("quay.io/kairos/ubuntu:24.04-standard-amd64-generic-v3.6.0-k3s1.34.1-uki", Some("v3.6.0")),
            ("quay.io/kairos/alpine:3.21.0-core-amd64-generic-v3.6.0", Some("v3.6.0")),
            ("acme/kairos:k3sv1.30.11-k3s1", None),
            ("acme/kairos:edge-1.2.3", None),
            ("acme/kairos:v3.6", None),
            ("acme/kairos:v3.6.x", None),
            ("acme/kairos:latest", None),
            ("registry:5000/acme/kairos", None),
        ] {
            assert_eq!(version(image).as_deref(), expected, "{image}");
        }
    }
}
