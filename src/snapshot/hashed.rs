//! A snapshot without names: for bug reports that leave the company. What is decided about it is what was decided before,
//! about other names.
//!
//! - [`walk`], [`resource`] and [`artifact`]: every text, and what it is. - [`words`]: sentences. - [`dictionary`]: from names to hashes.

mod artifact;
mod channel;
mod dictionary;
mod resource;
mod walk;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::artifact::decide::Artifact;
use crate::artifact::spec_hash::spec_hash as artifact_hash;
use crate::channel::status::hash as channel_hash;
use crate::channel::{Channel, image, k3os, poll};
use crate::names;
use crate::nodeop::api::{NodeOpSpec, NodeOpStatus};
use crate::nodeop::spec_hash::spec_hash;
use crate::nodeop::version::is_same;
use crate::resolve::order;
use crate::snapshot::file::SnapshotFile;
use crate::snapshot::{Resource, Snapshot};
use crate::upgrade::bond;
use crate::upgrade::child::{self, Child, Upgrade};
use dictionary::{Class, Dictionary};

/// How many exporters an artifact may have.
const EXPORTERS: usize = 64;
/// How often a run makes another Job at most because no pod of the last one was admitted.
const ATTEMPTS: i64 = 3;

/// Replaces, by hashes that are the same wherever the same text stands: names, label values, uids, commands, images, and
/// the words of messages that are not Rounds' or Kubernetes' own. Kept are times, numbers, phases, reasons, steps, and the
/// keys of labels under kubernetes.io and kairos.io.
///
/// Returns what became of each text.
pub fn hash_names(file: &mut SnapshotFile) -> BTreeMap<String, String> {
    let mut dictionary = Dictionary::default();
    // Which of two versions is the older one is nothing that hashes could tell.
    let ordered = !file.snapshot.channels.is_empty();
    let is_version = |text: &str| order::parse(text).is_some();
    walk::file(file, &mut |class, text| {
        let kept = ordered && is_version(text);
        if !text.is_empty() && !kept && (class != Class::Word || words::is_telling(text)) {
            dictionary.add(class, text);
        }
    });
    let mut hashes = dictionary.deal();
    let of_channels: Vec<(String, String)> = file.snapshot.channels.iter().filter_map(|channel| k3os_name(channel, &hashes)).collect();
    hashes.extend(of_channels);
    let made = made_names(&file.snapshot, &hashes);
    hashes.extend(made);
    // Where a status speaks of the spec as it is, it must do so still.
    let is_current = |resource: &Resource<NodeOpSpec, NodeOpStatus>| resource.status.spec_hash.as_ref() == Some(&spec_hash(&resource.spec));
    let current: Vec<bool> = file.snapshot.nodeops.iter().map(is_current).collect();
    let upgrades: Vec<bool> =
        file.snapshot.upgrades.iter().map(|one| one.status.spec_hash.as_ref() == Some(&child::hash(&one.spec))).collect();
    let is_built = |one: &Artifact| one.status.spec_hash.as_ref() == Some(&artifact_hash(&one.spec));
    let built: Vec<bool> = file.snapshot.artifacts.iter().map(is_built).collect();
    let rendered: Vec<bool> =
        file.snapshot.upgrades.iter().map(|upgrade| image_of(&file.snapshot, upgrade).as_ref() == Some(&upgrade.spec.image)).collect();
    let asked: Vec<Vec<Option<usize>>> = who_asks(&file.snapshot.channels);
    let settled: Vec<bool> =
        file.snapshot.channels.iter().map(|channel| channel.status.spec_hash.as_ref() == Some(&channel_hash(channel))).collect();
    let unchanged: Vec<bool> = file.snapshot.nodeops.iter().map(|op| is_as_made(&file.snapshot, op)).collect();
    walk::file(file, &mut |_, text| {
        if let Some(hash) = hashes.get(text) {
            text.clone_from(hash);
        }
    });
    render_again(&mut file.snapshot, &rendered);
    for (resource, _) in file.snapshot.nodeops.iter_mut().zip(current).filter(|(_, current)| *current) {
        resource.status.spec_hash = Some(spec_hash(&resource.spec));
    }
    for (upgrade, _) in file.snapshot.upgrades.iter_mut().zip(upgrades).filter(|(_, current)| *current) {
        upgrade.status.spec_hash = Some(child::hash(&upgrade.spec));
    }
    for (artifact, _) in file.snapshot.artifacts.iter_mut().zip(built).filter(|(_, built)| *built) {
        artifact.status.spec_hash = Some(artifact_hash(&artifact.spec));
    }
    let asks: Vec<String> = file.snapshot.channels.iter().map(|channel| poll::asked(&channel.spec)).collect();
    for ((channel, asked), current) in file.snapshot.channels.iter_mut().zip(asked).zip(settled) {
        let part = |(part, who): (usize, &Option<usize>)| who.and_then(|who| poll::part(&asks[who], part)).unwrap_or("other");
        let parts: Vec<&str> = asked.iter().enumerate().map(part).collect();
        channel.status.asked = channel.status.asked.take().map(|_| parts.join("."));
        channel.status.spec_hash = current.then(|| channel_hash(channel)).or(channel.status.spec_hash.take());
    }
    let made_from: Vec<Option<String>> = file.snapshot.nodeops.iter().map(|op| made_from(&file.snapshot, op)).collect();
    for ((op, made_from), _) in file.snapshot.nodeops.iter_mut().zip(made_from).zip(unchanged).filter(|(_, unchanged)| *unchanged) {
        op.meta.annotations.extend(made_from.map(|made_from| (names::ANNOTATION_MADE_FROM.to_string(), made_from)));
    }
    hashes
}

