//! Which nodes an operation targets, and in which order it takes them.

use super::api::NodeOpSpec;
use crate::names;
use crate::snapshot::Snapshot;
use crate::snapshot::views::Node;

/// The nodes that the selector matches: control plane first, then by name; the runner's own node last in its group.
pub fn targets<'a>(snapshot: &'a Snapshot, control_plane: &[&'a Node], spec: &NodeOpSpec, own_node: Option<&str>) -> Vec<&'a Node> {
    // By name they are in the snapshot already.
    let (mut first, mut others, mut own) = (Vec::new(), Vec::new(), None);
    let mut leading = control_plane.iter().peekable();
    for node in snapshot.nodes.values() {
        let leads = leading.next_if(|next| std::ptr::eq(**next, node)).is_some();
        if spec.node_selector.as_ref().is_some_and(|selector| !selector.matches(&node.labels)) {
            continue;
        }
        match leads {
            _ if own_node == Some(node.name.as_str()) => own = Some(node),
            true => first.push(node),
            false => others.push(node),
        }
    }
    match own {
        Some(own) if is_control_plane(own) => first.push(own),
        Some(own) => others.push(own),
        None => {}
    }
    first.append(&mut others);
    first
}

/// The control-plane nodes of a cluster, in the order of their names.
pub fn control_plane(snapshot: &Snapshot) -> Vec<&Node> {
    snapshot.nodes.values().filter(|node| is_control_plane(node)).collect()
}

/// Whether a node carries either control-plane label, with any value.
pub fn is_control_plane(node: &Node) -> bool {
    node.labels.contains_key(names::ROLE_CONTROL_PLANE) || node.labels.contains_key(names::ROLE_MASTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(nodes: &[(&str, &[&str])]) -> Snapshot {
        let nodes = nodes.iter().map(|(name, labels)| {
            let labels = labels.iter().map(|label| (label.to_string(), String::new())).collect();
            (name.to_string(), Node { name: name.to_string(), labels, ..Node::default() })
        });
        Snapshot { nodes: nodes.collect(), ..Snapshot::default() }
    }

    fn names(snapshot: &Snapshot, spec: &NodeOpSpec, own: Option<&str>) -> Vec<String> {
        targets(snapshot, &control_plane(snapshot), spec, own).iter().map(|node| node.name.clone()).collect()
    }

    #[test]
    fn control_plane_goes_first_then_names_and_our_own_node_last_in_its_group() {
        let snapshot = snapshot(&[
            ("a", &[]),
            ("b", &[]),
            ("m", &[names::ROLE_CONTROL_PLANE]),
            ("x", &[names::ROLE_MASTER]),
            ("z", &[names::ROLE_CONTROL_PLANE]),
        ]);
        let all: NodeOpSpec = serde_json::from_value(serde_json::json!({"command": ["x"]})).unwrap();
        assert_eq!(names(&snapshot, &all, None), ["m", "x", "z", "a", "b"]);
        assert_eq!(names(&snapshot, &all, Some("m")), ["x", "z", "m", "a", "b"]);
        assert_eq!(names(&snapshot, &all, Some("a")), ["m", "x", "z", "b", "a"]);
    }

    #[test]
    fn a_selector_picks_the_nodes_that_match_all_of_it() {
        let snapshot = snapshot(&[("a", &["kairos.io/managed"]), ("b", &[])]);
        let spec = serde_json::json!({"command": ["x"], "nodeSelector": {"matchExpressions": [{"key": "kairos.io/managed", "operator": "Exists"}]}});
        assert_eq!(names(&snapshot, &serde_json::from_value(spec).unwrap(), None), ["a"]);
    }
}
