//! The pods that people run on the nodes, and the disruption budgets over them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::HashMap;
use jiff::Timestamp;

use crate::snapshot::views::{Budget, Pod};

/// All pods that are not ours, and the budgets.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    pods: BTreeMap<u64, Resident>,
    by_uid: HashMap<String, u64>,
    by_node: BTreeMap<String, BTreeSet<u64>>,
    budgets: Vec<Guard>,
    counter: u64,
    /// Evictions, by the pod that was there in the beginning.
    pub disturbed: BTreeMap<String, usize>,
}

#[derive(Clone, Debug)]
struct Resident {
    pod: Arc<Pod>,
    /// The pod in the beginning of which this one is the latest replacement.
    origin: String,
    /// The budgets over it.
    guards: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Guard {
    budget: Budget,
    /// How many pods have to be healthy.
    desired: i64,
    healthy: i64,
}

impl Guard {
    /// The budget as it stands now.
    fn present(&self) -> Budget {
        let count = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
        let allowed = count((self.healthy - self.desired).max(0));
        Budget { allowed, healthy: count(self.healthy), desired: count(self.desired), current: true, ..self.budget.clone() }
    }

    /// The apiserver's own rule, which what is decided is measured by.
    fn lets_unready_go(&self) -> bool {
        self.budget.unready_may_go || self.desired > 0 && self.healthy >= self.desired
    }
}

/// What an eviction comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The pod is told to go.
    Taken,
    /// A budget does not allow it.
    Blocked(String),
    /// There is no such pod.
    Gone,
}

impl Workload {
    /// These pods under these budgets. How many pods a budget wants to be healthy follows from what it allowed when it was
    /// looked at.
    pub fn new(pods: Vec<Pod>, budgets: Vec<Budget>) -> Self {
        let budgets = budgets.into_iter().map(|budget| Guard { budget, desired: 0, healthy: 0 }).collect();
        let mut workload = Self { budgets, ..Self::default() };
        for pod in pods {
            let origin = pod.path();
            workload.add(pod, origin);
        }
        for at in 0..workload.budgets.len() {
            let pods = workload.pods.values().filter(|resident| resident.guards.contains(&at)).count();
            workload.budgets[at].desired = desired(&workload.budgets[at], i64::try_from(pods).unwrap_or(i64::MAX));
        }
        workload
    }

    fn add(&mut self, pod: Pod, origin: String) -> String {
        self.counter += 1;
        let over = |guard: &Guard| {
            let selector = guard.budget.selector.as_ref();
            guard.budget.namespace == pod.namespace && selector.is_some_and(|selector| selector.matches(&pod.labels))
        };
        let guards: Vec<usize> = self.budgets.iter().enumerate().filter(|(_, guard)| over(guard)).map(|(at, _)| at).collect();
        if is_healthy(&pod) {
            guards.iter().for_each(|at| self.budgets[*at].healthy += 1);
        }
        let uid = pod.uid.clone();
        self.by_uid.insert(uid.clone(), self.counter);
        self.by_node.entry(pod.node.clone()).or_default().insert(self.counter);
        self.pods.insert(self.counter, Resident { pod: Arc::new(pod), origin, guards });
        uid
    }

    /// The pods on a node.
    pub fn on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<Pod>> {
        self.by_node.get(node).into_iter().flatten().filter_map(|id| self.pods.get(id)).map(|resident| &resident.pod)
    }

    /// The budgets as they stand now.
    pub fn budgets(&self) -> Vec<Budget> {
        self.budgets.iter().map(Guard::present).collect()
    }

    /// Another `maxUnavailable` for a budget.
    pub fn limit(&mut self, namespace: &str, name: &str, most: i64) {
        let named = |guard: &Guard| guard.budget.namespace == namespace && guard.budget.name == name;
        let Some(at) = self.budgets.iter().position(named) else { return };
        let pods = self.pods.values().filter(|resident| resident.guards.contains(&at)).count();
        let guard = &mut self.budgets[at];
        (guard.budget.max_unavailable, guard.budget.min_available) = (Some(most.to_string()), None);
        guard.desired = desired(guard, i64::try_from(pods).unwrap_or(i64::MAX));
    }

    /// A pod by uid.
    pub fn pod(&self, uid: &str) -> Option<&Pod> {
        Some(&self.pods.get(self.by_uid.get(uid)?)?.pod)
    }

