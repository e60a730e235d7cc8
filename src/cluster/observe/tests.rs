use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::cluster::fake::{Log, Seen, fake};
use crate::snapshot::Reference;
use crate::snapshot::views::{ContainerState, Holder};

fn object(name: &str) -> Value {
    let text = match name {
        "node" => include_str!("../../../tests/objects/node.json"),
        "job" => include_str!("../../../tests/objects/job.json"),
        "pod" => include_str!("../../../tests/objects/pod.json"),
        _ => include_str!("../../../tests/objects/budget.json"),
    };
    serde_json::from_str(text).unwrap()
}

fn with(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    object
}

fn raw<T: DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

#[test]
fn a_real_node_is_seen_as_it_is() {
    let seen = convert::node(raw(object("node")));
    assert_eq!((seen.name.as_str(), seen.uid.as_str()), ("io--00001", "8fe53118-ffe3-4631-9e27-8efb91073c95"));
    assert_eq!(seen.resource_version, "1712");
    assert_eq!(seen.boot_id, "29ec7e49-aeba-4282-9dbc-e6812558ea37");
    assert!(seen.ready && seen.unschedulable && !seen.deleting && !seen.keep_cordoned);
    assert_eq!(seen.labels["topology.kubernetes.io/zone"], "z1");
    assert_eq!(seen.lock, Some(Holder { value: "ns/a@a".into(), manager: "rounds-a".into() }));
    assert_eq!(seen.cordoned_by, seen.lock);
    assert_eq!(seen.cordon_managers, ["rounds-a"]);
    let free = with(
        object("node"),
        &[("/metadata/managedFields", Value::Null), ("/metadata/annotations", json!({ "operator.kairos.io/keep-cordoned": "" }))],
    );
    let seen = convert::node(raw(free));
    assert!(seen.keep_cordoned && seen.lock.is_none() && seen.cordon_managers.is_empty());
    let not = with(object("node"), &[("/metadata/annotations", json!({ "operator.kairos.io/keep-cordoned": "false" }))]);
    assert!(!convert::node(raw(not)).keep_cordoned);
}

#[test]
fn a_real_job_and_its_pod_are_seen_as_they_are() {
    let job = convert::job(raw(object("job")));
    assert_eq!((job.namespace.as_str(), job.name.as_str(), job.node.as_str()), ("cap", "j", "io--00003"));
    assert_eq!(job.failed.as_ref().map(|trouble| trouble.reason.as_str()), Some("BackoffLimitExceeded"));
    assert!(!job.complete && !job.held && job.owner.is_none());
    assert_eq!((job.ttl_seconds, job.run, job.resource_version.as_str()), (Some(9999), None, "1726"));
    let second = with(object("job"), &[("/metadata/labels", json!({ "operator.kairos.io/run": "2" }))]);
    assert_eq!(convert::job(raw(second)).run, Some(2));
    let nearly = with(object("job"), &[("/status/conditions", json!([{ "type": "SuccessCriteriaMet", "status": "True" }]))]);
    let nearly = convert::job(raw(nearly));
    assert!(nearly.complete && nearly.failed.is_none());

    let pod = convert::pod(raw(object("pod")));
    assert_eq!(pod.owner.as_ref().map(|owner| (owner.kind.as_str(), &owner.uid)), Some(("Job", &job.uid)));
    assert_eq!((pod.phase.as_str(), pod.node.as_str()), ("Failed", "io--00003"));
    let names: Vec<_> = pod.containers.iter().map(|container| (container.name.as_str(), container.init)).collect();
    assert_eq!(names, [("first", true), ("nodeop", false)]);
    let ContainerState::Ended(exit) = &pod.containers[1].state else { panic!() };
    assert_eq!((exit.code, exit.reason.as_str(), exit.message.as_str()), (1, "Error", "boom"));
    assert!(!pod.ready && !pod.mirror && !pod.empty_dir && pod.deleted.is_none() && pod.trouble.is_none());
}

