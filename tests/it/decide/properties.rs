//! What is true of `decide` in any world, however unlikely.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use rounds::decide::decide;
use rounds::names;
use rounds::nodeop::api::{NodeOpSpec, NodeOpStatus, NodePhase, NodeStatus, NodeStep};
use rounds::nodeop::spec_hash::spec_hash;
use rounds::plan::{Action, Decision, Plan};
use rounds::reason::Reason;
use rounds::settings::Settings;
use rounds::snapshot::views::{Container, ContainerState, Exit, Holder, Job, Node, Owner, Pod, Trouble};
use rounds::snapshot::{Meta, Reference, Resource, Snapshot};
use serde_json::json;

use super::shorthand::time;
use crate::fleet;

const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];
const OPS: [&str; 2] = ["a", "b"];

fn one_of<T: Clone + std::fmt::Debug + 'static>(items: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(items.to_vec())
}

fn maybe<T: std::fmt::Debug + Clone + 'static>(inner: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Option<T>> {
    prop_oneof![Just(None), inner.prop_map(Some)].boxed()
}

fn at() -> impl Strategy<Value = Time> {
    one_of(&[-100_000, -4000, -600, -300, -60, -1, 0, 60]).prop_map(|seconds: i64| Time(time(seconds)))
}

/// A resource's uid, one that is gone among them.
fn holder() -> impl Strategy<Value = Holder> {
    (one_of(&["a", "b", "gone"]), one_of(&["ours", "kubectl", "manager", ""])).prop_map(|(op, manager)| Holder {
        value: format!("default/{op}@{op}-uid"),
        manager: manager.replace("ours", &format!("rounds-{op}-uid")),
    })
}

fn node(name: &'static str) -> impl Strategy<Value = Option<Node>> {
    let held = (maybe(holder()), maybe(holder()), any::<bool>(), any::<bool>());
    let cordons = one_of(&[&[][..], &["manager"], &["kubectl-cordon"], &["kubectl-cordon", "manager"]]);
    let ids = (one_of(&["uid", "uid2"]), one_of(&["b1", "b1", "b2", ""]));
    (any::<[bool; 3]>(), ids, held, at(), cordons).prop_map(
        move |([there, ready, deleting], (uid, boot), (lock, cordoned_by, unschedulable, keep), created, cordons)| {
            there.then(|| Node {
                name: name.into(),
                uid: format!("{name}-{uid}"),
                resource_version: "7".into(),
                ready,
                deleting: deleting && !ready,
                created: Some(created.0),
                lock,
                cordoned_by,
                unschedulable,
                keep_cordoned: keep,
                cordon_managers: cordons.iter().map(ToString::to_string).collect(),
                boot_id: boot.into(),
                ..Node::default()
            })
        },
    )
}

fn entry(op: &'static str, node: &'static str) -> impl Strategy<Value = NodeStatus> {
    use NodeStep::{Cancelling, Draining, Locking, Preflight, Rebooting, Releasing, Running, Starting, Verifying};
    let there = [Preflight, Locking, Draining, Starting, Running, Rebooting, Verifying, Cancelling, Releasing];
    let steps: Vec<Option<NodeStep>> = [None, None].into_iter().chain(there.into_iter().map(Some)).collect();
    let phases = [NodePhase::Pending, NodePhase::Preflight, NodePhase::Running, NodePhase::Completed, NodePhase::Failed];
    let reasons = [
        Reason::Running,
        Reason::NodeTimeout,
        Reason::NodeReplaced,
        Reason::CommandFailed,
        Reason::CannotStart,
        Reason::JobLost,
        Reason::NotRebooted,
    ];
    let ids = (any::<[bool; 3]>(), 0..4i64, maybe(0..4i64));
    let boots = (maybe(one_of(&["pending", "completed"])), maybe(one_of(&["b1", "b2"])), maybe(one_of(&["b1", "b2"])));
    (one_of(&steps), one_of(&phases), maybe(one_of(&reasons)), maybe(at()), ids, boots).prop_map(
        move |(step, phase, reason, since, ([has_node, has_job, has_time], run, attempt), (reboot, left, seen))| {
            let name = names::job_name(op, &format!("{op}-uid"), node, &format!("{node}-uid"), run, attempt.unwrap_or(0));
            NodeStatus {
                phase,
                step,
                step_since: since.clone(),
                reason: reason.map(|reason| reason.code().to_string()),
                node_uid: has_node.then(|| format!("{node}-uid")),
                job_uid: has_job.then(|| format!("job-{op}-{node}-{run}")),
                job_name: has_job.then_some(name),
                last_updated: since.filter(|_| has_time),
                run: step.map(|_| run),
                attempt,
                reboot_status: reboot.map(ToString::to_string),
                boot_id: left.map(ToString::to_string),
                new_boot_id: seen.map(ToString::to_string),
                ..NodeStatus::default()
            }
        },
    )
}