/// What becomes of the name of a channel's NodeOp for k3OS nodes, where there is one of that name.
fn k3os_name(channel: &Channel, hashes: &BTreeMap<String, String>) -> Option<(String, String)> {
    let name = k3os::name(&channel.meta.name);
    let hashed = hashes.get(&channel.meta.name).map(|hash| k3os::name(hash))?;
    hashes.contains_key(&name).then_some((name, hashed))
}

/// The image that the channel of an upgrade makes of its version.
fn image_of(snapshot: &Snapshot, upgrade: &Upgrade) -> Option<String> {
    let owner = upgrade.meta.owner.as_ref()?;
    let channel = snapshot.channels.iter().find(|channel| channel.meta.uid == owner.uid)?;
    image::render(channel.spec.image.as_deref()?, upgrade.meta.annotations.get(names::ANNOTATION_CHANNEL_VERSION)?).ok()
}

/// The images that came of templates come of the hashed ones, and stand in what those upgrades have made.
fn render_again(snapshot: &mut Snapshot, rendered: &[bool]) {
    let images: Vec<Option<String>> = snapshot.upgrades.iter().map(|upgrade| image_of(snapshot, upgrade)).collect();
    for ((upgrade, image), _) in snapshot.upgrades.iter_mut().zip(images).zip(rendered).filter(|(_, rendered)| **rendered) {
        let Some(image) = image else { continue };
        let old = std::mem::replace(&mut upgrade.spec.image, image.clone());
        let uid = &upgrade.meta.uid;
        let made = snapshot.nodeops.iter_mut().filter(|op| op.meta.owner.as_ref().is_some_and(|owner| owner.uid == *uid));
        made.filter(|op| op.spec.image.as_ref() == Some(&old)).for_each(|op| op.spec.image = Some(image.clone()));
    }
}

/// Of each channel, part by part of what it asked last: which channel asks so now, itself before others. What a server has
/// told a channel whose URL was edited since holds for those that name it.
fn who_asks(channels: &[Channel]) -> Vec<Vec<Option<usize>>> {
    let asks: Vec<String> = channels.iter().map(|channel| poll::asked(&channel.spec)).collect();
    let who = |at: usize, channel: &Channel| {
        let last = channel.status.asked.as_deref().unwrap_or_default();
        let who = |part: usize| {
            let asked = poll::part(last, part).filter(|asked| !asked.is_empty())?;
            std::iter::once(at).chain(0..asks.len()).find(|other| poll::part(&asks[*other], part) == Some(asked))
        };
        (0..asks[at].split('.').count()).map(who).collect()
    };
    channels.iter().enumerate().map(|(at, channel)| who(at, channel)).collect()
}

/// From what an upgrade, or a channel, would have made a NodeOp that is as this one is.
fn made_from(snapshot: &Snapshot, op: &Child) -> Option<String> {
    if let Some(channel) = op.meta.owner.as_ref().and_then(|owner| snapshot.channels.iter().find(|one| one.meta.uid == owner.uid)) {
        let version = op.meta.annotations.get(names::ANNOTATION_CHANNEL_VERSION)?;
        return Some(k3os::made_from(channel, version, &op.spec));
    }
    Some(child::made_from(&bond::upgrade_of(snapshot, &op.meta)?.spec, &op.spec))
}

/// Whether neither the upgrade nor what it has made was changed since.
fn is_as_made(snapshot: &Snapshot, op: &Child) -> bool {
    let told = op.meta.annotations.get(names::ANNOTATION_MADE_FROM);
    told.is_some() && told == made_from(snapshot, op).as_ref()
}

