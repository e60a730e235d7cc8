use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::cluster::fake::{Log, Seen, fake};
use crate::plan::{Document, NodeApply, NodeLabels, StatusWrite, TakeOver};
use crate::reason::Reason;

fn decision(status: Option<StatusWrite>, steps: Vec<Vec<Action>>) -> Decision {
    let subject = Reference::new("NodeOp", "ns", "op", "u1");
    let step = |actions| Step { subject: subject.clone(), reason: Reason::Locking, message: String::new(), actions };
    Decision {
        steps: steps.into_iter().map(step).collect(),
        subject: subject.clone(),
        reason: Reason::Progressing,
        message: String::new(),
        settled: false,
        failed: false,
        status,
        nodes: Default::default(),
    }
}

fn status() -> StatusWrite {
    StatusWrite {
        api_version: "operator.kairos.io/v1alpha1".into(),
        of: Reference::new("NodeOp", "ns", "op", "u1"),
        resource_version: "42".into(),
        before: Document::of(()),
        status: Document::of(json!({ "phase": "Running" })),
    }
}

fn pod(name: &str) -> Reference {
    Reference::new("Pod", "ns", name, "p1")
}

fn evict(name: &str) -> Action {
    Action::Evict { pod: pod(name), grace_seconds: None }
}

async fn run(plan: Plan, mode: Mode, answer: impl Fn(&Seen) -> (u16, Value) + Send + Sync + 'static) -> (Vec<Verdict>, Log) {
    let (cluster, log) = fake(answer);
    let outcome = apply(&cluster, &plan, mode, usize::MAX, &|| false).await;
    (outcome.actions.into_iter().map(|action| action.verdict).collect(), log)
}

async fn sent(action: Action, mode: Mode) -> Seen {
    let plan = Plan { decisions: vec![decision(None, vec![vec![action]])] };
    let (verdicts, log) = run(plan, mode, |_| (200, json!({}))).await;
    assert_eq!(verdicts, [Verdict::Done]);
    log.all().remove(0)
}

fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (code, json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message }))
}

#[tokio::test]
async fn a_create_is_a_post_under_our_name() {
    let object =
        json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "j1", "namespace": "ns" }, "spec": { "parallelism": 0 } });
    let seen = sent(Action::Create { object: object.clone() }, Mode::Live).await;
    assert_eq!(seen.what, "POST /apis/batch/v1/namespaces/ns/jobs");
    assert_eq!(seen.query, ["fieldManager=rounds"]);
    assert_eq!(seen.body, object);
    assert_eq!(sent(Action::Create { object }, Mode::DryRun).await.query, ["dryRun=All", "fieldManager=rounds"]);
    let event = json!({ "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e", "namespace": "ns" } });
    assert_eq!(sent(Action::Create { object: event }, Mode::Live).await.what, "POST /apis/events.k8s.io/v1/namespaces/ns/events");
}

#[tokio::test]
async fn what_the_existing_operator_left_goes_in_one_patch_by_uid_and_version() {
    let take = TakeOver { node: Reference::new("Node", "", "n1", "u-n1"), resource_version: "7".into(), uncordon: true };
    let seen = sent(Action::TakeOver(take.clone()), Mode::Live).await;
    assert_eq!((seen.what.as_str(), seen.types.0.as_str()), ("PATCH /api/v1/nodes/n1", "application/merge-patch+json"));
    assert_eq!(seen.query, ["fieldManager=rounds"]);
    let metadata = json!({ "uid": "u-n1", "resourceVersion": "7", "annotations": { "operator.kairos.io/cordoned-by": null } });
    assert_eq!(seen.body, json!({ "metadata": metadata.clone(), "spec": { "unschedulable": null } }));
    let mark = TakeOver { uncordon: false, ..take };
    assert_eq!(sent(Action::TakeOver(mark), Mode::Live).await.body, json!({ "metadata": metadata }));
}

