//! The shell against a real apiserver: what each write does there, and what each refusal looks like.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use rounds::cluster::Cluster;
use rounds::cluster::apply::apply;
use rounds::cluster::connect::Connection;
use rounds::cluster::observe::observe;
use rounds::nodeop::api::NodeOp;
use rounds::outcome::Verdict;
use rounds::plan::{Action, Decision, Document, NodeApply, Plan, StatusWrite, Step};
use rounds::reason::Reason;
use rounds::round::Mode;
use rounds::settings::Settings;
use rounds::snapshot::{Reference, Snapshot};
use serde_json::{Value, json};

use crate::harness::ControlPlane;

/// The tests' control plane, as its administrator.
fn connection() -> Connection {
    Connection { kubeconfig: ControlPlane::shared().admin(), ..Connection::default() }
}

struct World {
    cluster: Cluster,
    namespace: String,
    nodes: Vec<String>,
}

impl World {
    async fn new(name: &str) -> Self {
        let cluster = Cluster::connect(&connection()).await.unwrap();
        let namespace = format!("io-{name}-{}", std::process::id());
        create::<Namespace>(&Api::all(cluster.client.clone()), json!({ "metadata": { "name": namespace } })).await;
        let nodes = Vec::new();
        Self { cluster, namespace, nodes }
    }

    async fn node(&mut self, name: &str) -> Node {
        let name = format!("{}-{name}", self.namespace);
        let body = json!({
            "metadata": { "name": name, "annotations": { "kwok.x-k8s.io/node": "fake" }, "labels": { "type": "kwok" } },
            "spec": { "taints": [{ "key": "io-live", "value": "true", "effect": "NoSchedule" }] },
        });
        let node = create(&self.api_all::<Node>(), body).await;
        self.nodes.push(name);
        node
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.cluster.client.clone(), &self.namespace)
    }

    fn api_all<K: kube::Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.cluster.client.clone())
    }

    async fn observe(&self) -> Snapshot {
        observe(&self.cluster, &Settings::default()).await.unwrap()
    }

    async fn act(&self, action: Action) -> Verdict {
        self.act_as(action, Mode::Live).await
    }

    async fn act_as(&self, action: Action, mode: Mode) -> Verdict {
        let plan = Plan { decisions: vec![decision(None, vec![vec![action]])] };
        let mut outcome = apply(&self.cluster, &plan, mode, usize::MAX, &|| false).await;
        println!("{} -> {:?}", outcome.actions[0].action, outcome.actions[0].verdict);
        outcome.actions.remove(0).verdict
    }

    async fn pod(&self, name: &str, node: &str, labels: Value) -> Pod {
        let body = json!({
            "metadata": { "name": name, "labels": labels },
            "spec": {
                "nodeName": node, "terminationGracePeriodSeconds": 30, "tolerations": [{ "operator": "Exists" }],
                "containers": [{ "name": "web", "image": "web", "command": ["hang"] }],
            },
        });
        create(&self.api::<Pod>(), body).await
    }

    async fn clean(self) {
        for node in &self.nodes {
            let _ = self.api_all::<Node>().delete(node, &DeleteParams::default()).await;
        }
        let _ = self.api_all::<Namespace>().delete(&self.namespace, &DeleteParams::background()).await;
    }
}

fn decision(status: Option<StatusWrite>, steps: Vec<Vec<Action>>) -> Decision {
    let subject = Reference::new("NodeOp", "ns", "op", "u");
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

async fn create<K>(api: &Api<K>, body: Value) -> K
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(body).unwrap()).await.unwrap()
}

fn reference<K: kube::Resource<DynamicType = ()>>(object: &K) -> Reference {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let meta = object.meta();
    Reference::new(&K::kind(&()), &text(&meta.namespace), &text(&meta.name), &text(&meta.uid))
}

async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    for _ in 0..100 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within 10 s: {what}");
}

