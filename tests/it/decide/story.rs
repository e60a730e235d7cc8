//! A tiny cluster for stories: it carries out plans and lets things happen. Not a simulator: only what the stories need.

use std::collections::BTreeSet;
use std::sync::Arc;

use rounds::labels::applied;
use rounds::names;
use rounds::plan::{Action, Plan, TakeOver};
use rounds::snapshot::views::{ContainerState, Exit, Holder, Job, Node, Pod, Trouble};
use rounds::snapshot::{Reference, Resource, Snapshot, doubts, objects};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::shorthand::{World, time};
use crate::fleet;

/// Carries out a plan, as an apiserver that refuses nothing would.
pub fn apply(world: &mut World, plan: &Plan) {
    fleet::write_statuses(&mut world.snapshot, plan);
    world.snapshot.answers.clear();
    for action in plan.decisions.iter().flat_map(|decision| &decision.steps).flat_map(|step| &step.actions) {
        carry_out(world, action);
    }
}

/// Carries out one action; one that is bound to what is not there any more does nothing.
pub fn carry_out(world: &mut World, action: &Action) {
    match action {
        Action::Create { object } => create(world, object),
        Action::ApplyNode(apply) => fleet::apply_node(&mut world.snapshot, apply),
        Action::LabelNode(write) => {
            let Some(node) = world.snapshot.nodes.get_mut(&write.node.name).filter(|node| node.uid == write.node.uid) else { return };
            assert_eq!(node.resource_version, write.resource_version, "a stale apply is refused");
            applied::apply(node, write).expect("nobody else's field is written");
            fleet::bump(&mut node.resource_version);
        }
        Action::TakeOver(take) => take_over(&mut world.snapshot, take),
        Action::Patch { what, patch } if what.kind == "NodeOp" => patch_resource(&mut world.snapshot.nodeops, what, patch),
        Action::Patch { what, patch } if what.kind == "NodeOpUpgrade" => patch_resource(&mut world.snapshot.upgrades, what, patch),
        Action::Patch { what, patch } if what.kind == "Pod" => {
            let Some(pod) = world.snapshot.pods.iter_mut().find(|pod| pod.uid == what.uid) else { return };
            pod.approved = Some(patch["metadata"]["annotations"]["kairos.io/reboot-approved"].as_str().unwrap().into());
        }
        Action::Patch { what, patch } => {
            let Some(job) = world.snapshot.jobs.iter_mut().find(|job| job.uid == what.uid) else { return };
            if let Some(pods) = patch.pointer("/spec/parallelism").and_then(Value::as_i64) {
                job.held = pods == 0;
            }
            if let Some(ttl) = patch.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_i64) {
                job.ttl_seconds = i32::try_from(ttl).ok();
            }
            fleet::bump(&mut job.resource_version);
        }
        Action::Evict { pod, .. } => {
            for pods in world.workloads.values_mut() {
                pods.retain(|there| there.uid != pod.uid);
            }
        }
        Action::Delete { what, .. } => {
            world.snapshot.jobs.retain(|job| job.uid != what.uid);
            world.snapshot.probes.retain(|probe| probe.job.uid != what.uid);
            world.snapshot.pods.retain(|pod| pod.uid != what.uid && pod.owner.as_ref().is_none_or(|owner| owner.uid != what.uid));
        }
    }
}

