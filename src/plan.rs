//! What a round wants to write: decisions, their steps, and the actions that make a step.
//!
//! [`Action`] is the enum of all writes that there are. Each carries the uid of what it was decided on, so that no write
//! reaches an object that merely has the same name.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::names;
use crate::nodeop::jobs;
use crate::reason::Reason;
use crate::snapshot::Reference;

/// All decisions of one round, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// One decision per resource that has one, then those of the sweep.
    pub decisions: Vec<Decision>,
}

/// What one resource needs now: its new status and the steps that this status permits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The resource that was decided on, or for the sweep, the node.
    pub subject: Reference,
    /// Why it stands where it stands.
    pub reason: Reason,
    /// One sentence for people.
    pub message: String,
    /// Whether it will not change any more unless somebody changes something (suspended counts).
    pub settled: bool,
    /// Whether something failed, or cannot go on.
    pub failed: bool,
    /// The status to write first, by compare-and-swap; None if it stands already. If it is refused, no step is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusWrite>,
    /// What to do after that. Steps are independent of each other.
    pub steps: Vec<Step>,
    /// One reason per node that the resource targets.
    pub nodes: BTreeMap<String, NodeReason>,
}

/// Why a node stands where it stands in one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeReason {
    /// The code.
    pub reason: Reason,
    /// A sentence, shared: thousands of nodes wait for the same.
    pub message: Arc<str>,
}

impl NodeReason {
    /// A reason and what it means here.
    pub fn new(reason: Reason, message: impl Into<Arc<str>>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// A subject, a reason, and the actions that follow from it, in order; the first that fails ends the step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What the step is about.
    pub subject: Reference,
    /// Why.
    pub reason: Reason,
    /// A sentence.
    pub message: String,
    /// The writes.
    pub actions: Vec<Action>,
}

/// A new status, written by server-side apply under `rounds-status` with the resourceVersion it was decided on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusWrite {
    /// API version of the resource.
    pub api_version: String,
    /// The resource.
    pub of: Reference,
    /// The resourceVersion that must still be the present one.
    pub resource_version: String,
    /// The status before.
    pub before: Document,
    /// The whole status to apply.
    pub status: Document,
}

impl StatusWrite {
    /// The status of a resource, in the place of the one that it was decided on.
    pub fn new<T>(api_version: &str, of: Reference, resource_version: &str, before: &T, after: T) -> Self
    where
        T: Serialize + Clone + Any + Debug + Send + Sync,
    {
        Self {
            api_version: api_version.into(),
            of,
            resource_version: resource_version.into(),
            before: Document::of(before.clone()),
            status: Document::of(after),
        }
    }
}

/// A value that is to be sent as JSON, kept as what it is: to write the status of ten thousand nodes as text takes
/// milliseconds, to read it again ten times as long, and a decision that is only looked at needs neither.
#[derive(Clone, Debug)]
pub struct Document(Arc<dyn Content>);

/// What a document can be made of.
trait Content: Any + Debug + Send + Sync {
    fn text(&self) -> Option<Box<RawValue>>;
}

impl<T: Serialize + Any + Debug + Send + Sync> Content for T {
    fn text(&self) -> Option<Box<RawValue>> {
        serde_json::value::to_raw_value(self).ok()
    }
}

impl Document {
    /// The document of a value.
    pub fn of(value: impl Serialize + Any + Debug + Send + Sync) -> Self {
        Self(Arc::new(value))
    }

    /// The document read as a value; None if it is not one of this type.
    pub fn read<T: DeserializeOwned + Clone + 'static>(&self) -> Option<T> {
        let content: &dyn Any = &*self.0;
        content.downcast_ref::<T>().cloned().or_else(|| serde_json::from_str(self.text().get()).ok())
    }

    /// The document as a tree.
    pub fn tree(&self) -> Value {
        self.read().unwrap_or_default()
    }

    /// The document as text; `null` for a value that JSON cannot express.
    fn text(&self) -> Box<RawValue> {
        self.0.text().unwrap_or_else(|| RawValue::NULL.to_owned())
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text().serialize(serializer)
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.text().get() == other.text().get()
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "action")]
pub enum Action {
    /// POST an object with a deterministic name; that it exists already is success.
    Create {
        /// The whole object.
        object: Value,
    },
    /// Server-side apply, never with force, of what one manager owns on a Node.
    ApplyNode(NodeApply),
    /// Server-side apply, never with force, of the labels and annotations that tell what a probe has found on a Node.
    LabelNode(NodeLabels),
    /// Merge patch of a Node, bound to its uid and resourceVersion: takes away what the existing operator left there.
    TakeOver(TakeOver),
    /// Merge patch of one object, bound to its uid.
    Patch {
        /// The object.
        what: Reference,
        /// The patch, without the uid.
        patch: Value,
    },
    /// Eviction of one pod, bound to its uid.
    Evict {
        /// The pod.
        pod: Reference,
        /// Grace in seconds; None: the pod's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        grace_seconds: Option<i64>,
    },
    /// DELETE with background propagation, bound to the uid; that it is gone is success.
    Delete {
        /// The object.
        what: Reference,
        /// The resourceVersion that must still be the present one, if any will not do.
        #[serde(skip_serializing_if = "Option::is_none")]
        resource_version: Option<String>,
        /// Grace in seconds; None: the object's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        grace_seconds: Option<i64>,
    },
}

