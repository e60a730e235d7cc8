//! Every text in a snapshot file, and what it is. Types are taken apart field by field and without `..`, so that a new field
//! does not compile before somebody has thought about what it tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dictionary::Class::{self, Budget as BudgetName, Job as JobName, Namespace, Operation, Uid, Value};
use super::words::text;
use crate::artifact::report::Report as BuildReport;
use crate::labels::report::Report;
use crate::names;
use crate::nodeop::rebooting::boot_id;
use crate::selector::{NodeSelector, Requirement};
use crate::snapshot::file::SnapshotFile;
use crate::snapshot::views::{Budget, Claim, Container, ContainerState, Exit, Holder, Job, Lease, Mark, Node, Owner, Pod, Probe, Trouble};
use crate::snapshot::{Reference, Snapshot, Unreadable};

/// What is done with each text.
pub type Visit<'v> = dyn FnMut(Class, &mut String) + 'v;

/// Values of labels that everybody knows: they are asked for by selectors that people paste into bug reports.
const KNOWN_VALUES: [&str; 15] = [
    "true", "false", "linux", "windows", "amd64", "arm64", "arm", "riscv64", "ppc64le", "s390x", "active", "passive", "recovery", "livecd",
    "live",
];
/// Labels under these domains, and below them, are Kubernetes', Kairos' or k3OS' own.
const KNOWN_DOMAINS: [&str; 3] = ["kubernetes.io", "kairos.io", "k3os.io"];
/// Containers that are not people's.
const KNOWN_CONTAINERS: [&str; 21] = [
    names::CONTAINER_PROBE,
    names::CONTAINER_NODEOP,
    names::CONTAINER_PREFLIGHT,
    names::CONTAINER_SENTINEL,
    names::CONTAINER_REBOOT,
    names::CONTAINER_RENDER,
    names::CONTAINER_BUILDAH,
    names::CONTAINER_DIGEST,
    "pull-image-baseimage",
    "image-extractor",
    "os-release",
    "kairos-release",
    "build-uki-iso",
    "build-uki-container",
    "build-uki-uki",
    "build-iso",
    "build-netboot",
    "build-cloud-image",
    "build-azure-cloud-image",
    "build-gce-cloud-image",
    "create-image",
];

/// Visits everything in a file.
pub fn file(file: &mut SnapshotFile, visit: &mut Visit<'_>) {
    let SnapshotFile { kind: _, schema_version: _, version: _, snapshot, workload } = file;
    let Snapshot {
        now: _,
        nodes,
        jobs,
        pods,
        probes,
        drains,
        budgets,
        nodeops,
        upgrades,
        channels,
        answers,
        artifacts,
        claims,
        unreadable,
        absent,
        refused,
        lease,
        older: _,
    } = snapshot;
    *nodes = std::mem::take(nodes).into_iter().map(|(mut name, one)| (visit(Class::Node, &mut name), (name, one)).1).collect();
    nodes.values_mut().for_each(|one| node(one, visit));
    jobs.iter_mut().for_each(|one| job(one, visit));
    workload.iter_mut().chain(pods).for_each(|one| pod(one, visit));
    for Probe { job: of, boot_id, attempt: _, pod: its } in probes {
        job(of, visit);
        visit(Uid, boot_id);
        its.iter_mut().for_each(|one| pod(one, visit));
    }
    keys(drains, |name| visit(Class::Node, name));
    drains.values_mut().flatten().for_each(|one| pod(Arc::make_mut(one), visit));
    budgets.iter_mut().for_each(|one| budget(one, visit));
    nodeops.iter_mut().for_each(|one| super::resource::nodeop(one, visit));
    upgrades.iter_mut().for_each(|one| super::resource::upgrade(one, visit));
    channels.iter_mut().for_each(|one| super::channel::channel(one, visit));
    artifacts.iter_mut().for_each(|one| super::artifact::artifact(one, visit));
    for Claim { namespace, name, owner: by, deleting: _ } in claims {
        visit(Namespace, namespace);
        visit(Class::Owner, name);
        by.iter_mut().for_each(|one| owner(one, visit));
    }
    for Unreadable { what, resource_version: _, generation: _, error } in unreadable {
        reference(what, visit);
        text(error, visit);
    }
    *absent = std::mem::take(absent).into_iter().map(|mut what| (reference(&mut what, visit), what).1).collect();
    // They do not outlive their round.
    refused.clear();
    answers.clear();
    if let Some(Lease { namespace, holder }) = lease {
        visit(Namespace, namespace);
        visit(Class::Owner, holder);
    }
}

