//! What people do to a cluster while a rollout is under way: cordon and uncordon, edit, delete, relabel, copy annotations.

use serde_json::Value;

use super::world::{Happening, World};
use crate::nodeop::api::NodeOpSpec;
use crate::snapshot::Meta;

/// The field manager of `kubectl cordon`, which gives itself no name of its own.
pub const PERSON: &str = "kubectl";

impl World {
    /// `kubectl cordon`: a patch that changes nothing, and so owns nothing, where the node is cordoned already.
    pub fn cordon(&mut self, name: &str) {
        let version = self.version();
        if let Some(node) = self.seen.nodes.get_mut(name).filter(|node| !node.unschedulable) {
            node.unschedulable = true;
            node.cordon_managers = vec![PERSON.into()];
            node.resource_version = version;
        }
    }

    /// `kubectl uncordon`: takes the field away from whoever owns it; marks stay.
    pub fn uncordon(&mut self, name: &str) {
        let version = self.version();
        if let Some(node) = self.seen.nodes.get_mut(name).filter(|node| node.unschedulable) {
            node.unschedulable = false;
            node.cordon_managers.clear();
            node.resource_version = version;
            self.opened();
        }
    }

    /// Sets or removes a label of a node.
    pub fn label(&mut self, name: &str, key: &str, value: Option<&str>) {
        let version = self.version();
        let Some(node) = self.seen.nodes.get_mut(name) else { return };
        match value {
            Some(value) => node.labels.insert(key.into(), value.into()),
            None => node.labels.remove(key),
        };
        node.resource_version = version;
    }

    /// Takes the lock off a node by hand.
    pub fn unlock(&mut self, name: &str) {
        let version = self.version();
        if let Some(node) = self.seen.nodes.get_mut(name).filter(|node| node.lock.is_some()) {
            node.lock = None;
            node.resource_version = version;
        }
    }

    /// Changes the spec of an operation.
    pub fn edit(&mut self, name: &str, change: impl FnOnce(&mut NodeOpSpec)) {
        let version = self.version();
        let Some(op) = self.seen.nodeops.iter_mut().find(|op| op.meta.name == name && !op.meta.deleting) else { return };
        change(&mut op.spec);
        op.meta.generation += 1;
        op.meta.resource_version = version;
    }

    /// Annotates an operation.
    pub fn annotate(&mut self, name: &str, key: &str, value: &str) {
        let version = self.version();
        let Some(op) = self.seen.nodeops.iter_mut().find(|op| op.meta.name == name) else { return };
        op.meta.annotations.insert(key.into(), value.into());
        op.meta.resource_version = version;
    }

    /// Creates an operation.
    ///
    /// # Errors
    /// When the spec is none.
    pub fn create_operation(&mut self, namespace: &str, name: &str, spec: Value) -> Result<(), serde_json::Error> {
        let (uid, version) = (self.uid("op"), self.version());
        let created = Some(self.second());
        let meta = Meta {
            namespace: namespace.into(),
            name: name.into(),
            uid,
            resource_version: version,
            generation: 1,
            created,
            ..Meta::default()
        };
        let spec = serde_json::from_value(spec)?;
        self.seen.nodeops.push(crate::snapshot::Resource { meta, spec, status: Default::default() });
        Ok(())
    }

    /// Deletes an operation; in the foreground it goes when its children have gone.
    pub fn delete_operation(&mut self, name: &str, foreground: bool) {
        let version = self.version();
        let Some(at) = self.seen.nodeops.iter().position(|op| op.meta.name == name) else { return };
        let uid = self.seen.nodeops[at].meta.uid.clone();
        if foreground {
            self.seen.nodeops[at].meta.deleting = true;
            self.seen.nodeops[at].meta.resource_version = version;
        } else {
            self.seen.nodeops.remove(at);
        }
        self.soon(Happening::Collect(uid));
    }

    /// Deletes the Jobs of an operation on a node.
    pub fn delete_jobs(&mut self, operation: &str, node: &str) {
        let owned = |owner: &Option<crate::snapshot::views::Owner>| owner.as_ref().is_some_and(|owner| owner.name == operation);
        let jobs: Vec<String> =
            self.seen.jobs.iter().filter(|job| job.node == node && owned(&job.owner)).map(|job| job.uid.clone()).collect();
        jobs.iter().for_each(|uid| self.remove_job(uid));
    }

    /// Takes our label off the Jobs on a node.
    pub fn unlabel_jobs(&mut self, node: &str) {
        self.unlisted.extend(self.seen.jobs.iter().filter(|job| job.node == node).map(|job| job.uid.clone()));
    }

    /// The clock of the apiserver that answers from now on is off by so many seconds.
    pub fn jump(&mut self, seconds: i64) {
        self.skew = jiff::SignedDuration::from_secs(seconds);
    }
}
