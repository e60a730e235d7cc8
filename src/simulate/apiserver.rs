//! What the apiserver does with each write of Rounds, as far as Rounds uses it: preconditions, ownership of fields,
//! evictions, deterministic names.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::begin::Backing;
use super::workload::Eviction;
use super::world::{Happening, World};
use crate::channel;
use crate::labels::applied;
use crate::names;
use crate::nodeop::jobs;
use crate::outcome::Verdict;
use crate::plan::{Action, NodeApply, NodeLabels, StatusWrite, TakeOver};
use crate::snapshot::views::{Holder, Node};
use crate::snapshot::{Meta, Reference, Resource, objects};
use crate::upgrade;

impl World {
    /// A new status: taken if the resource is still at the version that it was decided on.
    pub fn write_status(&mut self, write: &StatusWrite) -> Verdict {
        let version = self.version();
        match write.of.kind.as_str() {
            upgrade::api::KIND => take_status(&mut self.seen.upgrades, write, version),
            channel::api::KIND => take_status(&mut self.seen.channels, write, version),
            _ => take_status(&mut self.seen.nodeops, write, version),
        }
    }

    /// One write.
    pub fn write(&mut self, action: &Action) -> Verdict {
        match action {
            Action::Create { object } => self.create(object),
            Action::ApplyNode(apply) => self.apply_node(apply),
            Action::LabelNode(write) => self.label_node(write),
            Action::TakeOver(take) => self.take_over(take),
            Action::Patch { what, patch } => self.patch(what, patch),
            Action::Evict { pod, .. } => self.evict(pod),
            Action::Delete { what, resource_version, grace_seconds } => self.delete(what, resource_version.as_deref(), *grace_seconds),
        }
    }

