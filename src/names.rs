//! The names, keys and values that stand in the cluster: those that the existing operator uses, and ours.

use sha2::{Digest, Sha256};

/// Label: the resource that a Job or Pod belongs to.
pub const LABEL_NODEOP: &str = "kairos.io/nodeop";
/// Label: the node that a Job or Pod is for.
pub const LABEL_NODE: &str = "kairos.io/node";
/// Label: "true" on preflight Pods.
pub const LABEL_PREFLIGHT: &str = "kairos.io/preflight";
/// Label: "true" on reboot Pods.
pub const LABEL_REBOOT: &str = "kairos.io/reboot";
/// Annotation: "completed" on a reboot Pod of the existing operator that is about to reboot its node.
pub const ANNOTATION_REBOOT_STATE: &str = "kairos.io/reboot-state";
/// Annotation on a reboot Pod of ours: the boot id that it may end.
pub const ANNOTATION_REBOOT_APPROVED: &str = "kairos.io/reboot-approved";
/// Annotation on a reboot Pod of ours: the boot id that the node had when the Pod was made.
pub const ANNOTATION_BOOT_ID: &str = "operator.kairos.io/boot-id";
/// Label of ours on Jobs and Pods: uid of the resource they belong to.
pub const LABEL_OWNER_UID: &str = "operator.kairos.io/owner-uid";
/// Label of ours on Jobs and Pods: the run that made them.
pub const LABEL_RUN: &str = "operator.kairos.io/run";
/// Annotation on Nodes: the operation that holds the node, `<namespace>/<name>@<uid>`.
pub const ANNOTATION_LOCK: &str = "operator.kairos.io/operation";
/// Annotation on Nodes: the operation that cordoned the node, same value. The existing operator writes it, too.
pub const ANNOTATION_CORDONED_BY: &str = "operator.kairos.io/cordoned-by";
/// Annotation that a person puts on a Node: leave it cordoned when the operation is over.
pub const ANNOTATION_KEEP_CORDONED: &str = "operator.kairos.io/keep-cordoned";
/// Annotation on a NodeOp: a new value asks for a new run on all nodes.
pub const ANNOTATION_RERUN: &str = "operator.kairos.io/rerun";
/// Annotation on a NodeOp: a new value asks for another try on the failed nodes.
pub const ANNOTATION_RETRY_FAILED: &str = "operator.kairos.io/retry-failed";
/// Annotation on Jobs and Pods: the real names where label values had to be shortened.
pub const ANNOTATION_NODE: &str = "operator.kairos.io/node";
/// See [`ANNOTATION_NODE`].
pub const ANNOTATION_NODEOP: &str = "operator.kairos.io/nodeop";
/// Annotation of ours on Nodes: the boot id of the boot that was last looked at by a probe.
pub const ANNOTATION_PROBED_BOOT: &str = "operator.kairos.io/probed-boot";
/// Label of ours on probe Jobs and their pods: "true".
pub const LABEL_PROBE: &str = "operator.kairos.io/probe";
/// Annotation of ours on probe Jobs: how many probes of the same boot have failed before.
pub const ANNOTATION_ATTEMPT: &str = "operator.kairos.io/attempt";
/// Annotation on Kairos nodes: `KAIROS_VERSION` of the release file.
pub const ANNOTATION_VERSION: &str = "kairos.io/version";
/// Label on Kairos nodes: `KAIROS_SOFTWARE_VERSION_PREFIX` of the release file.
pub const LABEL_SOFTWARE_PREFIX: &str = "kairos.io/software-version-prefix";
/// Label on Kairos nodes: `KAIROS_SOFTWARE_VERSION` of the release file.
pub const LABEL_SOFTWARE_VERSION: &str = "kairos.io/software-version";
/// Label on Kairos nodes: active, passive, recovery, livecd or unknown.
pub const LABEL_BOOT_STATE: &str = "kairos.io/boot-state";
/// Label of control-plane nodes, any value.
pub const ROLE_CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// The older label of control-plane nodes, any value.
pub const ROLE_MASTER: &str = "node-role.kubernetes.io/master";
/// Label that tells whether a node runs Kairos.
pub const LABEL_MANAGED: &str = "kairos.io/managed";

