//! `decide` without a cluster: cases and stories as tables (`tests/decide/*.yaml`), properties, and sizes.
//!
//! A case is a small world and what is decided in it. A story goes on from there: what was decided is carried out on the
//! world by a tiny fold ([`story`]), something happens, and the next round decides.

mod artifacts;
mod channels;
mod expect;
mod hashed;
mod nodes;
mod overlaps;
mod pods;
mod probes;
mod properties;
mod reboots;
mod shorthand;
mod sizes;
mod story;

use std::path::Path;

use rounds::decide::decide;
use rounds::nodeop::api::NodeOpStatus;
use rounds::plan::{Action, Plan, StatusWrite, TakeOver};
use rounds::snapshot::Snapshot;
use rounds::snapshot::views::Owner;
use serde::Deserialize;

use expect::Expect;
use shorthand::World;

/// One case: a world, what is decided in it, and what happens after that.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    name: String,
    #[serde(flatten)]
    world: shorthand::Words,
    #[serde(default)]
    expect: Expect,
    /// The rounds that follow.
    #[serde(default)]
    then: Vec<Chapter>,
}

/// One further round of a story.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Chapter {
    /// What happens before the round.
    #[serde(default, rename = "do")]
    events: Vec<String>,
    /// Rounds until nothing is written any more.
    #[serde(default)]
    until_quiet: bool,
    #[serde(default)]
    expect: Expect,
}

#[test]
fn every_case_is_decided_as_its_table_says() {
    let mut failures = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    #[expect(clippy::disallowed_methods, reason = "a person who works on one case runs that one: CASE=words of its name")]
    let only = std::env::var("CASE").ok();
    for (file, case) in cases() {
        assert!(names.insert(case.name.clone()), "{file}: two cases are called {:?}", case.name);
        if only.as_ref().is_some_and(|only| !case.name.contains(only)) {
            continue;
        }
        if let Err(error) = run(&case, &mut |_| {}) {
            failures.push(format!("--- {file}: {}\n{error}", case.name));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases fail\n{}", failures.len(), names.len(), failures.join("\n"));
    assert!(names.len() >= 70 || only.is_some(), "only {} cases were found", names.len());
}

/// All cases, each with its file's name.
fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decide");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: std::path::PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let file = file.file_name().unwrap().to_string_lossy().into_owned();
        let cases: Vec<Case> = rounds::yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        cases.into_iter().map(move |case| (file.clone(), case))
    };
    files.into_iter().flat_map(read).collect()
}

/// Every status that is decided in any round of any case, for those who judge it.
pub fn statuses() -> Vec<StatusWrite> {
    let mut all = Vec::new();
    for (file, case) in cases() {
        let mut keep = |plan: &Plan| all.extend(plan.decisions.iter().filter_map(|decision| decision.status.clone()));
        run(&case, &mut keep).unwrap_or_else(|error| panic!("{file}: {}: {error}", case.name));
    }
    all
}

fn run(case: &Case, seen: &mut dyn FnMut(&Plan)) -> Result<(), String> {
    let mut world = case.world.build()?;
    let plan = decided(&world)?;
    seen(&plan);
    case.expect.check(&world, &plan).map_err(|error| format!("round 1:\n{error}"))?;
    story::apply(&mut world, &plan);
    for (index, chapter) in case.then.iter().enumerate() {
        let place = |error: String| format!("round {} (after {:?}):\n{error}", index + 2, chapter.events);
        for event in &chapter.events {
            story::happen(&mut world, event).map_err(place)?;
        }
        world.look();
        let mut plan = decided(&world).map_err(place)?;
        for _ in 0..60 {
            if !chapter.until_quiet || plan.is_empty() {
                break;
            }
            seen(&plan);
            story::apply(&mut world, &plan);
            world.look();
            plan = decided(&world).map_err(place)?;
        }
        seen(&plan);
        chapter.expect.check(&world, &plan).map_err(place)?;
        story::apply(&mut world, &plan);
    }
    Ok(())
}

/// What is decided in a world, and what must be true of every decision whatever the case.
fn decided(world: &World) -> Result<Plan, String> {
    let plan = decide(&world.snapshot, &world.settings);
    if plan != decide(&world.snapshot, &world.settings) {
        return Err("the same snapshot gives two plans".into());
    }
    rules(&world.snapshot, &plan)?;
    // Answers do not outlive their round, and are in no file.
    if world.snapshot.answers.is_empty() {
        hashed::same_without_names(&world.snapshot, &world.settings, &plan, true)?;
    }
    comes_to_rest(world, &plan)?;
    Ok(plan)
}