fn spec() -> impl Strategy<Value = NodeOpSpec> {
    (0..4i32, any::<[bool; 8]>(), maybe(1..4000i64)).prop_map(|(concurrency, [cordon, drain, stop, preflight, once, suspend, keep, reboot], timeout)| {
        let mut spec = json!({
            "command": ["run"], "concurrency": concurrency, "cordon": cordon, "stopOnFailure": stop, "uncordonOnFailure": keep, "rebootOnSuccess": reboot,
            "drainOptions": {"enabled": drain}, "rollout": {"runPolicy": if once { "Once" } else { "OnChange" }, "suspend": suspend && stop},
        });
        if preflight {
            spec["preflight"] = json!({"command": ["check"]});
        }
        if let Some(timeout) = timeout {
            spec["rollout"]["nodeTimeoutSeconds"] = json!(timeout);
        }
        serde_json::from_value(spec).unwrap()
    })
}

fn resource(op: &'static str) -> impl Strategy<Value = Resource<NodeOpSpec, NodeOpStatus>> {
    let entries = NODES.map(|node| maybe(entry(op, node)).prop_map(move |entry| (node.to_string(), entry)));
    let meta = (0..9u8, any::<[bool; 3]>(), at());
    (spec(), meta, 1..4i64, 0..3i64, entries).prop_map(move |(spec, (odds, [known, edited, token], since), run, back, entries)| {
        let node_statuses = entries.into_iter().filter_map(|(node, entry)| Some((node.into(), Arc::new(entry?)))).collect();
        let mut status = NodeOpStatus { node_statuses: Arc::new(node_statuses), ..NodeOpStatus::default() };
        if known {
            status.spec_hash = Some(if edited { "other".into() } else { spec_hash(&spec) });
            (status.run, status.spec_run, status.started_at) = (Some(run), Some((run - back).max(1)), Some(since.clone()));
        }
        let annotations = token.then(|| (names::ANNOTATION_RETRY_FAILED.to_string(), "x".to_string())).into_iter().collect();
        let meta = Meta {
            owner: None,
            namespace: "default".into(),
            name: op.into(),
            uid: format!("{op}-uid"),
            resource_version: "7".into(),
            generation: 1,
            created: Some(since.0),
            deleting: odds == 0,
            moved: odds == 1,
            foreign_finalizer: odds == 0,
            annotations,
        };
        Resource { meta, spec, status }
    })
}

fn job(op: &'static str, node: &'static str) -> impl Strategy<Value = Option<Job>> {
    (any::<[bool; 5]>(), 0..4i64).prop_map(move |([there, held, deleting, complete, failed], run)| {
        there.then(|| Job {
            namespace: "default".into(),
            name: names::job_name(op, &format!("{op}-uid"), node, &format!("{node}-uid"), run, 0),
            uid: format!("job-{op}-{node}-{run}"),
            resource_version: "7".into(),
            owner: Some(Owner { kind: "NodeOp".into(), name: op.into(), uid: format!("{op}-uid") }),
            run: Some(run),
            node: node.into(),
            held,
            deleting,
            complete,
            failed: (failed && !complete).then(Trouble::default),
            ..Job::default()
        })
    })
}