/// Label on the NodeOp that an upgrade has made: the name of the NodeOpUpgrade.
pub const LABEL_UPGRADE: &str = "nodeopupgrade.kairos.io/name";
/// Annotation on the NodeOp that an upgrade has made: from what. While that stands, what it executes is left as it is.
pub const ANNOTATION_MADE_FROM: &str = "operator.kairos.io/made-from";

/// Label on what an UpdateChannel has made: its name.
pub const LABEL_CHANNEL: &str = "k3os.io/channel";
/// Annotation on what an UpdateChannel has made: the version that it brings.
pub const ANNOTATION_CHANNEL_VERSION: &str = "operator.kairos.io/channel-version";
/// Label on k3OS nodes: how they were booted, such as local or live.
pub const LABEL_K3OS_MODE: &str = "k3os.io/mode";
/// Label on k3OS nodes: the version that they run.
pub const LABEL_K3OS_VERSION: &str = "k3os.io/version";

/// Label on what an OSArtifact makes: its name. Where a label cannot hold that, an annotation of the same key does.
pub const LABEL_ARTIFACT: &str = "build.kairos.io/artifact";
/// Annotation on an exporter's Job: which of the exporters it is.
pub const ANNOTATION_EXPORT_INDEX: &str = "build.kairos.io/export-index";
/// Container that renders a Dockerfile.
pub const CONTAINER_RENDER: &str = "render";
/// Container that builds, and pushes, a container image.
pub const CONTAINER_BUILDAH: &str = "buildah-build";
/// Container that tells what was built.
pub const CONTAINER_DIGEST: &str = "digest";

/// Container that runs the command.
pub const CONTAINER_NODEOP: &str = "nodeop";
/// Container that runs the preflight.
pub const CONTAINER_PREFLIGHT: &str = "preflight";
/// Container that follows a command which succeeded, and tells of which boot.
pub const CONTAINER_SENTINEL: &str = "sentinel-creator";
/// Container that reboots the node.
pub const CONTAINER_REBOOT: &str = "reboot";
/// Container that looks at a node.
pub const CONTAINER_PROBE: &str = "probe";
/// The program in the image of Rounds.
pub const PROGRAM: &str = "/rounds";
/// Volume with the host's /etc, for probes.
pub const VOLUME_HOST_ETC: &str = "host-etc";
/// Volume with the host's /usr/lib.
pub const VOLUME_HOST_LIB: &str = "host-lib";
/// Volume with the host's root.
pub const VOLUME_HOST_ROOT: &str = "host-root";

/// Label on the pods of runners, and its value.
pub const LABEL_APP: &str = "app.kubernetes.io/name";
/// See [`LABEL_APP`].
pub const APP: &str = "rounds";

/// Field manager of children.
pub const MANAGER: &str = "rounds";
/// Field manager of statuses.
pub const STATUS_MANAGER: &str = "rounds-status";
/// Field manager of the labels and annotations on Nodes that tell what a probe has found.
pub const LABELS_MANAGER: &str = "rounds-labels";
/// The field manager of the existing operator: the name of its binary.
pub const FOREIGN_MANAGER: &str = "manager";
/// A finalizer that another operator puts on resources of a kind, and that nobody but it takes off.
#[derive(Debug, PartialEq, Eq)]
pub struct ForeignFinalizer {
    /// Kind of the resources.
    pub kind: &'static str,
    /// The finalizer.
    pub name: &'static str,
    /// Who puts it there.
    pub operator: &'static str,
}
/// All of those.
pub const FOREIGN_FINALIZERS: [ForeignFinalizer; 3] = [
    // Of those that reboot nodes.
    ForeignFinalizer { kind: "NodeOp", name: "nodeop-reboot.kairos.io/clusterrolebinding", operator: "the existing operator" },
    ForeignFinalizer { kind: "OSArtifact", name: "build.kairos.io/osbuilder-finalizer", operator: "the existing operator" },
    ForeignFinalizer { kind: "UpdateChannel", name: "wrangler.cattle.io/k3os-operator", operator: "the k3OS operator" },
];
/// The lease by which the existing operator elects its leader.
pub const FOREIGN_LEASE: &str = "ce9721c3.kairos.io";

