//! Which nodes a channel is about, what they run, and what it has made to update them.

use std::collections::BTreeSet;

use super::api::{KIND, UpdateChannelSpec};
use super::{Channel, k3os};
use crate::labels::probed;
use crate::names;
use crate::nodeop::api::{NodePhase, NodeStatus};
use crate::nodeop::jobs;
use crate::nodeop::spec_hash::spec_hash;
use crate::nodeop::verdict::said;
use crate::nodeop::version::is_same;
use crate::resolve::order::{compare, parse};
use crate::selector::{NodeSelector, Operator, Requirement};
use crate::settings::Settings;
use crate::snapshot::views::Node;
use crate::snapshot::{Meta, Resource, Snapshot};
use crate::upgrade;
use crate::upgrade::child::{Child, Upgrade};

/// How a node is updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By its own k3os: it has label `k3os.io/mode`, and does not run from a live medium.
    K3os,
    /// By a NodeOpUpgrade: it is labelled as a Kairos node, and the channel names an image.
    Kairos,
}

impl Kind {
    /// The nodes of the kind among those that the channel selects.
    pub fn selector(self, spec: &UpdateChannelSpec) -> NodeSelector {
        let mut selector = spec.node_selector.clone().unwrap_or_default();
        let mut require = |key: &str, operator, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_string()).collect();
            selector.match_expressions.push(Requirement { key: key.into(), operator, values });
        };
        match self {
            Self::K3os => {
                require(names::LABEL_K3OS_MODE, Operator::Exists, &[]);
                require(names::LABEL_K3OS_MODE, Operator::NotIn, &["live"]);
            }
            Self::Kairos => {
                require(names::LABEL_MANAGED, Operator::In, &["true"]);
                require(names::LABEL_K3OS_MODE, Operator::DoesNotExist, &[]);
            }
        }
        selector
    }

    /// Its nodes, by name. Without an image there is nothing that Kairos nodes could be upgraded to.
    pub fn nodes<'a>(self, snapshot: &'a Snapshot, spec: &UpdateChannelSpec) -> Vec<&'a Node> {
        if self == Self::Kairos && spec.image().is_none() {
            return Vec::new();
        }
        let selector = self.selector(spec);
        snapshot.nodes.values().filter(|node| !node.deleting && selector.matches(&node.labels)).collect()
    }
}

/// The versions that a node tells of itself, in the words in which a channel may call them.
fn told(node: &Node) -> impl Iterator<Item = String> {
    let k3os = node.labels.get(names::LABEL_K3OS_VERSION).cloned();
    let is_k3os = node.labels.contains_key(names::LABEL_K3OS_MODE);
    let kairos = node.kairos_version.clone().filter(|version| !is_k3os && !version.is_empty());
    let whole = node.version().filter(|_| !is_k3os);
    [k3os.filter(|_| is_k3os), kairos, whole].into_iter().flatten()
}

/// Whether a node runs the version.
pub fn runs(node: &Node, version: &str) -> bool {
    told(node).any(|told| is_same(&told, version))
}

/// The version that a node runs, if that is a newer one.
pub fn newer(node: &Node, version: &str) -> Option<String> {
    let wanted = parse(version)?;
    // A version that says nothing about what stands behind the hyphen is compared with that of the system alone.
    let mut told = told(node).filter_map(|text| parse(&text).map(|parsed| (text, parsed)));
    let whole = |parsed: &semver::Version| parsed.pre.is_empty() == wanted.pre.is_empty();
    told.find(|(_, parsed)| whole(parsed)).filter(|(_, parsed)| compare(parsed, &wanted).is_gt()).map(|(text, _)| text)
}

/// What has the name of something that the channel makes.
#[derive(Clone, Debug)]
pub enum Named<'a, T> {
    /// Nothing.
    Nobody,
    /// What the channel has made.
    Own(&'a T),
    /// What goes by itself, and why.
    Leaving(String),
    /// What stays, and whose it is.
    Foreign(String),
}

impl<'a, T> Named<'a, T> {
    /// What the channel has made.
    pub fn own(&self) -> Option<&'a T> {
        if let Self::Own(own) = self { Some(own) } else { None }
    }
}

/// All that a channel has to do with.
#[derive(Clone, Debug)]
pub struct Fleet<'a> {
    /// Its k3OS nodes.
    pub k3os: Vec<&'a Node>,
    /// Its Kairos nodes.
    pub kairos: Vec<&'a Node>,
    /// The NodeOp for the former.
    pub op: Named<'a, Child>,
    /// The NodeOpUpgrade for the latter.
    pub upgrade: Named<'a, Upgrade>,
    /// The NodeOp that this has made.
    pub upgrade_op: Option<&'a Child>,
    /// Nodes that may turn out to be of one of these kinds, once they were looked at.
    pub awaited: BTreeSet<&'a str>,
}

impl<'a> Fleet<'a> {
    /// What a snapshot has of it.
    pub fn of(snapshot: &'a Snapshot, channel: &Channel) -> Self {
        let Channel { meta, spec, .. } = channel;
        let upgrade = named(snapshot, meta, upgrade::api::KIND, &meta.name, &snapshot.upgrades);
        let owned = |op: &&Child, by: &Upgrade| op.meta.owner.as_ref().is_some_and(|owner| owner.uid == by.meta.uid);
        let upgrade_op = upgrade.own().and_then(|by| snapshot.nodeops.iter().find(|op| owned(op, by)));
        Self {
            k3os: Kind::K3os.nodes(snapshot, spec),
            kairos: Kind::Kairos.nodes(snapshot, spec),
            op: named(snapshot, meta, jobs::KIND, &k3os::name(&meta.name), &snapshot.nodeops),
            upgrade,
            upgrade_op,
            awaited: BTreeSet::new(),
        }
    }