fn pod(op: &'static str, node: &'static str) -> impl Strategy<Value = Option<Pod>> {
    let state = prop_oneof![
        Just(ContainerState::Unknown),
        Just(ContainerState::Running),
        (0..2i32).prop_map(|code| ContainerState::Ended(Exit { code, ..Exit::default() })),
        Just(ContainerState::Waiting(Trouble { reason: "ErrImagePull".into(), message: "x".into() })),
    ];
    let container = one_of(&["nodeop", "nodeop", "preflight", "reboot"]);
    (any::<[bool; 3]>(), container, 0..4i64, one_of(&["Pending", "Running", "Succeeded", "Failed"]), state).prop_map(
        move |([there, told, deleted], container, run, phase, state)| {
            let uid = format!("{op}-uid");
            let mut labels =
                BTreeMap::from([(names::LABEL_NODEOP.to_string(), op.to_string()), (names::LABEL_OWNER_UID.to_string(), uid.clone())]);
            let mut owner = Owner { kind: "Job".into(), name: "job".into(), uid: format!("job-{op}-{node}-{run}") };
            let mut name = format!("pod-{op}-{node}-{run}");
            if container != "nodeop" {
                labels.insert(format!("kairos.io/{container}"), "true".into());
                labels.insert(names::LABEL_RUN.into(), run.to_string());
                owner = Owner { kind: "NodeOp".into(), name: op.into(), uid: uid.clone() };
            }
            match container {
                "preflight" => name = names::preflight_name(op, &uid, node, &format!("{node}-uid"), run),
                "reboot" => name = names::reboot_name(op, &uid, node, &format!("{node}-uid"), run, 0),
                _ => {}
            }
            let exit = Exit { message: "b1".into(), ..Exit::default() };
            let sentinel = Container { name: "sentinel-creator".into(), state: ContainerState::Ended(exit), ..Container::default() };
            there.then(|| Pod {
                namespace: "default".into(),
                uid: format!("uid-{name}"),
                name,
                owner: Some(owner),
                labels,
                node: node.into(),
                phase: phase.into(),
                deleted: deleted.then(|| time(-5)),
                containers: [Container { name: container.into(), state, ..Container::default() }]
                    .into_iter()
                    .chain((told && container == "nodeop").then_some(sentinel))
                    .collect(),
                trouble: (phase == "Failed").then(Trouble::default),
                ..Pod::default()
            })
        },
    )
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    OPS.into_iter().flat_map(|op| NODES.into_iter().map(move |node| (op, node)))
}

fn world() -> impl Strategy<Value = Snapshot> {
    let nodes = NODES.map(node);
    let jobs = pairs().map(|(op, node)| job(op, node)).collect::<Vec<_>>();
    let pods = pairs().map(|(op, node)| pod(op, node)).collect::<Vec<_>>();
    (nodes, OPS.map(resource), jobs, pods, any::<[bool; 3]>()).prop_map(|(nodes, ops, jobs, pods, [sound, drained, gone])| {
        let mut snapshot = Snapshot {
            now: time(0),
            nodes: nodes.into_iter().flatten().map(|node| (node.name.clone(), node)).collect(),
            nodeops: ops.into(),
            jobs: jobs.into_iter().flatten().collect(),
            pods: pods.into_iter().flatten().collect(),
            ..Snapshot::default()
        };
        if drained {
            snapshot.drains = NODES.map(|node| (node.to_string(), snapshot.pods.iter().cloned().map(Arc::new).collect())).into();
        }
        if gone {
            snapshot.absent.insert(Reference::new("NodeOp", "default", "gone", "gone-uid"));
        }
        if sound {
            confirm(&mut snapshot);
        }
        snapshot
    })
}