#[tokio::test]
async fn a_lock_excludes_others_is_released_and_never_brings_a_node_back() {
    let mut world = World::new("lock").await;
    let node = world.node("n1").await;
    let name = node.metadata.name.clone().unwrap();
    let seen = |snapshot: &Snapshot| snapshot.nodes[&name].clone();
    let lock = |node: &rounds::snapshot::views::Node, who: &str, cordon: bool| {
        let value = format!("ns/{who}@{who}");
        Action::ApplyNode(NodeApply {
            node: Reference::new("Node", "", &node.name, &node.uid),
            resource_version: node.resource_version.clone(),
            manager: format!("rounds-{who}"),
            lock: Some(value.clone()),
            cordon: cordon.then_some(value),
            ..Default::default()
        })
    };
    eventually("Ready", || async { seen(&world.observe().await).ready.then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let before = seen(&world.observe().await);
    assert!(!before.boot_id.is_empty() && before.lock.is_none());
    assert_eq!(world.act_as(lock(&before, "a", true), Mode::DryRun).await, Verdict::Done);
    assert!(seen(&world.observe().await).lock.is_none(), "a dry run writes nothing");
    assert_eq!(world.act(lock(&before, "a", true)).await, Verdict::Done);
    let locked = seen(&world.observe().await);
    assert_eq!(locked.lock.as_ref().map(|lock| (lock.value.as_str(), lock.manager.as_str())), Some(("ns/a@a", "rounds-a")));
    assert_eq!(locked.cordoned_by, locked.lock);
    assert!(locked.unschedulable);
    assert_eq!(locked.cordon_managers, ["rounds-a"]);

    assert!(matches!(world.act(lock(&before, "b", false)).await, Verdict::Moved(_)), "stale resourceVersion");
    let Verdict::Moved(message) = world.act(lock(&locked, "b", false)).await else { panic!("two locks") };
    assert!(message.contains("rounds-a"), "{message}");

    let unlock = |node: &rounds::snapshot::views::Node| {
        Action::ApplyNode(NodeApply {
            node: Reference::new("Node", "", &node.name, &node.uid),
            resource_version: node.resource_version.clone(),
            manager: "rounds-a".into(),
            ..Default::default()
        })
    };
    // Controllers write to a young node, too.
    eventually("unlocked", || async { (world.act(unlock(&seen(&world.observe().await))).await == Verdict::Done).then_some(()) }).await;
    let free = seen(&world.observe().await);
    assert!(free.lock.is_none() && free.cordoned_by.is_none() && !free.unschedulable && free.cordon_managers.is_empty());

    // Another node of the same name, then none at all: no ghost.
    world.api_all::<Node>().delete(&name, &DeleteParams::default()).await.unwrap();
    assert!(matches!(world.act(lock(&free, "a", true)).await, Verdict::Moved(_)), "gone");
    assert!(world.api_all::<Node>().get_opt(&name).await.unwrap().is_none());
    let again = world.node("n1").await;
    assert!(matches!(world.act(lock(&free, "a", true)).await, Verdict::Moved(_)), "replaced");
    let fresh = rounds::snapshot::views::Node { resource_version: again.metadata.resource_version.unwrap(), ..free.clone() };
    assert!(matches!(world.act(lock(&fresh, "a", true)).await, Verdict::Moved(_)), "replaced, with its resourceVersion");
    assert!(seen(&world.observe().await).lock.is_none());
    world.clean().await;
}

#[tokio::test]
async fn a_job_is_made_held_started_by_uid_and_deleted_by_uid() {
    let mut world = World::new("job").await;
    let node = world.node("n1").await.metadata.name.unwrap();
    let _ = &node;
    let object = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": "j1", "namespace": world.namespace, "labels": { "kairos.io/nodeop": "op" } },
        "spec": { "parallelism": 0, "backoffLimit": 0, "template": {
            "metadata": { "labels": { "kairos.io/nodeop": "op", "kairos.io/node": node } },
            "spec": {
                "nodeName": node, "restartPolicy": "Never", "tolerations": [{ "operator": "Exists" }],
                "containers": [{ "name": "nodeop", "image": "x", "command": ["fail"] }],
            },
        } },
    });
    let create = Action::Create { object };
    assert_eq!(world.act_as(create.clone(), Mode::DryRun).await, Verdict::Done);
    assert!(world.api::<Job>().get_opt("j1").await.unwrap().is_none());
    assert_eq!(world.act(create.clone()).await, Verdict::Done);
    assert_eq!(world.act(create).await, Verdict::Already);
    let ours = |snapshot: &Snapshot| snapshot.jobs.iter().find(|job| job.namespace == world.namespace).cloned();
    let job = ours(&world.observe().await).unwrap();
    assert!(job.held && !job.is_finished());
    assert_eq!(job.node, node);

    let what = Reference::new("Job", &world.namespace, "j1", &job.uid);
    let other = Reference { uid: "00000000-0000-0000-0000-000000000000".into(), ..what.clone() };
    let start = |what: &Reference| Action::Patch { what: what.clone(), patch: json!({ "spec": { "parallelism": 1 } }) };
    assert!(matches!(world.act(start(&other)).await, Verdict::Moved(_)));
    assert_eq!(world.act(start(&what)).await, Verdict::Done);
    let (job, pod) = eventually("the Job failed", || async {
        let snapshot = world.observe().await;
        let pod = snapshot.pods.iter().find(|pod| pod.namespace == world.namespace).cloned();
        ours(&snapshot).filter(|job| job.failed.is_some()).zip(pod)
    })
    .await;
    assert_eq!(job.failed.as_ref().unwrap().reason, "BackoffLimitExceeded");
    assert_eq!(pod.owner.as_ref().map(|owner| &owner.uid), Some(&job.uid));
    assert_eq!((pod.phase.as_str(), pod.node.as_str(), pod.is_terminal()), ("Failed", node.as_str(), true));
    let rounds::snapshot::views::ContainerState::Ended(exit) = &pod.containers[0].state else { panic!("{pod:?}") };
    assert_eq!((exit.code, exit.message.as_str()), (1, "boom"));

    let delete = |what: &Reference| Action::Delete { what: what.clone(), resource_version: None, grace_seconds: None };
    assert!(matches!(world.act(delete(&other)).await, Verdict::Moved(_)));
    assert_eq!(world.act(delete(&what)).await, Verdict::Done);
    eventually("the Job is gone", || async { ours(&world.observe().await).is_none().then_some(()) }).await;
    assert_eq!(world.act(delete(&what)).await, Verdict::Already);
    assert!(matches!(world.act(start(&what)).await, Verdict::Moved(_)));
    world.clean().await;
}