    /// POST: a name that is taken is as good.
    fn create(&mut self, object: &Value) -> Verdict {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, namespace, name) = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        match kind {
            "Job" if self.job_named(namespace, name).is_some() => return Verdict::Already,
            "Pod" if self.pod_named(namespace, name).is_some() => return Verdict::Already,
            "Job" | "Pod" => {}
            jobs::KIND | upgrade::api::KIND => return self.create_resource(kind, object.clone()),
            // Events are for people: only whether one is told again matters.
            _ if self.takes_name(kind, namespace, name) => return Verdict::Done,
            _ => return Verdict::Already,
        }
        let mut object = object.clone();
        let uid = self.uid(&kind.to_lowercase());
        object["metadata"]["uid"] = json!(uid);
        object["metadata"]["resourceVersion"] = json!(self.version());
        object["metadata"]["creationTimestamp"] = json!(self.second());
        let mut backing = Backing::default();
        if kind == "Job" {
            backing = Backing::of(&mut object);
            match objects::job(object) {
                Ok(job) => self.add_job(job),
                Err(error) => return Verdict::Failed(error),
            }
            self.soon(Happening::SyncJob(uid.clone()));
        } else {
            object["status"] = json!({"phase": "Pending"});
            match objects::pod(object) {
                Ok(pod) => self.add_pod(pod),
                Err(error) => return Verdict::Failed(error),
            }
            self.in_a_while(self.model.start, Happening::StartPod(uid.clone()));
        }
        let owner = self.owner_of(kind, &uid);
        self.backings.insert(uid, backing);
        // Made for somebody who is gone, or is going: the garbage collector comes by.
        let stays = |owner: &String| self.seen.nodeops.iter().any(|op| op.meta.uid == *owner && !op.meta.deleting);
        if let Some(owner) = owner.filter(|owner| !stays(owner)) {
            self.soon(Happening::Collect(owner));
        }
        Verdict::Done
    }

    /// What an upgrade makes, or a channel.
    fn create_resource(&mut self, kind: &str, mut object: Value) -> Verdict {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let is_upgrade = kind == upgrade::api::KIND;
        let taken = match is_upgrade {
            true => self.seen.upgrades.iter().any(|one| one.meta.namespace == namespace && one.meta.name == name),
            false => self.operation_named(&namespace, &name).is_some(),
        };
        if taken {
            return Verdict::Already;
        }
        object["metadata"]["uid"] = json!(self.uid("op"));
        object["metadata"]["resourceVersion"] = json!(self.version());
        object["metadata"]["creationTimestamp"] = json!(self.second());
        object["metadata"]["generation"] = json!(1);
        let made = match is_upgrade {
            true => objects::upgrade(object).map(|upgrade| self.seen.upgrades.push(upgrade)),
            false => objects::nodeop(object).map(|op| self.seen.nodeops.push(op)),
        };
        made.map_or_else(Verdict::Failed, |()| Verdict::Done)
    }

    fn owner_of(&self, kind: &str, uid: &str) -> Option<String> {
        let owner = if kind == "Job" { self.job(uid)?.owner.as_ref() } else { self.pod(uid)?.owner.as_ref() };
        Some(owner?.uid.clone())
    }

    /// Server-side apply without force: what another manager owns with another value is a conflict, and what this manager
    /// does not name any more it gives up.
    fn apply_node(&mut self, apply: &NodeApply) -> Verdict {
        let version = self.version();
        let node = match self.bound_node(&apply.node, &apply.resource_version) {
            Ok(node) => node,
            Err(verdict) => return verdict,
        };
        for (held, wanted) in [(&node.lock, &apply.lock), (&node.cordoned_by, &apply.cordon)] {
            if let (Some(held), Some(wanted)) = (held, wanted)
                && held.value != *wanted
            {
                return Verdict::Moved(format!("conflict with {}", held.manager));
            }
        }
        let stranger = node.cordon_managers.iter().find(|manager| **manager != apply.manager);
        if let Some(stranger) = stranger.filter(|_| apply.cordon.is_some() && !node.unschedulable) {
            return Verdict::Moved(format!("conflict with {stranger}"));
        }
        let before = node.clone();
        settle(&mut node.lock, &apply.lock, &apply.manager);
        settle(&mut node.cordoned_by, &apply.cordon, &apply.manager);
        let owned = node.cordon_managers.contains(&apply.manager);
        node.cordon_managers.retain(|manager| *manager != apply.manager);
        if apply.cordon.is_some() {
            node.cordon_managers.push(apply.manager.clone());
            node.cordon_managers.sort();
            node.unschedulable = true;
        } else if owned && node.cordon_managers.is_empty() {
            node.unschedulable = false;
        }
        if *node != before {
            node.resource_version = version;
        }
        let opened = before.unschedulable && !node.unschedulable;
        if opened {
            self.opened();
        }
        Verdict::Done
    }

    fn label_node(&mut self, write: &NodeLabels) -> Verdict {
        let version = self.version();
        let node = match self.bound_node(&write.node, &write.resource_version) {
            Ok(node) => node,
            Err(verdict) => return verdict,
        };
        let before = node.clone();
        if let Err(other) = applied::apply(node, write) {
            return Verdict::Moved(format!("conflict with {other}"));
        }
        if *node != before {
            node.resource_version = version;
        }
        Verdict::Done
    }

    fn take_over(&mut self, take: &TakeOver) -> Verdict {
        let version = self.version();
        let node = match self.bound_node(&take.node, &take.resource_version) {
            Ok(node) => node,
            Err(verdict) => return verdict,
        };
        node.cordoned_by = None;
        if take.uncordon {
            node.unschedulable = false;
            node.cordon_managers.clear();
        }
        node.resource_version = version;
        if take.uncordon {
            self.opened();
        }
        Verdict::Done
    }

    /// The node that a write is bound to, by uid and resourceVersion.
    fn bound_node(&mut self, what: &Reference, version: &str) -> Result<&mut Node, Verdict> {
        let node = self.seen.nodes.get_mut(&what.name).filter(|node| node.uid == what.uid);
        let node = node.ok_or_else(|| Verdict::Moved(format!("{what} is gone")))?;
        if node.resource_version != version {
            return Err(Verdict::Moved(format!("{what} has changed")));
        }
        Ok(node)
    }

    /// A merge patch, bound to the uid.
    fn patch(&mut self, what: &Reference, patch: &Value) -> Verdict {
        let version = self.version();
        match what.kind.as_str() {
            jobs::KIND => return patch_resource(&mut self.seen.nodeops, what, patch, version),
            upgrade::api::KIND => return patch_resource(&mut self.seen.upgrades, what, patch, version),
            _ => {}
        }
        if what.kind == "Pod" {
            return self.patch_pod(what, patch);
        }
        let Some(job) = self.job_mut(&what.uid).filter(|job| job.name == what.name) else {
            return Verdict::Moved(format!("{what} is gone"));
        };
        job.resource_version = version;
        if let Some(ttl) = patch.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_i64) {
            job.ttl_seconds = i32::try_from(ttl).ok();
            let uid = what.uid.clone();
            self.after(jiff::SignedDuration::from_secs(ttl), Happening::Expire(uid));
        }
        if patch.pointer("/spec/parallelism").and_then(Value::as_i64) == Some(1) {
            let held = self.job_mut(&what.uid).is_some_and(|job| std::mem::replace(&mut job.held, false));
            if held {
                self.soon(Happening::SyncJob(what.uid.clone()));
            }
        }
        Verdict::Done
    }

    /// The one annotation that is ever given to a pod: the boot that it may end.
    fn patch_pod(&mut self, what: &Reference, patch: &Value) -> Verdict {
        let approved = patch["metadata"]["annotations"][names::ANNOTATION_REBOOT_APPROVED].as_str();
        let Some(pod) = self.pod_mut(&what.uid).filter(|pod| pod.name == what.name) else {
            return Verdict::Moved(format!("{what} is gone"));
        };
        if let Some(boot) = approved {
            pod.approved = Some(boot.to_string());
            self.soon(Happening::TryReboot(what.uid.clone()));
        }
        Verdict::Done
    }

    fn evict(&mut self, what: &Reference) -> Verdict {
        let now = self.second();
        let verdict = match self.workload.evict(&what.uid, now) {
            Eviction::Taken => Verdict::Done,
            Eviction::Blocked(budgets) => Verdict::Blocked(format!("disruption budget {budgets}")),
            Eviction::Gone => Verdict::Moved(format!("{what} is gone")),
        };
        if verdict == Verdict::Done {
            self.goes(&what.uid);
        }
        verdict
    }

    /// DELETE with background propagation; that it is gone is as good.
    fn delete(&mut self, what: &Reference, version: Option<&str>, grace_seconds: Option<i64>) -> Verdict {
        if what.kind == "Pod" {
            return match self.pod_named(&what.namespace, &what.name).map(|pod| pod.uid.clone()) {
                None => Verdict::Already,
                Some(uid) if uid != what.uid => Verdict::Moved(format!("{what} is another one")),
                Some(uid) => {
                    self.end_gracefully(&uid, grace_seconds == Some(0));
                    Verdict::Done
                }
            };
        }
        match self.job_named(&what.namespace, &what.name) {
            None => Verdict::Already,
            Some(job) if job.uid != what.uid => Verdict::Moved(format!("{what} is another one")),
            Some(job) if version.is_some_and(|version| job.resource_version != version) => Verdict::Moved(format!("{what} has changed")),
            Some(job) => {
                let uid = job.uid.clone();
                self.remove_job(&uid);
                Verdict::Done
            }
        }
    }
}

