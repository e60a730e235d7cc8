//! From what stands on the wire to the slim views of [`crate::snapshot::views`].

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Meta;
use super::views::{Budget, Claim, Container, ContainerState, Exit, Holder, Job, Lease, Mark, Node, Owner, Pod, Probe, Trouble};
use super::wire;
use crate::labels::release;
use crate::names;
use crate::nodeop::version;
use crate::selector::NodeSelector;

/// Annotations under these prefixes are ours.
const OURS: [&str; 2] = ["operator.kairos.io/", "build.kairos.io/"];

/// The metadata of one of our resources.
pub(crate) fn meta(raw: wire::Metadata) -> Meta {
    Meta {
        owner: owner(&raw),
        namespace: raw.namespace,
        name: raw.name,
        uid: raw.uid,
        resource_version: raw.resource_version,
        generation: raw.generation,
        created: raw.creation_timestamp,
        deleting: raw.deletion_timestamp.is_some(),
        foreign_finalizer: names::FOREIGN_FINALIZERS.iter().any(|foreign| raw.finalizers.iter().any(|name| name == foreign.name)),
        moved: false,
        annotations: raw.annotations.into_iter().filter(|(key, _)| OURS.iter().any(|prefix| key.starts_with(prefix))).collect(),
    }
}

/// A Node.
pub(crate) fn node(raw: wire::Node) -> Node {
    let wire::NodeMetadata { annotations, managed_fields: managed, labels, .. } = raw.metadata;
    let manager =
        |owns: fn(&wire::ManagedFields) -> bool| managed.iter().filter(move |entry| owns(&entry.fields)).map(|entry| entry.manager.clone());
    // Where several own an annotation, ours is the one that counts: it is the one that can be given up.
    let holder = |value: Option<String>, owns| {
        let mut holder = Holder { value: value?, manager: String::new() };
        let ours = names::node_manager(holder.uid());
        holder.manager = manager(owns).find(|name| *name == ours).or_else(|| manager(owns).next()).unwrap_or_default();
        Some(holder)
    };
    let mut cordon_managers: Vec<String> = manager(|fields| fields.spec.unschedulable.is_some()).collect();
    cordon_managers.sort();
    cordon_managers.dedup();
    let mut node = Node {
        name: raw.metadata.name,
        uid: raw.metadata.uid,
        resource_version: raw.metadata.resource_version,
        created: raw.metadata.creation_timestamp,
        marks: BTreeMap::new(),
        unschedulable: raw.spec.unschedulable,
        ready: is_true(&raw.status.conditions, "Ready"),
        boot_id: raw.status.node_info.boot_id,
        probed_boot: annotations.probed_boot.clone(),
        kairos_version: annotations.kairos_version.clone(),
        lock: holder(annotations.lock.clone(), |fields| fields.metadata.annotations.has(names::ANNOTATION_LOCK)),
        cordoned_by: holder(annotations.cordoned_by.clone(), |fields| fields.metadata.annotations.has(names::ANNOTATION_CORDONED_BY)),
        cordon_managers,
        keep_cordoned: annotations.keep_cordoned.as_ref().is_some_and(|value| value != "false"),
        deleting: raw.metadata.deletion_timestamp.is_some(),
        labels,
    };
    // Whose labels they are matters only where a probe is about to say something else; of a large fleet that is hardly a node.
    if !node.is_probed() || node.is_opted_out() {
        node.marks = marks(&node.labels, annotations, &managed, |_| true);
    } else if !managed.is_empty() {
        // Where one has spoken, only a version matters that is not of its telling.
        node.marks = marks(&node.labels, annotations, &managed, |key| version::KEYS.contains(&key));
        node.marks.retain(|_, mark| version::is_foreign(mark));
    }
    node
}