/// Longest label value and Job name that Kubernetes takes.
pub const MAX_LABEL: usize = 63;

/// The finalizer that another operator puts on resources of a kind.
pub fn foreign_finalizer(kind: &str) -> Option<&'static ForeignFinalizer> {
    FOREIGN_FINALIZERS.iter().find(|finalizer| finalizer.kind == kind)
}

/// The field manager under which a resource holds nodes.
pub fn node_manager(uid: &str) -> String {
    format!("rounds-{uid}")
}

/// Shortens a name the way the existing operator does: beyond `max - 13` bytes, a prefix of that length, a hyphen and
/// twelve hexadecimal digits of FNV-1a over the whole name. A cut right after a dot would not be a DNS name; there the
/// dot becomes a hyphen.
pub fn shorten(name: &str, max: usize) -> String {
    let keep = max.saturating_sub(13);
    if name.len() <= keep {
        return name.to_string();
    }
    let mut prefix = name[..name.floor_char_boundary(keep)].to_string();
    if prefix.ends_with('.') {
        prefix.pop();
        prefix.push('-');
    }
    let digits = format!("{:016x}", fnv1a(name.as_bytes()));
    // The existing operator does not pad; a hash of fewer than sixteen digits starts at its first one there.
    let digits = digits.trim_start_matches('0');
    format!("{prefix}-{:0>12}", &digits[..digits.len().min(12)])
}

/// A label value for a name of any length.
pub fn label_value(name: &str) -> String {
    if name.len() <= MAX_LABEL { name.to_string() } else { shorten(name, MAX_LABEL) }
}

/// Name of the Job that runs a command: the same for the same resource, node, run and attempt, and for no others.
pub fn job_name(operation: &str, operation_uid: &str, node: &str, node_uid: &str, run: i64, attempt: i64) -> String {
    let suffix = suffix(&[operation_uid, node_uid, &run.to_string(), &attempt.to_string()], 5);
    format!("{}-{suffix}", shorten(&format!("{operation}-{node}"), 57))
}

/// Name of the preflight Pod; see [`job_name`].
pub fn preflight_name(operation: &str, operation_uid: &str, node: &str, node_uid: &str, run: i64) -> String {
    let suffix = suffix(&["preflight", operation_uid, node_uid, &run.to_string()], 5);
    format!("{}-{suffix}", shorten(&format!("{operation}-preflight-{node}"), 57))
}

/// Name of the reboot Pod that goes with a Job; see [`job_name`].
pub fn reboot_name(operation: &str, operation_uid: &str, node: &str, node_uid: &str, run: i64, attempt: i64) -> String {
    let suffix = suffix(&["reboot", operation_uid, node_uid, &run.to_string(), &attempt.to_string()], 5);
    format!("{}-{suffix}", shorten(&format!("{operation}-reboot-{node}"), 57))
}

/// Name of the Job that looks at a node: the same for the same node, boot and attempt.
pub fn probe_name(node: &str, node_uid: &str, boot_id: &str, attempt: i64) -> String {
    let suffix = suffix(&["probe", node_uid, boot_id, &attempt.to_string()], 5);
    format!("{}-{suffix}", shorten(&format!("probe-{node}"), 57))
}