    /// Changes a pod, and with it what the budgets count.
    fn change(&mut self, uid: &str, change: impl FnOnce(&mut Pod)) {
        let Some(resident) = self.by_uid.get(uid).and_then(|id| self.pods.get_mut(id)) else { return };
        let before = i64::from(is_healthy(&resident.pod));
        change(Arc::make_mut(&mut resident.pod));
        let after = i64::from(is_healthy(&resident.pod));
        for at in &resident.guards {
            self.budgets[*at].healthy += after - before;
        }
    }

    /// Asks a pod to go, if the budgets allow it.
    pub fn evict(&mut self, uid: &str, now: Timestamp) -> Eviction {
        let Some(resident) = self.by_uid.get(uid).and_then(|id| self.pods.get(id)) else { return Eviction::Gone };
        if resident.pod.deleted.is_some() {
            return Eviction::Taken;
        }
        let path = |at: &usize| format!("{}/{}", self.budgets[*at].budget.namespace, self.budgets[*at].budget.name);
        match resident.guards.as_slice() {
            _ if resident.pod.phase == "Pending" => {}
            [] => {}
            [at] if self.budgets[*at].healthy > self.budgets[*at].desired => {}
            // A pod that is not healthy disturbs nobody by going, if enough others are.
            [at] if !resident.pod.ready && self.budgets[*at].lets_unready_go() => {}
            several => return Eviction::Blocked(several.iter().map(path).collect::<Vec<_>>().join(", ")),
        }
        *self.disturbed.entry(resident.origin.clone()).or_default() += 1;
        self.change(uid, |pod| pod.deleted = Some(now));
        Eviction::Taken
    }

    /// Tells a pod to go, whatever the budgets say: its node is lost.
    pub fn delete(&mut self, uid: &str, now: Timestamp) {
        self.change(uid, |pod| pod.deleted = Some(now));
    }

    /// A pod has become Ready.
    pub fn ready(&mut self, uid: &str) {
        self.change(uid, |pod| {
            pod.phase = "Running".into();
            pod.ready = true;
        });
    }

    /// A pod is not Ready any more.
    pub fn unready(&mut self, uid: &str) {
        self.change(uid, |pod| pod.ready = false);
    }

    /// A pod is gone; what it was.
    pub fn remove(&mut self, uid: &str) -> Option<Pod> {
        self.change(uid, |pod| pod.ready = false);
        let id = self.by_uid.remove(uid)?;
        let resident = self.pods.remove(&id)?;
        if let Some(on) = self.by_node.get_mut(&resident.pod.node) {
            on.remove(&id);
        }
        Some(Arc::unwrap_or_clone(resident.pod))
    }

    /// The scheduler gives a pod that waited for a node to one.
    pub fn place(&mut self, uid: &str, node: &str) {
        let Some(id) = self.by_uid.get(uid).copied() else { return };
        let Some(resident) = self.pods.get_mut(&id) else { return };
        if let Some(on) = self.by_node.get_mut(&resident.pod.node) {
            on.remove(&id);
        }
        Arc::make_mut(&mut resident.pod).node = node.to_string();
        self.by_node.entry(node.to_string()).or_default().insert(id);
    }

    /// The controller of a pod that goes makes another one, on this node; "" is none yet.
    pub fn replace(&mut self, old: &Pod, node: String, now: Timestamp) -> String {
        let origin =
            self.by_uid.get(&old.uid).and_then(|id| self.pods.get(id)).map_or_else(|| old.path(), |resident| resident.origin.clone());
        let number = self.counter + 1;
        let base = old.name.rsplit_once("-r").map_or(old.name.as_str(), |(base, tail)| match tail.parse::<u64>() {
            Ok(_) => base,
            Err(_) => old.name.as_str(),
        });
        let name = if is_named_for_ever(old) { old.name.clone() } else { format!("{base}-r{number}") };
        let pod = Pod {
            name,
            uid: format!("{}-r{number}", old.uid.split("-r").next().unwrap_or_default()),
            node,
            created: Some(now),
            phase: "Pending".into(),
            ready: false,
            deleted: None,
            containers: Vec::new(),
            ..old.clone()
        };
        self.add(pod, origin)
    }
}

/// Whether a pod counts for its budgets.
fn is_healthy(pod: &Pod) -> bool {
    pod.ready && pod.deleted.is_none()
}

