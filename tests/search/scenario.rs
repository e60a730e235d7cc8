//! A scenario: a fleet, what people want of it, what goes wrong, and when. Everything about it is written down, so that it
//! can be shrunk and kept as a file; only the dice (how long things take, who writes first) come from the seed.

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// For the dice.
    pub seed: u64,
    /// How many runners take rounds side by side while things go wrong.
    pub runners: usize,
    /// The nodes.
    pub nodes: Vec<Machine>,
    /// How many of the workload's pods may be away at once.
    pub budget: i32,
    /// The operations, with the second in which each is created.
    pub operations: Vec<Operation>,
    /// What people and machines do.
    #[serde(default)]
    pub deeds: Vec<Deed>,
    /// What becomes of writes, by their number.
    #[serde(default)]
    pub fates: Vec<(usize, Fate)>,
    /// Seconds for which runners stall, by the number of the round.
    #[serde(default)]
    pub stalls: Vec<(usize, u64)>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machine {
    /// Name.
    pub name: String,
    /// Of the control plane.
    #[serde(default)]
    pub control_plane: bool,
    /// A person has cordoned it.
    #[serde(default)]
    pub cordoned: bool,
    /// How many pods of the workload are on it.
    #[serde(default)]
    pub pods: usize,
    /// How many of them have no controller, or data of their own: a drain may leave them.
    #[serde(default)]
    pub bare: usize,
    /// How many of our pods the kubelet does not admit.
    #[serde(default)]
    pub refusals: u32,
    /// How often a command fails there before it succeeds.
    #[serde(default)]
    pub failures: u32,
    /// How often what follows a command there cannot tell of which boot the node is.
    #[serde(default)]
    pub untold: u32,
    /// The preflight finds nothing to do there.
    #[serde(default)]
    pub skip: bool,
}

/// A NodeOp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// Name.
    pub name: String,
    /// Second in which it is created.
    pub at: u64,
    /// Its spec.
    pub spec: Value,
}

/// Something that is done at a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deed {
    /// When.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What people and machines do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    Cordon(String),
    Uncordon(String),
    Unlock(String),
    Label(String, bool),
    Cut(String),
    Mend(String),
    Kill(String),
    Boot(String),
    DeleteNode(String),
    ReplaceNode(String),
    DeleteJobs(String, String),
    UnlabelJobs(String),
    Edit(String, u32),
    Concurrency(String, i32),
    Rerun(String, u32),
    Retry(String, u32),
    Suspend(String, bool),
    Delete(String, bool),
    Recreate(String),
    Jump(i64),
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// It never arrives, and nobody knows.
    Lost,
    /// It is taken, and the answer is lost.
    Unanswered,
    /// It is taken so many seconds later; the runner has gone on.
    Late(u64),
    /// Refused as a conflict.
    Conflict,
    /// Refused with an error of the server's.
    Refused,
    /// The runner dies before it.
    DieBefore,
    /// The runner dies after it.
    DieAfter,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        let mut nodes: Vec<Machine> = (0..dice.usize(1..=5)).map(|at| machine(&mut dice, at)).collect();
        let operations: Vec<Operation> = (0..if dice.u8(..10) < 6 { 1 } else { 2 }).map(|at| operation(&mut dice, at)).collect();
        let rough = dice.u8(..10);
        let mut deeds: Vec<Deed> =
            (0..dice.usize(0..=[0, 2, 4, 6][usize::from(rough % 4)])).map(|_| deed(&mut dice, &nodes, &operations)).collect();
        deeds.sort_by_key(|deed| deed.at);
        let fates = match rough {
            0..=2 => 0,
            3..=6 => dice.usize(1..=3),
            _ => dice.usize(3..=15),
        };
        let fates = (0..fates).map(|_| (dice.usize(0..80), fate(&mut dice))).collect();
        let stalls = (0..dice.usize(0..3)).map(|_| (dice.usize(0..40), dice.u64(1..60))).collect();
        let (runners, budget) = (dice.usize(1..=3), dice.i32(0..3));
        // Drawn last: what was found by a seed before this was thought of is found by it still.
        nodes.iter_mut().for_each(|node| node.untold = dice.u32(0..10).saturating_sub(8));
        Self { seed, runners, nodes, budget, operations, deeds, fates, stalls }
    }
}