/// What stands on a Node under the keys that a probe reports, and who owns it.
fn marks(
    labels: &BTreeMap<String, String>,
    annotations: wire::NodeAnnotations,
    managed: &[wire::Managed],
    wanted: impl Fn(&str) -> bool,
) -> BTreeMap<String, Mark> {
    let owners = |owns: &dyn Fn(&wire::ManagedMetadata) -> bool| {
        let mut owners: Vec<String> =
            managed.iter().filter(|entry| owns(&entry.fields.metadata)).map(|entry| entry.manager.clone()).collect();
        owners.sort();
        owners.dedup();
        // What nobody is known to own belongs to this name as soon as the first apply comes.
        if managed.is_empty() { vec!["before-first-apply".to_string()] } else { owners }
    };
    let mark = |key: &str, value: &str, managers| (key.to_string(), Mark { value: value.to_string(), managers });
    let labels = release::LABELS.iter().filter(|key| wanted(key)).filter_map(|key| Some((*key, labels.get(*key)?)));
    let labels = labels.map(|(key, value)| mark(key, value, owners(&|metadata| metadata.labels.has(key))));
    let annotations = [
        (names::ANNOTATION_PROBED_BOOT, annotations.probed_boot),
        (names::ANNOTATION_VERSION, annotations.kairos_version),
        ("kairos.io/name", annotations.kairos_name),
        ("kairos.io/id-like", annotations.id_like),
        ("kairos.io/init-version", annotations.init_version),
        ("kairos.io/bug-report-url", annotations.bug_report_url),
        ("kairos.io/home-url", annotations.home_url),
    ];
    let annotations = annotations.into_iter().filter(|(key, _)| wanted(key)).filter_map(|(key, value)| Some((key, value?)));
    let annotations = annotations.map(|(key, value)| mark(key, &value, owners(&|metadata| metadata.annotations.has(key))));
    labels.chain(annotations).collect()
}

/// A probe Job; its pod is still to be found.
pub(crate) fn probe(raw: wire::Job) -> Probe {
    let annotation = |key: &str| raw.metadata.annotations.get(key).cloned();
    Probe {
        boot_id: annotation(names::ANNOTATION_BOOT_ID).unwrap_or_default(),
        attempt: annotation(names::ANNOTATION_ATTEMPT).and_then(|attempt| attempt.parse().ok()).unwrap_or(0),
        pod: None,
        job: job(raw),
    }
}

/// A Job.
pub(crate) fn job(raw: wire::Job) -> Job {
    let conditions = &raw.status.conditions;
    let failed = ["Failed", "FailureTarget"].iter().find_map(|kind| condition(conditions, kind));
    Job {
        owner: owner(&raw.metadata),
        node: raw.spec.template.spec.node_name,
        run: raw.metadata.labels.get(names::LABEL_RUN).and_then(|run| run.parse().ok()),
        created: raw.metadata.creation_timestamp,
        held: raw.spec.suspend || raw.spec.parallelism == Some(0),
        deleting: raw.metadata.deletion_timestamp.is_some(),
        complete: is_true(conditions, "Complete") || is_true(conditions, "SuccessCriteriaMet"),
        failed: failed.map(|condition| Trouble { reason: condition.reason.clone(), message: condition.message.clone() }),
        ttl_seconds: raw.spec.ttl_seconds_after_finished,
        warnings: Vec::new(),
        namespace: raw.metadata.namespace,
        name: raw.metadata.name,
        uid: raw.metadata.uid,
        resource_version: raw.metadata.resource_version,
    }
}

/// A Pod.
pub(crate) fn pod(raw: wire::Pod) -> Pod {
    let status = &raw.status;
    let trouble = Trouble { reason: status.reason.clone(), message: status.message.clone() };
    let init = raw.spec.init_containers.iter().map(|named| container(&named.name, true, &status.init_container_statuses));
    let others = raw.spec.containers.iter().map(|named| container(&named.name, false, &status.container_statuses));
    Pod {
        owner: owner(&raw.metadata),
        node: raw.spec.node_name,
        created: raw.metadata.creation_timestamp,
        trouble: Some(trouble).filter(|trouble| *trouble != Trouble::default()),
        ready: is_true(&status.conditions, "Ready"),
        deleted: asked_to_go(&raw.metadata),
        rebooted: raw.metadata.annotations.get(names::ANNOTATION_REBOOT_STATE).is_some_and(|state| state == "completed"),
        approved: raw.metadata.annotations.get(names::ANNOTATION_REBOOT_APPROVED).cloned(),
        mirror: raw.metadata.annotations.contains_key("kubernetes.io/config.mirror"),
        empty_dir: raw.spec.volumes.iter().any(|volume| volume.empty_dir.is_some()),
        containers: init.chain(others).collect(),
        warnings: Vec::new(),
        phase: raw.status.phase,
        namespace: raw.metadata.namespace,
        name: raw.metadata.name,
        uid: raw.metadata.uid,
        labels: raw.metadata.labels,
    }
}

