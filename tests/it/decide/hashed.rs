//! `--hash-names` changes names and nothing else: what is decided about the hashed snapshot is what was decided before.

use std::collections::BTreeMap;

use rounds::decide::decide;
use rounds::plan::{Action, Plan};
use rounds::reason::Reason;
use rounds::settings::Settings;
use rounds::snapshot::Snapshot;
use rounds::snapshot::file::SnapshotFile;
use rounds::snapshot::hashed::hash_names;

/// A plan without names: of each decision its reason, whether its status is written, the reasons of its nodes in their
/// order, and the reasons and kinds of its steps.
fn shape(plan: &Plan, with_writes: bool) -> Vec<String> {
    let kinds = |actions: &[Action]| actions.iter().map(kind).collect::<Vec<_>>().join(" ");
    let shape = |decision: &rounds::plan::Decision| {
        let nodes: Vec<String> = decision.nodes.values().map(|node| node.reason.to_string()).collect();
        let steps: Vec<String> =
            decision.steps.iter().map(|step| format!("{} {} {}", step.subject.kind, step.reason, kinds(&step.actions))).collect();
        // What is wrong with a window is quoted, and hashed in the message but not in the window.
        let writes = decision.status.as_ref().filter(|_| with_writes && decision.reason != Reason::InvalidWindow);
        let writes = writes.map(|_| "writes its status");
        format!("{} {} failed={} {writes:?} nodes={nodes:?} steps={steps:#?}", decision.subject.kind, decision.reason, decision.failed)
    };
    plan.decisions.iter().map(shape).collect()
}

fn kind(action: &Action) -> String {
    match action {
        Action::Create { object } => format!("create {}", object["kind"]),
        Action::ApplyNode(apply) => format!("apply {} {}", apply.lock.is_some(), apply.cordon.is_some()),
        Action::TakeOver(take) => format!("take over {}", take.uncordon),
        Action::Patch { what, patch } => format!("patch {} {patch}", what.kind),
        Action::Evict { .. } => "evict".into(),
        Action::Delete { what, .. } => format!("delete {}", what.kind),
    }
}

/// The settings of the same runner where names are hashed.
fn renamed(settings: &Settings, names: &BTreeMap<String, String>) -> Settings {
    let name = |name: &String| names.get(name).unwrap_or(name).clone();
    Settings {
        node_name: settings.node_name.as_ref().map(name),
        pod_uid: settings.pod_uid.as_ref().map(name),
        namespaces: settings.namespaces.iter().map(name).collect(),
        ..settings.clone()
    }
}

/// Hashes the names of a snapshot and decides again. Statuses are written again just where they were before, if messages are
/// those that Rounds would write itself.
pub fn same_without_names(snapshot: &Snapshot, settings: &Settings, plan: &Plan, with_writes: bool) -> Result<(), String> {
    // They do not outlive their round, and are in no file.
    if !snapshot.refused.is_empty() {
        return Ok(());
    }
    // Cases have names in them that no cluster takes, and that are no words of a message.
    let text = serde_json::to_string(snapshot).map_err(|error| error.to_string())?.replace('#', ".");
    let snapshot: Snapshot = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut file = SnapshotFile::new(snapshot, Vec::new());
    let names = hash_names(&mut file);
    let again = decide(&file.snapshot, &renamed(settings, &names));
    let (before, after) = (shape(plan, with_writes), shape(&again, with_writes));
    if before == after { Ok(()) } else { Err(format!("another plan without names:\n{}\n---\n{}\n", before.join("\n"), after.join("\n"))) }
}
