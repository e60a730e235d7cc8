//! Which nodes are probed next, and what becomes of what the probes tell.

use std::collections::BTreeMap;

use super::job::job;
use super::probed::{self, Standing};
use super::report::Report;
use crate::names;
use crate::nodeop::verdict;
use crate::plan::{Action, Decision, NodeLabels, NodeReason, Step};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::snapshot::views::{Mark, Node, Probe};
use crate::snapshot::{Reference, Snapshot};

/// One decision about all nodes; None: this runner labels no nodes, or there is nothing to do and nothing to tell.
pub fn decide(snapshot: &Snapshot, settings: &Settings) -> Option<Decision> {
    let namespace = settings.labels_from()?;
    let mut labelling = Labelling { snapshot, settings, namespace, steps: Vec::new(), nodes: BTreeMap::new(), due: Vec::new() };
    let mut probes = probed::by_node(snapshot);
    for node in snapshot.nodes.values() {
        labelling.look(node, &probes.remove(node.uid.as_str()).unwrap_or_default());
    }
    for probe in probes.into_values().flatten() {
        labelling.remove(probe);
    }
    labelling.start();
    labelling.conclude()
}

/// A decision in the making.
struct Labelling<'a> {
    snapshot: &'a Snapshot,
    settings: &'a Settings,
    namespace: &'a str,
    steps: Vec<Step>,
    nodes: BTreeMap<String, NodeReason>,
    /// Nodes to probe, after so many attempts, the last of which is still there.
    due: Vec<(i64, &'a Node, Option<&'a Probe>)>,
}