#[test]
fn a_pod_that_leaves_waits_or_was_never_admitted() {
    let changes = [
        ("/metadata/deletionTimestamp", json!("2026-11-21T06:00:30Z")),
        ("/metadata/deletionGracePeriodSeconds", json!(30)),
        ("/metadata/annotations", json!({ "kubernetes.io/config.mirror": "x" })),
        ("/spec/volumes", json!([{ "name": "v", "emptyDir": {} }])),
        (
            "/status",
            json!({ "phase": "Pending", "reason": "NodeAffinity", "containerStatuses": [
            { "name": "nodeop", "restartCount": 2, "state": { "waiting": { "reason": "ImagePullBackOff" } }, "lastState": { "terminated": { "exitCode": 3 } } },
        ] }),
        ),
    ];
    let pod = convert::pod(raw(with(object("pod"), &changes)));
    assert_eq!(pod.deleted.map(|when| when.to_string()).as_deref(), Some("2026-11-21T06:00:00Z"));
    assert!(pod.mirror && pod.empty_dir);
    assert_eq!(pod.trouble.map(|trouble| trouble.reason).as_deref(), Some("NodeAffinity"));
    assert_eq!(pod.containers[0].state, ContainerState::Unknown);
    assert!(matches!(&pod.containers[1].state, ContainerState::Waiting(trouble) if trouble.reason == "ImagePullBackOff"));
    assert_eq!((pod.containers[1].restarts, pod.containers[1].last_exit.as_ref().map(|exit| exit.code)), (2, Some(3)));
}

#[test]
fn a_real_budget_and_a_lease_are_seen_as_they_are() {
    let budget = convert::budget(raw(object("budget")));
    assert_eq!((budget.name.as_str(), budget.allowed, budget.current), ("web", 0, true));
    assert!(budget.selector.unwrap().matches(&[("app".to_string(), "web".to_string())].into()));
    let now = "2026-11-21T05:30:20Z".parse().unwrap();
    for (holder, renewed, expected) in
        [("op_1", "2026-11-21T05:30:11.844920Z", true), ("", "2026-11-21T05:30:11.844920Z", false), ("op_1", "2026-11-21T05:30:01Z", false)]
    {
        let spec = json!({ "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed });
        let lease = convert::held(raw(json!({ "metadata": { "namespace": "ops" }, "spec": spec })), now);
        assert_eq!(lease.is_some(), expected, "{holder} {renewed}");
    }
    assert!(convert::held(raw(json!({ "metadata": {}, "spec": { "holderIdentity": "" } })), now).is_none());
}

#[test]
fn a_resource_that_cannot_be_read_still_has_a_name() {
    let metadata = json!({ "name": "op", "namespace": "ns", "uid": "u", "resourceVersion": "3", "generation": 2, "annotations": {
        "operator.kairos.io/rerun": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}",
    } });
    let read = |spec: Value, status: Value| {
        let object = json!({ "metadata": metadata, "spec": spec, "status": status });
        crate::snapshot::objects::resource::<NodeOpSpec, NodeOpStatus>("NodeOp", object)
    };
    let fine = read(json!({ "command": ["true"] }), Value::Null).unwrap();
    assert_eq!(fine.meta.annotations.keys().collect::<Vec<_>>(), ["operator.kairos.io/rerun"]);
    for (spec, status, error) in [
        (json!({ "command": "true" }), Value::Null, "spec.command: invalid type: string"),
        (json!({}), Value::Null, "spec: missing field `command`"),
        (json!({ "command": ["true"] }), json!({ "specHash": "h", "phase": "Sideways" }), "status.phase: unknown variant `Sideways`"),
    ] {
        let unreadable = read(spec, status).unwrap_err();
        assert!(unreadable.error.starts_with(error), "{}", unreadable.error);
        assert_eq!(unreadable.what, Reference::new("NodeOp", "ns", "op", "u"));
        assert_eq!((unreadable.resource_version.as_str(), unreadable.generation), ("3", 2));
    }
}

fn nodeop(name: &str, version: &str, status: Value) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "ns", "uid": format!("u-{name}"), "resourceVersion": version },
        "spec": { "command": ["true"], "cordon": true, "drainOptions": { "enabled": true } },
        "status": status,
    })
}

fn items(items: &[Value]) -> (u16, Value) {
    (200, json!({ "metadata": { "resourceVersion": "9" }, "items": items }))
}

/// A small cluster: what is asked for decides what is answered.
/// A Job that has no pod.
fn job_made_at(created: &str) -> Value {
    with(object("job"), &[("/status", json!({})), ("/metadata/creationTimestamp", json!(created))])
}