/// Name of the Job that builds an artifact; see [`job_name`].
pub fn build_name(artifact: &str, uid: &str, run: i64) -> String {
    format!("{}-{}", shorten(artifact, 57), suffix(&["build", uid, &run.to_string()], 5))
}

/// Name of the Job of an exporter; see [`job_name`].
pub fn export_name(artifact: &str, uid: &str, index: usize, run: i64) -> String {
    let suffix = suffix(&["export", uid, &index.to_string(), &run.to_string()], 5);
    format!("{}-{suffix}", shorten(&format!("{artifact}-export-{index}"), 57))
}

/// Name of the claim that holds what an artifact is built into.
pub fn claim_name(artifact: &str) -> String {
    const LONGEST: usize = 253;
    let name = format!("{artifact}-artifacts");
    if name.len() <= LONGEST { name } else { shorten(&name, LONGEST) }
}

/// A suffix of `length` characters from the alphabet that Kubernetes uses for its random ones, derived from the parts.
pub fn suffix(parts: &[&str], length: usize) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(length).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shortened_as_the_existing_operator_shortens_them() {
        let a44 = "a".repeat(44);
        let a45 = "a".repeat(45);
        for (name, max, expected) in [
            (a44.as_str(), 57, a44.clone()),
            (a45.as_str(), 57, format!("{a44}-598a38a9e329")),
            (
                "my-upgrade-ip-10-0-12-34.eu-central-1.compute.internal",
                57,
                "my-upgrade-ip-10-0-12-34.eu-central-1.comput-3aaf0af3337a".into(),
            ),
            ("a-very-long-node-operation-name-for-testing-reboot", 57, "a-very-long-node-operation-name-for-testing--3e6366087f50".into()),
            (
                "kairos-node-labeler-ip-10-0-12-34.eu-central-1.compute.internal",
                63,
                "kairos-node-labeler-ip-10-0-12-34.eu-central-1.com-81ca62131ea7".into(),
            ),
        ] {
            assert_eq!(shorten(name, max), expected);
        }
    }

    #[test]
    fn a_cut_after_a_dot_still_gives_a_dns_name() {
        let name = format!("{}.{}", "a".repeat(43), "b".repeat(40));
        assert!(shorten(&name, 57).starts_with(&format!("{}--", "a".repeat(43))), "{}", shorten(&name, 57));
    }

    #[test]
    fn job_names_differ_by_resource_node_run_and_attempt_and_fit() {
        let name = |uid, node_uid, run, attempt| job_name("op", uid, "n1", node_uid, run, attempt);
        let all = [name("u", "n", 1, 0), name("v", "n", 1, 0), name("u", "m", 1, 0), name("u", "n", 2, 0), name("u", "n", 1, 1)];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(name("u", "n", 1, 0), name("u", "n", 1, 0));
        assert!(job_name(&"o".repeat(253), "u", &"n".repeat(253), "n", i64::MAX, 9).len() <= MAX_LABEL);
        assert!(preflight_name(&"o".repeat(253), "u", &"n".repeat(253), "n", i64::MAX).len() <= MAX_LABEL);
        assert!(reboot_name(&"o".repeat(253), "u", &"n".repeat(253), "n", i64::MAX, 9).len() <= MAX_LABEL);
        assert!(probe_name(&"n".repeat(253), "n", "b", 9).len() <= MAX_LABEL);
        assert_ne!(probe_name("n1", "n", "b1", 0), probe_name("n1", "n", "b2", 0));
        assert_ne!(reboot_name("op", "u", "n1", "n", 1, 0), reboot_name("op", "u", "n1", "n", 1, 1));
    }

    #[test]
    fn label_values_are_kept_up_to_63_characters() {
        assert_eq!(label_value(&"n".repeat(63)).len(), 63);
        assert_eq!(label_value(&"n".repeat(63)), "n".repeat(63));
        assert_eq!(label_value(&"n".repeat(253)).len(), 63);
    }
}