    /// The same, and who is still to be looked at. A node that was, in an earlier boot, is waited for only where nothing
    /// else is known: what reboots now and then must not make a fleet look unfinished.
    pub fn with_awaited(self, snapshot: &'a Snapshot, settings: &Settings, channel: &Channel) -> Self {
        let kinds = [Some(Kind::K3os), channel.spec.image().map(|_| Kind::Kairos)].into_iter().flatten();
        let known: BTreeSet<&str> = self.k3os.iter().chain(&self.kairos).map(|node| node.name.as_str()).collect();
        let awaited = kinds.flat_map(|kind| probed::awaited(Some(&kind.selector(&channel.spec)), snapshot, settings));
        let is_new = |node: &Node| !known.contains(node.name.as_str()) && (known.is_empty() || node.probed_boot.is_none());
        let awaited = awaited.filter(|(_, node)| is_new(node)).map(|(name, _)| name).collect();
        Self { awaited, ..self }
    }

    /// The NodeOp that updates nodes of a kind.
    pub fn op_of(&self, kind: Kind) -> Option<&'a Child> {
        match kind {
            Kind::K3os => self.op.own(),
            Kind::Kairos => self.upgrade_op,
        }
    }

    /// The nodes of a kind.
    pub fn nodes_of(&self, kind: Kind) -> &[&'a Node] {
        match kind {
            Kind::K3os => &self.k3os,
            Kind::Kairos => &self.kairos,
        }
    }

    /// The version that what was made for a kind brings.
    pub fn version_of(&self, kind: Kind) -> Option<&'a String> {
        let meta = match kind {
            Kind::K3os => self.op.own().map(|op| &op.meta),
            Kind::Kairos => self.upgrade.own().map(|upgrade| &upgrade.meta),
        };
        meta?.annotations.get(names::ANNOTATION_CHANNEL_VERSION)
    }

    /// The names of the nodes of a kind that are being updated.
    pub fn flying(&self, kind: Kind) -> impl Iterator<Item = &'a str> {
        let entries = self.op_of(kind).into_iter().flat_map(|op| op.status.node_statuses.iter());
        entries.filter(|(_, entry)| entry.step.is_some()).map(|(name, _)| &**name)
    }

    /// The names of all nodes that are being updated: the slots that are taken.
    pub fn slots(&self) -> BTreeSet<&'a str> {
        self.flying(Kind::K3os).chain(self.flying(Kind::Kairos)).collect()
    }

    /// What came of a node at this version, if it is done with.
    pub fn result(&self, kind: Kind, node: &Node, version: &str) -> Option<&'a NodeStatus> {
        let op = self.op_of(kind).filter(|op| {
            self.version_of(kind).is_some_and(|brings| brings == version) && op.status.spec_hash.as_ref() == Some(&spec_hash(&op.spec))
        })?;
        // The upgrade may have another image by now than the NodeOp that it has made.
        let follows = kind == Kind::K3os || self.upgrade.own().is_some_and(|upgrade| op.spec.image.as_ref() == Some(&upgrade.spec.image));
        let entry = op.status.of(&node.name).filter(|_| follows)?;
        (entry.step.is_none() && matches!(entry.phase, NodePhase::Completed | NodePhase::Failed)).then_some(entry)
    }

    /// The nodes of a kind that are to be brought to a version, and neither run it nor are done with.
    pub fn open(&self, kind: Kind, version: &str) -> impl Iterator<Item = &'a Node> {
        let is_open = move |node: &&Node| !runs(node, version) && self.result(kind, node, version).is_none();
        self.nodes_of(kind).iter().copied().filter(is_open)
    }
}

/// What has that name.
fn named<'a, Spec, Status>(
    snapshot: &Snapshot,
    channel: &Meta,
    kind: &str,
    name: &str,
    resources: &'a [Resource<Spec, Status>],
) -> Named<'a, Resource<Spec, Status>> {
    let has_name = |of: &str, called: &str| of == channel.namespace && called == name;
    let unreadable = snapshot.unreadable.iter().find(|one| one.what.kind == kind && has_name(&one.what.namespace, &one.what.name));
    if let Some(unreadable) = unreadable {
        return Named::Foreign(format!("cannot be read: {}", unreadable.error));
    }
    let Some(there) = resources.iter().find(|one| has_name(&one.meta.namespace, &one.meta.name)) else { return Named::Nobody };
    match &there.meta.owner {
        _ if there.meta.deleting => Named::Leaving(format!("the {kind} {name} is being deleted; another one follows")),
        Some(owner) if owner.uid == channel.uid => Named::Own(there),
        Some(owner) if owner.kind == KIND && owner.name == channel.name => Named::Leaving(format!(
            "the {kind} of an earlier channel of that name is still there; it goes by itself, and another one follows"
        )),
        Some(owner) => Named::Foreign(format!("belongs to {} {}", said(&owner.kind), said(&owner.name))),
        None => Named::Foreign("was not made by a channel".into()),
    }
}
