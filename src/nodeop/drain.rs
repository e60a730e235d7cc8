//! Which pods leave a node, which stay, and what blocks.
//!
//! The rules are those of `kubectl drain`, with one difference: pods that the options do not let us evict stay where they
//! are and are named (their data survives a reboot in place), unless `rollout.drainMode` is Strict.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::api::DrainOptions;
use crate::artifact;
use crate::names;
use crate::snapshot::views::{Budget, Pod};
use crate::snapshot::{Snapshot, doubts};

/// The pods of one node, by what happens to them.
#[derive(Debug, Default)]
pub struct Drain<'a> {
    /// To be evicted now.
    pub evict: Vec<&'a Pod>,
    /// Would be evicted, but a disruption budget does not allow it.
    pub blocked: Vec<Held<'a>>,
    /// On their way out.
    pub leaving: Vec<&'a Pod>,
    /// The options do not let us evict them.
    pub kept: Vec<Held<'a>>,
    /// Came onto the cordoned node: they tolerate the cordon, and would come back as often as they are evicted.
    pub returned: Vec<Held<'a>>,
}

/// A pod that does not leave, and why.
#[derive(Debug)]
pub struct Held<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Why, for people.
    pub why: String,
}

/// How many disruptions each budget still allows in this round: evictions planned on one node count on the next.
pub type Allowance<'a> = BTreeMap<(&'a str, &'a str), i32>;

/// What the budgets allow before anything is planned. A pod that stays on a node which is about to reboot will be disrupted;
/// as long as it is Ready, its budget does not tell of that.
pub fn allowance(snapshot: &Snapshot) -> Allowance<'_> {
    let mut allowance = Allowance::new();
    let rebooting = doubts::rebooting_nodes(snapshot).filter_map(|node| snapshot.drains.get(node));
    let stays = |pod: &&Pod| pod.ready && !is_passed_over(pod) && !is_daemon(pod) && !is_ours(snapshot, pod);
    for pod in rebooting.flatten().map(|pod| &**pod).filter(stays) {
        for budget in snapshot.budgets_over(pod) {
            *allowance.entry((&budget.namespace, &budget.name)).or_insert(budget.allowed) -= 1;
        }
    }
    allowance
}

impl Drain<'_> {
    /// Whether every pod that is to leave has left.
    pub fn is_done(&self) -> bool {
        self.evict.is_empty() && self.blocked.is_empty() && self.leaving.is_empty()
    }

    /// What the drain waits for, for people: at most three pods by name. Stable while nothing changes.
    pub fn waiting_for(&self) -> String {
        let blocked = self.blocked.iter().map(|held| format!("pod {}: {}", held.pod.path(), held.why));
        let leaving = self.leaving.iter().map(|pod| format!("pod {} is terminating", pod.path()));
        let evicted = self.evict.iter().map(|pod| format!("pod {} is being evicted", pod.path()));
        list(blocked.chain(leaving).chain(evicted))
    }

    /// The pods that stay, for people.
    pub fn kept_text(&self) -> String {
        list(self.kept.iter().chain(&self.returned).map(|held| format!("pod {}: {}", held.pod.path(), held.why)))
    }
}

/// What a drain was told: the options, the runner's own pod, and since when the node drains.
#[derive(Clone, Copy, Debug)]
pub struct Orders<'o> {
    /// The operation's options.
    pub options: &'o DrainOptions,
    /// uid of the runner's own pod.
    pub own_pod: Option<&'o str>,
    /// When the drain began; the node has been cordoned since before.
    pub since: Option<Timestamp>,
    /// Whether a reboot follows: it disrupts the pods that stay.
    pub reboots: bool,
}

/// Sorts the pods of a node.
pub fn assess<'a>(snapshot: &'a Snapshot, pods: &'a [Arc<Pod>], orders: Orders<'_>, allowance: &mut Allowance<'a>) -> Drain<'a> {
    let Orders { options, own_pod, since, reboots } = orders;
    let mut drain = Drain::default();
    for pod in pods.iter().map(|pod| &**pod) {
        if is_passed_over(pod) || own_pod == Some(pod.uid.as_str()) || is_ours(snapshot, pod) {
            continue;
        }
        if is_daemon(pod) {
            if !options.ignores_daemon_sets() {
                drain.kept.push(Held { pod, why: "belongs to a DaemonSet, which would make it again".into() });
            }
            continue;
        }
        if let Some(artifact) = builds(snapshot, pod).filter(|_| pod.deleted.is_none()) {
            drain.blocked.push(Held { pod, why: format!("builds OSArtifact {artifact}, and is left to end") });
        } else if let Some(why) = refusal(pod, options) {
            let refused = reboots.then(|| reboot_refusal(snapshot, pod, allowance)).flatten();
            drain.blocked.extend(refused.map(|why| Held { pod, why }));
            drain.kept.push(Held { pod, why: why.into() });
        } else if pod.deleted.is_some() {
            drain.leaving.push(pod);
        } else if since.is_some_and(|since| pod.created.is_some_and(|created| created > since)) {
            // kubectl drain does not look at pods that came after it began, either.
            drain.returned.push(Held { pod, why: "tolerates the cordon, and would come back".into() });
        } else {
            match budget_refusal(snapshot, pod, allowance) {
                Some(why) => drain.blocked.push(Held { pod, why }),
                None => drain.evict.push(pod),
            }
        }
    }
    drain
}

