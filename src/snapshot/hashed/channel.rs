//! Every text in an UpdateChannel; see [`super::walk`].

use super::dictionary::Class::{Image, Node, Secret, Uid, Value};
use super::resource::{condition, meta, rollout};
use super::walk::{Visit, keys, selector};
use super::words::text;
use crate::channel::Channel;
use crate::channel::api::{PollValidators, UpdateChannelSpec, UpdateChannelStatus};
use crate::nodeop::api::PullSecret;

/// An UpdateChannel.
pub fn channel(channel: &mut Channel, visit: &mut Visit<'_>) {
    meta(&mut channel.meta, visit);
    spec(&mut channel.spec, visit);
    status(&mut channel.status, visit);
}

fn spec(spec: &mut UpdateChannelSpec, visit: &mut Visit<'_>) {
    let UpdateChannelSpec {
        url,
        version,
        // A range of versions; which is in it must still be so.
        version_constraint: _,
        pre_releases: _,
        concurrency: _,
        node_selector,
        poll_interval: _,
        min_age: _,
        image,
        image_pull_secrets,
        rollout: how,
    } = spec;
    url.iter_mut().for_each(|url| address(url, visit));
    version.iter_mut().filter(|version| !matches!(version.as_str(), "" | "latest")).for_each(|version| visit(Value, version));
    image.iter_mut().for_each(|image| template(image, visit));
    node_selector.iter_mut().for_each(|one| selector(one, visit));
    image_pull_secrets.iter_mut().for_each(|PullSecret { name }| visit(Secret, name));
    how.iter_mut().for_each(|one| rollout(one, visit));
}

/// The template of an image: what it has of the version stays, and all else is one name.
fn template(image: &mut String, visit: &mut Visit<'_>) {
    const KNOWN: [&str; 5] = ["version", "version_without_v", "major", "minor", "patch"];
    let (mut literal, mut variables) = (String::new(), String::new());
    for (index, part) in image.split("{{").enumerate() {
        let (variable, text) = if index == 0 { ("", part) } else { part.split_once("}}").unwrap_or((part, "")) };
        literal.push_str(text);
        if index > 0 {
            let known = KNOWN.iter().find(|known| **known == variable.trim()).unwrap_or(&"unknown");
            variables.push_str(&format!("-{{{{ {known} }}}}"));
        }
    }
    let mut hashed = literal.clone();
    visit(Image, &mut hashed);
    if hashed != literal {
        *image = hashed + &variables;
    }
}

/// A URL, part by part: what is not understood in it must not be understood without names, either.
fn address(url: &mut String, visit: &mut Visit<'_>) {
    let Some((scheme, rest)) = url.split_once(':') else { return visit(Value, url) };
    let hashed = |part: &str| {
        let (name, port) = part.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).unwrap_or((part, ""));
        let mut name = name.to_string();
        visit(Value, &mut name);
        if port.is_empty() { name } else { format!("{name}:{port}") }
    };
    let parts: Vec<String> = rest.split('/').map(hashed).collect();
    *url = format!("{scheme}:{}", parts.join("/"));
}

fn status(status: &mut UpdateChannelStatus, visit: &mut Visit<'_>) {
    let UpdateChannelStatus {
        observed_generation: _,
        phase: _,
        message,
        progress,
        current,
        polling,
        polling_since: _,
        last_polled: _,
        failed_polls: _,
        next_poll: _,
        retry_after: _,
        asked,
        validators,
        first_seen,
        latest_version,
        latest_version_time: _,
        latest_version_source,
        updating,
        upgrading,
        conditions,
        spec_hash,
        last_updated: _,
    } = status;
    [message, progress, current].into_iter().flatten().for_each(|one| text(one, visit));
    polling.iter_mut().for_each(|who| visit(Value, who));
    [asked, spec_hash].into_iter().flatten().for_each(|hash| visit(Uid, hash));
    if let Some(PollValidators { etag, last_modified, page_size: _ }) = validators {
        [etag, last_modified].into_iter().flatten().for_each(|one| visit(Value, one));
    }
    keys(first_seen, |version| visit(Value, version));
    latest_version.iter_mut().for_each(|version| visit(Value, version));
    latest_version_source.iter_mut().for_each(|url| address(url, visit));
    updating.iter_mut().chain(upgrading).for_each(|name| visit(Node, name));
    conditions.iter_mut().for_each(|one| condition(one, visit));
}
