//! Which version a node must run after its reboot, and which it does.
//!
//! The command tells in its termination message what it has installed. What the node runs is told by its labels, once
//! somebody has looked at it in its new boot; until then they speak of the last one.

use super::place::Place;
use crate::labels::probed::{self, Standing};
use crate::names;
use crate::reason::Reason;
use crate::snapshot::views::{Mark, Node, Probe};

/// Longest version that is taken for one.
const LONGEST: usize = 128;

/// What a command has told about what it installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The version that is installed now.
    pub version: String,
    /// Whether it is older than the one before.
    pub downgrade: bool,
}

/// What is to be made of a node that is in another boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing speaks against it; what was not looked at, if anything.
    Good(Option<String>),
    /// Nobody has looked at the node in this boot yet.
    Awaited,
    /// It is not what it should be.
    Bad(Reason, String),
}

/// What a termination message tells: `upgraded to VERSION`, `downgraded to VERSION from …`, or `already at VERSION`.
pub fn told(message: &str) -> Option<Told> {
    let message = message.trim();
    let rest = ["upgraded to ", "downgraded to ", "already at "].iter().find_map(|verb| message.strip_prefix(verb))?;
    let version = rest.split_whitespace().next()?;
    let fits = version.len() <= LONGEST && version.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Told { version: version.to_string(), downgrade: message.starts_with("downgraded") })
}

/// Whether two texts mean one version: a label cannot hold a `+`, and has a `-` in its place.
pub fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let text: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
        text.trim_matches(['-', '_', '.']).to_string()
    };
    plain(one) == plain(other)
}

/// Looks at what a node runs, if the operation asks for that.
pub fn look(place: &Place<'_, '_>, node: &Node) -> Look {
    let reboot = place.op.rollout.reboot();
    if !reboot.verifies_version() {
        return Look::Good(None);
    }
    let unchecked = |why: &str| Look::Good(Some(format!("its version was not checked: {why}")));
    if !node.is_probed() {
        let late = place.op.seconds_since(place.entry.step_since.as_ref()) > reboot.timeout();
        return match late.then(|| "nobody has looked at the node since it rebooted".to_string()).or_else(|| unseen(place, node)) {
            Some(why) => unchecked(&why),
            None => Look::Awaited,
        };
    }
    if let Some((key, manager)) = stranger(node) {
        // The last boot's, most likely: the look at this one could not write over it.
        return unchecked(&format!(
            "{key} on the node is {manager}'s; take it off once (kubectl label or annotate node {} {key}-)",
            node.name
        ));
    }
    let runs = node.version();
    let state = node.labels.get(names::LABEL_BOOT_STATE).map_or("", String::as_str);
    if matches!(state, "passive" | "recovery") {
        let version = runs.map(|version| format!(", with version {version}")).unwrap_or_default();
        return Look::Bad(Reason::FallbackBoot, format!("the node has come up in its {state} system instead of the active one{version}"));
    }
    let Some(expected) = &place.entry.expected_version else { return unchecked("the command has not told which it installed") };
    match runs {
        None => unchecked("the node tells none"),
        Some(runs) if is_same(&runs, expected) => Look::Good(None),
        Some(runs) => Look::Bad(Reason::WrongVersion, format!("the node runs version {runs} after the reboot, and not {expected}")),
    }
}

/// Why nobody is going to look at a node in its present boot, as far as that is known.
fn unseen(place: &Place<'_, '_>, node: &Node) -> Option<String> {
    if node.is_opted_out() {
        return Some(format!("{}: \"false\" keeps everybody from looking at the node", names::LABEL_MANAGED));
    }
    if place.op.settings.labels_from().is_none() {
        // Another runner may look at nodes; where one has, this one is waited for.
        return node
            .probed_boot
            .is_none()
            .then(|| "this runner looks at no nodes (--probes, --probe-namespace), and no other one has".into());
    }
    let probes: Vec<&Probe> = place.op.snapshot.probes.iter().filter(|probe| probed::is_of(probe, node)).collect();
    match probed::standing(node, &probes, place.op.now()) {
        Standing::Failed(_, why, _) => Some(format!("the look at the node failed: {why}")),
        _ => None,
    }
}

/// What tells the version of a node, and from which of its systems it runs.
pub const KEYS: [&str; 4] =
    [names::ANNOTATION_VERSION, names::LABEL_SOFTWARE_PREFIX, names::LABEL_SOFTWARE_VERSION, names::LABEL_BOOT_STATE];

/// Whether somebody else alone says so.
pub fn is_foreign(mark: &Mark) -> bool {
    !mark.is_ours() && mark.stranger().is_some()
}

/// What tells the version and stands on a node by somebody else's hand, and whose: the existing labeler leaves its values.
fn stranger(node: &Node) -> Option<(&'static str, &str)> {
    KEYS.into_iter().find_map(|key| Some((key, node.marks.get(key).filter(|mark| is_foreign(mark))?.stranger()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_termination_message_tells_a_version_or_nothing() {
        let version = "v3.6.0-k3sv1.33.4+k3s1";
        for (message, downgrade) in [("upgraded to", false), ("downgraded to", true), ("already at", false)] {
            let expected = Some(Told { version: version.into(), downgrade });
            assert_eq!(told(&format!("{message} {version} from somewhere\n")), expected, "{message}");
        }
        let long = format!("upgraded to {}", "9".repeat(129));
        for message in ["", "upgraded to ", "upgraded; the image tells no version", "hello", "upgraded to \u{1b}[2J", &long] {
            assert_eq!(told(message), None, "{message:?}");
        }
    }

    #[test]
    fn what_another_program_has_left_on_a_node_tells_nothing_about_its_version() {
        let mark = |managers: &[&str]| Mark { value: "v3.5.0".into(), managers: managers.iter().map(ToString::to_string).collect() };
        let node = |managers: &[&str]| Node { marks: [(names::ANNOTATION_VERSION.to_string(), mark(managers))].into(), ..Node::default() };
        assert_eq!(stranger(&node(&["node-labeler"])), Some((names::ANNOTATION_VERSION, "node-labeler")));
        for managers in [&["node-labeler", names::LABELS_MANAGER][..], &[names::LABELS_MANAGER], &[]] {
            assert_eq!(stranger(&node(managers)), None);
        }
    }

    #[test]
    fn what_a_label_cannot_hold_makes_no_other_version() {
        assert!(is_same("v3.6.0-k3sv1.33.4+k3s1", "v3.6.0-k3sv1.33.4-k3s1"));
        assert!(is_same("v3.6.0-", "v3.6.0"), "nothing but Kairos itself");
        assert!(!is_same("v3.6.0-k3sv1.33.4", "v3.6.0-k3sv1.33.5"));
    }
}
