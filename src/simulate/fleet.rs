//! A made-up fleet for those who have no cluster at hand: nodes in zones, and the pods and disruption budgets that such
//! clusters usually have.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::names;
use crate::selector::NodeSelector;
use crate::snapshot::nodes::Nodes;
use crate::snapshot::views::{Budget, Node, Owner, Pod};

/// Label of a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";

/// How large a made-up fleet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// All nodes.
    pub nodes: usize,
    /// Those of the control plane.
    pub control_planes: usize,
    /// Zones, in which the nodes take turns.
    pub zones: usize,
}

/// A made-up fleet.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Nodes by name: `control-1`, `worker-07`.
    pub nodes: Nodes,
    /// What runs on them.
    pub pods: Vec<Pod>,
    /// The budgets over that.
    pub budgets: Vec<Budget>,
}

impl Fleet {
    /// A fleet that has been there for a month: a replica of a web server per worker, of which a fifth may be away; a
    /// database of three, one of which may; an agent on every node.
    pub fn of(size: Size, now: Timestamp) -> Self {
        let created = now.checked_sub(SignedDuration::from_hours(24 * 30)).ok();
        let mut fleet = Self::default();
        let workers = size.nodes.saturating_sub(size.control_planes);
        for at in 0..size.nodes {
            let control_plane = at < size.control_planes;
            let name = match control_plane {
                true => format!("control-{}", at + 1),
                false => format!("worker-{:0width$}", at + 1 - size.control_planes, width = workers.to_string().len().max(2)),
            };
            let zone = (size.zones > 1).then(|| format!("zone-{}", letters(at % size.zones)));
            fleet.nodes.insert(name.clone(), node(&name, control_plane, zone, created));
            fleet.pods.push(pod("kube-system", "agent", ("DaemonSet", at), &name, created));
            if !control_plane {
                let worker = at - size.control_planes;
                fleet.pods.push(pod("shop", "web", ("ReplicaSet", worker), &name, created));
                if worker < 3 {
                    fleet.pods.push(pod("data", "database", ("StatefulSet", worker), &name, created));
                }
            }
        }
        let fifth = i32::try_from(workers / 5).unwrap_or(i32::MAX).max(1);
        fleet.budgets = vec![budget("shop", "web", fifth), budget("data", "database", 1)];
        fleet
    }
}

fn node(name: &str, control_plane: bool, zone: Option<String>, created: Option<Timestamp>) -> Node {
    let mut labels = BTreeMap::from([
        ("kubernetes.io/hostname".to_string(), name.to_string()),
        ("kubernetes.io/os".to_string(), "linux".to_string()),
        (names::LABEL_MANAGED.to_string(), "true".to_string()),
    ]);
    labels.extend(zone.map(|zone| (ZONE.to_string(), zone)));
    if control_plane {
        labels.insert(names::ROLE_CONTROL_PLANE.into(), String::new());
    }
    Node { name: name.into(), uid: format!("node-{name}"), labels, ready: true, created, ..Node::default() }
}

fn pod(namespace: &str, app: &str, (kind, number): (&str, usize), node: &str, created: Option<Timestamp>) -> Pod {
    let name = format!("{app}-{number}");
    Pod {
        namespace: namespace.into(),
        uid: format!("{namespace}-{name}"),
        labels: [("app".to_string(), app.to_string())].into(),
        owner: Some(Owner { kind: kind.into(), name: app.into(), uid: format!("{namespace}-{app}") }),
        node: node.into(),
        phase: "Running".into(),
        ready: true,
        created,
        name,
        ..Pod::default()
    }
}

fn budget(namespace: &str, app: &str, allowed: i32) -> Budget {
    let selector = NodeSelector { match_labels: [("app".to_string(), app.to_string())].into(), ..NodeSelector::default() };
    Budget { namespace: namespace.into(), name: app.into(), selector: Some(selector), allowed, current: true, ..Budget::default() }
}

/// a, b, … z, aa, ab, …
fn letters(number: usize) -> String {
    let last = char::from(b'a' + u8::try_from(number % 26).unwrap_or_default());
    if number < 26 { last.to_string() } else { format!("{}{last}", letters(number / 26 - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_has_the_nodes_that_were_asked_for() {
        let fleet = Fleet::of(Size { nodes: 30, control_planes: 3, zones: 3 }, Timestamp::UNIX_EPOCH);
        assert_eq!(fleet.nodes.len(), 30);
        assert_eq!(fleet.nodes.values().filter(|node| crate::nodeop::order::is_control_plane(node)).count(), 3);
        let zones: std::collections::BTreeSet<_> = fleet.nodes.values().filter_map(|node| node.labels.get(ZONE)).collect();
        assert_eq!(zones.len(), 3);
        assert!(fleet.nodes.contains_key("control-1") && fleet.nodes.contains_key("worker-27"));
        assert_eq!(fleet.budgets[0].allowed, 5);
        assert_eq!((letters(0), letters(25), letters(26)), ("a".into(), "z".into(), "aa".into()));
    }

    #[test]
    fn the_smallest_fleet_is_one_node() {
        let fleet = Fleet::of(Size { nodes: 1, control_planes: 0, zones: 1 }, Timestamp::UNIX_EPOCH);
        assert_eq!(fleet.nodes.keys().collect::<Vec<_>>(), ["worker-01"]);
        assert!(!fleet.nodes["worker-01"].labels.contains_key(ZONE));
    }
}
