//! How far the probes of a node are. A probe speaks for the boot that it saw, and for no other.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::job::DEADLINE_SECONDS;
use super::release;
use super::report::Report;
use crate::names;
use crate::nodeop::verdict;
use crate::selector::NodeSelector;
use crate::settings::Settings;
use crate::snapshot::views::{Node, Probe};
use crate::snapshot::{Reference, Snapshot};

/// The longest pause between two probes of one boot.
const LONGEST_PAUSE: i64 = 3600;

/// Where a node stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing<'a> {
    /// Its present boot has been looked at.
    Seen,
    /// It cannot be looked at now: it is not Ready, is being deleted, or tells no boot id.
    Away,
    /// It is to be probed, after so many probes of its boot have failed; the last of these is still there.
    Due(i64, Option<&'a Probe>),
    /// A probe is under way; what keeps it from starting, if something does.
    Probing(&'a Probe, Option<String>),
    /// A probe has told.
    Told(&'a Probe, Report),
    /// The last probe failed; why, and when the next one comes.
    Failed(&'a Probe, String, Timestamp),
}

impl Standing<'_> {
    /// Whether who selects on labels waits for the node. What was tried once in vain is not waited for: that may be for ever.
    pub fn is_awaited(&self) -> bool {
        match self {
            Self::Due(attempt, _) => *attempt == 0,
            Self::Probing(probe, _) => probe.attempt == 0,
            Self::Told(..) => true,
            Self::Seen | Self::Away | Self::Failed(..) => false,
        }
    }
}

/// Whether a probe is one of a node's.
pub fn is_of(probe: &Probe, node: &Node) -> bool {
    node_uid(probe) == Some(&node.uid)
}

fn node_uid(probe: &Probe) -> Option<&String> {
    probe.job.owner.as_ref().filter(|owner| owner.kind == "Node").map(|owner| &owner.uid)
}

/// The probes by the uid of their node.
pub fn by_node(snapshot: &Snapshot) -> BTreeMap<&str, Vec<&Probe>> {
    let mut probes: BTreeMap<&str, Vec<&Probe>> = BTreeMap::new();
    for probe in &snapshot.probes {
        probes.entry(node_uid(probe).map_or("", String::as_str)).or_default().push(probe);
    }
    probes
}

/// Where a node stands, by its probes.
pub fn standing<'a>(node: &Node, probes: &[&'a Probe], now: Timestamp) -> Standing<'a> {
    if node.is_probed() {
        return Standing::Seen;
    }
    if node.deleting || node.boot_id.is_empty() {
        return Standing::Away;
    }
    let of_this_boot = probes.iter().filter(|probe| probe.boot_id == node.boot_id);
    let standing = of_this_boot.max_by_key(|probe| probe.attempt).map_or(Standing::Due(0, None), |probe| latest(node, probe, now));
    match standing {
        Standing::Due(..) if !node.ready => Standing::Away,
        standing => standing,
    }
}

fn latest<'a>(node: &Node, probe: &'a Probe, now: Timestamp) -> Standing<'a> {
    let why = match told(node, probe) {
        Ok(report) => return Standing::Told(probe, report),
        Err(None) => return Standing::Probing(probe, hindrance(probe)),
        Err(Some(why)) => why,
    };
    let again = probe.job.created.unwrap_or(now).checked_add(pause(probe.attempt)).unwrap_or(Timestamp::MAX);
    if again > now { Standing::Failed(probe, why, again) } else { Standing::Due(probe.attempt.saturating_add(1), Some(probe)) }
}

/// What a probe told of the node's present boot, or why it failed; None: it has not ended.
fn told(node: &Node, probe: &Probe) -> Result<Report, Option<String>> {
    let containers = probe.pod.iter().flat_map(|pod| &pod.containers);
    let exit = containers.filter(|container| container.name == names::CONTAINER_PROBE).find_map(verdict::exit);
    match exit {
        Some(exit) if exit.code == 0 => match Report::parse(&exit.message) {
            Some(report) if report.boot_id == node.boot_id => Ok(report),
            // Where containers have a kernel of their own, it is not the node's boot that they see.
            Some(report) => Err(Some(format!("it saw boot {}, and the node tells boot {}", verdict::said(&report.boot_id), node.boot_id))),
            None => Err(Some("its termination message is not the report of a probe (is --runner-image of this version?)".into())),
        },
        Some(exit) => Err(Some(verdict::describe(exit))),
        None => Err(match &probe.job.failed {
            Some(trouble) => Some(verdict::sentence(trouble)),
            None => probe.job.complete.then(|| "its pod is gone, and with it what it told".into()),
        }),
    }
}

