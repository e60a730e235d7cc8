//! `--hash-names` changes names and nothing else: what is decided about the hashed snapshot is what was decided before.

use std::collections::BTreeMap;

use proptest::prelude::*;
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
        Action::LabelNode(write) => format!("label {} {}", write.labels.len(), write.annotations.len()),
        Action::TakeOver(take) => format!("take over {}", take.uncordon),
        // A boot id is a name as well.
        Action::Patch { what, patch } if patch["metadata"].is_object() => format!("annotate {}", what.kind),
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
        probe_namespace: settings.probe_namespace.as_ref().map(name),
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
    let mut renamed_snapshot: Snapshot = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    for (op, original) in renamed_snapshot.nodeops.iter_mut().zip(&snapshot.nodeops) {
        // A script has that character in it as well.
        op.spec.clone_from(&original.spec);
    }
    let snapshot = renamed_snapshot;
    let mut file = SnapshotFile::new(snapshot, Vec::new());
    let names = hash_names(&mut file);
    let again = decide(&file.snapshot, &renamed(settings, &names));
    let (before, after) = (shape(plan, with_writes), shape(&again, with_writes));
    if before == after { Ok(()) } else { Err(format!("another plan without names:\n{}\n---\n{}\n", before.join("\n"), after.join("\n"))) }
}

/// A snapshot with a text of somebody's own wherever one can stand: `$0` to `$175`.
const EVERYWHERE: &str = include_str!("secrets.json");
const TEXTS: usize = 176;

/// A name, a word or an address, such as no word of ours is.
fn secrets() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        4 => "[qxz][a-z0-9]{0,12}[qxz][a-z]{1,8}[qxz]",
        2 => "[qxz][a-z]{1,6}[-._][a-z0-9]{1,6}[qxz]",
        1 => "[1-9][0-9]{1,2}\\.[1-9][0-9]\\.[0-9]{1,2}\\.[1-9][0-9]{1,2}",
        1 => "[QXZ][a-zA-Z]{3,9}[qxz]",
        1 => "[qxz][äöüéß]{2,4}[a-z]{2}",
        1 => "[4-9][0-9]{8}",
    ];
    proptest::collection::hash_set(word, TEXTS).prop_map(|words| words.into_iter().collect())
}

fn filled(words: &[String]) -> Snapshot {
    // From the last one on, for $1 is the beginning of $10.
    let text = words.iter().enumerate().rev().fold(EVERYWHERE.to_string(), |text, (index, word)| text.replace(&format!("${index}"), word));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_what_somebody_called_his_own_is_left(words in secrets()) {
        let snapshot = filled(&words);
        let workload = snapshot.drains.values().flatten().map(|pod| (**pod).clone()).collect();
        let mut file = SnapshotFile::new(snapshot.clone(), workload);
        let mut again = file.clone();
        hash_names(&mut file);
        hash_names(&mut again);
        prop_assert_eq!(&file, &again, "the same snapshot gives the same file");

        let text = serde_json::to_string(&file).unwrap();
        for (index, word) in words.iter().enumerate() {
            prop_assert!(!text.contains(word.as_str()), "${} {} is still there: {}", index, word, text);
        }
        // What selected, selects still; what everybody knows has stayed.
        let hashed = &file.snapshot;
        let over = |snapshot: &Snapshot| snapshot.drains.values().flatten().map(|pod| snapshot.budgets_over(pod).count()).collect::<Vec<_>>();
        let targets = |snapshot: &Snapshot| {
            let selector = snapshot.nodeops[0].spec.node_selector.clone().unwrap();
            snapshot.nodes.values().map(|node| selector.matches(&node.labels)).collect::<Vec<_>>()
        };
        prop_assert_eq!((over(hashed), targets(hashed)), (over(&snapshot), targets(&snapshot)));
        prop_assert_eq!(over(hashed), vec![1]);
        prop_assert!(text.contains("\"kubernetes.io/arch\":\"amd64\"") && text.contains("ImagePullBackOff") && text.contains("\"minAvailable\":\"50%\""));
        let plan = decide(&snapshot, &Settings::default());
        same_without_names(&snapshot, &Settings::default(), &plan, false).map_err(TestCaseError::fail)?;
    }
}