/// What becomes of names that Rounds itself makes: a decision makes them from the hashed ones, and looks for them.
fn made_names(snapshot: &Snapshot, hashes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut made = BTreeMap::new();
    let hashed = |text: &str| hashes.get(text).cloned().unwrap_or_else(|| text.to_string());
    for resource in &snapshot.nodeops {
        let op = &resource.meta;
        for Made { node, node_uid, run, attempt } in claims(snapshot, resource) {
            let before = (op.name.as_str(), op.uid.as_str(), node, node_uid);
            let after = (hashed(before.0), hashed(before.1), hashed(before.2), hashed(before.3));
            let job = |op: &str, uid: &str, node: &str, node_uid: &str| names::job_name(op, uid, node, node_uid, run, attempt);
            let preflight = |op: &str, uid: &str, node: &str, node_uid: &str| names::preflight_name(op, uid, node, node_uid, run);
            let reboot = |op: &str, uid: &str, node: &str, node_uid: &str| names::reboot_name(op, uid, node, node_uid, run, attempt);
            made.insert(reboot(before.0, before.1, before.2, before.3), reboot(&after.0, &after.1, &after.2, &after.3));
            made.insert(job(before.0, before.1, before.2, before.3), job(&after.0, &after.1, &after.2, &after.3));
            made.insert(preflight(before.0, before.1, before.2, before.3), preflight(&after.0, &after.1, &after.2, &after.3));
        }
    }
    for Resource { meta, status, .. } in &snapshot.artifacts {
        let (name, uid) = (hashed(&meta.name), hashed(&meta.uid));
        made.insert(names::claim_name(&meta.name), names::claim_name(&name));
        for run in 1..=status.run.unwrap_or(0).saturating_add(1) {
            made.insert(names::build_name(&meta.name, &meta.uid, run), names::build_name(&name, &uid, run));
            for index in 0..EXPORTERS {
                made.insert(names::export_name(&meta.name, &meta.uid, index, run), names::export_name(&name, &uid, index, run));
            }
        }
        made.extend((0..EXPORTERS).map(|index| (format!("{}-export-{index}", meta.name), format!("{name}-export-{index}"))));
    }
    // A version stands on a node in parts, and as one word where it is expected.
    for node in snapshot.nodes.values() {
        let mut after = node.clone();
        after.kairos_version = after.kairos_version.map(|version| hashed(&version));
        after.labels.values_mut().for_each(|value| *value = hashes.get(value).unwrap_or(value).clone());
        let (Some(before), Some(after)) = (node.version(), after.version()) else { continue };
        made.extend(hashes.keys().filter(|text| is_same(text, &before)).map(|text| (text.clone(), after.clone())));
    }
    made.retain(|name, _| hashes.contains_key(name));
    made
}

/// What the name of a Job is made of, beside its operation.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Made<'a> {
    node: &'a str,
    node_uid: &'a str,
    run: i64,
    attempt: i64,
}

/// All claims of an operation of which something is in the snapshot, and some of which nothing is.
fn claims<'a>(snapshot: &'a Snapshot, resource: &'a Resource<NodeOpSpec, NodeOpStatus>) -> BTreeSet<Made<'a>> {
    let (op, entries) = (&resource.meta, &resource.status.node_statuses);
    let owned = |owner: Option<&str>| owner == Some(op.uid.as_str());
    let jobs = snapshot.jobs.iter().filter(|job| owned(job.owner.as_ref().map(|owner| owner.uid.as_str())));
    let jobs = jobs.filter_map(|job| Some((job.node.as_str(), job.run?)));
    let pods = snapshot.pods.iter().filter(|pod| owned(pod.labels.get(names::LABEL_OWNER_UID).map(String::as_str)));
    let pods = pods.filter_map(|pod| Some((pod.node.as_str(), pod.labels.get(names::LABEL_RUN)?.parse().ok()?)));
    let present = resource.status.run.unwrap_or(1);
    let recorded = entries.iter().map(|(node, entry)| (&**node, entry.run.unwrap_or(present)));
    let runs: BTreeSet<(&str, i64)> = jobs.chain(pods).chain(recorded).collect();
    let uids = |node: &str| {
        let there = snapshot.nodes.get(node).map(|node| node.uid.as_str());
        let claimed = entries.get(node).and_then(|entry| entry.node_uid.as_deref());
        [there, claimed].into_iter().flatten()
    };
    let claims = runs.into_iter().flat_map(|(node, run)| uids(node).map(move |node_uid| (node, node_uid, run)));
    claims.flat_map(|(node, node_uid, run)| (0..=ATTEMPTS).map(move |attempt| Made { node, node_uid, run, attempt })).collect()
}