/// Whether the replacement has the same name, and can only be made when the pod is gone.
pub fn is_named_for_ever(pod: &Pod) -> bool {
    pod.owner.as_ref().is_some_and(|owner| owner.kind == "StatefulSet")
}

/// How many pods a budget wants to be healthy. Its spec tells, if it is there; else what it allowed when it was looked at.
fn desired(guard: &Guard, pods: i64) -> i64 {
    let Budget { min_available, max_unavailable, .. } = &guard.budget;
    match (min_available, max_unavailable) {
        (Some(least), _) => share(least, pods),
        (None, Some(most)) => pods - share(most, pods),
        (None, None) if guard.budget.current => guard.healthy - i64::from(guard.budget.allowed),
        (None, None) => guard.healthy,
    }
}

/// `3`, or `50%` of so many, rounded up as the disruption controller does.
fn share(text: &str, of: i64) -> i64 {
    match text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()) {
        Some(percent) => (of * percent + 99) / 100,
        None => text.parse().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::NodeSelector;
    use crate::snapshot::views::Owner;

    fn pod(name: &str) -> Pod {
        let owner = Some(Owner { kind: "ReplicaSet".into(), name: "web".into(), uid: "rs".into() });
        Pod {
            namespace: "a".into(),
            name: name.into(),
            uid: format!("uid-{name}"),
            node: "n1".into(),
            phase: "Running".into(),
            ready: true,
            owner,
            ..Pod::default()
        }
    }

    fn workload(allowed: i32) -> Workload {
        let budget = Budget {
            namespace: "a".into(),
            name: "b".into(),
            selector: Some(NodeSelector::default()),
            allowed,
            current: true,
            ..Budget::default()
        };
        Workload::new(vec![pod("p"), pod("q"), pod("r")], vec![budget])
    }

    #[test]
    fn a_budget_allows_what_it_allowed_until_replacements_are_ready() {
        let mut workload = workload(1);
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(workload.evict("uid-p", now), Eviction::Taken);
        assert_eq!(workload.evict("uid-p", now), Eviction::Taken, "it is on its way already");
        assert_eq!(workload.evict("uid-q", now), Eviction::Blocked("a/b".into()));
        let old = workload.pod("uid-p").cloned().unwrap();
        let uid = workload.replace(&old, "n2".into(), now);
        assert_eq!(workload.evict("uid-q", now), Eviction::Blocked("a/b".into()));
        workload.remove("uid-p");
        workload.ready(&uid);
        assert_eq!(workload.budgets()[0].allowed, 1);
        assert_eq!(workload.evict("uid-q", now), Eviction::Taken);
        assert_eq!(workload.evict("nobody", now), Eviction::Gone);
        assert_eq!((workload.on("n1").count(), workload.on("n2").count()), (2, 1));
        assert_eq!(workload.evict(&uid, now), Eviction::Blocked("a/b".into()));
        assert_eq!(workload.disturbed, BTreeMap::from([("a/p".to_string(), 1), ("a/q".to_string(), 1)]));
    }

    #[test]
    fn a_pod_that_no_node_takes_waits_and_its_budget_with_it() {
        let mut workload = workload(1);
        let now = Timestamp::UNIX_EPOCH;
        workload.evict("uid-p", now);
        let old = workload.pod("uid-p").cloned().unwrap();
        let uid = workload.replace(&old, String::new(), now);
        workload.remove("uid-p");
        assert_eq!((workload.on("").count(), workload.budgets()[0].allowed), (1, 0));
        workload.place(&uid, "n2");
        workload.ready(&uid);
        assert_eq!((workload.on("").count(), workload.on("n2").count(), workload.budgets()[0].allowed), (0, 1, 1));
    }

    #[test]
    fn what_a_budget_wants_follows_from_its_spec() {
        let budget = |least: Option<&str>, most: Option<&str>| {
            let (min_available, max_unavailable) = (least.map(String::from), most.map(String::from));
            let selector = Some(NodeSelector::default());
            Budget { namespace: "a".into(), name: "b".into(), selector, min_available, max_unavailable, ..Budget::default() }
        };
        for (least, most, allowed) in
            [(Some("2"), None, 1), (None, Some("1"), 1), (Some("50%"), None, 1), (None, Some("50%"), 2), (None, None, 0)]
        {
            let workload = Workload::new(vec![pod("p"), pod("q"), pod("r")], vec![budget(least, most)]);
            assert_eq!(workload.budgets()[0].allowed, allowed, "{least:?} {most:?}");
        }
    }
}