/// The keys of a map.
pub(super) fn keys<K: Ord + AsRef<str> + From<String>, T>(map: &mut BTreeMap<K, T>, mut each: impl FnMut(&mut String)) {
    let other = |(key, value): (K, T)| {
        let mut key = key.as_ref().to_string();
        each(&mut key);
        (key.into(), value)
    };
    *map = std::mem::take(map).into_iter().map(other).collect();
}

fn node(node: &mut Node, visit: &mut Visit<'_>) {
    let Node {
        name,
        uid,
        resource_version: _,
        created: _,
        labels: with,
        unschedulable: _,
        ready: _,
        boot_id,
        probed_boot,
        kairos_version,
        marks,
        lock,
        cordoned_by,
        cordon_managers,
        keep_cordoned: _,
        deleting: _,
    } = node;
    visit(Class::Node, name);
    visit(Uid, uid);
    visit(Uid, boot_id);
    probed_boot.iter_mut().for_each(|boot| visit(Uid, boot));
    // As with labels of Kairos' own: the values are hashed, that there is one is not.
    kairos_version.iter_mut().for_each(|version| visit(Value, version));
    labels(with, visit);
    for (key, Mark { value: of, managers }) in marks {
        if key == names::ANNOTATION_PROBED_BOOT {
            visit(Uid, of);
        } else {
            value(key, of, visit);
        }
        managers.iter_mut().for_each(|one| manager(one, visit));
    }
    for Holder { value, manager: by } in [lock, cordoned_by].into_iter().flatten() {
        holder(value, visit);
        manager(by, visit);
    }
    cordon_managers.iter_mut().for_each(|one| manager(one, visit));
}

/// `<namespace>/<name>@<uid>`; old versions left out the uid.
fn holder(value: &mut String, visit: &mut Visit<'_>) {
    let (path, uid) = value.split_once('@').map_or((value.as_str(), None), |(path, uid)| (path, Some(uid)));
    let Some((namespace, name)) = path.split_once('/') else { return text(value, visit) };
    let mut part = |class, part: &str| {
        let mut part = part.to_string();
        visit(class, &mut part);
        part
    };
    let path = format!("{}/{}", part(Namespace, namespace), part(Operation, name));
    *value = uid.map_or_else(|| path.clone(), |uid| format!("{path}@{}", part(Uid, uid)));
}

/// A field manager: ours has the uid of its resource in its name; kubectl and the existing operator are no secret.
fn manager(name: &mut String, visit: &mut Visit<'_>) {
    let ours = names::node_manager("");
    if [names::LABELS_MANAGER, names::FOREIGN_MANAGER, "before-first-apply"].contains(&name.as_str()) || name.starts_with("kubectl") {
        return;
    }
    match name.strip_prefix(&ours).map(ToString::to_string) {
        Some(mut uid) => {
            visit(Uid, &mut uid);
            *name = names::node_manager(&uid);
        }
        None => visit(Class::Manager, name),
    }
}

fn job(job: &mut Job, visit: &mut Visit<'_>) {
    let Job {
        namespace,
        name,
        uid,
        resource_version: _,
        owner: by,
        run: _,
        node,
        created: _,
        held: _,
        deleting: _,
        complete: _,
        failed,
        ttl_seconds: _,
        warnings,
    } = job;
    visit(Namespace, namespace);
    visit(JobName, name);
    visit(Uid, uid);
    by.iter_mut().for_each(|one| owner(one, visit));
    visit(Class::Node, node);
    failed.iter_mut().chain(warnings).for_each(|one| trouble(one, visit));
}

fn pod(pod: &mut Pod, visit: &mut Visit<'_>) {
    let Pod {
        namespace,
        name,
        uid,
        owner: by,
        labels: with,
        node,
        created: _,
        phase,
        trouble: why,
        ready: _,
        deleted: _,
        mirror: _,
        rebooted: _,
        approved,
        empty_dir: _,
        containers,
        warnings,
    } = pod;
    visit(Namespace, namespace);
    visit(Class::Pod, name);
    visit(Uid, uid);
    by.iter_mut().for_each(|one| owner(one, visit));
    labels(with, visit);
    visit(Class::Node, node);
    text(phase, visit);
    approved.iter_mut().for_each(|boot| visit(Uid, boot));
    why.iter_mut().chain(warnings).for_each(|one| trouble(one, visit));
    containers.iter_mut().for_each(|one| container(one, visit));
}

