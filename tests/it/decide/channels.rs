//! Channels in cases, and what their URLs answer.

use jiff::Timestamp;
use rounds::channel::Channel;
use rounds::channel::answer::told;
use rounds::resolve::{Answer, Failure, Published, Reason, Validators};
use rounds::snapshot::Resource;
use serde_json::{Value, json};

use super::shorthand::{World, time, typed};

/// `{spec, status, …}` of a channel.
pub fn channel(name: &str, fields: &Value) -> Result<Channel, String> {
    let mut meta = fields.clone();
    let parts = meta.as_object_mut().ok_or("must be a map")?;
    let (spec, status) = (parts.remove("spec").unwrap_or(json!({})), parts.remove("status").unwrap_or(json!({})));
    let defaults = json!({
        "namespace": "default", "name": name, "uid": format!("{name}-channel"), "resourceVersion": "1", "generation": 1, "created": -3600,
    });
    let spec = typed(json!({"url": "github-releases://o/r", "image": "kairos:{{ version }}"}), spec)?;
    Ok(Resource { meta: typed(defaults, meta)?, spec, status: typed(json!({}), status)? })
}

/// What the URL of a channel answers in the next round: `publishes v1.0.0@-60 v1.1.0!` (published a minute ago, a
/// pre-release), `publishes among others v1.0.0` (not all were looked at), `is unchanged`, `fails`, `fails with 404`,
/// `fails until 600`.
pub fn answer(words: &[&str]) -> Result<Answer, String> {
    match words {
        ["publishes", versions @ ..] => {
            let rest = versions.strip_prefix(&["among", "others"]);
            let (versions, whole) = (rest.unwrap_or(versions), rest.is_none());
            let validators = Validators { etag: Some("\"1\"".into()), ..Validators::default() };
            Ok(Answer::Versions {
                published: versions.iter().map(|version| published(version)).collect(),
                whole,
                validators,
                not_before: None,
            })
        }
        ["is", "unchanged"] => Ok(Answer::NotModified),
        ["fails"] => Ok(Answer::Failed(Failure::new(Reason::Server(500), "http://x answered 500"))),
        ["fails", "with", "404"] => Ok(Answer::Failed(Failure::new(Reason::NotFound, "http://x answered 404"))),
        ["fails", "until", seconds] => {
            let until = time(seconds.parse().map_err(|_| seconds.to_string())?);
            let failure = Failure::new(Reason::RateLimited { until }, "asked too often");
            Ok(Answer::Failed(Failure { not_before: Some(until), ..failure }))
        }
        other => Err(format!("{other:?} is no answer")),
    }
}

fn published(text: &str) -> Published {
    let (text, prerelease) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
    let (version, seconds) = text.split_once('@').map_or((text, None), |(version, seconds)| (version, seconds.parse().ok()));
    let published: Option<Timestamp> = seconds.map(time);
    Published { version: version.into(), published, prerelease }
}

impl World {
    /// The URL of a channel has answered.
    pub fn answer(&mut self, name: &str, words: &[&str]) -> Result<(), String> {
        let channel = self.snapshot.channels.iter().find(|channel| channel.meta.name == name).ok_or("no such channel")?;
        let told = told(channel, answer(words)?, self.snapshot.now);
        self.snapshot.answers.insert(format!("{name}-channel"), told);
        Ok(())
    }
}
