//! The real side of a scenario: a corner of the control plane, whose runner's requests go through a proxy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Request;
use rounds::cluster::Cluster;
use rounds::cluster::connect::Connection;
use rounds::outcome::Verdict;
use rounds::round::{Mode, round};
use rounds::settings::Settings;
use rounds::simulate::writes::What;
use rounds::snapshot::objects;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::rest::{self, Objects};
use super::script::{App, Deed, Fate, Moment, Scenario};
use super::words::{Seen, Words};
use crate::harness::proxy::{self, Asked};
use crate::harness::{Corner, Proxy, kubelet, merge};

const NODEOPS: &str = "/apis/operator.kairos.io/v1alpha1";
/// So long nothing must have changed.
const QUIET: Duration = Duration::from_millis(1000);
/// After so long something is wrong.
const LIMIT: Duration = Duration::from_secs(90);

/// A corner, and what is to become of it.
pub struct Real {
    pub words: Words,
    pub settings: Settings,
    pub corner: Corner,
    cluster: Cluster,
    admin: Cluster,
    proxy: Proxy,
    runtime: Runtime,
    orders: Arc<Mutex<Orders>>,
    /// How often a command that hangs is still to be ended with a failure, by node; None: it hangs.
    failures: Option<BTreeMap<String, u32>>,
    /// Whether there is anything to drain.
    drains: bool,
}

/// What is to happen in this round, and what has arrived.
#[derive(Debug, Default)]
struct Orders {
    moments: Vec<Moment>,
    dead: bool,
    arrived: Vec<String>,
}

impl Real {
    /// A corner with the nodes and the workload of a scenario.
    pub fn new(root: &Corner, name: &str, scenario: &Scenario) -> Self {
        let corner = Corner { name: name.into(), ..root.again() };
        let orders = Arc::new(Mutex::new(Orders::default()));
        let proxy = Proxy::start(&corner, rule(&corner, &orders));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // What is late has been given up by then.
        let late = scenario.script.iter().any(|moment| moment.fate == Some(Fate::Late));
        let connect = |kubeconfig| {
            let silence = late.then_some(Duration::from_secs(3));
            let connection = Connection { kubeconfig, silence, ..Connection::default() };
            runtime.block_on(Cluster::connect(&connection)).expect("a connection")
        };
        let (cluster, admin) = (connect(Some(proxy.kubeconfig.clone())), connect(corner.plane.admin()));
        let settings = Settings { namespaces: vec![name.into()], ..Settings::default() };
        let failures = (!scenario.failures.is_empty()).then(|| scenario.failures.clone());
        let drains = !scenario.workload.is_empty();
        let mut real = Self { words: Words::of(name), settings, corner, cluster, admin, proxy, runtime, orders, failures, drains };
        real.set_up(scenario);
        real
    }

    fn set_up(&mut self, scenario: &Scenario) {
        self.make(scenario);
        // Only when their pods are there: of several budgets over one pod, the disruption controller counts a single one anew
        // when the pod changes.
        let budgets = |(name, app): (&String, &App)| {
            let each = app.budgets.iter().enumerate();
            each.map(|(at, most)| self.corner.budget(&format!("{name}-{at}"), name, *most)).collect::<Vec<_>>()
        };
        let budgets: Vec<Value> = scenario.workload.iter().flat_map(budgets).collect();
        if !budgets.is_empty() {
            self.rest();
        }
        for budget in budgets {
            self.ask(Request::post(format!("/apis/policy/v1/namespaces/{}/poddisruptionbudgets", self.corner.name)), &budget);
        }
    }

    fn make(&self, scenario: &Scenario) {
        let corner = &self.corner;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": corner.name}});
        let mut items: Vec<Value> = vec![namespace];
        for (name, machine) in &scenario.nodes {
            let mut node = corner.node(&format!("{}-{name}", corner.name), machine.control_plane);
            merge(&mut node["metadata"]["labels"], json!(machine.labels));
            items.push(node);
        }
        for (name, app) in &scenario.workload {
            items.push(corner.deployment(name, app.replicas, json!(app.pod)));
        }
        corner.create(&json!({"apiVersion": "v1", "kind": "List", "items": items}));
        for (name, _) in scenario.nodes.iter().filter(|(_, machine)| machine.cordoned) {
            corner.kubectl(&["cordon", &format!("{}-{name}", corner.name)]);
        }
    }