/// What a GET of everything that statuses name would confirm.
fn confirm(snapshot: &mut Snapshot) {
    for resource in &snapshot.nodeops {
        for (name, entry) in resource.status.node_statuses.iter() {
            if let (Some(uid), Some(job)) = (&entry.job_uid, &entry.job_name)
                && !snapshot.jobs.iter().any(|job| job.uid == *uid)
            {
                snapshot.absent.insert(Reference::new("Job", "default", job, uid));
            }
            if let Some(uid) = entry.node_uid.as_ref().filter(|uid| snapshot.nodes.get(&**name).is_none_or(|node| node.uid != **uid)) {
                snapshot.absent.insert(Reference::new("Node", "", name, uid));
            }
        }
    }
}

fn statuses(snapshot: &Snapshot, plan: &Plan) -> BTreeMap<String, NodeOpStatus> {
    let mut after = snapshot.clone();
    fleet::write_statuses(&mut after, plan);
    after.nodeops.into_iter().map(|resource| (resource.meta.uid, resource.status)).collect()
}

/// Steps about a node on behalf of a resource, as the names of their actions.
fn actions_on(plan: &Plan, uid: &str, node: &str) -> Vec<String> {
    let steps = plan.decisions.iter().filter(|decision| decision.subject.uid == uid).flat_map(|decision| &decision.steps);
    steps.filter(|step| step.subject.name == node).flat_map(|step| &step.actions).map(Action::summary).collect()
}

/// Whether a Job is made in the step that takes its node first: it is not made if the lock is refused.
fn is_on_the_heels_of_a_lock(decision: &Decision, node: &str) -> bool {
    let locks = |action: &Action| matches!(action, Action::ApplyNode(apply) if apply.node.name == node && apply.lock.is_some());
    let creates = |action: &Action| matches!(action, Action::Create { object } if object["kind"] == "Job");
    decision.steps.iter().any(|step| step.actions.len() > 1 && locks(&step.actions[0]) && step.actions.iter().any(creates))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_rules(snapshot in world()) {
        let plan = decide(&snapshot, &Settings::default());
        prop_assert_eq!(&plan, &decide(&snapshot, &Settings::default()));
        super::rules(&snapshot, &plan).map_err(TestCaseError::fail)?;
        super::hashed::same_without_names(&snapshot, &Settings::default(), &plan, false).map_err(TestCaseError::fail)?;
        let after = statuses(&snapshot, &plan);
        for resource in &snapshot.nodeops {
            let uid = &resource.meta.uid;
            for (node, entry) in resource.status.node_statuses.iter() {
                let now = &after[uid].node_statuses.get(node);
                // A finished node gets nothing done to it but its release, its retention and its events.
                if let Some(now) = now && entry.step.is_none() && entry.phase == NodePhase::Completed && now.step.is_none() {
                    for action in actions_on(&plan, uid, node) {
                        let good = ["unlock ", "delete ", "patch ", "create Event ", "uncordon ", "take the existing operator's mark "];
                        prop_assert!(good.iter().any(|good| action.starts_with(good)), "{action}");
                    }
                }
            }
            // Nothing runs whose uid the status, as it will stand, does not name.
            let decided = plan.decisions.iter().filter(|decision| decision.subject.uid == *uid);
            for (decision, action) in decided.flat_map(|decision| decision.steps.iter().flat_map(move |step| step.actions.iter().map(move |action| (decision, action)))) {
                if let Action::Patch { what, patch } = action && patch.pointer("/spec/parallelism").is_some() {
                    prop_assert!(after[uid].node_statuses.values().any(|entry| entry.job_uid.as_ref() == Some(&what.uid) && entry.step == Some(NodeStep::Running)), "{what} is let go and not named");
                }
                if let Action::Create { object } = action && object["kind"] == "Job" {
                    prop_assert_eq!(&object["spec"]["parallelism"], &json!(0));
                    let node = object.pointer("/spec/template/spec/nodeName").and_then(serde_json::Value::as_str).unwrap();
                    let locked = snapshot.nodes[node].lock.as_ref().is_some_and(|lock| lock.uid() == uid);
                    let heels = is_on_the_heels_of_a_lock(decision, node);
                    let expected = if heels { NodeStep::Locking } else { NodeStep::Starting };
                    prop_assert_eq!(after[uid].node_statuses[node].step, Some(expected));
                    prop_assert!(locked || heels, "a Job without a lock");
                }
                // No boot is ended that the status does not name, and none under a command that may still run.
                if let Action::Patch { what, patch } = action && what.kind == "Pod" {
                    let boot = patch.pointer("/metadata/annotations/kairos.io~1reboot-approved").and_then(serde_json::Value::as_str);
                    prop_assert!(after[uid].node_statuses.values().any(|entry| entry.boot_id.as_deref() == boot && entry.step == Some(NodeStep::Rebooting)), "{what} is approved for {boot:?}");
                }
                if let Action::Evict { .. } = action {
                    prop_assert!(after[uid].node_statuses.values().any(|entry| entry.step == Some(NodeStep::Draining)));
                }
                // Nothing is given up under what runs.
                if let Action::ApplyNode(apply) = action {
                    prop_assert_eq!(&apply.manager, &format!("rounds-{uid}"));
                    let live = snapshot.pods.iter().any(|pod| pod.node == apply.node.name && !pod.is_terminal() && pod.labels.get(names::LABEL_OWNER_UID) == Some(uid));
                    prop_assert!(apply.lock.is_some() || !live, "unlocked under a live pod");
                }
            }
        }
    }

    #[test]
    fn statuses_come_to_rest_in_a_world_that_does_not_change(snapshot in world()) {
        let mut snapshot = snapshot;
        for _ in 0..20 {
            let plan = decide(&snapshot, &Settings::default());
            if plan.decisions.iter().all(|decision| decision.status.is_none()) {
                return Ok(());
            }
            fleet::write_statuses(&mut snapshot, &plan);
        }
        prop_assert!(false, "the status never comes to rest");
    }
}

