//! The commands that look whether a node needs an upgrade, and that upgrade it. What differs from one upgrade to the next
//! is told in arguments; the text of the scripts is always the same.

use super::api::NodeOpUpgradeSpec;

/// What [`preflight`] runs.
pub const PREFLIGHT: &str = concat!(include_str!("version.sh"), include_str!("preflight.sh"));
/// What [`upgrade`] runs.
pub const UPGRADE: &str = concat!(include_str!("version.sh"), include_str!("upgrade.sh"));

/// The preflight's command; None if there is nothing to look at.
pub fn preflight(spec: &NodeOpUpgradeSpec) -> Option<Vec<String>> {
    let refuses = refuses_downgrades(spec);
    // Which version the recovery system has is not told by the one that runs.
    let looks = spec.upgrades_active() || refuses;
    let words = [systems(spec), if refuses { "no-downgrade" } else { "any" }];
    (looks && !spec.is_forced()).then(|| command(PREFLIGHT, "preflight", &words, &[]))
}

/// The upgrade's command.
pub fn upgrade(spec: &NodeOpUpgradeSpec) -> Vec<String> {
    let checks = if spec.is_forced() { "forced" } else { "checked" };
    let talk = if spec.debug.unwrap_or(false) { "debug" } else { "quiet" };
    command(UPGRADE, "upgrade", &[systems(spec), checks, talk], &spec.exclude_paths)
}

/// Whether an older version than the one on the node is refused.
pub fn refuses_downgrades(spec: &NodeOpUpgradeSpec) -> bool {
    spec.rollout.as_ref().is_some_and(|rollout| rollout.allow_downgrade == Some(false))
}

/// Which systems are upgraded, in the scripts' word.
fn systems(spec: &NodeOpUpgradeSpec) -> &'static str {
    match (spec.upgrades_active(), spec.upgrades_recovery()) {
        (true, true) => "both",
        (false, true) => "recovery",
        (_, false) => "active",
    }
}

fn command(script: &str, name: &str, words: &[&str], paths: &[String]) -> Vec<String> {
    let fixed = ["/bin/sh", "-c", script, name].into_iter().chain(words.iter().copied());
    fixed.map(String::from).chain(paths.iter().cloned()).collect()
}