fn container(container: &mut Container, visit: &mut Visit<'_>) {
    let Container { name, init: _, restarts: _, state, last_exit } = container;
    if !KNOWN_CONTAINERS.contains(&name.as_str()) {
        visit(Class::Container, name);
    }
    match state {
        ContainerState::Unknown | ContainerState::Running => {}
        ContainerState::Waiting(why) => trouble(why, visit),
        // What was built: a file's name stands in messages, too.
        ContainerState::Ended(how) if *name == names::CONTAINER_DIGEST && how.code == 0 => {
            let mut told = BuildReport::parse(&how.message);
            told.files.iter_mut().for_each(|file| {
                visit(Class::Argument, &mut file.name);
                file.digest.iter_mut().for_each(|digest| visit(Uid, digest));
            });
            how.message = told.message(usize::MAX);
        }
        // It tells the boot id that the node has, or had.
        ContainerState::Ended(how) if *name == names::CONTAINER_SENTINEL && boot_id(&how.message).is_some() => {
            how.message = how.message.trim().to_string();
            visit(Uid, &mut how.message);
        }
        ContainerState::Ended(how) if *name == names::CONTAINER_PROBE => match Report::parse(&how.message) {
            Some(mut told) => {
                visit(Uid, &mut told.boot_id);
                told.labels.iter_mut().chain(&mut told.annotations).for_each(|(key, one)| value(key, one, visit));
                how.message = told.message();
            }
            None => exit(how, visit),
        },
        ContainerState::Ended(how) => exit(how, visit),
    }
    last_exit.iter_mut().for_each(|how| exit(how, visit));
}

fn exit(exit: &mut Exit, visit: &mut Visit<'_>) {
    let Exit { code: _, reason, message, started: _ } = exit;
    text(reason, visit);
    text(message, visit);
}

fn trouble(trouble: &mut Trouble, visit: &mut Visit<'_>) {
    let Trouble { reason, message } = trouble;
    text(reason, visit);
    text(message, visit);
}

fn budget(budget: &mut Budget, visit: &mut Visit<'_>) {
    let Budget {
        namespace,
        name,
        selector: over,
        min_available,
        max_unavailable,
        allowed: _,
        healthy: _,
        desired: _,
        unready_may_go: _,
        current: _,
    } = budget;
    visit(Namespace, namespace);
    visit(BudgetName, name);
    over.iter_mut().for_each(|one| selector(one, visit));
    let is_count = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'%');
    [min_available, max_unavailable].into_iter().flatten().filter(|text| !is_count(text)).for_each(|text| visit(Value, text));
}

fn reference(what: &mut Reference, visit: &mut Visit<'_>) {
    let Reference { kind, namespace, name, uid } = what;
    named(kind, name, visit);
    visit(Namespace, namespace);
    visit(Uid, uid);
}

pub(super) fn owner(owner: &mut Owner, visit: &mut Visit<'_>) {
    let Owner { kind, name, uid } = owner;
    named(kind, name, visit);
    visit(Uid, uid);
}

/// A name, by its kind.
fn named(kind: &mut String, name: &mut String, visit: &mut Visit<'_>) {
    let class = match kind.as_str() {
        "Node" => Class::Node,
        "NodeOp" | "NodeOpUpgrade" | "OSArtifact" | "UpdateChannel" => Operation,
        "Job" => JobName,
        "Pod" => Class::Pod,
        _ => Class::Owner,
    };
    visit(class, name);
    text(kind, visit);
}

/// A selector over labels, hashed like these.
pub(super) fn selector(selector: &mut NodeSelector, visit: &mut Visit<'_>) {
    let NodeSelector { match_labels, match_expressions } = selector;
    labels(match_labels, visit);
    for Requirement { key, operator: _, values } in match_expressions {
        values.iter_mut().for_each(|one| value(key, one, visit));
        label_key(key, visit);
    }
}

fn labels(labels: &mut BTreeMap<String, String>, visit: &mut Visit<'_>) {
    labels.iter_mut().for_each(|(key, one)| value(key, one, visit));
    keys(labels, |key| label_key(key, visit));
}

/// A label's key: those of Kubernetes and Kairos say nothing about anybody.
pub(super) fn label_key(key: &mut String, visit: &mut Visit<'_>) {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let is_known = |known: &&str| domain.strip_suffix(*known).is_some_and(|below| below.is_empty() || below.ends_with('.'));
    if !KNOWN_DOMAINS.iter().any(is_known) {
        visit(Class::Key, key);
    }
}

/// A label's value. One that is the name of something becomes what that name becomes.
fn value(key: &str, value: &mut String, visit: &mut Visit<'_>) {
    let is_run = key == names::LABEL_RUN && value.parse::<i64>().is_ok();
    if !is_run && !KNOWN_VALUES.contains(&value.as_str()) {
        visit(Value, value);
    }
}