fn create(world: &mut World, object: &Value) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let words = world.shown(&name);
    if object["metadata"]["labels"].get(names::LABEL_PROBE).is_some() {
        if !world.snapshot.probes.iter().any(|probe| probe.job.name == name) {
            let mut object = object.clone();
            object["metadata"]["uid"] = json!(format!("{words}-uid"));
            object["metadata"]["creationTimestamp"] = json!(world.snapshot.now);
            world.snapshot.probes.push(objects::probe(object).unwrap());
        }
        return;
    }
    if kind == "PersistentVolumeClaim" {
        world.made.insert(name);
        return;
    }
    if kind == "Job" && object["metadata"]["labels"].get(names::LABEL_ARTIFACT).is_some() {
        if !world.snapshot.jobs.iter().any(|job| job.name == name) {
            let job = world.build_job(&json!(format!("{words} held"))).unwrap();
            world.snapshot.jobs.push(Job { created: Some(world.snapshot.now), ..job });
        }
        return;
    }
    if kind == "Job" && !world.snapshot.jobs.iter().any(|job| job.name == name) {
        let job = world.job(&json!({"is": format!("{words} held")})).unwrap();
        world.snapshot.jobs.push(Job { created: Some(world.snapshot.now), ..job });
    }
    if kind == "NodeOp" && !world.snapshot.nodeops.iter().any(|op| op.meta.name == name) {
        let mut object = object.clone();
        let metadata =
            json!({"uid": format!("{name}-uid"), "resourceVersion": "1", "generation": 1, "creationTimestamp": world.snapshot.now});
        json_patch::merge(&mut object["metadata"], &metadata);
        world.snapshot.nodeops.push(rounds::snapshot::objects::nodeop(object).unwrap());
    }
    if kind == "NodeOpUpgrade" && !world.snapshot.upgrades.iter().any(|one| one.meta.name == name) {
        let mut object = object.clone();
        let metadata =
            json!({"uid": format!("{name}-upgrade"), "resourceVersion": "1", "generation": 1, "creationTimestamp": world.snapshot.now});
        json_patch::merge(&mut object["metadata"], &metadata);
        world.snapshot.upgrades.push(rounds::snapshot::objects::upgrade(object).unwrap());
    }
    if kind == "Pod" && !world.snapshot.pods.iter().any(|pod| pod.name == name) {
        let pod = world.pod(&json!(format!("{words} running"))).unwrap();
        world.snapshot.pods.push(pod);
    }
}

fn patch_resource<Spec, Status>(resources: &mut [Resource<Spec, Status>], what: &Reference, patch: &Value)
where
    Spec: Serialize + DeserializeOwned + Clone + PartialEq,
{
    let Some(op) = resources.iter_mut().find(|op| op.meta.uid == what.uid) else { return };
    assert_eq!(patch["metadata"]["resourceVersion"], op.meta.resource_version, "a stale patch is refused");
    let before = op.spec.clone();
    let mut spec = serde_json::to_value(&op.spec).unwrap();
    json_patch::merge(&mut spec, &patch.get("spec").cloned().unwrap_or_else(|| json!({})));
    op.spec = serde_json::from_value(spec).unwrap();
    op.meta.generation += i64::from(op.spec != before);
    for (key, value) in patch["metadata"]["annotations"].as_object().into_iter().flatten() {
        op.meta.annotations.insert(key.clone(), value.as_str().unwrap().into());
    }
    fleet::bump(&mut op.meta.resource_version);
}

fn take_over(snapshot: &mut Snapshot, take: &TakeOver) {
    let Some(node) = snapshot.nodes.get_mut(&take.node.name).filter(|node| node.uid == take.node.uid) else { return };
    assert_eq!(node.resource_version, take.resource_version, "a stale patch is refused");
    node.cordoned_by = None;
    if take.uncordon {
        node.unschedulable = false;
        node.cordon_managers.clear();
    }
    fleet::bump(&mut node.resource_version);
}

impl World {
    /// Looks at the cluster as a round does: pods of nodes that drain, and absences confirmed.
    pub fn look(&mut self) {
        self.list_drains();
        let mut absent = BTreeSet::new();
        for resource in &self.snapshot.nodeops {
            for (name, entry) in resource.status.node_statuses.iter() {
                if let (None, Some(job)) = (&entry.job_uid, &entry.job_name)
                    && !self.snapshot.jobs.iter().any(|there| there.name == *job)
                {
                    absent.insert(Reference::new("Job", &resource.meta.namespace, job, ""));
                }
                if let (Some(uid), Some(job)) = (&entry.job_uid, &entry.job_name)
                    && !self.snapshot.jobs.iter().any(|job| job.uid == *uid)
                {
                    absent.insert(Reference::new("Job", &resource.meta.namespace, job, uid));
                }
                if let Some(uid) =
                    entry.node_uid.as_ref().filter(|uid| self.snapshot.nodes.get(&**name).is_none_or(|node| node.uid != **uid))
                {
                    absent.insert(Reference::new("Node", "", name, uid));
                }
            }
        }
        let holders = self.snapshot.nodes.values().flat_map(|node| [&node.lock, &node.cordoned_by]).flatten();
        for (namespace, name, uid) in holders.filter_map(Holder::parts) {
            if !self.snapshot.nodeops.iter().any(|op| op.meta.uid == uid) {
                absent.insert(Reference::new("NodeOp", namespace, name, uid));
            }
        }
        self.snapshot.absent = absent;
        self.look_at_builds();
    }