#[tokio::test]
async fn a_lock_is_an_apply_without_force_by_uid_and_version() {
    let apply = NodeApply {
        node: Reference::new("Node", "", "n1", "u-n1"),
        resource_version: "7".into(),
        manager: "rounds-u1".into(),
        lock: Some("ns/op@u1".into()),
        cordon: Some("ns/op@u1".into()),
        ..NodeApply::default()
    };
    let seen = sent(Action::ApplyNode(apply.clone()), Mode::Live).await;
    assert_eq!(seen.what, "PATCH /api/v1/nodes/n1");
    assert_eq!(seen.query, ["fieldManager=rounds-u1"]);
    assert_eq!(seen.types.0, "application/apply-patch+yaml");
    let metadata = json!({ "name": "n1", "uid": "u-n1", "resourceVersion": "7", "annotations": {
        "operator.kairos.io/operation": "ns/op@u1", "operator.kairos.io/cordoned-by": "ns/op@u1",
    } });
    assert_eq!(seen.body, json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": { "unschedulable": true } }));

    let only = NodeApply { cordon: None, ..apply.clone() };
    let seen = sent(Action::ApplyNode(only), Mode::DryRun).await;
    assert_eq!(seen.query, ["dryRun=All", "fieldManager=rounds-u1"]);
    assert_eq!(seen.body.pointer("/spec"), None);
    let free = NodeApply { lock: None, cordon: None, ..apply };
    let kept = NodeApply { keep_cordoned: true, ..free.clone() };
    let metadata = json!({ "name": "n1", "uid": "u-n1", "resourceVersion": "7" });
    assert_eq!(sent(Action::ApplyNode(free), Mode::Live).await.body, json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata }));
    let body = json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": { "unschedulable": true } });
    assert_eq!(sent(Action::ApplyNode(kept), Mode::Live).await.body, body);
}

#[tokio::test]
async fn labels_are_an_apply_without_force_of_all_that_their_manager_owns() {
    let write = NodeLabels {
        node: Reference::new("Node", "", "n1", "u-n1"),
        resource_version: "7".into(),
        labels: [("kairos.io/managed".to_string(), "true".to_string())].into(),
        annotations: [("operator.kairos.io/probed-boot".to_string(), "b1".to_string())].into(),
    };
    let seen = sent(Action::LabelNode(write.clone()), Mode::Live).await;
    assert_eq!((seen.what.as_str(), seen.query), ("PATCH /api/v1/nodes/n1", vec!["fieldManager=rounds-labels".to_string()]));
    let metadata = json!({
        "name": "n1", "uid": "u-n1", "resourceVersion": "7",
        "labels": { "kairos.io/managed": "true" }, "annotations": { "operator.kairos.io/probed-boot": "b1" },
    });
    assert_eq!(seen.body, json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata }));
    let nothing = NodeLabels { labels: Default::default(), annotations: Default::default(), ..write };
    let metadata = json!({ "name": "n1", "uid": "u-n1", "resourceVersion": "7" });
    assert_eq!(
        sent(Action::LabelNode(nothing), Mode::Live).await.body,
        json!({ "apiVersion": "v1", "kind": "Node", "metadata": metadata })
    );
}

#[tokio::test]
async fn a_patch_is_bound_to_the_uid() {
    let what = Reference::new("Job", "ns", "j1", "u-j1");
    let seen = sent(Action::Patch { what, patch: json!({ "spec": { "parallelism": 1 } }) }, Mode::Live).await;
    assert_eq!(seen.what, "PATCH /apis/batch/v1/namespaces/ns/jobs/j1");
    assert_eq!(seen.query, ["fieldManager=rounds"]);
    assert_eq!(seen.types.0, "application/merge-patch+json");
    assert_eq!(seen.body, json!({ "metadata": { "uid": "u-j1" }, "spec": { "parallelism": 1 } }));
}

#[tokio::test]
async fn an_approval_is_bound_to_the_uid_as_well() {
    let patch = json!({ "metadata": { "annotations": { "kairos.io/reboot-approved": "b1" } } });
    let seen = sent(Action::Patch { what: pod("reboot"), patch }, Mode::Live).await;
    assert_eq!(seen.what, "PATCH /api/v1/namespaces/ns/pods/reboot");
    assert_eq!(seen.body, json!({ "metadata": { "uid": "p1", "annotations": { "kairos.io/reboot-approved": "b1" } } }));
}

#[tokio::test]
async fn an_eviction_tells_its_options_under_the_key_that_the_apiserver_reads() {
    let seen = sent(Action::Evict { pod: pod("web"), grace_seconds: Some(7) }, Mode::Live).await;
    assert_eq!(seen.what, "POST /api/v1/namespaces/ns/pods/web/eviction");
    assert!(seen.query.is_empty());
    assert_eq!(seen.body["deleteOptions"], json!({ "gracePeriodSeconds": 7, "preconditions": { "uid": "p1" } }));
    assert_eq!((seen.body["apiVersion"].as_str(), seen.body["kind"].as_str()), (Some("policy/v1"), Some("Eviction")));
    let seen = sent(evict("web"), Mode::DryRun).await;
    assert_eq!(seen.query, ["dryRun=All"]);
    assert_eq!(seen.body["deleteOptions"], json!({ "preconditions": { "uid": "p1" } }));
}

