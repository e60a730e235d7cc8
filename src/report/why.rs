//! Why a node stands where it stands, in every operation: in those that have to do with it, and why the others have not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use super::paint::Tone;
use super::words::age;
use crate::channel;
use crate::nodeop::api::NodeStatus;
use crate::plan::Decision;
use crate::round::{Round, status_after};
use crate::selector::{NodeSelector, Operator, Requirement};
use crate::snapshot::Meta;
use crate::snapshot::views::Node;
use crate::upgrade;

/// The explanation as text; None if there is no such node and no operation knows it.
pub fn render(round: &Round, name: &str) -> Option<String> {
    let node = round.snapshot.nodes.get(name);
    if node.is_none() && concerned(round, name).next().is_none() {
        return None;
    }
    let mut text = node.map_or_else(|| format!("Node {name} does not exist (any more)\n"), describe);
    for decision in concerned(round, name) {
        text += &operation(round, decision, name);
    }
    let others: String = unconcerned(round, name).map(|(decision, why)| format!("  {}: {why}\n", decision.subject)).collect();
    if !others.is_empty() {
        text += &format!("\nNothing to do with it\n{others}");
    } else if round.plan.decisions.is_empty() {
        text += "\nThere are no operations.\n";
    }
    Some(text)
}

/// The explanation as JSON.
pub fn json(round: &Round, name: &str) -> Option<Value> {
    let node = round.snapshot.nodes.get(name);
    let operations: Vec<Value> = concerned(round, name)
        .map(|decision| {
            let why = &decision.nodes[name];
            json!({
                "resource": decision.subject,
                "reason": why.reason,
                "message": why.message,
                "meaning": why.reason.meaning(),
                "entry": status_after(&round.snapshot.nodeops, decision).of(name),
                "operation": {"reason": decision.reason, "message": decision.message},
            })
        })
        .collect();
    if node.is_none() && operations.is_empty() {
        return None;
    }
    let others: Vec<Value> =
        unconcerned(round, name).map(|(decision, why)| json!({"resource": decision.subject, "message": why})).collect();
    Some(json!({"schemaVersion": SCHEMA_VERSION, "time": round.snapshot.now, "node": node, "operations": operations, "others": others}))
}

/// Names that are most like one that does not exist.
pub fn similar(round: &Round, name: &str) -> Vec<String> {
    let ratio = |other: &str| similar::TextDiff::from_chars(name, other).ratio();
    let mut names: Vec<(&String, f32)> =
        round.snapshot.nodes.keys().map(|other| (other, ratio(other))).filter(|(_, ratio)| *ratio > 0.5).collect();
    names.sort_by(|a, b| b.1.total_cmp(&a.1));
    names.into_iter().take(3).map(|(name, _)| name.clone()).collect()
}

fn concerned<'a>(round: &'a Round, name: &'a str) -> impl Iterator<Item = &'a Decision> {
    round.plan.decisions.iter().filter(move |decision| decision.nodes.contains_key(name))
}

/// The operations that do not take the node, and why not.
fn unconcerned<'a>(round: &'a Round, name: &'a str) -> impl Iterator<Item = (&'a Decision, String)> {
    // What an upgrade or a channel does with a node is told by what it has made.
    let is_of = |meta: &Meta, decision: &Decision| meta.owner.as_ref().is_some_and(|owner| owner.uid == decision.subject.uid);
    let made = move |decision: &Decision| {
        matches!(decision.subject.kind.as_str(), upgrade::api::KIND | channel::api::KIND)
            && (round.snapshot.nodeops.iter().any(|op| is_of(&op.meta, decision))
                || round.snapshot.upgrades.iter().any(|upgrade| is_of(&upgrade.meta, decision)))
    };
    let others = round.plan.decisions.iter().filter(move |decision| {
        !matches!(decision.subject.kind.as_str(), "Node" | "Namespace" | "OSArtifact") && !decision.nodes.contains_key(name)
    });
    others.filter(move |decision| !made(decision)).map(move |decision| {
        let resource = round.snapshot.nodeops.iter().find(|resource| resource.meta.uid == decision.subject.uid);
        let channel = round.snapshot.channels.iter().find(|channel| channel.meta.uid == decision.subject.uid);
        let selector = resource.and_then(|resource| resource.spec.node_selector.as_ref());
        let selector = selector.or_else(|| channel.and_then(|channel| channel.spec.node_selector.as_ref()));
        let mismatch = round.snapshot.nodes.get(name).and_then(|node| mismatch(selector?, &node.labels));
        let why = mismatch.map(|mismatch| format!("its nodeSelector does not match: {mismatch}"));
        (decision, why.unwrap_or_else(|| format!("{}: {}", decision.reason, decision.message)))
    })
}