impl<'a> Labelling<'a> {
    /// What one node needs.
    fn look(&mut self, node: &'a Node, probes: &[&'a Probe]) {
        if node.is_opted_out() {
            self.opt_out(node);
            return probes.iter().for_each(|probe| self.remove(probe));
        }
        if let Some(stranger) = probed::stranger(node) {
            let key = names::ANNOTATION_PROBED_BOOT;
            self.note(
                node,
                Reason::LabelConflict,
                format!("annotation {key} is {stranger}'s: take it off (kubectl annotate node {} {key}-)", node.name),
            );
            return probes.iter().for_each(|probe| self.remove(probe));
        }
        let standing = probed::standing(node, probes, self.snapshot.now);
        let kept = match &standing {
            Standing::Seen | Standing::Away | Standing::Due(_, None) => None,
            Standing::Due(_, Some(probe)) | Standing::Probing(probe, _) | Standing::Told(probe, _) | Standing::Failed(probe, ..) => {
                Some(*probe)
            }
        };
        // Those of other boots, and of attempts before the last.
        let others = probes.iter().filter(|probe| kept.is_none_or(|kept| kept.job.uid != probe.job.uid));
        // A node that is away may come back to what its last probe told.
        let others = others.filter(|probe| standing != Standing::Away || probe.boot_id != node.boot_id);
        others.for_each(|probe| self.remove(probe));
        match standing {
            Standing::Seen | Standing::Away => {}
            Standing::Due(attempt, last) => self.due.push((attempt, node, last)),
            Standing::Probing(_, hindrance) => {
                let reason = if hindrance.is_some() { Reason::CannotStart } else { Reason::Probing };
                self.note(node, reason, hindrance.unwrap_or_else(|| "a probe looks at it".into()));
            }
            Standing::Told(probe, report) => self.label(node, probe, report),
            Standing::Failed(_, why, again) => self.note(node, Reason::ProbeFailed, format!("{why}; it is tried again at {again}")),
        }
    }

    /// Writes what was told, and removes the probe once that stands.
    fn label(&mut self, node: &Node, probe: &Probe, report: Report) {
        let mut write = NodeLabels { labels: report.labels, annotations: report.annotations, ..nothing(node) };
        write.annotations.insert(names::ANNOTATION_PROBED_BOOT.into(), node.boot_id.clone());
        let mut left = Vec::new();
        for all in [&mut write.labels, &mut write.annotations] {
            all.retain(|key, value| match foreign(node.marks.get(key), value) {
                Some((mark, manager)) => {
                    left.push(format!("{key} stays {:?}, which is {manager}'s, and not {value:?}", mark.value));
                    false
                }
                None => true,
            });
        }
        let (reason, message) = match left.len() {
            0 => (Reason::Labelling, "write what the probe has told".to_string()),
            _ => (Reason::LabelConflict, left.join("; ")),
        };
        self.note(node, reason, message.clone());
        self.step(node, reason, message, vec![Action::LabelNode(write), delete(probe)]);
    }

    /// Takes off what is ours.
    fn opt_out(&mut self, node: &Node) {
        if node.marks.values().any(Mark::is_ours) {
            let message = format!("{} is \"false\"", names::LABEL_MANAGED);
            self.note(node, Reason::OptedOut, message.clone());
            self.step(node, Reason::OptedOut, message, vec![Action::LabelNode(nothing(node))]);
        }
    }

    /// Starts as many probes as there is room for: first on nodes that were never looked at.
    fn start(&mut self) {
        let live = self.snapshot.probes.iter().filter(|probe| probed::is_live(probe)).count();
        let free = self.settings.probes.saturating_sub(live);
        let mut due = std::mem::take(&mut self.due);
        due.sort_by_key(|(attempt, node, _)| (*attempt, node.name.as_str()));
        for (index, (attempt, node, last)) in due.into_iter().enumerate() {
            if let Some(why) = probed::refusal(node, attempt, self.snapshot, self.settings) {
                let message = format!("its probe could not be made: {}; each round tries again", verdict::said(why));
                self.note(node, Reason::ProbeFailed, message);
                continue;
            }
            if index >= free {
                self.note(node, Reason::WaitingForProbe, format!("{} nodes are probed at a time", self.settings.probes));
                continue;
            }
            let message = "nobody has looked at the node since it booted";
            let object = job(node, attempt, self.namespace, self.settings);
            // The failed one goes last: it tells that this is not the first try.
            let actions = std::iter::once(Action::Create { object }).chain(last.map(delete)).collect();
            self.note(node, Reason::Probing, "a probe looks at it".into());
            self.step(node, Reason::Probing, message.into(), actions);
        }
    }

    /// Removes a probe that nobody needs any more.
    fn remove(&mut self, probe: &Probe) {
        if probe.job.deleting {
            return;
        }
        let subject = Reference::new("Job", &probe.job.namespace, &probe.job.name, &probe.job.uid);
        let message = "the probe is not needed any more".to_string();
        self.steps.push(Step { subject, reason: Reason::Superseded, message, actions: vec![delete(probe)] });
    }

    fn note(&mut self, node: &Node, reason: Reason, message: String) {
        self.nodes.insert(node.name.clone(), NodeReason::new(reason, message));
    }

    fn step(&mut self, node: &Node, reason: Reason, message: String, actions: Vec<Action>) {
        self.steps.push(Step { subject: reference(node), reason, message, actions });
    }

    fn conclude(self) -> Option<Decision> {
        let Self { steps, nodes, namespace, .. } = self;
        if steps.is_empty() && nodes.is_empty() {
            return None;
        }
        const WORDS: [(Reason, &str); 7] = [
            (Reason::Probing, "probed now"),
            (Reason::CannotStart, "with a probe that does not start"),
            (Reason::WaitingForProbe, "waiting"),
            (Reason::Labelling, "to be labelled"),
            (Reason::LabelConflict, "with labels of somebody else's"),
            (Reason::ProbeFailed, "not probed: it failed"),
            (Reason::OptedOut, "opted out"),
        ];
        let count = |reason: Reason| nodes.values().filter(|why| why.reason == reason).count();
        let counted: Vec<_> =
            WORDS.iter().map(|(reason, words)| (*reason, count(*reason), words)).filter(|(_, count, _)| *count > 0).collect();
        let parts: Vec<String> = counted.iter().map(|(_, count, words)| format!("{count} {words}")).collect();
        let message = if parts.is_empty() { "finished probes are removed".into() } else { format!("nodes: {}", parts.join(", ")) };
        let underway = |why: &NodeReason| matches!(why.reason, Reason::Probing | Reason::CannotStart | Reason::WaitingForProbe);
        Some(Decision {
            subject: Reference::new("Namespace", "", namespace, ""),
            reason: counted.first().map_or(Reason::Superseded, |(reason, ..)| *reason),
            message,
            // A node that cannot be probed keeps nobody from being done: it is tried again, however often that fails.
            settled: steps.is_empty() && !nodes.values().any(underway),
            failed: false,
            status: None,
            steps,
            nodes,
        })
    }
}

/// Nothing of ours on a node.
fn nothing(node: &Node) -> NodeLabels {
    NodeLabels { node: reference(node), resource_version: node.resource_version.clone(), ..NodeLabels::default() }
}

/// What stands there with another value, and who else owns it: an apply without force would be refused as a whole.
fn foreign<'a>(mark: Option<&'a Mark>, wanted: &str) -> Option<(&'a Mark, &'a str)> {
    let mark = mark.filter(|mark| mark.value != wanted)?;
    Some((mark, mark.stranger()?))
}

fn delete(probe: &Probe) -> Action {
    let what = Reference::new("Job", &probe.job.namespace, &probe.job.name, &probe.job.uid);
    Action::Delete { what, resource_version: None, grace_seconds: None }
}

fn reference(node: &Node) -> Reference {
    Reference::new("Node", "", &node.name, &node.uid)
}