#[tokio::test]
async fn a_delete_is_bound_to_the_uid_and_goes_on_in_the_background() {
    let what = Reference::new("Job", "ns", "j1", "u-j1");
    let seen = sent(Action::Delete { what: what.clone(), resource_version: None, grace_seconds: None }, Mode::Live).await;
    assert_eq!(seen.what, "DELETE /apis/batch/v1/namespaces/ns/jobs/j1");
    assert_eq!(seen.body, json!({ "propagationPolicy": "Background", "preconditions": { "uid": "u-j1" } }));
    let seen = sent(Action::Delete { what, resource_version: Some("7".into()), grace_seconds: Some(0) }, Mode::DryRun).await;
    assert_eq!(seen.body["preconditions"], json!({ "uid": "u-j1", "resourceVersion": "7" }));
    assert_eq!((&seen.body["dryRun"], &seen.body["gracePeriodSeconds"]), (&json!(["All"]), &json!(0)));
}

#[tokio::test]
async fn nothing_is_sent_without_a_uid_or_to_a_kind_that_is_not_ours() {
    for action in [
        Action::Delete { what: Reference::new("Job", "ns", "j1", ""), resource_version: None, grace_seconds: None },
        Action::Delete { what: Reference::new("Secret", "ns", "s", "u"), resource_version: None, grace_seconds: None },
        Action::Patch { what: Reference::new("Job", "ns", "j1", ""), patch: json!({}) },
        Action::Evict { pod: Reference::new("Pod", "ns", "web", ""), grace_seconds: None },
        Action::ApplyNode(NodeApply { node: Reference::new("Node", "", "n1", ""), resource_version: "1".into(), ..Default::default() }),
        Action::ApplyNode(NodeApply { node: Reference::new("Node", "", "n1", "u"), ..Default::default() }),
        Action::LabelNode(NodeLabels { node: Reference::new("Node", "", "n1", "u"), ..Default::default() }),
        Action::LabelNode(NodeLabels { node: Reference::new("Node", "", "n1", ""), resource_version: "1".into(), ..Default::default() }),
        Action::Create { object: json!({ "kind": "ClusterRole", "metadata": { "name": "root" } }) },
    ] {
        let plan = Plan { decisions: vec![decision(None, vec![vec![action]])] };
        let (verdicts, log) = run(plan, Mode::Live, |_| (200, json!({}))).await;
        assert!(matches!(verdicts[0], Verdict::Failed(_)), "{verdicts:?}");
        assert!(log.all().is_empty());
    }
}

