//! Every text in a resource of ours; see [`super::walk`].

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::dictionary::Class::{self, Argument, Image, Namespace, Operation, Path, Secret, Uid, Value};
use super::walk::{Visit, keys, owner, selector};
use super::words::text;
use crate::nodeop::api::{DrainOptions, NodeOpSpec, NodeOpStatus, NodeStatus, NodeStatuses, Preflight, PullSecret};
use crate::rollout::{Reboot, Rollout};
use crate::snapshot::{Meta, Resource};
use crate::upgrade::api::{NodeOpUpgradeSpec, NodeOpUpgradeStatus};

/// Where a host's root is mounted unless people say otherwise.
const USUAL_PATH: &str = "/host";

/// A NodeOp.
pub fn nodeop(resource: &mut Resource<NodeOpSpec, NodeOpStatus>, visit: &mut Visit<'_>) {
    let Resource { meta: of, spec: wanted, status: written } = resource;
    meta(of, visit);
    spec(wanted, visit);
    status(written, visit);
}

pub(super) fn meta(meta: &mut Meta, visit: &mut Visit<'_>) {
    let Meta {
        namespace,
        name,
        uid,
        resource_version: _,
        generation: _,
        created: _,
        deleting: _,
        foreign_finalizer: _,
        moved: _,
        owner: by,
        annotations,
    } = meta;
    by.iter_mut().for_each(|one| owner(one, visit));
    visit(Namespace, namespace);
    visit(Operation, name);
    visit(Uid, uid);
    // Their keys are ours; only such are kept.
    annotations.values_mut().for_each(|value| visit(Value, value));
}

fn spec(spec: &mut NodeOpSpec, visit: &mut Visit<'_>) {
    let NodeOpSpec {
        node_selector,
        command,
        host_mount_path,
        image,
        image_pull_secrets,
        cordon: _,
        uncordon_on_failure: _,
        drain_options,
        reboot_on_success: _,
        backoff_limit: _,
        concurrency: _,
        stop_on_failure: _,
        preflight,
        rollout,
    } = spec;
    node_selector.iter_mut().for_each(|one| selector(one, visit));
    command.iter_mut().for_each(|word| visit(Argument, word));
    host_mount_path.iter_mut().filter(|path| *path != USUAL_PATH).for_each(|path| visit(Path, path));
    image.iter_mut().for_each(|one| visit(Image, one));
    image_pull_secrets.iter_mut().for_each(|PullSecret { name }| visit(Secret, name));
    if let Some(Preflight { command, image, active_deadline_seconds: _ }) = preflight {
        command.iter_mut().for_each(|word| visit(Argument, word));
        image.iter_mut().for_each(|one| visit(Image, one));
    }
    rollout.iter_mut().for_each(|one| self::rollout(one, visit));
    let numbers_only = |drain: &DrainOptions| {
        let DrainOptions {
            enabled: _,
            force: _,
            grace_period_seconds: _,
            ignore_daemon_sets: _,
            delete_empty_dir_data: _,
            timeout_seconds: _,
        } = drain;
    };
    drain_options.iter().for_each(numbers_only);
}

/// A NodeOpUpgrade.
pub fn upgrade(resource: &mut Resource<NodeOpUpgradeSpec, NodeOpUpgradeStatus>, visit: &mut Visit<'_>) {
    let Resource { meta: of, spec, status } = resource;
    meta(of, visit);
    let NodeOpUpgradeSpec {
        image,
        node_selector,
        image_pull_secrets,
        concurrency: _,
        stop_on_failure: _,
        upgrade_active: _,
        upgrade_recovery: _,
        force: _,
        debug: _,
        uncordon_on_failure: _,
        exclude_paths,
        rollout,
    } = spec;
    visit(Image, image);
    node_selector.iter_mut().for_each(|one| selector(one, visit));
    image_pull_secrets.iter_mut().for_each(|PullSecret { name }| visit(Secret, name));
    // They are arguments of a command.
    exclude_paths.iter_mut().for_each(|path| visit(Argument, path));
    rollout.iter_mut().for_each(|one| self::rollout(one, visit));
    let NodeOpUpgradeStatus {
        observed_generation: _,
        phase: _,
        message,
        node_op_name,
        progress,
        current,
        conditions,
        node_statuses,
        spec_hash,
        last_updated: _,
    } = status;
    [message, progress, current].into_iter().flatten().for_each(|one| text(one, visit));
    node_op_name.iter_mut().for_each(|name| visit(Operation, name));
    conditions.iter_mut().for_each(|one| condition(one, visit));
    entries(node_statuses, visit);
    spec_hash.iter_mut().for_each(|one| visit(Uid, one));
}

pub(super) fn rollout(rollout: &mut Rollout, visit: &mut Visit<'_>) {
    let Rollout {
        suspend: _,
        run_policy: _,
        // Times of day and their zone: what is decided hangs on them.
        windows: _,
        node_timeout_seconds: _,
        drain_mode: _,
        on_drain_timeout: _,
        job_ttl_seconds: _,
        allow_downgrade: _,
        reboot,
    } = rollout;
    if let Some(Reboot { command, timeout_seconds: _, ready_seconds: _, grace_seconds: _, verify_version: _ }) = reboot {
        command.iter_mut().for_each(|word| visit(Argument, word));
    }
}

/// Somebody else's type; what it has beside these is a time and a number.
pub(super) fn condition(condition: &mut Condition, visit: &mut Visit<'_>) {
    let texts = [&mut condition.type_, &mut condition.status, &mut condition.reason, &mut condition.message];
    texts.into_iter().for_each(|one| text(one, visit));
}

fn status(status: &mut NodeOpStatus, visit: &mut Visit<'_>) {
    let NodeOpStatus {
        observed_generation: _,
        phase: _,
        message,
        progress,
        current,
        nodes: _,
        conditions,
        node_statuses,
        spec_hash,
        run: _,
        spec_run: _,
        rerun,
        retry_failed,
        started_at: _,
        completed_at: _,
        last_updated: _,
    } = status;
    [message, progress, current].into_iter().flatten().for_each(|one| text(one, visit));
    conditions.iter_mut().for_each(|one| condition(one, visit));
    entries(node_statuses, visit);
    spec_hash.iter_mut().for_each(|one| visit(Uid, one));
    [rerun, retry_failed].into_iter().flatten().for_each(|token| visit(Value, token));
}

fn entries(statuses: &mut Arc<NodeStatuses>, visit: &mut Visit<'_>) {
    let statuses = Arc::make_mut(statuses);
    keys(statuses, |name| visit(Class::Node, name));
    statuses.values_mut().for_each(|one| entry(Arc::make_mut(one), visit));
}

fn entry(entry: &mut NodeStatus, visit: &mut Visit<'_>) {
    let NodeStatus {
        phase: _,
        job_name,
        message,
        reboot_status,
        last_updated: _,
        step: _,
        step_since: _,
        reason,
        reason_since: _,
        node_uid,
        job_uid,
        run: _,
        attempt: _,
        boot_id,
        new_boot_id,
        expected_version,
    } = entry;
    expected_version.iter_mut().for_each(|version| visit(Value, version));
    job_name.iter_mut().for_each(|name| visit(Class::Job, name));
    [message, reboot_status, reason].into_iter().flatten().for_each(|one| text(one, visit));
    [node_uid, job_uid, boot_id, new_boot_id].into_iter().flatten().for_each(|uid| visit(Uid, uid));
}
