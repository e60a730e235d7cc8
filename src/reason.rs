//! The reason codes: one word per decision, the same in status, events, metrics, `plan` and `why`.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Why a resource or a node stands where it stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason { $($(#[doc = $doc])* $name,)* }

        impl Reason {
            /// All reasons, in the order of the source.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The code as it is written everywhere.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The reason of a code.
            pub fn parse(code: &str) -> Option<Self> {
                match code {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What the code means, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc,)*).trim_ascii(),)* }
            }
        }
    };
}

reasons! {
    /// The node may be taken and waits for a free slot of the operation's concurrency.
    WaitingForSlot,
    /// Another, older operation holds the node or goes first.
    WaitingForOther,
    /// A control-plane node comes first: one that is away, where the operation reboots nodes; or one that is not labelled yet.
    WaitingForControlPlane,
    /// The node is not Ready; it is started when it is.
    NotReady,
    /// The node object is being deleted.
    NodeDeleting,
    /// The operation is suspended.
    Suspended,
    /// No maintenance window is open.
    WindowClosed,
    /// A node failed, and stopOnFailure starts no further one.
    StoppedOnFailure,
    /// The operation with runPolicy Once has started; nodes that came later are not taken.
    NotInRun,
    /// The preflight runs.
    PreflightRunning,
    /// The preflight found nothing to do on the node.
    SkippedByPreflight,
    /// The preflight failed.
    PreflightFailed,
    /// The lock is being taken.
    Locking,
    /// Pods are leaving the node.
    Draining,
    /// Pods cannot leave the node: a disruption budget, or options, do not let them.
    DrainBlocked,
    /// The drain's time was up before all pods had left.
    DrainTimeout,
    /// drainMode Strict refuses pods that the options do not let us evict.
    DrainRefused,
    /// The cordon belongs to somebody else who does not share it.
    CordonConflict,
    /// Somebody lifted the cordon before the command started.
    CordonRemoved,
    /// Somebody took our lock off the node before the command started.
    LockRemoved,
    /// The node tells no boot id, so that no reboot could be proven: nothing ran.
    NoBootId,
    /// The Job is being made.
    Starting,
    /// The Job cannot be made, or its pod cannot start.
    CannotStart,
    /// The command runs.
    Running,
    /// The command runs again after a failure.
    Retrying,
    /// The command succeeded.
    Succeeded,
    /// The command failed as often as it may.
    CommandFailed,
    /// The command's Job disappeared.
    JobLost,
    /// The kubelet refused the pod three times.
    NotAdmitted,
    /// The node's time was up.
    NodeTimeout,
    /// The node vanished while the command was on it.
    NodeGone,
    /// The node was replaced by another of the same name.
    NodeReplaced,
    /// The command succeeded, and the node reboots.
    Rebooting,
    /// The node has rebooted; it must be Ready, and stay so.
    Verifying,
    /// The command succeeded, but the reboot after it did not come about.
    NotRebooted,
    /// The node has rebooted, and runs another version than the one that was installed.
    WrongVersion,
    /// The node has rebooted, but into its passive or its recovery system.
    FallbackBoot,
    /// The version that was installed is older than the one that was there.
    Downgraded,
    /// The Job is being removed.
    Cancelling,
    /// The lock is being taken off.
    Releasing,
    /// A Job of this operation that no status names is still running on the node.
    OtherJobRunning,
    /// The new run waits for what the last one still has on the node.
    WaitingForLastRun,
    /// An upgrade that was created later takes the node.
    SupersededBy,
    /// The NodeOp of the upgrade is being made.
    Creating,
    /// The NodeOp of the upgrade is being changed, or has not been looked at since it was.
    Updating,
    /// There is a NodeOp of that name already, which this upgrade has not made.
    NameTaken,
    /// The channel's URL is asked which versions are published.
    Polling,
    /// No version is known to which nodes could be updated.
    NoVersion,
    /// The channel's URL has not answered.
    PollFailed,
    /// The channel's URL publishes a newer version, which is taken up.
    VersionFound,
    /// The version that is asked for, or offered, is older than the one that stands, and rollout.allowDowngrade is not true.
    Downgrade,
    /// The channel has no slots (concurrency is 0), so that no node is updated.
    NoSlots,
    /// The node runs the version already.
    UpToDate,
    /// The image is being built.
    Building,
    /// The build failed.
    BuildFailed,
    /// What was built is being exported.
    Exporting,
    /// An exporter failed.
    ExportFailed,
    /// The image is built, and exported.
    Built,
    /// An exporter's own volume was replaced by the one that holds what was built.
    VolumeReplaced,
    /// The operation is under way.
    Progressing,
    /// Every node is done.
    Completed,
    /// Settled, with failed nodes.
    NodesFailed,
    /// The selector matches no node.
    NoMatchingNodes,
    /// The selector can never match, or is not a selector.
    InvalidSelector,
    /// A maintenance window cannot be understood.
    InvalidWindow,
    /// The specification cannot be carried out.
    InvalidSpec,
    /// The object is not what its kind says.
    Unreadable,
    /// The installed CustomResourceDefinition is an older one, which cannot hold what Rounds records: nothing is started.
    OlderDefinition,
    /// The object changed while the round was looking; the next round decides.
    Moved,
    /// The object is being deleted.
    Deleting,
    /// A node was locked or cordoned by a resource that is gone.
    Orphaned,
    /// A probe looks at the node, for the first time since it has booted.
    Probing,
    /// The node has booted and waits to be probed; an operation that selects on what the probe tells takes it after that.
    WaitingForProbe,
    /// The probe of the node failed; it is tried again after a pause.
    ProbeFailed,
    /// What the probe found is written on the node.
    Labelling,
    /// What the probe found is written on the node, but for what somebody else has written there.
    LabelConflict,
    /// Somebody wants no labels on the node (kairos.io/managed is false): ours are taken off.
    OptedOut,
    /// A finished Job is superseded by a newer run, or belongs to nothing.
    Superseded,
    /// What was recorded by the existing operator is taken as it stands.
    Adopted,
    /// The namespace is not among those that this runner acts on.
    OtherNamespace,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}
