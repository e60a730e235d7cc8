//! Rounds for the tests of what is printed.

use serde_json::json;

use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::plan::{Action, Decision, Document, NodeApply, NodeReason, Plan, StatusWrite, Step};
use crate::reason::Reason;
use crate::round::Round;
use crate::snapshot::views::{Holder, Job, Node};
use crate::snapshot::{Meta, Reference, Resource, Snapshot};

/// Without colours.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn node(name: &str, zone: &str) -> Node {
    Node {
        name: name.into(),
        uid: format!("u-{name}"),
        ready: true,
        labels: [("zone".to_string(), zone.to_string())].into(),
        ..Node::default()
    }
}

/// A round in which default/op takes n2 of four nodes, after n1 failed.
pub fn planned() -> Round {
    let names = ["n1", "n2", "n3", "n4"];
    let spec: NodeOpSpec =
        serde_json::from_value(json!({"command": ["true"], "concurrency": 1, "nodeSelector": {"matchLabels": {"zone": "a"}}})).unwrap();
    let failed = json!({"phase": "Failed", "reason": "CommandFailed", "message": "exit code 3", "jobName": "op-n1-x", "lastUpdated": "2026-11-21T05:57:00Z"});
    let before = json!({"phase": "Pending", "progress": "1/4", "nodeStatuses": {"n1": failed}});
    let taken = json!({"phase": "Pending", "step": "Locking", "reason": "Locking", "reasonSince": "2026-11-21T06:00:00Z"});
    let counts = json!({"total": 4, "completed": 0, "failed": 1, "inFlight": 1, "pending": 2});
    let after = json!({"phase": "Running", "progress": "1/4", "current": "n2: Locking", "nodes": counts, "nodeStatuses": {"n1": failed, "n2": taken}});
    let status: NodeOpStatus = serde_json::from_value(before.clone()).unwrap();
    let meta = Meta { namespace: "default".into(), name: "op".into(), uid: "u".into(), ..Meta::default() };
    let holder = meta.holder();
    let subject = Reference::new("NodeOp", "default", "op", "u");
    let why = |reason, message: &str| NodeReason::new(reason, message);
    let n2 = Reference::new("Node", "", "n2", "u-n2");
    let apply = NodeApply {
        node: n2.clone(),
        manager: "rounds-u".into(),
        lock: Some(holder.clone()),
        cordon: Some(holder),
        ..NodeApply::default()
    };
    let decision = Decision {
        subject: subject.clone(),
        reason: Reason::Progressing,
        message: "1 of 4 nodes in flight, 1 done".into(),
        settled: false,
        failed: true,
        status: Some(StatusWrite {
            api_version: "operator.kairos.io/v1alpha1".into(),
            of: subject,
            resource_version: "7".into(),
            before: Document::of(before.clone()),
            status: Document::of(after.clone()),
        }),
        steps: vec![Step {
            subject: n2,
            reason: Reason::Locking,
            message: "take the node".into(),
            actions: vec![Action::ApplyNode(apply)],
        }],
        nodes: [
            ("n1".into(), why(Reason::CommandFailed, "exit code 3")),
            ("n2".into(), why(Reason::Locking, "the lock is being taken")),
            ("n3".into(), why(Reason::WaitingForSlot, "1 of 1 slots are taken")),
            ("n4".into(), why(Reason::WaitingForSlot, "1 of 1 slots are taken")),
        ]
        .into(),
    };
    let mut nodes: crate::snapshot::nodes::Nodes = names.iter().map(|name| (name.to_string(), node(name, "a"))).collect();
    nodes.insert(
        "other".into(),
        Node {
            lock: Some(Holder { value: "ops/x@y".into(), manager: String::new() }),
            unschedulable: true,
            ready: false,
            ..node("other", "b")
        },
    );
    let snapshot = Snapshot {
        now: "2026-11-21T06:00:00Z".parse().unwrap(),
        nodes,
        jobs: vec![Job { namespace: "default".into(), name: "op-n1-x".into(), uid: "j".into(), held: true, ..Job::default() }],
        nodeops: vec![Resource { meta, spec, status }],
        ..Snapshot::default()
    };
    Round { snapshot, plan: Plan { decisions: vec![decision] }, ..Round::default() }
}