/// Takes a status, if its resource is still the one that was decided on.
fn take_status<Spec, Status: DeserializeOwned + Clone + 'static>(
    resources: &mut [Resource<Spec, Status>],
    write: &StatusWrite,
    version: String,
) -> Verdict {
    let is_named = |meta: &Meta| meta.name == write.of.name && meta.namespace == write.of.namespace;
    let Some(resource) = resources.iter_mut().find(|resource| is_named(&resource.meta)) else {
        return Verdict::Moved(format!("{} is gone", write.of));
    };
    if resource.meta.resource_version != write.resource_version {
        return Verdict::Moved(format!("{} has changed", write.of));
    }
    let Some(status) = write.status.read() else { return Verdict::Failed("the status cannot be read".into()) };
    resource.status = status;
    resource.meta.resource_version = version;
    Verdict::Done
}

/// An upgrade, or a channel, has what it has made follow.
fn patch_resource<Spec: Serialize + DeserializeOwned, Status>(
    resources: &mut [Resource<Spec, Status>],
    what: &Reference,
    patch: &Value,
    version: String,
) -> Verdict {
    let Some(op) = resources.iter_mut().find(|op| op.meta.uid == what.uid && op.meta.name == what.name) else {
        return Verdict::Moved(format!("{what} is gone"));
    };
    if patch["metadata"]["resourceVersion"].as_str().is_some_and(|version| version != op.meta.resource_version) {
        return Verdict::Moved(format!("{what} has changed"));
    }
    let mut spec = json!(op.spec);
    json_patch::merge(&mut spec, &patch["spec"]);
    if patch["spec"].is_object() {
        match serde_json::from_value(spec) {
            Ok(spec) => op.spec = spec,
            Err(error) => return Verdict::Failed(error.to_string()),
        }
        op.meta.generation += 1;
    }
    let annotations = patch["metadata"]["annotations"].as_object().into_iter().flatten();
    op.meta.annotations.extend(annotations.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))));
    op.meta.resource_version = version;
    Verdict::Done
}

/// What an apply makes of an annotation.
fn settle(held: &mut Option<Holder>, wanted: &Option<String>, manager: &str) {
    match wanted {
        Some(value) => *held = Some(Holder { value: value.clone(), manager: manager.to_string() }),
        None if held.as_ref().is_some_and(|held| held.manager == manager) => *held = None,
        None => {}
    }
}