/// Names that begin or end alike: with those of the operations, `op` and `op-n1`, they make the same words.
const NAMES: [&str; 5] = ["n1", "n10", "n1-0", "0", "n1-n1"];

fn machine(dice: &mut Rng, at: usize) -> Machine {
    Machine {
        name: NAMES[at].into(),
        control_plane: dice.u8(..4) == 0,
        cordoned: dice.u8(..8) == 0,
        pods: dice.usize(0..3),
        bare: dice.usize(0..6).saturating_sub(4),
        refusals: dice.u32(0..12).saturating_sub(8),
        failures: if dice.u8(..5) == 0 { dice.u32(1..4) } else { 0 },
        skip: dice.u8(..6) == 0,
        untold: 0,
    }
}

fn operation(dice: &mut Rng, at: usize) -> Operation {
    let mut spec = json!({"command": ["run", "0"], "concurrency": dice.u8(..4), "backoffLimit": dice.u8(..3)});
    let mut set = |key: &str, value: Value| spec[key] = value;
    let mut blocks_for_ever = false;
    if dice.bool() {
        set("cordon", json!(true));
        if dice.bool() {
            set("drainOptions", json!({"enabled": true, "timeoutSeconds": dice.u32(20..200), "force": dice.bool()}));
            if dice.u8(..4) == 0 {
                blocks_for_ever = true;
            }
        }
    }
    if dice.u8(..4) == 0 {
        set("preflight", json!({"command": ["look"]}));
    }
    if dice.u8(..4) == 0 {
        set("stopOnFailure", json!(true));
    }
    if dice.bool() {
        set("uncordonOnFailure", json!(dice.bool()));
    }
    if dice.u8(..6) == 0 {
        set("nodeSelector", json!({"matchLabels": {"pool": "a"}}));
    }
    let mut rollout = json!({"nodeTimeoutSeconds": dice.u32(60..400)});
    if dice.u8(..8) == 0 {
        rollout["runPolicy"] = json!("Once");
    }
    if dice.u8(..8) == 0 {
        rollout["drainMode"] = json!("Strict");
    }
    if blocks_for_ever {
        rollout["onDrainTimeout"] = json!("Wait");
    }
    if dice.u8(..8) == 0 {
        rollout["jobTTLSeconds"] = json!(if dice.bool() { 0 } else { dice.u8(..60) });
    }
    if dice.u8(..3) == 0 {
        rollout["reboot"] = json!({"timeoutSeconds": dice.u32(60..300), "readySeconds": dice.u8(..20), "graceSeconds": 1});
        set("rebootOnSuccess", json!(true));
    }
    set("rollout", rollout);
    Operation { name: ["op", "op-n1"][at].into(), at: if at == 0 { 0 } else { dice.u64(0..60) }, spec }
}

fn deed(dice: &mut Rng, nodes: &[Machine], operations: &[Operation]) -> Deed {
    let node = nodes[dice.usize(..nodes.len())].name.clone();
    let op = operations[dice.usize(..operations.len())].name.clone();
    let token = dice.u32(1..9);
    let what = match dice.u8(..24) {
        0 => What::Cordon(node),
        1 => What::Uncordon(node),
        2 => What::Unlock(node),
        3 => What::Label(node, dice.bool()),
        4 | 5 => What::Kill(node),
        6 | 7 => What::Boot(node),
        8 => What::DeleteNode(node),
        9 | 10 => What::ReplaceNode(node),
        11 => What::DeleteJobs(op, node),
        12 => What::Edit(op, token),
        13 => What::Concurrency(op, dice.i32(0..4)),
        14 => What::Rerun(op, token),
        15 => What::Retry(op, token),
        16 => What::Suspend(op, dice.bool()),
        17 => {
            if dice.bool() {
                What::Delete(op, dice.bool())
            } else {
                What::Recreate(op)
            }
        }
        18 => What::Cut(node),
        19 | 20 => What::Mend(node),
        21 | 22 => What::UnlabelJobs(node),
        _ => What::Jump(dice.i64(-90..90)),
    };
    Deed { at: dice.u64(1..400), what }
}

fn fate(dice: &mut Rng) -> Fate {
    match dice.u8(..8) {
        0 => Fate::Lost,
        1 => Fate::Unanswered,
        2 | 3 => Fate::Late(dice.u64(1..120)),
        4 => Fate::Conflict,
        5 => Fate::Refused,
        6 => Fate::DieBefore,
        _ => Fate::DieAfter,
    }
}