/// Names of the Events that a node's verdict makes, by the run and the machine that the claim was for.
fn event_name(run: i64, node_uid: &str) -> String {
    let mut snapshot = Snapshot { now: time(0), ..Snapshot::default() };
    let node = Node { name: "n1".into(), uid: node_uid.into(), ready: true, ..Node::default() };
    snapshot.nodes.insert("n1".into(), node);
    let entry = NodeStatus {
        phase: NodePhase::Running,
        step: Some(NodeStep::Running),
        run: Some(run),
        node_uid: Some(node_uid.into()),
        job_uid: Some("job".into()),
        ..NodeStatus::default()
    };
    let spec: NodeOpSpec = serde_json::from_value(json!({"command": ["run"]})).unwrap();
    let status = NodeOpStatus {
        spec_hash: Some(spec_hash(&spec)),
        run: Some(3),
        node_statuses: Arc::new([("n1".into(), Arc::new(entry))].into()),
        ..NodeOpStatus::default()
    };
    let owner = Some(Owner { kind: "NodeOp".into(), name: "op".into(), uid: "op-uid".into() });
    snapshot.jobs = vec![Job { uid: "job".into(), node: "n1".into(), owner, complete: true, ..Job::default() }];
    snapshot.nodeops = vec![Resource { meta: Meta { uid: "op-uid".into(), ..Meta::default() }, spec, status }];
    let plan = decide(&snapshot, &Settings::default());
    let mut events = plan.decisions.iter().flat_map(|decision| &decision.steps).flat_map(|step| &step.actions);
    let event = events.find_map(|action| match action {
        Action::Create { object } if object["kind"] == "Event" => Some(object.clone()),
        _ => None,
    });
    let event = event.unwrap();
    assert!(event["note"].as_str().unwrap().len() <= 1024);
    event.pointer("/metadata/name").and_then(serde_json::Value::as_str).unwrap().to_string()
}

#[test]
fn an_event_has_one_name_per_run_and_machine_however_often_it_is_made() {
    assert_eq!(event_name(2, "u"), event_name(2, "u"));
    assert_ne!(event_name(2, "u"), event_name(3, "u"));
    assert_ne!(event_name(3, "u"), event_name(3, "v"));
}