    /// One round, with what happens in it: its writes, and what never came to happen. The writes must have come in the order
    /// that the rules promise: the status before the steps, the actions of a step one after the other.
    pub fn round(&mut self, moments: &[Moment]) -> (Vec<String>, Vec<Moment>) {
        *lock(&self.orders) = Orders { moments: moments.to_vec(), ..Orders::default() };
        let round = self.runtime.block_on(round(&self.cluster, &self.settings, Mode::Live)).expect("a round");
        let orders = std::mem::take(&mut *lock(&self.orders));
        self.words.meet(&round.snapshot.nodeops);
        let mut verdicts = round.outcome.actions.iter().map(|outcome| &outcome.verdict);
        let mut lines = Vec::new();
        for decision in &round.plan.decisions {
            let mut said = |what: &What| {
                let (words, verdict) = (self.words.planned(what), verdicts.next().expect("an outcome"));
                lines.push(self.words.outcome(&words, verdict));
                (*verdict != Verdict::Skipped && words != "create Event").then_some(words)
            };
            let status: Vec<String> = decision.status.iter().filter_map(|write| said(&What::Status(Box::new(write.clone())))).collect();
            for step in &decision.steps {
                let actions = step.actions.iter().filter_map(|action| said(&What::Action(action.clone())));
                let chain: Vec<String> = status.iter().cloned().chain(actions).collect();
                let mut arrived = orders.arrived.iter();
                assert!(chain.iter().all(|word| arrived.any(|there| there == word)), "{chain:?} in this order, not {:?}", orders.arrived);
            }
        }
        (lines, orders.moments)
    }

    /// What somebody does; what was late, and what became of it.
    pub fn deed(&self, deed: &Deed) -> Vec<String> {
        match deed {
            Deed::Deliver => {
                let answers = self.proxy.deliver();
                answers.iter().map(|code| format!("late: {}", if code.is_success() { "taken" } else { "refused" })).collect()
            }
            Deed::Create(op, spec) => {
                self.create(op, spec);
                Vec::new()
            }
            deed => {
                person(&self.corner, deed);
                Vec::new()
            }
        }
    }

    /// Waits until nothing happens any more, and looks.
    #[expect(clippy::disallowed_methods, reason = "a test waits by the clock on the wall")]
    pub fn rest(&mut self) -> (Seen, Vec<String>) {
        let begun = Instant::now();
        let mut last = Objects::default();
        let mut since = begun;
        loop {
            let objects = self.objects();
            let played = self.play(&objects);
            let busy = objects.busy();
            if played || busy.is_some() || objects.versions() != last.versions() {
                since = Instant::now();
                last = objects;
            } else if since.elapsed() >= QUIET {
                let seen = seen(objects);
                self.words.meet(&seen.operations);
                let lines = self.words.lines(&seen);
                return (seen, lines);
            }
            assert!(begun.elapsed() < LIMIT, "{} finds no rest: {busy:?}", self.corner.name);
            std::thread::sleep(Duration::from_millis(350));
        }
    }

    fn objects(&self) -> Objects {
        let name = &self.corner.name;
        let list = |group: &str, kind: &str, plural: &str| {
            let mut list = self.ask(Request::get(format!("{group}/namespaces/{name}/{plural}")), &Value::Null);
            items(&mut list, kind)
        };
        let workload = |group: &str, kind: &str, plural: &str| if self.drains { list(group, kind, plural) } else { Vec::new() };
        Objects {
            nodes: items(&mut self.ask(Request::get(format!("/api/v1/nodes?labelSelector=corner%3D{name}")), &Value::Null), "Node"),
            operations: list(NODEOPS, "NodeOp", "nodeops"),
            jobs: list("/apis/batch/v1", "Job", "jobs"),
            pods: list("/api/v1", "Pod", "pods"),
            budgets: workload("/apis/policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
            deployments: workload("/apis/apps/v1", "Deployment", "deployments"),
        }
    }

    /// The administrator asks for something. In this process: a kubectl for everything would take longer than all the rest.
    fn ask(&self, request: http::request::Builder, body: &Value) -> Value {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body).expect("a request");
        self.runtime.block_on(self.admin.fetch(request)).expect("an answer")
    }

    /// Creates an operation over the corner's nodes.
    pub fn create(&self, op: &str, spec: &Value) {
        self.ask(Request::post(format!("{NODEOPS}/namespaces/{}/nodeops", self.corner.name)), &self.corner.nodeop(op, spec.clone()));
    }

    /// Removes all that the scenario has made.
    pub fn clear(&self) {
        let name = &self.corner.name;
        self.ask(Request::delete(format!("/api/v1/nodes?labelSelector=corner%3D{name}")), &Value::Null);
        self.ask(Request::delete(format!("/api/v1/namespaces/{name}")), &Value::Null);
    }

    /// Plays what kwok does not: the ends of commands that hang until somebody ends them, and reboots. Whether there was any.
    fn play(&mut self, objects: &Objects) -> bool {
        let mut played = false;
        for pod in objects.pods.iter().filter(|pod| rest::is_ours(pod) && rest::text(pod, "/status/phase") == "Running") {
            let node = rest::text(pod, "/spec/nodeName");
            let there = objects.nodes.iter().any(|other| rest::name(other) == node);
            if there && pod["metadata"]["deletionTimestamp"].is_null() {
                played |= self.play_pod(pod, &self.words.plain(node)) || kubelet::play(&self.corner, pod);
            }
        }
        played
    }

    fn play_pod(&mut self, pod: &Value, node: &str) -> bool {
        let Some(failures) = &mut self.failures else { return false };
        if rest::text(pod, "/spec/containers/0/name") != "nodeop" {
            return false;
        }
        let left = failures.get_mut(node).filter(|left| **left > 0);
        let code = i32::from(left.is_some());
        left.into_iter().for_each(|left| *left -= 1);
        kubelet::finish(&self.corner, rest::name(pod), code);
        true
    }
}

