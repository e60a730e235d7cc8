//! An apiserver, or a way to it, that has bad days: every rollout ends as on a good one, and no command is started twice.

use std::sync::Mutex;
use std::time::Duration;

use crate::harness::proxy::{Asked, Fate};
use crate::harness::{Corner, Proxy};
use crate::trial::{self, Trial};

/// Rollouts side by side.
const ABREAST: usize = 5;

type Rule = Box<dyn FnMut(&Asked) -> Fate + Send>;

/// What is done to the requests of a rollout, in words and as a rule.
fn bad_days() -> Vec<(&'static str, Rule)> {
    let of_all = |seed, percent, fate: Fate| -> Rule { Box::new(move |asked| some(seed, percent, asked.number, &fate)) };
    let of_writes = |seed, percent, fate: Fate| -> Rule {
        Box::new(move |asked| asked.write.map_or(Fate::Pass, |write| some(seed, percent, write, &fate)))
    };
    let lists_of = |resource: &'static str| -> Rule {
        Box::new(move |asked| if asked.lists(resource) { Fate::Stale(Duration::from_secs(2)) } else { Fate::Pass })
    };
    let taken = |fate| Fate::TakenThen(Box::new(fate));
    vec![
        ("a third of the writes meets a conflict", of_writes(1, 33, Fate::Answer(409))),
        ("one request in eight is throttled", of_all(2, 12, Fate::Answer(429))),
        ("one request in eight meets an internal error", of_all(3, 12, Fate::Answer(500))),
        ("one request in eight meets a timeout", of_all(4, 12, Fate::Answer(504))),
        ("one answer in eight breaks off", of_all(5, 12, Fate::Truncate)),
        ("one answer in eight is half of one", of_all(6, 12, Fate::Garble)),
        ("one request in five is dropped", of_all(7, 20, Fate::Drop)),
        ("one request in twenty is never answered", of_all(8, 5, Fate::Hang)),
        ("a third of the writes is taken and answered with an internal error", of_writes(9, 33, taken(Fate::Answer(500)))),
        ("a third of the writes is taken and answered with a conflict", of_writes(10, 33, taken(Fate::Answer(409)))),
        ("a third of the writes is taken and answered with a timeout", of_writes(11, 33, taken(Fate::Answer(504)))),
        ("a third of the writes is taken and not answered", of_writes(12, 33, taken(Fate::Drop))),
        ("all lists are old", Box::new(|asked| stale(asked, &["nodes", "pods", "jobs", "nodeops"]))),
        ("the list of nodes is old", lists_of("nodes")),
        ("the list of pods is old", lists_of("pods")),
        ("the list of Jobs is old", lists_of("jobs")),
        ("the list of NodeOps is old", lists_of("nodeops")),
    ]
}

fn stale(asked: &Asked, resources: &[&str]) -> Fate {
    if resources.iter().any(|resource| asked.lists(resource)) { Fate::Stale(Duration::from_secs(2)) } else { Fate::Pass }
}

/// Meets some of what is numbered, always the same ones.
fn some(seed: u64, percent: u64, number: usize, fate: &Fate) -> Fate {
    // SplitMix64: neighbours have nothing in common.
    let mut mixed = (seed << 32).wrapping_add(number as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    if (mixed ^ (mixed >> 31)) % 100 < percent { fate.clone() } else { Fate::Pass }
}

fn survives(root: &Corner, name: &str, what: &str, rule: Rule) -> Trial {
    let trial = Trial::new(root, name, what.into());
    let proxy = Proxy::start(&trial.corner, rule);
    // Silence counts as no answer after two seconds, not half a minute.
    let args = ["run", "--until-settled", "--timeout", "300s", "--request-timeout", "2s"];
    let printed = trial.corner.through(&proxy).rounds(&args);
    assert_eq!(printed.code, 0, "{what}: {printed:#?}");
    trial.end();
    trial
}

#[test]
fn whatever_the_apiserver_answers_a_rollout_ends_as_on_a_good_day() {
    let _alone = trial::alone();
    let root = Corner::new("faults");
    let days = Mutex::new(bad_days().into_iter().enumerate());
    let trials = Mutex::new(Vec::new());
    let next = || days.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                while let Some((index, (what, rule))) = next() {
                    let trial = survives(&root, &index.to_string(), what, rule);
                    trials.lock().unwrap().push(trial);
                }
            });
        }
    });
    Trial::assert_started_once(&root, &trials.into_inner().unwrap());
}

#[test]
fn a_server_that_throttles_is_given_time() {
    let corner = Corner::new("throttled");
    corner.nodes(1, 0);
    corner.create(&corner.nodeop("op", serde_json::json!({})));
    let proxy = Proxy::start(&corner, |asked| if asked.is_write() { Fate::Answer(429) } else { Fate::Pass });
    let printed = corner.through(&proxy).rounds(&["run", "--until-settled", "--timeout", "5s"]);
    assert_eq!(printed.code, 4, "{printed:#?}");
    assert!((2..=6).contains(&proxy.writes()), "{} writes in 5 seconds", proxy.writes());
    assert_eq!(corner.settle().code, 0);
}