/// A PodDisruptionBudget.
pub(crate) fn budget(raw: wire::Budget) -> Budget {
    Budget {
        current: raw.status.observed_generation >= raw.metadata.generation,
        namespace: raw.metadata.namespace,
        name: raw.metadata.name,
        selector: raw.spec.selector.and_then(|selector| serde_json::from_value::<NodeSelector>(selector).ok()),
        min_available: raw.spec.min_available.and_then(int_or_percent),
        max_unavailable: raw.spec.max_unavailable.and_then(int_or_percent),
        allowed: raw.status.disruptions_allowed,
        healthy: raw.status.current_healthy,
        desired: raw.status.desired_healthy,
        unready_may_go: raw.spec.unhealthy_pod_eviction_policy == "AlwaysAllow",
    }
}

/// A PersistentVolumeClaim.
pub(crate) fn claim(raw: wire::Bare) -> Claim {
    Claim {
        // The existing operator's are no controller's.
        owner: raw.metadata.owner_references.first().map(|owner| Owner {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        }),
        deleting: raw.metadata.deletion_timestamp.is_some(),
        namespace: raw.metadata.namespace,
        name: raw.metadata.name,
    }
}

/// A number of pods as `3`, a share of them as `50%`.
fn int_or_percent(value: Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A Lease, if somebody holds it at that time.
pub(crate) fn held(raw: wire::Lease, now: Timestamp) -> Option<Lease> {
    let lasts = SignedDuration::from_secs(raw.spec.lease_duration_seconds);
    let until = raw.spec.renew_time?.checked_add(lasts).unwrap_or(Timestamp::MAX);
    let held = until >= now && !raw.spec.holder_identity.is_empty();
    Some(Lease { namespace: raw.metadata.namespace, holder: raw.spec.holder_identity }).filter(|_| held)
}

/// An Event: when it was last seen, and what it says.
pub(crate) fn event(raw: wire::Event) -> (Option<Timestamp>, Trouble) {
    let series = raw.series.and_then(|series| series.last_observed_time);
    let when = [series, raw.last_timestamp, raw.event_time, raw.metadata.creation_timestamp].into_iter().flatten().max();
    (when, Trouble { reason: raw.reason, message: raw.message })
}

pub(crate) fn owner(metadata: &wire::Metadata) -> Option<Owner> {
    let owner = metadata.controller()?;
    Some(Owner { kind: owner.kind.clone(), name: owner.name.clone(), uid: owner.uid.clone() })
}

/// When a pod was asked to go: its deletionTimestamp lies its grace period later.
fn asked_to_go(metadata: &wire::Metadata) -> Option<Timestamp> {
    let gone = metadata.deletion_timestamp?;
    Some(gone.checked_sub(SignedDuration::from_secs(metadata.deletion_grace_period_seconds)).unwrap_or(gone))
}

fn container(name: &str, init: bool, statuses: &[wire::ContainerStatus]) -> Container {
    let Some(status) = statuses.iter().find(|status| status.name == name) else {
        return Container { name: name.into(), init, ..Container::default() };
    };
    let state = match &status.state {
        wire::ContainerState { terminated: Some(ended), .. } => ContainerState::Ended(exit(ended)),
        wire::ContainerState { running: Some(_), .. } => ContainerState::Running,
        wire::ContainerState { waiting: Some(waiting), .. } => {
            ContainerState::Waiting(Trouble { reason: waiting.reason.clone(), message: waiting.message.clone() })
        }
        _ => ContainerState::Unknown,
    };
    Container { name: name.into(), init, restarts: status.restart_count, state, last_exit: status.last_state.terminated.as_ref().map(exit) }
}

fn exit(ended: &wire::Terminated) -> Exit {
    Exit { code: ended.exit_code, reason: ended.reason.clone(), message: ended.message.clone(), started: ended.started_at }
}

fn condition<'a>(conditions: &'a [wire::Condition], kind: &str) -> Option<&'a wire::Condition> {
    conditions.iter().find(|condition| condition.kind == kind && condition.status == "True")
}

fn is_true(conditions: &[wire::Condition], kind: &str) -> bool {
    condition(conditions, kind).is_some()
}