async fn look(
    nodeops: Vec<Value>,
    special: impl Fn(&Seen) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> (Result<Snapshot, ObserveError>, Log) {
    let (cluster, log) = fake(move |seen| {
        if let Some(answer) = special(seen) {
            return answer;
        }
        match seen.what.as_str() {
            "GET /apis/operator.kairos.io/v1alpha1/nodeops" => items(&nodeops),
            "GET /api/v1/nodes" => items(&[object("node")]),
            "GET /apis/batch/v1/jobs" => items(&[job_made_at("2026-11-21T05:00:00Z")]),
            path if path.contains("/nodes/") || path.contains("/jobs/") || path.contains("/nodeops/") => (404, json!({})),
            _ => (200, json!({ "metadata": {}, "items": null })),
        }
    });
    (observe(&cluster, &Settings::default()).await, log)
}

#[tokio::test]
async fn resources_are_looked_at_before_and_after_everything_else() {
    let (snapshot, log) = look(vec![nodeop("op", "1", json!({}))], |_| None).await;
    let snapshot = snapshot.unwrap();
    let lines = log.lines();
    let nodeops = "GET /apis/operator.kairos.io/v1alpha1/nodeops";
    let at = |line: &str| lines.iter().position(|seen| seen == line).unwrap();
    assert_eq!(lines[0], nodeops);
    assert_eq!(lines.iter().rposition(|seen| seen == nodeops), Some(8));
    // What an upgrade has made is seen before the upgrade is, so that none is taken for one of an upgrade that is gone.
    let upgrades = "GET /apis/operator.kairos.io/v1alpha1/nodeopupgrades";
    assert_eq!((lines[1].as_str(), lines.iter().rposition(|seen| seen == upgrades)), (upgrades, Some(9)));
    let artifacts = "GET /apis/build.kairos.io/v1alpha2/osartifacts";
    assert_eq!((lines[2].as_str(), lines.iter().rposition(|seen| seen == artifacts)), (artifacts, Some(11)));
    // And what a channel has made, before the channel.
    let channels = "GET /apis/k3os.io/v1/updatechannels";
    assert_eq!((lines[3].as_str(), lines.iter().rposition(|seen| seen == channels)), (channels, Some(10)));
    for line in ["GET /api/v1/nodes", "GET /apis/batch/v1/jobs", "GET /api/v1/pods", "GET /apis/coordination.k8s.io/v1/leases"] {
        assert!((4..8).contains(&at(line)), "{lines:?}");
    }
    let seen = log.all();
    assert!(seen[0].types.1.contains("as=PartialObjectMetadataList"));
    assert_eq!(seen[at("GET /apis/batch/v1/jobs")].query, ["labelSelector=kairos.io/nodeop", "limit=250"]);
    assert_eq!(seen[at("GET /apis/coordination.k8s.io/v1/leases")].query, ["fieldSelector=metadata.name=ce9721c3.kairos.io", "limit=250"]);
    assert!(seen.iter().all(|seen| !seen.query.iter().any(|pair| pair.starts_with("resourceVersion"))));
    assert_eq!(snapshot.now.to_string(), "2026-11-21T05:08:10Z", "the apiserver's clock");
    assert!(snapshot.drains.is_empty() && !lines.iter().any(|line| line.contains("poddisruptionbudgets")));
}

#[tokio::test]
async fn what_builds_is_only_looked_for_where_there_is_an_artifact_and_its_claim_before_it_begins() {
    let of_builds =
        |log: &Log| log.all().iter().filter(|seen| seen.query.contains(&"labelSelector=build.kairos.io/artifact".into())).count();
    let (_, log) = look(Vec::new(), |_| None).await;
    assert_eq!(of_builds(&log), 0);
    let artifact = |status: Value| {
        let metadata = json!({ "name": "iso", "namespace": "ns", "uid": "u-iso", "resourceVersion": "1" });
        json!({ "metadata": metadata, "spec": { "imageName": "i" }, "status": status })
    };
    let with = |status: Value| {
        let one = artifact(status);
        move |seen: &Seen| match seen.what.as_str() {
            "GET /apis/build.kairos.io/v1alpha2/osartifacts" => Some(items(std::slice::from_ref(&one))),
            "GET /api/v1/namespaces/ns/persistentvolumeclaims/iso-artifacts" => {
                let owner = json!({ "kind": "OSArtifact", "name": "iso", "uid": "u-iso", "apiVersion": "v1" });
                Some((200, json!({ "metadata": { "name": "iso-artifacts", "namespace": "ns", "ownerReferences": [owner] } })))
            }
            _ => None,
        }
    };
    let (snapshot, log) = look(Vec::new(), with(json!({ "phase": "Pending", "specHash": "h", "run": 1 }))).await;
    let snapshot = snapshot.unwrap();
    assert_eq!((of_builds(&log), snapshot.artifacts.len(), snapshot.claims.len()), (2, 1, 1));
    assert_eq!(snapshot.claims[0].owner.as_ref().map(|owner| owner.uid.as_str()), Some("u-iso"));
    let (snapshot, _) =
        look(Vec::new(), with(json!({ "phase": "Building", "specHash": "h", "jobName": "j-gone", "jobUID": "u-gone" }))).await;
    let snapshot = snapshot.unwrap();
    assert!(snapshot.claims.is_empty());
    assert!(snapshot.is_absent(&Reference::new("Job", "ns", "j-gone", "u-gone")), "that its Job is gone is confirmed");
}

#[tokio::test]
async fn a_resource_that_changed_between_the_two_looks_is_marked() {
    let second = Mutex::new(false);
    let (snapshot, _) = look(Vec::new(), move |seen| {
        if seen.what != "GET /apis/operator.kairos.io/v1alpha1/nodeops" {
            return None;
        }
        let version = if std::mem::replace(&mut *second.lock().unwrap(), true) { "2" } else { "1" };
        let mut all = vec![nodeop("moving", version, json!({})), nodeop("still", "1", json!({}))];
        if version == "2" {
            all.push(nodeop("new", "2", json!({})));
            all.push(json!({ "metadata": { "name": "bad", "namespace": "ns", "uid": "u-bad" }, "spec": { "command": 1 } }));
        }
        Some(items(&all))
    })
    .await;
    let snapshot = snapshot.unwrap();
    let moved: Vec<_> = snapshot.nodeops.iter().map(|resource| (resource.meta.name.as_str(), resource.meta.moved)).collect();
    assert_eq!(moved, [("moving", true), ("still", false), ("new", true)]);
    assert_eq!(snapshot.unreadable[0].what.name, "bad");
}

#[tokio::test]
async fn the_pods_of_a_draining_node_are_all_seen_and_so_are_the_budgets() {
    let entries = json!({ "nodeStatuses": {
        "io--00001": { "phase": "Pending", "step": "Draining" }, "n2": { "phase": "Pending", "step": "Locking" },
        "n3": { "phase": "Running", "step": "Running" }, "n4": { "phase": "Completed" },
    } });
    let (snapshot, log) = look(vec![nodeop("op", "1", entries)], |seen| match seen.what.as_str() {
        "GET /api/v1/pods" if seen.query.contains(&"fieldSelector=spec.nodeName=io--00001".into()) => Some(items(&[object("pod")])),
        "GET /apis/policy/v1/poddisruptionbudgets" => Some(items(&[object("budget")])),
        _ => None,
    })
    .await;
    let snapshot = snapshot.unwrap();
    let drains: Vec<_> = snapshot.drains.iter().map(|(node, pods)| (node.as_str(), pods.len())).collect();
    assert_eq!(drains, [("io--00001", 1), ("n2", 0)]);
    assert_eq!(snapshot.budgets.len(), 1);
    assert_eq!(log.lines().iter().filter(|line| line.contains("poddisruptionbudgets")).count(), 1);
}

#[tokio::test]
async fn an_absence_is_confirmed_and_a_refusal_confirms_nothing() {
    let entries = json!({ "nodeStatuses": {
        "gone": { "phase": "Running", "step": "Running", "nodeUID": "u-gone", "jobName": "j-gone", "jobUID": "u-j-gone" },
        "io--00001": { "phase": "Running", "step": "Running", "nodeUID": "u-before", "jobName": "j", "jobUID": "e49dcd1b-4c8a-4be6-ad7f-9c4a02fe389c" },
        "hidden": { "phase": "Running", "step": "Running", "nodeUID": "u-hidden", "jobName": "bare", "jobUID": "u-bare" },
        "../../n": { "phase": "Running", "step": "Running", "nodeUID": "u-evil" },
    } });
    let (snapshot, log) = look(vec![nodeop("op", "1", entries)], |seen| match seen.what.as_str() {
        "GET /api/v1/nodes/io--00001" => Some((200, json!({ "metadata": { "name": "io--00001", "uid": "another" } }))),
        "GET /api/v1/nodes/hidden" => Some((403, json!({}))),
        "GET /apis/batch/v1/namespaces/ns/jobs/bare" => Some((200, with(object("job"), &[("/metadata/uid", json!("u-bare"))]))),
        _ => None,
    })
    .await;
    let snapshot = snapshot.unwrap();
    let absent: Vec<_> = snapshot.absent.iter().map(|what| (what.kind.as_str(), what.name.as_str(), what.uid.as_str())).collect();
    assert_eq!(
        absent,
        // The lock on the node names a resource that no list shows.
        [("Job", "j-gone", "u-j-gone"), ("Node", "gone", "u-gone"), ("Node", "io--00001", "u-before"), ("NodeOp", "a", "a")]
    );
    assert_eq!(snapshot.jobs.len(), 2, "a Job that lost its label is found by its name");
    assert!(!log.lines().iter().any(|line| line.contains("..")));
}

#[tokio::test]
async fn a_job_without_a_pod_is_explained_and_a_refused_explanation_is_not_fatal() {
    let event = |reason: &str, when: &str| {
        json!({
            "reason": reason, "message": "m", "lastTimestamp": when, "metadata": {},
            "involvedObject": { "uid": "e49dcd1b-4c8a-4be6-ad7f-9c4a02fe389c" },
        })
    };
    let (snapshot, log) = look(Vec::new(), move |seen| {
        let events = [
            event("Old", "2026-11-21T05:00:00Z"),
            event("New", "2026-11-21T05:03:00Z"),
            event("Mid", "2026-11-21T05:02:00Z"),
            event("Early", "2026-11-21T05:01:00Z"),
        ];
        seen.what.ends_with("/events").then(|| items(&events))
    })
    .await;
    let snapshot = snapshot.unwrap();
    let reasons: Vec<_> = snapshot.jobs[0].warnings.iter().map(|trouble| trouble.reason.as_str()).collect();
    assert_eq!(reasons, ["New", "Mid", "Early"]);
    let asked = log.all().into_iter().find(|seen| seen.what == "GET /api/v1/namespaces/cap/events").unwrap();
    assert!(asked.query.contains(&"fieldSelector=involvedObject.uid=e49dcd1b-4c8a-4be6-ad7f-9c4a02fe389c,type=Warning".into()));
    let (snapshot, _) = look(Vec::new(), |seen| seen.what.ends_with("/events").then(|| (403, json!({})))).await;
    assert!(snapshot.unwrap().jobs[0].warnings.is_empty());
    let young = |seen: &Seen| (seen.what == "GET /apis/batch/v1/jobs").then(|| items(&[job_made_at("2026-11-21T05:08:09Z")]));
    let (_, log) = look(Vec::new(), young).await;
    assert!(!log.lines().iter().any(|line| line.ends_with("/events")), "what was made just now is no riddle");
}

#[tokio::test]
async fn a_list_goes_page_by_page_and_begins_again_once_when_its_token_expires() {
    let expired = Mutex::new(true);
    let (snapshot, log) = look(Vec::new(), move |seen| {
        if seen.what != "GET /api/v1/nodes" {
            return None;
        }
        let page = |name: &str, next: &str| {
            (200, json!({ "metadata": { "continue": next }, "items": [{ "metadata": { "name": name, "uid": name } }] }))
        };
        Some(match seen.query.iter().find_map(|pair| pair.strip_prefix("continue=")) {
            None => page("n1", "two"),
            Some("two") if std::mem::replace(&mut *expired.lock().unwrap(), false) => (410, json!({ "reason": "Expired" })),
            Some("two") => page("n2", "three"),
            _ => page("n3", ""),
        })
    })
    .await;
    assert_eq!(snapshot.unwrap().nodes.keys().collect::<Vec<_>>(), ["n1", "n2", "n3"]);
    assert_eq!(log.lines().iter().filter(|line| *line == "GET /api/v1/nodes").count(), 5);
    let (snapshot, _) = look(Vec::new(), |seen| {
        let first = (200, json!({ "metadata": { "continue": "two" }, "items": [] }));
        let again = seen.query.iter().any(|pair| pair.starts_with("continue="));
        (seen.what == "GET /api/v1/nodes").then(|| if again { (410, json!({ "message": "too old" })) } else { first })
    })
    .await;
    assert_eq!(snapshot.unwrap_err().to_string(), "cannot list nodes: too old");
}

#[tokio::test]
async fn a_missing_crd_is_told_as_that() {
    let (snapshot, log) = look(Vec::new(), |seen| seen.what.ends_with("/nodeops").then(|| (404, json!("404 page not found")))).await;
    assert!(matches!(snapshot, Err(ObserveError::NotInstalled { .. })));
    assert_eq!(log.all().len(), 1);
}