    /// The pods of the nodes that a round looks at more closely.
    pub fn list_drains(&mut self) {
        self.snapshot.drains.clear();
        for name in doubts::draining_nodes(&self.snapshot).difference(&self.unlisted.iter().cloned().collect::<BTreeSet<String>>()) {
            self.snapshot.drains.insert(name.clone(), self.workloads.get(name).into_iter().flatten().cloned().map(Arc::new).collect());
        }
    }

    fn node_mut(&mut self, name: &str) -> Result<&mut Node, String> {
        self.snapshot.nodes.get_mut(name).ok_or_else(|| format!("there is no node {name}"))
    }

    fn job_mut(&mut self, alias: &str) -> Result<&mut Job, String> {
        let name = self.real(alias);
        self.snapshot.jobs.iter_mut().find(|job| job.name == name).ok_or_else(|| format!("there is no Job {alias}"))
    }

    /// Puts a pod in the place of those of the same name.
    fn put(&mut self, words: &str) -> Result<(), String> {
        let words = json!(words);
        let pod: Pod = if super::artifacts::is_of_artifact(&words) { self.build_pod(&words)? } else { self.pod(&words)? };
        self.snapshot.pods.retain(|there| there.name != pod.name);
        self.snapshot.pods.push(pod);
        Ok(())
    }
}