/// Static pods, and those that have ended.
fn is_passed_over(pod: &Pod) -> bool {
    pod.mirror || pod.is_terminal()
}

fn is_daemon(pod: &Pod) -> bool {
    pod.owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet")
}

/// Why the options do not let us evict a pod.
fn refusal(pod: &Pod, options: &DrainOptions) -> Option<&'static str> {
    if pod.owner.is_none() && !options.force.unwrap_or(false) {
        return Some("has no controller that would bring it back (drainOptions.force evicts it)");
    }
    if pod.empty_dir && !options.delete_empty_dir_data.unwrap_or(false) {
        return Some("has emptyDir data that would be lost (drainOptions.deleteEmptyDirData evicts it)");
    }
    None
}

/// Why the budgets over a pod do not allow its eviction now; if they do, the eviction is counted.
///
/// The apiserver has the last word; what it will refuse is not asked for. It looks at no budget for a pod that does not run
/// yet, and counts none that is not Ready and may go.
fn budget_refusal<'a>(snapshot: &'a Snapshot, pod: &'a Pod, allowance: &mut Allowance<'a>) -> Option<String> {
    if pod.phase == "Pending" {
        return None;
    }
    let budgets: Vec<&Budget> = snapshot.budgets_over(pod).collect();
    match budgets.as_slice() {
        [] => None,
        [budget] if !pod.ready && budget.lets_unready_go() => None,
        [budget] => {
            let left = allowance.entry((&budget.namespace, &budget.name)).or_insert(budget.allowed);
            if *left > 0 {
                *left -= 1;
                return None;
            }
            Some(refuses(budget, pod.ready))
        }
        several => {
            let names: Vec<String> = several.iter().map(|budget| format!("{}/{}", budget.namespace, budget.name)).collect();
            Some(format!("is under more than one disruption budget ({}), which evictions do not support", names.join(", ")))
        }
    }
}

/// Why a budget does not let a pod go.
fn refuses(budget: &Budget, ready: bool) -> String {
    let Budget { namespace, name, healthy, desired, .. } = budget;
    if !ready && *desired == 0 {
        return format!(
            "is not Ready, and disruption budget {namespace}/{name} lets it go only with unhealthyPodEvictionPolicy AlwaysAllow"
        );
    }
    if !ready {
        return format!("is not Ready, and disruption budget {namespace}/{name} wants {desired} healthy pods, of which {healthy} are");
    }
    if !budget.current {
        return format!("disruption budget {namespace}/{name} has not been counted since it was changed, and allows no disruption before");
    }
    format!("disruption budget {namespace}/{name} allows no disruption now")
}

/// Why the budgets over a pod that stays do not allow the node to reboot under it; if they do, that is counted.
fn reboot_refusal<'a>(snapshot: &'a Snapshot, pod: &'a Pod, allowance: &mut Allowance<'a>) -> Option<String> {
    for budget in snapshot.budgets_over(pod) {
        let left = allowance.entry((&budget.namespace, &budget.name)).or_insert(budget.allowed);
        if *left <= 0 && pod.ready && budget.current {
            let Budget { namespace, name, .. } = budget;
            return Some(format!("stays where it is, and disruption budget {namespace}/{name} allows no reboot under it now"));
        }
        *left -= 1;
    }
    None
}

/// Whether a pod belongs to a resource of ours: by its label *and* an owner that we know. A label alone would let anybody's
/// pod escape a drain.
fn is_ours(snapshot: &Snapshot, pod: &Pod) -> bool {
    if snapshot.probes.iter().any(|probe| probe.pod.as_ref().is_some_and(|probe| probe.uid == pod.uid)) {
        return true;
    }
    let Some(owner) = pod.owner.as_ref().filter(|_| pod.labels.contains_key(names::LABEL_NODEOP)) else { return false };
    let nodeop = |uid: &str| snapshot.nodeops.iter().any(|op| op.meta.uid == uid && op.meta.namespace == pod.namespace);
    match owner.kind.as_str() {
        "NodeOp" => nodeop(&owner.uid),
        "Job" => snapshot.jobs.iter().any(|job| {
            job.uid == owner.uid && job.namespace == pod.namespace && job.owner.as_ref().is_some_and(|owner| nodeop(&owner.uid))
        }),
        _ => false,
    }
}

