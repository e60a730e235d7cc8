//! What a scenario is, as `tests/twins/*.yaml` tell it: a small cluster, operations over it, and what happens in between.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A small cluster and a rollout over it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What is tried, in words.
    pub name: String,
    /// Nodes by their short names.
    pub nodes: BTreeMap<String, Machine>,
    /// Deployments by name.
    #[serde(default)]
    pub workload: BTreeMap<String, App>,
    /// Specs of the NodeOps that are there from the beginning, merged over one that selects all nodes; the first one is the
    /// oldest.
    #[serde(default)]
    pub operations: BTreeMap<String, Value>,
    /// How often the command, which must be `hang`, is ended with a failure on a node before it is ended with success. Where
    /// nothing is said, a command that hangs hangs.
    #[serde(default)]
    pub failures: BTreeMap<String, u32>,
    /// What happens meanwhile.
    #[serde(default)]
    pub script: Vec<Moment>,
}

/// A node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Machine {
    /// Labels besides those that all nodes have.
    pub labels: BTreeMap<String, String>,
    /// Whether it is one of the control plane.
    pub control_plane: bool,
    /// Whether a person has cordoned it.
    pub cordoned: bool,
}

/// A Deployment.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// How many pods.
    pub replicas: usize,
    /// `maxUnavailable` of the disruption budgets over them; none: no budget.
    #[serde(default)]
    pub budgets: Vec<i64>,
    /// Merged over the pods' spec.
    #[serde(default)]
    pub pod: BTreeMap<String, Value>,
}

/// Something that happens: after a round when all is at rest, or in the middle of one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moment {
    /// After this round and before the next.
    pub after: Option<usize>,
    /// In this round, when the first write of the kind `at` arrives.
    #[serde(rename = "in")]
    pub during: Option<usize>,
    /// How the words of the write begin: see [`super::words`].
    pub at: Option<String>,
    /// What somebody does then.
    #[serde(rename = "do")]
    pub deed: Option<Deed>,
    /// What becomes of the write.
    pub fate: Option<Fate>,
}

/// What people do.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Deed {
    /// `kubectl cordon`.
    Cordon(String),
    /// `kubectl uncordon`.
    Uncordon(String),
    /// Takes the lock off a node by hand.
    Unlock(String),
    /// Labels a node; null takes the label off.
    Label(String, String, Option<String>),
    /// Deletes the Jobs of an operation on a node.
    DeleteJobs(String, String),
    /// Deletes a node.
    DeleteNode(String),
    /// A new node registers, with the labels that all nodes have.
    JoinNode(String),
    /// Merges something into the spec of an operation.
    Edit(String, Value),
    /// Annotates an operation.
    Annotate(String, String, String),
    /// Creates an operation, as `operations` does.
    Create(String, Value),
    /// Deletes an operation.
    Delete(String),
    /// The same in the foreground: it goes after its children.
    DeleteForeground(String),
    /// Sets `maxUnavailable` of a disruption budget.
    Limit(String, i64),
    /// Lets so many seconds pass.
    Pass(u32),
    /// What was late arrives.
    Deliver,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It is taken, but the answer is lost.
    Unanswered,
    /// 409, whatever there is.
    Conflict,
    /// 500.
    Refused,
    /// 429, without a word of a disruption budget.
    Throttled,
    /// It arrives long after its sender has given it up.
    Late,
    /// It never arrives, and nothing that follows in this round: the runner has died.
    Dies,
    /// It is taken, and the runner has died.
    DiesAfter,
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/twins");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the scenarios").flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &std::path::Path) -> Vec<Scenario> {
    let text = std::fs::read_to_string(path).expect("a file of scenarios");
    rounds::yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