#[tokio::test]
async fn a_status_goes_first_by_compare_and_swap_and_its_steps_follow_only_if_it_is_taken() {
    let plan = || Plan { decisions: vec![decision(Some(status()), vec![vec![evict("a")], vec![evict("b")]])] };
    let (verdicts, log) = run(plan(), Mode::Live, |_| (200, json!({}))).await;
    assert_eq!(verdicts, [Verdict::Done, Verdict::Done, Verdict::Done]);
    let first = &log.all()[0];
    assert_eq!(first.what, "PATCH /apis/operator.kairos.io/v1alpha1/namespaces/ns/nodeops/op/status");
    assert_eq!(first.query, ["fieldManager=rounds-status", "force=true"]);
    assert_eq!(first.types.0, "application/apply-patch+yaml");
    let metadata = json!({ "name": "op", "namespace": "ns", "resourceVersion": "42" });
    let body =
        json!({ "apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "metadata": metadata, "status": { "phase": "Running" } });
    assert_eq!(first.body, body);

    for (code, reason) in [(409, "Conflict"), (404, "NotFound"), (504, "Timeout"), (500, "InternalError")] {
        let (verdicts, log) = run(plan(), Mode::Live, move |_| refusal(code, reason, "no")).await;
        assert!(!matches!(verdicts[0], Verdict::Done | Verdict::Already | Verdict::Skipped));
        assert_eq!(verdicts[1..], [Verdict::Skipped, Verdict::Skipped]);
        assert_eq!(log.all().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_action_ends_its_step_and_no_other_and_a_blocked_eviction_ends_nothing() {
    let answer = |seen: &Seen| match seen.what.rsplit('/').nth(1) {
        Some("gone") => refusal(404, "NotFound", "gone"),
        Some("blocked") => {
            let (code, mut body) = refusal(429, "TooManyRequests", "Cannot evict pod");
            body["details"] = json!({ "causes": [{ "reason": "DisruptionBudget", "message": "The disruption budget web needs 2" }] });
            (code, body)
        }
        Some("two") => refusal(500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."),
        Some("busy") => refusal(429, "TooManyRequests", "slow down"),
        _ => (201, json!({})),
    };
    let steps = vec![
        vec![evict("gone"), evict("never")],
        vec![evict("blocked"), evict("two"), evict("busy"), evict("never")],
        vec![evict("fine"), evict("fine")],
    ];
    let (verdicts, log) = run(Plan { decisions: vec![decision(None, steps)] }, Mode::Live, answer).await;
    let expected = ["moved", "skipped", "blocked", "blocked", "throttled", "skipped", "done", "done"];
    let words: Vec<_> = verdicts.iter().map(|verdict| serde_json::to_value(verdict).unwrap()["verdict"].clone()).collect();
    assert_eq!(words, expected);
    assert_eq!(verdicts[2], Verdict::Blocked("The disruption budget web needs 2".into()));
    assert_eq!(log.all().len(), 6);
}

#[tokio::test]
async fn what_exists_or_is_gone_already_is_success() {
    let create =
        Action::Create { object: json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "j1", "namespace": "ns" } }) };
    let delete = Action::Delete { what: Reference::new("Job", "ns", "j1", "u"), resource_version: None, grace_seconds: None };
    let answer = |seen: &Seen| match seen.what.split(' ').next() {
        Some("POST") => refusal(409, "AlreadyExists", "jobs.batch \"j1\" already exists"),
        _ => refusal(404, "NotFound", "gone"),
    };
    let (verdicts, _) = run(Plan { decisions: vec![decision(None, vec![vec![create, delete, evict("web")]])] }, Mode::Live, answer).await;
    assert_eq!(verdicts[..2], [Verdict::Already, Verdict::Already]);
    assert!(matches!(verdicts[2], Verdict::Moved(_)));
}

#[tokio::test]
async fn a_plan_only_round_sends_nothing_and_a_cancelled_one_begins_nothing_more() {
    let plan = Plan { decisions: vec![decision(Some(status()), (0..50).map(|_| vec![evict("web")]).collect())] };
    let (verdicts, log) = run(plan.clone(), Mode::PlanOnly, |_| (200, json!({}))).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Skipped) && verdicts.len() == 51);
    assert!(log.all().is_empty());

    let (cluster, log) = fake(|_| (200, json!({})));
    let asked = AtomicUsize::new(0);
    let outcome = apply(&cluster, &plan, Mode::Live, usize::MAX, &|| asked.fetch_add(1, Ordering::Relaxed) >= 10).await;
    assert_eq!((outcome.done(), outcome.actions.len(), log.all().len()), (10, 51, 10));
}

#[tokio::test]
async fn a_round_that_has_written_enough_begins_no_further_step_and_leaves_none_half_done() {
    let steps = (0..50).map(|_| vec![evict("web"), evict("db")]).collect();
    let plan = Plan { decisions: vec![decision(Some(status()), steps)] };
    let (cluster, log) = fake(|_| (200, json!({})));
    let outcome = apply(&cluster, &plan, Mode::Live, 20, &|| false).await;
    let verdicts: Vec<&Verdict> = outcome.actions[1..].iter().map(|action| &action.verdict).collect();
    assert!((20..20 + 2 * PARALLEL).contains(&(outcome.done() - 1)), "{}", outcome.done());
    assert!(verdicts.chunks(2).all(|step| step[0] == step[1]), "{verdicts:?}");
    let postponed = verdicts.iter().filter(|verdict| ***verdict == Verdict::Postponed).count();
    assert_eq!((postponed + outcome.done(), log.all().len()), (101, outcome.done()));

    let (cluster, log) = fake(|_| refusal(409, "Conflict", "no"));
    let plan = Plan { decisions: vec![decision(None, (0..50).map(|_| vec![evict("web")]).collect())] };
    apply(&cluster, &plan, Mode::Live, 20, &|| false).await;
    assert_eq!(log.all().len(), 50, "what is refused keeps nobody else waiting");
}