/// What keeps a probe from starting, in the cluster's own words.
fn hindrance(probe: &Probe) -> Option<String> {
    let trouble = probe.pod.as_ref().and_then(verdict::start_trouble);
    trouble.or_else(|| probe.job.warnings.first().cloned()).as_ref().map(verdict::sentence)
}

/// Whether a probe may still have something running on its node.
pub fn is_live(probe: &Probe) -> bool {
    !probe.job.is_finished() && !probe.pod.as_ref().is_some_and(|pod| pod.is_terminal())
}

/// From the creation of a probe that failed to the next one: three minutes, then four, six, ten, up to an hour.
fn pause(attempt: i64) -> SignedDuration {
    let doubled = 60_i64.saturating_mul(1 << attempt.clamp(0, 10));
    SignedDuration::from_secs(doubled.saturating_add(DEADLINE_SECONDS).min(LONGEST_PAUSE))
}

/// Whether a selector asks for what a probe would tell, while a node is still to be looked at.
pub fn is_awaited(selector: Option<&NodeSelector>, snapshot: &Snapshot, settings: &Settings) -> bool {
    !awaited(selector, snapshot, settings).is_empty()
}

/// The nodes that are still to be looked at and may match then, by name, where a selector asks for what a probe would tell.
/// What their labels say now is of another boot, or of none.
pub fn awaited<'a>(selector: Option<&NodeSelector>, snapshot: &'a Snapshot, settings: &Settings) -> BTreeMap<&'a str, &'a Node> {
    let told = |key: &String| release::LABELS.contains(&key.as_str());
    let asks = |selector: &&NodeSelector| {
        selector.match_labels.keys().any(told) || selector.match_expressions.iter().any(|requirement| told(&requirement.key))
    };
    let Some(selector) = selector.filter(asks).filter(|_| settings.labels_from().is_some()) else { return BTreeMap::new() };
    // What is asked for besides is not a probe's to tell.
    let may_match = |node: &Node| {
        selector.match_labels.iter().all(|(key, value)| told(key) || node.labels.get(key) == Some(value))
            && selector.match_expressions.iter().all(|requirement| told(&requirement.key) || requirement.matches(&node.labels))
    };
    let probes = by_node(snapshot);
    let of = |node: &Node| probes.get(node.uid.as_str()).map_or(&[][..], Vec::as_slice);
    let refused = |node: &Node, standing: &Standing<'_>| match standing {
        Standing::Due(attempt, _) => refusal(node, *attempt, snapshot, settings).is_some(),
        _ => false,
    };
    let awaited = |node: &Node| {
        let standing = standing(node, of(node), snapshot.now);
        !node.is_opted_out() && stranger(node).is_none() && standing.is_awaited() && !refused(node, &standing)
    };
    // Most nodes were looked at: that is seen at a glance.
    let nodes = snapshot.nodes.values().filter(|node| !node.is_probed() && may_match(node) && awaited(node));
    nodes.map(|node| (node.name.as_str(), node)).collect()
}

/// What the server has said in this round against the next probe of a node, or against all of them.
pub fn refusal<'a>(node: &Node, attempt: i64, snapshot: &'a Snapshot, settings: &Settings) -> Option<&'a str> {
    let namespace = settings.labels_from().filter(|_| !snapshot.refused.is_empty())?;
    let name = names::probe_name(&node.name, &node.uid, &node.boot_id, attempt);
    let job = snapshot.refused.get(&Reference::new("Job", namespace, &name, ""));
    job.or_else(|| snapshot.refused.get(&Reference::new("Namespace", "", namespace, ""))).map(String::as_str)
}

/// Who else has written that the node was probed: what they wrote is theirs, and nothing could be recorded.
pub fn stranger(node: &Node) -> Option<&str> {
    node.marks.get(names::ANNOTATION_PROBED_BOOT).filter(|mark| mark.value != node.boot_id)?.stranger()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let pauses: Vec<i64> = [0, 1, 2, 3, 5, 6, 7, 60, i64::MAX].map(|attempt| pause(attempt).as_secs()).to_vec();
        assert_eq!(pauses, [180, 240, 360, 600, 2040, 3600, 3600, 3600, 3600]);
        assert!(pauses.iter().all(|pause| *pause < super::super::job::TTL_SECONDS), "the Job that tells of the failure is still there");
    }
}