/// Something happens between two rounds.
pub fn happen(world: &mut World, event: &str) -> Result<(), String> {
    let words: Vec<&str> = event.split(' ').collect();
    let rest = |count: usize| words[count.min(words.len())..].join(" ");
    match words.as_slice() {
        ["wait", seconds] => {
            let seconds: i64 = seconds.parse().map_err(|_| event.to_string())?;
            world.snapshot.now += jiff::SignedDuration::from_secs(seconds);
        }
        ["at", seconds] => world.snapshot.now = time(seconds.parse().map_err(|_| event.to_string())?),
        ["job", job, "builds"] => {
            world.put(&format!("{job} told"))?;
            world.job_mut(job)?.complete = true;
        }
        ["job", job, "fails", "in", ..] => {
            world.put(&format!("{job} exit 3 {}", rest(4)))?;
            world.job_mut(job)?.failed = Some(Trouble { reason: "BackoffLimitExceeded".into(), message: "over".into() });
        }
        ["job", job, "exports"] => world.job_mut(job)?.complete = true,
        ["claim", name, "is", "there"] => {
            world.made.insert((*name).to_string());
            world.snapshot.claims.retain(|claim| claim.name != *name);
        }
        ["annotate", "artifact", name, pair] => {
            let artifact = world.snapshot.artifacts.iter_mut().find(|one| one.meta.name == *name).ok_or("no such artifact")?;
            let (key, value) = pair.split_once('=').ok_or("annotate artifact iso key=value")?;
            artifact.meta.annotations.insert(format!("operator.kairos.io/{key}"), value.into());
        }
        ["edit", "artifact", name, ..] => {
            let patch: Value = rounds::yaml::from_str(&rest(3)).map_err(|error| error.to_string())?;
            let artifact = world.snapshot.artifacts.iter_mut().find(|one| one.meta.name == *name).ok_or("no such artifact")?;
            let mut spec = serde_json::to_value(&artifact.spec).unwrap();
            json_patch::merge(&mut spec, &patch);
            artifact.spec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
            artifact.meta.generation += 1;
        }
        ["job", job, "completes"] => {
            world.put(&format!("{job} exit 0"))?;
            world.job_mut(job)?.complete = true;
        }
        ["job", job, "tells", boot] => {
            world.put(&format!("{job} told {boot}"))?;
            world.job_mut(job)?.complete = true;
        }
        ["node", node, "boots", boot] => world.node_mut(node)?.boot_id = (*boot).into(),
        ["job", job, "in", boot, "says", ..] => {
            world.put(&format!("{job} told {boot}"))?;
            let pod = world.snapshot.pods.last_mut().ok_or("no pod")?;
            let command = pod.containers.iter_mut().find(|container| container.name == "nodeop").ok_or("no command")?;
            command.state = ContainerState::Ended(Exit { message: rest(5), ..Exit::default() });
            world.job_mut(job)?.complete = true;
        }
        // Somebody looks at what a node runs.
        ["node", node, "runs", version, state] => {
            let node = world.node_mut(node)?;
            let (kairos, software) = version.split_once('-').unwrap_or((version, ""));
            node.probed_boot = Some(node.boot_id.clone());
            node.kairos_version = Some(kairos.into());
            node.labels.insert(names::LABEL_SOFTWARE_VERSION.into(), software.into());
            node.labels.insert(names::LABEL_BOOT_STATE.into(), (*state).into());
        }
        ["channel", name, words @ ..] => world.answer(name, words)?,
        ["edit", "channel", name, ..] => {
            let patch: Value = rounds::yaml::from_str(&rest(3)).map_err(|error| error.to_string())?;
            let channel = world.snapshot.channels.iter_mut().find(|one| one.meta.name == *name).ok_or("no such channel")?;
            let mut spec = serde_json::to_value(&channel.spec).unwrap();
            json_patch::merge(&mut spec, &patch);
            channel.spec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
            channel.meta.generation += 1;
        }
        ["annotate", "channel", name, pair] => {
            let channel = world.snapshot.channels.iter_mut().find(|one| one.meta.name == *name).ok_or("no such channel")?;
            let (key, value) = pair.split_once('=').ok_or("annotate channel stable key=value")?;
            channel.meta.annotations.insert(format!("operator.kairos.io/{key}"), value.into());
        }
        ["no", "channel", name] => world.snapshot.channels.retain(|one| one.meta.name != *name),
        ["no", "node", name] => drop(world.snapshot.nodes.remove(name)),
        ["label", node, pair] => {
            let (key, value) = pair.split_once('=').ok_or("label n1 key=value")?;
            world.node_mut(node)?.labels.insert(key.into(), value.into());
        }
        ["upgrade", name, "is", state] => {
            let at = world.snapshot.upgrades.iter().position(|one| one.meta.name == *name).ok_or("no such upgrade")?;
            match *state {
                "deleting" => world.snapshot.upgrades[at].meta.deleting = true,
                "gone" => drop(world.snapshot.upgrades.remove(at)),
                other => return Err(format!("{other} is no state of an upgrade")),
            }
        }
        ["edit", "upgrade", name, ..] => {
            let patch: Value = rounds::yaml::from_str(&rest(3)).map_err(|error| error.to_string())?;
            let upgrade = world.snapshot.upgrades.iter_mut().find(|one| one.meta.name == *name).ok_or("no such upgrade")?;
            let mut spec = serde_json::to_value(&upgrade.spec).unwrap();
            json_patch::merge(&mut spec, &patch);
            upgrade.spec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
            upgrade.meta.generation += 1;
        }
        ["annotate", "upgrade", name, pair] => {
            let upgrade = world.snapshot.upgrades.iter_mut().find(|one| one.meta.name == *name).ok_or("no such upgrade")?;
            let (key, value) = pair.split_once('=').ok_or("annotate upgrade up key=value")?;
            upgrade.meta.annotations.insert(format!("operator.kairos.io/{key}"), value.into());
        }
        ["job", job, "fails", code] => {
            world.put(&format!("{job} exit {code}"))?;
            world.job_mut(job)?.failed = Some(Trouble { reason: "BackoffLimitExceeded".into(), message: "over".into() });
        }
        ["job", job, "is", "refused"] => {
            world.put(&format!("{job} refused"))?;
            world.job_mut(job)?.failed = Some(Trouble { reason: "BackoffLimitExceeded".into(), message: "over".into() });
        }
        ["probe", node, "tells", ..] => {
            let labels: Value = rounds::yaml::from_str(&rest(3)).map_err(|error| error.to_string())?;
            world.probe_is(node, "told", &json!({"labels": labels}))?;
        }
        ["probe", node, "is", state] => world.probe_is(node, state, &json!({}))?,
        ["job", job, "is", "late"] => {
            world.job_mut(job)?.failed = Some(Trouble { reason: "DeadlineExceeded".into(), message: "over".into() });
        }
        ["job", job, "is", "deleting"] => world.job_mut(job)?.deleting = true,
        ["job", job, "is", "gone"] => {
            let name = world.real(job);
            world.snapshot.jobs.retain(|job| job.name != name);
        }
        ["pod", "of", ..] => world.put(&rest(2))?,
        ["no", "pod", "of", job] => {
            let names = [format!("{job}-pod"), world.real(job)];
            world.snapshot.pods.retain(|pod| !names.contains(&pod.name));
        }
        ["preflight", job, state, ..] => match *state {
            "fails" => {
                world.put(&format!("preflight-{job} exit 1"))?;
            }
            "passes" => world.put(&format!("preflight-{job} succeeded"))?,
            "says" => world.put(&format!("preflight-{job} succeeded {}", rest(3)))?,
            other => return Err(format!("preflight {other}")),
        },
        ["node", node, "is", state] => on_node(world, node, state)?,
        ["edit", op, ..] => {
            let patch: Value = rounds::yaml::from_str(&rest(2)).map_err(|error| error.to_string())?;
            let resource = world.snapshot.nodeops.iter_mut().find(|resource| resource.meta.name == *op).ok_or("no such NodeOp")?;
            let mut spec = serde_json::to_value(&resource.spec).unwrap();
            json_patch::merge(&mut spec, &patch);
            resource.spec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
            resource.meta.generation += 1;
        }
        ["annotate", op, pair] => {
            let resource = world.snapshot.nodeops.iter_mut().find(|resource| resource.meta.name == *op).ok_or("no such NodeOp")?;
            let (key, value) = pair.split_once('=').ok_or("annotate op key=value")?;
            resource.meta.annotations.insert(format!("operator.kairos.io/{key}"), value.into());
        }
        ["delete", op] => {
            let uid = format!("{op}-uid");
            world.snapshot.nodeops.retain(|resource| resource.meta.name != *op);
            world.snapshot.jobs.retain(|job| job.owner.as_ref().is_none_or(|owner| owner.uid != uid));
        }
        ["workload", pod, "leaves"] => {
            for pods in world.workloads.values_mut() {
                pods.retain(|there| there.name != *pod);
            }
        }
        _ => return Err(format!("nothing is known of {event:?}")),
    }
    Ok(())
}

fn on_node(world: &mut World, name: &str, state: &str) -> Result<(), String> {
    let now = world.snapshot.now;
    match state {
        "NotReady" => world.node_mut(name)?.ready = false,
        "Ready" => world.node_mut(name)?.ready = true,
        "gone" => {
            world.snapshot.nodes.remove(name);
        }
        // Another machine under the same name.
        "another" => {
            let node = Node {
                name: name.into(),
                uid: format!("{name}-uid2"),
                resource_version: "1".into(),
                ready: true,
                boot_id: "b9".into(),
                created: Some(now),
                ..Node::default()
            };
            world.snapshot.nodes.insert(name.into(), node);
        }
        "uncordoned" => {
            let node = world.node_mut(name)?;
            node.unschedulable = false;
            node.cordon_managers.clear();
            fleet::bump(&mut node.resource_version);
        }
        "unlocked" => world.node_mut(name)?.lock = None,
        "stripped" => {
            let node = world.node_mut(name)?;
            (node.lock, node.cordoned_by, node.unschedulable) = (None, None, false);
            node.cordon_managers.clear();
        }
        "kept" => world.node_mut(name)?.keep_cordoned = true,
        other => return Err(format!("{other} is no state of a node")),
    }
    Ok(())
}