/// What a manager owns on a Node after the apply; what it owned before and is not named here is given up.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeApply {
    /// The node; an apply without its uid would bring a deleted node back as a ghost.
    pub node: Reference,
    /// The resourceVersion that must still be the present one.
    pub resource_version: String,
    /// Field manager.
    pub manager: String,
    /// Value for `operator.kairos.io/operation`, if owned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// Value for `operator.kairos.io/cordoned-by`, if owned; `spec.unschedulable: true` goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cordon: Option<String>,
    /// Whether `spec.unschedulable: true` stays owned, without the mark that tells for whom.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_cordoned: bool,
}

/// What `rounds-labels` owns on a Node after the apply; what it owned before and is not named here goes, unless somebody
/// else owns it as well.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeLabels {
    /// The node.
    pub node: Reference,
    /// The resourceVersion that must still be the present one.
    pub resource_version: String,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// All annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The existing operator's mark on a node, and the cordon that came with it. One write takes both away, whoever owns the
/// fields; an apply by force would take two, and between them the node would carry a mark of ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TakeOver {
    /// The node.
    pub node: Reference,
    /// The resourceVersion that must still be the present one.
    pub resource_version: String,
    /// Whether the node is uncordoned; else only the mark goes, for somebody else has cordoned the node as well.
    pub uncordon: bool,
}

impl Action {
    /// What the action writes to.
    pub fn target(&self) -> Reference {
        match self {
            Self::Create { object } => {
                let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string();
                Reference { kind: text("/kind"), namespace: text("/metadata/namespace"), name: text("/metadata/name"), uid: String::new() }
            }
            Self::ApplyNode(apply) => apply.node.clone(),
            Self::LabelNode(write) => write.node.clone(),
            Self::TakeOver(take) => take.node.clone(),
            Self::Patch { what, .. } | Self::Delete { what, .. } => what.clone(),
            Self::Evict { pod, .. } => pod.clone(),
        }
    }

    /// What kind of write it is, in one word.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::ApplyNode(NodeApply { lock: Some(_), .. }) => "lock",
            Self::ApplyNode(_) | Self::TakeOver(_) => "release",
            Self::LabelNode(_) => "label",
            Self::Patch { .. } => "patch",
            Self::Evict { .. } => "evict",
            Self::Delete { .. } => "delete",
        }
    }

    /// The action as a few words: verb, kind and name.
    pub fn summary(&self) -> String {
        let target = self.target();
        match self {
            Self::Create { .. } => format!("create {target}"),
            Self::ApplyNode(apply) => match (&apply.lock, &apply.cordon) {
                (Some(_), Some(_)) => format!("lock and cordon {target}"),
                (Some(_), None) => format!("lock {target}"),
                (None, Some(_)) => format!("unlock {target}, keep it cordoned"),
                (None, None) if apply.keep_cordoned => format!("unlock {target}, keep it cordoned"),
                (None, None) => format!("unlock {target}"),
            },
            Self::LabelNode(write) if write.annotations.is_empty() => format!("take our labels off {target}"),
            Self::LabelNode(write) if write.labels.is_empty() => format!("record that {target} was probed"),
            Self::LabelNode(_) => format!("label {target}"),
            Self::TakeOver(TakeOver { uncordon: true, .. }) => format!("uncordon {target}, which the existing operator has left cordoned"),
            Self::TakeOver(_) => format!("take the existing operator's mark off {target}"),
            Self::Patch { patch, .. } => match patch.pointer("/spec/parallelism") {
                Some(_) => format!("start {target}"),
                _ if target.kind == jobs::KIND => format!("change {target}"),
                _ if patch.pointer(&approval()).is_some() => format!("approve the reboot by {target}"),
                _ => format!("patch {target}"),
            },
            Self::Evict { .. } => format!("evict {target}"),
            Self::Delete { .. } => format!("delete {target}"),
        }
    }
}

/// Where a merge patch names the boot id that a reboot Pod may end.
fn approval() -> String {
    format!("/metadata/annotations/{}", names::ANNOTATION_REBOOT_APPROVED.replace('/', "~1"))
}

impl Plan {
    /// Whether the round would write nothing.
    pub fn is_empty(&self) -> bool {
        self.decisions.iter().all(|decision| decision.status.is_none() && decision.steps.is_empty())
    }
}