/// The first requirement of a selector that labels do not satisfy, in words.
fn mismatch(selector: &NodeSelector, labels: &BTreeMap<String, String>) -> Option<String> {
    let differs = selector.match_labels.iter().find(|(key, value)| labels.get(*key) != Some(value));
    if let Some((key, wanted)) = differs {
        return Some(match labels.get(key) {
            Some(present) => format!("label {key} is {present:?}, not {wanted:?}"),
            None => format!("there is no label {key}={wanted}"),
        });
    }
    let Requirement { key, operator, values } = selector.match_expressions.iter().find(|requirement| !requirement.matches(labels))?;
    let present = labels.get(key);
    Some(match (operator, present) {
        (Operator::In, Some(present)) => format!("label {key} is {present:?}, not one of {}", values.join(", ")),
        (Operator::In | Operator::Exists, _) => format!("there is no label {key}"),
        (Operator::NotIn | Operator::DoesNotExist, _) => format!("it has label {key}={}", present.map_or("", String::as_str)),
    })
}

// Writing into a String does not fail: the results are dropped.
fn operation(round: &Round, decision: &Decision, name: &str) -> String {
    let why = &decision.nodes[name];
    let title = Tone::Strong.paint(&decision.subject.to_string());
    let mut text = format!("\n{title}: {}\n", Tone::of(why.reason).paint(why.reason.code()));
    if !why.message.is_empty() {
        let _ = writeln!(text, "  {}", why.message);
    }
    let _ = writeln!(text, "  {}", Tone::Dim.paint(&format!("({})", why.reason.meaning())));
    let status = status_after(&round.snapshot.nodeops, decision);
    if let Some(entry) = status.of(name) {
        let _ = writeln!(text, "  {}", standing(round, entry));
        if let Some(job) = &entry.job_name {
            let _ = writeln!(text, "  log: kubectl -n {} logs job/{job} --all-containers", decision.subject.namespace);
        }
    }
    let _ = writeln!(text, "  the operation: {}: {}", decision.reason, decision.message);
    text
}

fn standing(round: &Round, entry: &NodeStatus) -> String {
    let step = entry.step.map(|step| format!(", step {step:?}")).unwrap_or_default();
    let since = entry.reason_since.as_ref().or(entry.last_updated.as_ref());
    let since = since.map(|since| format!(", for {} (since {})", age(round.snapshot.now, since.0), since.0)).unwrap_or_default();
    format!("phase {:?}{step}{since}", entry.phase)
}

fn describe(node: &Node) -> String {
    let ready = if node.ready { "Ready".into() } else { Tone::Wait.paint("not Ready") };
    let mut parts = vec![ready];
    if node.deleting {
        parts.push("being deleted".into());
    }
    if node.unschedulable {
        let by = node.cordoned_by.as_ref().map_or_else(|| node.cordon_managers.join(", "), |holder| holder.path().to_string());
        parts.push(if by.is_empty() { "cordoned".into() } else { format!("cordoned by {by}") });
    } else {
        parts.push("not cordoned".into());
    }
    if node.keep_cordoned {
        parts.push("to be left cordoned (keep-cordoned)".into());
    }
    parts.push(node.lock.as_ref().map_or_else(|| "held by no operation".into(), |lock| format!("held by {}", lock.path())));
    format!("{}: {}\n", Tone::Strong.paint(&format!("Node {}", node.name)), parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases::{self, plain};

    fn selector(spec: Value) -> NodeSelector {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_failed_node_is_explained_with_the_way_to_its_log() {
        assert_eq!(
            plain(&render(&cases::planned(), "n1").unwrap()),
            "\
Node n1: Ready, not cordoned, held by no operation

NodeOp default/op: CommandFailed
  exit code 3
  (The command failed as often as it may.)
  phase Failed, for 3m (since 2026-11-21T05:57:00Z)
  log: kubectl -n default logs job/op-n1-x --all-containers
  the operation: Progressing: 1 of 4 nodes in flight, 1 done
"
        );
    }

    #[test]
    fn a_node_that_no_operation_takes_is_told_why_not() {
        let round = cases::planned();
        assert_eq!(
            plain(&render(&round, "other").unwrap()),
            "\
Node other: not Ready, cordoned, held by ops/x

Nothing to do with it
  NodeOp default/op: its nodeSelector does not match: label zone is \"b\", not \"a\"
"
        );
        assert_eq!(json(&round, "other").unwrap()["others"][0]["resource"]["name"], "op");
    }

    #[test]
    fn every_kind_of_mismatch_has_its_words() {
        let labels: BTreeMap<String, String> = [("zone".to_string(), "b".to_string())].into();
        for (spec, expected) in [
            (json!({"matchLabels": {"zone": "b"}}), None),
            (json!({"matchLabels": {"kairos.io/managed": "true"}}), Some("there is no label kairos.io/managed=true")),
            (
                json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "c"]}]}),
                Some("label zone is \"b\", not one of a, c"),
            ),
            (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["b"]}]}), Some("it has label zone=b")),
            (json!({"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}), Some("there is no label gpu")),
            (json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}), Some("it has label zone=b")),
        ] {
            assert_eq!(mismatch(&selector(spec), &labels).as_deref(), expected);
        }
    }

    #[test]
    fn an_unknown_node_has_no_explanation_but_similar_names() {
        let round = cases::planned();
        assert!(render(&round, "othr").is_none() && json(&round, "othr").is_none());
        assert_eq!(similar(&round, "othr"), ["other"]);
    }
}