/// Rules that hold for every plan.
fn rules(snapshot: &Snapshot, plan: &Plan) -> Result<(), String> {
    let mut claimed = std::collections::BTreeMap::new();
    for decision in &plan.decisions {
        for action in decision.steps.iter().flat_map(|step| &step.actions) {
            let bound = match action {
                Action::Create { .. } => true,
                Action::TakeOver(take) => !take.node.uid.is_empty() && !take.resource_version.is_empty(),
                Action::LabelNode(write) => !write.node.uid.is_empty() && !write.resource_version.is_empty(),
                Action::ApplyNode(apply) => !apply.node.uid.is_empty() && !apply.resource_version.is_empty(),
                Action::Patch { what, .. } | Action::Delete { what, .. } => !what.uid.is_empty(),
                Action::Evict { pod, .. } => !pod.uid.is_empty(),
            };
            if !bound {
                return Err(format!("not bound to a uid: {action:?}"));
            }
            if let Action::TakeOver(take) = action {
                takes_only_what_was_left(snapshot, take)?;
            }
        }
        let Some(resource) = snapshot.nodeops.iter().find(|resource| resource.meta.uid == decision.subject.uid) else { continue };
        let after = status_after(snapshot, plan, &resource.meta.name);
        let before = &resource.status.node_statuses;
        let new: Vec<_> = after
            .node_statuses
            .iter()
            .filter(|(name, entry)| entry.step.is_some() && before.get(*name).is_none_or(|before| before.step.is_none()))
            // The existing operator's own runs are awaited, not begun.
            .filter(|_| resource.status.spec_hash.is_some() || before.is_empty())
            .collect();
        let flying = after.node_statuses.values().filter(|entry| entry.step.is_some()).count();
        let limit = match resource.spec.concurrency.unwrap_or(0) {
            0 => 2000,
            limit => usize::try_from(limit).unwrap(),
        };
        if !new.is_empty() && flying > limit {
            return Err(format!("{flying} nodes in flight where {limit} are allowed"));
        }
        for (node, _) in new {
            if let Some(other) = claimed.insert(node.clone(), resource.meta.path()) {
                return Err(format!("{other} and {} both claim {node}", resource.meta.path()));
            }
        }
    }
    Ok(())
}

/// Nobody's cordon but the existing operator's is lifted, and not while it or anything of the operation is at work.
fn takes_only_what_was_left(snapshot: &Snapshot, take: &TakeOver) -> Result<(), String> {
    let node = &snapshot.nodes[&take.node.name];
    let mark = node.cordoned_by.as_ref().filter(|mark| mark.manager == "manager").ok_or("a mark that is not its own is taken")?;
    let owner = |owner: &Option<Owner>| owner.as_ref().is_some_and(|owner| owner.uid == mark.uid());
    let busy = snapshot.jobs.iter().any(|job| job.node == node.name && owner(&job.owner) && !job.held && !job.is_finished());
    let persons = node.keep_cordoned && node.unschedulable || take.uncordon && node.cordon_managers != ["manager"];
    match () {
        () if snapshot.lease.is_some() => Err("it is at work".into()),
        () if persons => Err(format!("the cordon of a person on {} is lifted", node.name)),
        () if busy => Err(format!("{} is uncordoned under a Job", node.name)),
        () => Ok(()),
    }
}

/// Statuses written again and again into a world that does not change come to rest: nothing flaps.
fn comes_to_rest(world: &World, plan: &Plan) -> Result<(), String> {
    let mut snapshot = world.snapshot.clone();
    let mut plan = plan.clone();
    for _ in 0..12 {
        if plan.decisions.iter().all(|decision| decision.status.is_none()) {
            return Ok(());
        }
        crate::fleet::write_statuses(&mut snapshot, &plan);
        snapshot.answers.clear();
        plan = decide(&snapshot, &world.settings);
    }
    Err("the status never comes to rest in a world that does not change".into())
}

/// The status of a NodeOp after a plan.
fn status_after(snapshot: &Snapshot, plan: &Plan, op: &str) -> NodeOpStatus {
    let resource = snapshot.nodeops.iter().find(|resource| resource.meta.name == op).expect("no such NodeOp in the case");
    let decision = plan.decisions.iter().find(|decision| decision.subject.uid == resource.meta.uid);
    match decision.and_then(|decision| decision.status.as_ref()) {
        Some(write) => write.status.read().expect("a status that is not one"),
        None => resource.status.clone(),
    }
}