/// The items of a list, each with its kind.
fn items(list: &mut Value, kind: &str) -> Vec<Value> {
    let Value::Array(mut items) = list["items"].take() else { return Vec::new() };
    items.iter_mut().for_each(|item| item["kind"] = json!(kind));
    items
}

/// What becomes of the runner's writes.
fn rule(corner: &Corner, orders: &Arc<Mutex<Orders>>) -> impl FnMut(&Asked) -> proxy::Fate + Send + 'static {
    let words = Words::of(&corner.name);
    let orders = orders.clone();
    let corner = corner.again();
    move |asked| {
        let mut orders = lock(&orders);
        let word = words.asked(asked);
        orders.arrived.extend(word.clone());
        if orders.dead {
            return proxy::Fate::Drop;
        }
        let Some(word) = word else { return proxy::Fate::Pass };
        let due = orders.moments.iter().position(|moment| moment.at.as_ref().is_some_and(|at| word.starts_with(at)));
        let Some(moment) = due.map(|at| orders.moments.remove(at)) else { return proxy::Fate::Pass };
        if let Some(deed) = &moment.deed {
            person(&corner, deed);
        }
        orders.dead = matches!(moment.fate, Some(Fate::Dies | Fate::DiesAfter));
        match moment.fate {
            None => proxy::Fate::Pass,
            Some(Fate::Lost | Fate::Dies) => proxy::Fate::Drop,
            Some(Fate::Unanswered | Fate::DiesAfter) => proxy::Fate::TakenThen(Box::new(proxy::Fate::Drop)),
            Some(Fate::Conflict) => proxy::Fate::Answer(409),
            Some(Fate::Refused) => proxy::Fate::Answer(500),
            Some(Fate::Throttled) => proxy::Fate::Answer(429),
            Some(Fate::Late) => proxy::Fate::Hold,
        }
    }
}

/// Somebody with kubectl.
fn person(corner: &Corner, deed: &Deed) {
    const NODEOP: &str = "nodeops.operator.kairos.io";
    let full = |node: &String| format!("{}-{node}", corner.name);
    let own = |args: &[&str]| {
        let all: Vec<&str> = ["-n", &corner.name].into_iter().chain(args.iter().copied()).collect();
        corner.kubectl(&all);
    };
    match deed {
        Deed::Cordon(node) => own(&["cordon", &full(node)]),
        Deed::Uncordon(node) => own(&["uncordon", &full(node)]),
        Deed::Unlock(node) => own(&["annotate", "node", &full(node), "operator.kairos.io/operation-"]),
        Deed::Label(node, key, value) => {
            let word = value.as_ref().map_or_else(|| format!("{key}-"), |value| format!("{key}={value}"));
            own(&["label", "node", &full(node), &word, "--overwrite"]);
        }
        Deed::DeleteJobs(op, node) => {
            own(&["delete", "jobs", "-l", &format!("kairos.io/nodeop={op},kairos.io/node={}", full(node)), "--wait=false"]);
        }
        Deed::DeleteNode(node) => own(&["delete", "node", &full(node), "--wait"]),
        Deed::JoinNode(node) => corner.create(&corner.node(&full(node), false)),
        Deed::Edit(op, change) => own(&["patch", NODEOP, op, "--type=merge", "-p", &json!({"spec": change}).to_string()]),
        Deed::Annotate(op, key, value) => own(&["annotate", NODEOP, op, &format!("{key}={value}"), "--overwrite"]),
        Deed::Create(op, spec) => corner.create(&corner.nodeop(op, spec.clone())),
        Deed::Delete(op) => own(&["delete", NODEOP, op, "--wait=false"]),
        Deed::DeleteForeground(op) => own(&["delete", NODEOP, op, "--wait=false", "--cascade=foreground"]),
        Deed::Limit(budget, most) => {
            own(&["patch", "pdb", budget, "--type=merge", "-p", &json!({"spec": {"maxUnavailable": most}}).to_string()]);
        }
        Deed::Pass(seconds) => std::thread::sleep(Duration::from_secs(u64::from(*seconds))),
        Deed::Deliver => {}
    }
}

/// The views of the objects, by the very conversions that a round's lists go through.
fn seen(objects: Objects) -> Seen {
    let (ours, others): (Vec<Value>, Vec<Value>) = objects.pods.into_iter().partition(rest::is_ours);
    Seen {
        nodes: objects.nodes.into_iter().map(|object| objects::node(object).expect("a node")).collect(),
        operations: objects.operations.into_iter().map(|object| objects::nodeop(object).expect("a NodeOp")).collect(),
        jobs: objects.jobs.into_iter().map(|object| objects::job(object).expect("a Job")).collect(),
        pods: ours.into_iter().map(|object| objects::pod(object).expect("a pod")).collect(),
        others: others.into_iter().map(|object| objects::pod(object).expect("a pod")).collect(),
        budgets: objects.budgets.into_iter().map(|object| objects::budget(object).expect("a budget")).collect(),
    }
}

fn lock(orders: &Mutex<Orders>) -> MutexGuard<'_, Orders> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}