#[tokio::test]
async fn an_eviction_is_blocked_by_a_budget_and_bound_to_uid_and_grace() {
    let mut world = World::new("evict").await;
    let node = world.node("n1").await.metadata.name.unwrap();
    let pod = world.pod("web", &node, json!({ "app": "web" })).await;
    let what = reference(&pod);
    let budgets = world.api::<PodDisruptionBudget>();
    let budget = |name: &str| json!({ "metadata": { "name": name }, "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } } });
    create(&budgets, budget("web")).await;
    eventually("running", || async { (world.api::<Pod>().get("web").await.ok()?.status?.phase? == "Running").then_some(()) }).await;
    let evict = |what: &Reference, grace| Action::Evict { pod: what.clone(), grace_seconds: grace };

    let Verdict::Blocked(message) = world.act(evict(&what, None)).await else { panic!("not blocked") };
    assert!(message.contains("web"), "{message}");
    assert!(matches!(world.act_as(evict(&what, None), Mode::DryRun).await, Verdict::Blocked(_)));
    create(&budgets, budget("second")).await;
    eventually("two budgets are seen", || async {
        matches!(world.act(evict(&what, None)).await, Verdict::Blocked(message) if message.contains("more than one")).then_some(())
    })
    .await;
    for name in ["web", "second"] {
        budgets.delete(name, &DeleteParams::default()).await.unwrap();
    }
    let other = Reference { uid: "00000000-0000-0000-0000-000000000000".into(), ..what.clone() };
    assert!(matches!(world.act(evict(&other, None)).await, Verdict::Moved(_)));
    eventually("no budget in the way", || async { (world.act_as(evict(&what, None), Mode::DryRun).await == Verdict::Done).then_some(()) })
        .await;
    assert!(world.api::<Pod>().get("web").await.unwrap().metadata.deletion_timestamp.is_none(), "a dry run evicts nobody");
    assert_eq!(world.act(evict(&what, None)).await, Verdict::Done);
    // No kubelet, not even a fake one, shortens the grace of this one.
    let alone = reference(&world.pod("alone", "nowhere", json!({})).await);
    assert_eq!(world.act(evict(&alone, Some(7))).await, Verdict::Done);
    assert_eq!(world.api::<Pod>().get("alone").await.unwrap().metadata.deletion_grace_period_seconds, Some(7));
    world.api::<Pod>().delete("alone", &DeleteParams::default().grace_period(0)).await.unwrap();
    eventually("gone", || async { world.api::<Pod>().get_opt("web").await.unwrap().is_none().then_some(()) }).await;
    assert!(matches!(world.act(evict(&what, None)).await, Verdict::Moved(_)));
    world.clean().await;
}

#[tokio::test]
async fn a_status_is_compared_and_swapped_and_its_steps_wait_for_it() {
    let world = World::new("status").await;
    let nodeops = world.api::<NodeOp>();
    let op = create(&nodeops, json!({ "apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "metadata": { "name": "op" }, "spec": { "command": ["true"] } })).await;
    let write = |version: &str, status: Value| StatusWrite {
        api_version: "operator.kairos.io/v1alpha1".into(),
        of: reference(&op),
        resource_version: version.into(),
        before: Document::of(()),
        status: Document::of(status),
    };
    let account = |name: &str| json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name, "namespace": world.namespace }, "spec": {} });
    let run = async |write: StatusWrite| {
        let plan = Plan { decisions: vec![decision(Some(write), vec![vec![Action::Create { object: account("never") }]])] };
        let outcome = apply(&world.cluster, &plan, Mode::Live, usize::MAX, &|| false).await;
        for action in &outcome.actions {
            println!("{} -> {:?}", action.action, action.verdict);
        }
        outcome.actions.into_iter().map(|action| action.verdict).collect::<Vec<_>>()
    };
    let version = op.metadata.resource_version.clone().unwrap();
    let claim = json!({ "phase": "Running", "nodeStatuses": { "n1": { "phase": "Pending", "step": "Locking", "nodeUID": "u1" } } });
    let verdicts = run(write(&version, claim.clone())).await;
    assert_eq!(verdicts[0], Verdict::Done);
    assert!(matches!(verdicts[1], Verdict::Failed(_)), "the step was taken, and a Job without a template is refused");
    let verdicts = run(write(&version, claim)).await;
    assert!(matches!(verdicts[0], Verdict::Moved(_)));
    assert_eq!(verdicts[1], Verdict::Skipped);
    let now = nodeops.get("op").await.unwrap();
    let verdicts = run(write(now.metadata.resource_version.as_ref().unwrap(), json!({ "bogus": 1 }))).await;
    let Verdict::NotSetUp(message) = &verdicts[0] else { panic!("{verdicts:?}") };
    assert!(message.contains("rounds crds"), "{message}");

    let snapshot = world.observe().await;
    let seen = snapshot.nodeops.iter().find(|resource| resource.meta.namespace == world.namespace).unwrap();
    assert!(!seen.meta.moved && seen.status.node_statuses["n1"].step.is_some());
    assert!(snapshot.is_absent(&Reference::new("Node", "", "n1", "u1")), "{:?}", snapshot.absent);
    nodeops.delete("op", &DeleteParams::default()).await.unwrap();
    let verdicts = run(write(now.metadata.resource_version.as_ref().unwrap(), json!({ "phase": "Failed" }))).await;
    assert!(matches!(verdicts[0], Verdict::Moved(_)));
    assert!(nodeops.get_opt("op").await.unwrap().is_none());
    world.clean().await;
}

#[tokio::test]
async fn what_drains_hangs_or_cannot_be_read_is_seen() {
    let mut world = World::new("see").await;
    let node = world.node("n1").await;
    let name = node.metadata.name.clone().unwrap();
    world.pod("web", &name, json!({ "app": "web" })).await;
    create(
        &world.api::<PodDisruptionBudget>(),
        json!({ "metadata": { "name": "web" }, "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } } }),
    )
    .await;
    let nodeops = world.api::<NodeOp>();
    let spec = json!({ "command": ["true"], "cordon": true, "drainOptions": { "enabled": true } });
    create(&nodeops, json!({ "apiVersion": "operator.kairos.io/v1alpha1", "kind": "NodeOp", "metadata": { "name": "op" }, "spec": spec }))
        .await;
    let entry = json!({ "phase": "Pending", "step": "Draining", "nodeUID": node.metadata.uid, "jobName": "lost", "jobUID": "j-1" });
    let status = json!({ "status": { "nodeStatuses": { &name: entry } } });
    nodeops.patch_status("op", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    // No service account of that name: the Job controller cannot make a pod, and says so in an Event.
    let job = json!({
        "metadata": { "name": "stuck", "labels": { "kairos.io/nodeop": "op" } },
        "spec": { "template": { "spec": {
            "serviceAccountName": "nobody", "restartPolicy": "Never", "containers": [{ "name": "nodeop", "image": "x" }],
        } } },
    });
    let job = create(&world.api::<Job>(), job).await;
    let held = json!({ "metadata": { "annotations": { "operator.kairos.io/operation": format!("{}/gone@u-9", world.namespace) } } });
    world.api_all::<Node>().patch(&name, &PatchParams::default(), &Patch::Merge(held)).await.unwrap();

    let snapshot = eventually("the Job's trouble", || async {
        let snapshot = world.observe().await;
        let stuck = snapshot.jobs.iter().any(|job| job.namespace == world.namespace && !job.warnings.is_empty());
        let budget = snapshot.budgets.iter().any(|budget| budget.namespace == world.namespace && budget.current);
        (stuck && budget).then_some(snapshot)
    })
    .await;
    let stuck = snapshot.jobs.iter().find(|seen| Some(&seen.uid) == job.metadata.uid.as_ref()).unwrap();
    assert_eq!(stuck.warnings[0].reason, "FailedCreate");
    assert!(stuck.warnings[0].message.contains("nobody"), "{:?}", stuck.warnings);
    assert_eq!(snapshot.drains[&name].iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>(), ["web"]);
    let budget = snapshot.budgets_over(&snapshot.drains[&name][0]).next().unwrap();
    assert_eq!((budget.name.as_str(), budget.allowed), ("web", 0));
    let absent = |kind, name: &str, uid| snapshot.is_absent(&Reference::new(kind, &world.namespace, name, uid));
    assert!(absent("Job", "lost", "j-1") && absent("NodeOp", "gone", "u-9"), "{:?}", snapshot.absent);
    let apart = snapshot.now.duration_since(jiff::Timestamp::from_second(now()).unwrap()).as_secs().abs();
    assert!(apart <= 2, "{apart} s between the clocks");
    world.clean().await;
}

#[expect(clippy::disallowed_methods, reason = "compares the apiserver's clock with ours")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test]
async fn errors_name_what_is_missing() {
    let world = World::new("errors").await;
    let account = create(&world.api::<ServiceAccount>(), json!({ "metadata": { "name": "nobody" } })).await;
    let user = format!("system:serviceaccount:{}:{}", world.namespace, account.metadata.name.unwrap());
    let mut config = match ControlPlane::shared().admin() {
        Some(path) => {
            let kubeconfig = kube::config::Kubeconfig::read_from(path).unwrap();
            kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await.unwrap()
        }
        None => kube::Config::infer().await.unwrap(),
    };
    config.auth_info.impersonate = Some(user);
    let cluster = Cluster::new(kube::Client::try_from(config).unwrap());
    let error = observe(&cluster, &Settings::default()).await.unwrap_err();
    println!("{error}\n{}", error.hint());
    // Several lists are asked for at once, and any of them may be the first that is refused.
    let told = error.to_string();
    let what = told.strip_prefix("not allowed to list ").and_then(|rest| rest.split_once(": ")).expect(&told).0;
    let (resource, group) = what.split_once('.').unwrap_or((what, ""));
    let missing = format!("apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"list\"]");
    assert!(error.hint().contains(&missing), "{told}: {}", error.hint());
    let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let error = observe(&Cluster::new(kube::Client::try_from(config).unwrap()), &Settings::default()).await.unwrap_err();
    println!("{error}\n{}", error.hint());
    assert!(error.to_string().contains("no answer: "), "{error}");
    world.clean().await;
}