/// The artifact that a pod builds or exports, by its label *and* an owner that we know.
fn builds(snapshot: &Snapshot, pod: &Pod) -> Option<String> {
    let owner = pod.owner.as_ref().filter(|owner| owner.kind == "Job" && pod.labels.contains_key(names::LABEL_ARTIFACT))?;
    let job = snapshot.jobs.iter().find(|job| job.uid == owner.uid && job.namespace == pod.namespace)?;
    let of = job.owner.as_ref().filter(|of| of.kind == artifact::KIND)?;
    snapshot.artifacts.iter().find(|one| one.meta.uid == of.uid && one.meta.namespace == pod.namespace).map(|one| one.meta.path())
}

/// At most three, then how many more.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match items.len() {
        0..=3 => items.join("; "),
        more => format!("{}; and {} more", items[..3].join("; "), more - 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::NodeSelector;
    use crate::snapshot::views::{Job, Owner};
    use crate::snapshot::{Meta, Resource};

    fn pod(name: &str) -> Pod {
        Pod {
            namespace: "web".into(),
            name: name.into(),
            uid: format!("uid-{name}"),
            phase: "Running".into(),
            ready: true,
            labels: BTreeMap::from([("app".to_string(), "web".to_string())]),
            owner: owner("ReplicaSet", "rs"),
            ..Pod::default()
        }
    }

    fn owner(kind: &str, uid: &str) -> Option<Owner> {
        Some(Owner { kind: kind.into(), name: "o".into(), uid: uid.into() })
    }

    fn budget(name: &str, allowed: i32) -> Budget {
        Budget {
            namespace: "web".into(),
            name: name.into(),
            selector: Some(NodeSelector::default()),
            allowed,
            current: true,
            ..Budget::default()
        }
    }

    /// (evicted, blocked, leaving, kept) by name.
    fn sorted(snapshot: &Snapshot, pods: Vec<Pod>, options: &DrainOptions) -> [Vec<String>; 4] {
        let since = Some("2026-01-01T00:00:00Z".parse().unwrap());
        let pods: Vec<Arc<Pod>> = pods.into_iter().map(Arc::new).collect();
        let drain = assess(snapshot, &pods, Orders { options, own_pod: Some("uid-runner"), since, reboots: false }, &mut Allowance::new());
        let names = |pods: &[&Pod]| pods.iter().map(|pod| pod.name.clone()).collect::<Vec<_>>();
        let held = |held: &[Held]| held.iter().map(|held| held.pod.name.clone()).collect::<Vec<_>>();
        [names(&drain.evict), held(&drain.blocked), names(&drain.leaving), held(&drain.kept)]
    }

    #[test]
    fn each_kind_of_pod_is_treated_as_kubectl_drain_treats_it() {
        let none: [Vec<String>; 4] = Default::default();
        let only = |place: usize| {
            let mut expected = none.clone();
            expected[place] = vec!["p".to_string()];
            expected
        };
        let default = DrainOptions::default();
        let force = DrainOptions { force: Some(true), ..DrainOptions::default() };
        let empty_dir = DrainOptions { delete_empty_dir_data: Some(true), ..DrainOptions::default() };
        let daemon_sets = DrainOptions { ignore_daemon_sets: Some(false), ..DrainOptions::default() };
        let cases: Vec<(&str, Pod, &DrainOptions, [Vec<String>; 4])> = vec![
            ("an ordinary pod leaves", pod("p"), &default, only(0)),
            ("a static pod is passed over", Pod { mirror: true, ..pod("p") }, &default, none.clone()),
            ("a finished pod is passed over", Pod { phase: "Succeeded".into(), ..pod("p") }, &default, none.clone()),
            (
                "a pod on its way out is awaited",
                Pod { deleted: Some("2026-01-01T00:00:00Z".parse().unwrap()), ..pod("p") },
                &default,
                only(2),
            ),
            ("the runner's own pod is passed over", Pod { uid: "uid-runner".into(), ..pod("p") }, &default, none.clone()),
            ("a DaemonSet's pod is passed over", Pod { owner: owner("DaemonSet", "d"), ..pod("p") }, &default, none.clone()),
            ("unless told not to", Pod { owner: owner("DaemonSet", "d"), ..pod("p") }, &daemon_sets, only(3)),
            (
                "a pod that came onto the cordoned node stays",
                Pod { created: Some("2026-01-01T00:00:01Z".parse().unwrap()), ..pod("p") },
                &default,
                none.clone(),
            ),
            (
                "one that was there before leaves",
                Pod { created: Some("2025-01-01T00:00:00Z".parse().unwrap()), ..pod("p") },
                &default,
                only(0),
            ),
            ("a bare pod stays", Pod { owner: None, ..pod("p") }, &default, only(3)),
            ("a bare pod leaves with force", Pod { owner: None, ..pod("p") }, &force, only(0)),
            ("emptyDir data stays", Pod { empty_dir: true, ..pod("p") }, &default, only(3)),
            ("emptyDir data goes if told", Pod { empty_dir: true, ..pod("p") }, &empty_dir, only(0)),
            ("force does not cost emptyDir data", Pod { empty_dir: true, owner: None, ..pod("p") }, &force, only(3)),
        ];
        for (name, pod, options, expected) in cases {
            assert_eq!(sorted(&Snapshot::default(), vec![pod], options), expected, "{name}");
        }
    }

    #[test]
    fn a_budget_is_spent_once_in_a_round_over_all_nodes() {
        let snapshot = Snapshot { budgets: vec![budget("b", 1)], ..Snapshot::default() };
        let [evict, blocked, ..] = sorted(&snapshot, vec![pod("p"), pod("q")], &DrainOptions::default());
        assert_eq!((evict, blocked), (vec!["p".to_string()], vec!["q".to_string()]));
    }

    #[test]
    fn what_blocks_names_pod_and_budget() {
        let snapshot = Snapshot { budgets: vec![budget("strict", 0)], ..Snapshot::default() };
        let pods = [Arc::new(pod("p"))];
        let orders = Orders { options: &DrainOptions::default(), own_pod: None, since: None, reboots: false };
        let drain = assess(&snapshot, &pods, orders, &mut Allowance::new());
        assert_eq!(drain.waiting_for(), "pod web/p: disruption budget web/strict allows no disruption now");
    }

    #[test]
    fn a_pod_under_two_budgets_is_blocked_and_an_unready_one_only_where_too_few_are_healthy() {
        let two = Snapshot { budgets: vec![budget("a", 5), budget("b", 5)], ..Snapshot::default() };
        assert_eq!(sorted(&two, vec![pod("p")], &DrainOptions::default())[1], ["p"]);
        let unready = || vec![Pod { ready: false, ..pod("p") }];
        for (healthy, place) in [(1, 1), (2, 0)] {
            let zero = Snapshot { budgets: vec![Budget { healthy, desired: 2, ..budget("a", 0) }], ..Snapshot::default() };
            assert_eq!(sorted(&zero, unready(), &DrainOptions::default())[place], ["p"], "{healthy} of 2 healthy");
        }
        let pending = || vec![Pod { phase: "Pending".into(), ..unready().remove(0) }];
        for budgets in [vec![budget("a", 0)], vec![budget("a", 0), budget("b", 0)]] {
            assert_eq!(sorted(&Snapshot { budgets, ..Snapshot::default() }, pending(), &DrainOptions::default())[0], ["p"]);
        }
        let stale = |allowed| Snapshot { budgets: vec![Budget { current: false, ..budget("a", allowed) }], ..Snapshot::default() };
        for (allowed, place) in [(0, 1), (1, 0)] {
            assert_eq!(sorted(&stale(allowed), vec![pod("p")], &DrainOptions::default())[place], ["p"], "{allowed} allowed");
        }
    }

    #[test]
    fn our_own_pods_are_exempt_by_label_and_owner_together() {
        let op = Resource {
            meta: Meta { namespace: "web".into(), uid: "op".into(), ..Meta::default() },
            spec: serde_json::from_value(serde_json::json!({"command": ["x"]})).unwrap(),
            status: Default::default(),
        };
        let job = Job { namespace: "web".into(), uid: "job".into(), owner: owner("NodeOp", "op"), ..Job::default() };
        let snapshot = Snapshot { nodeops: vec![op], jobs: vec![job], ..Snapshot::default() };
        let labelled = |uid: &str| Pod {
            owner: owner("Job", uid),
            labels: BTreeMap::from([(names::LABEL_NODEOP.to_string(), "op".to_string())]),
            ..pod("p")
        };
        assert_eq!(sorted(&snapshot, vec![labelled("job")], &DrainOptions::default())[0], Vec::<String>::new());
        assert_eq!(sorted(&snapshot, vec![labelled("stranger")], &DrainOptions::default())[0], ["p"]);
        let elsewhere = Pod { namespace: "evil".into(), ..labelled("job") };
        assert_eq!(sorted(&snapshot, vec![elsewhere], &DrainOptions::default())[0], ["p"]);
    }
}
