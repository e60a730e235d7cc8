//! The simulated cluster is honest: scenarios, many of them with faults, run in lock-step on it and on the real control
//! plane, round by round. The same rules decide on both sides; what is compared is what the world answers to the writes,
//! and what it has become when it is at rest again.

mod real;
mod rest;
mod script;
mod simulated;
mod words;

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::harness::Corner;
use crate::trial;
use real::Real;
use script::{Moment, Scenario};
use simulated::Simulated;

/// Scenarios side by side: each mostly waits for controllers.
const ABREAST: usize = 10;
/// More rounds than any scenario needs.
const MOST: usize = 40;

/// Plays a scenario on both sides; how many rounds it took, or where they differ.
fn play(root: &Corner, name: &str, scenario: &Scenario) -> Result<usize, String> {
    let mut real = Real::new(root, name, scenario);
    let (seen, _) = real.rest();
    #[expect(clippy::disallowed_methods, reason = "both sides begin at the same time")]
    let mut simulated = Simulated::new(scenario, name, &real.settings, jiff::Timestamp::now(), seen);
    for (op, spec) in &scenario.operations {
        real.create(op, spec);
        simulated.create(op, spec);
    }
    let last = scenario.script.iter().filter_map(|moment| moment.after.or(moment.during)).max().unwrap_or(0);
    let mut idle = 0;
    for round in 1..=MOST {
        let during: Vec<Moment> = scenario.script.iter().filter(|moment| moment.during == Some(round)).cloned().collect();
        let ((left, missed), (right, _)) = (real.round(&during), simulated.round(&during));
        println!("{}, round {round}: {}", scenario.name, left.join(", "));
        let wrote = !left.is_empty();
        idle = if wrote { 0 } else { idle + 1 };
        same(&format!("the writes of round {round}"), left, right)?;
        if let Some(moment) = missed.first() {
            return Err(format!("round {round} has no write for {moment:?}"));
        }
        if wrote {
            same(&format!("the cluster after round {round}"), real.rest().1, simulated.rest())?;
        }
        let after: Vec<&Moment> = scenario.script.iter().filter(|moment| moment.after == Some(round)).collect();
        for deed in after.iter().filter_map(|moment| moment.deed.as_ref()) {
            same(&format!("what came late after round {round}"), real.deed(deed), simulated.deed(deed))?;
        }
        if !after.is_empty() {
            idle = 0;
            same(&format!("the cluster after what happened after round {round}"), real.rest().1, simulated.rest())?;
        }
        if idle >= 2 && round > last {
            real.clear();
            return Ok(round);
        }
    }
    Err("it comes to no end".into())
}

/// Compares two lists of lines, in whatever order they are.
fn same(what: &str, mut real: Vec<String>, mut simulated: Vec<String>) -> Result<(), String> {
    real.sort();
    simulated.sort();
    if real == simulated {
        return Ok(());
    }
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    real.iter().for_each(|line| *balance.entry(line).or_default() += 1);
    simulated.iter().for_each(|line| *balance.entry(line).or_default() -= 1);
    let lines = balance.into_iter().map(|(line, more)| match more {
        0 => format!("      {line}"),
        1.. => format!(" real {line}"),
        _ => format!("  sim {line}"),
    });
    Err(format!("{what}:\n{}", lines.collect::<Vec<_>>().join("\n")))
}

#[test]
fn the_simulated_cluster_answers_as_the_real_one_does() {
    let _alone = trial::alone();
    let root = Corner::new("twins");
    let only = only();
    let scenarios: Vec<Scenario> = script::all().into_iter().filter(|scenario| scenario.name.contains(&only)).collect();
    let next = Mutex::new(scenarios.iter().enumerate());
    let different = Mutex::new(Vec::new());
    let take = || next.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                while let Some((index, scenario)) = take() {
                    match play(&root, &format!("twin{index}"), scenario) {
                        Ok(rounds) => println!("{}: {rounds} rounds", scenario.name),
                        Err(difference) => different.lock().unwrap().push((index, scenario, difference)),
                    }
                }
            });
        }
    });
    // On a busy machine a scheduler may be so late that a scenario begins otherwise than it says. Alone, it does not.
    let different = different.into_inner().unwrap();
    let again = different.into_iter().filter_map(|(index, scenario, first)| {
        let second = play(&root, &format!("again{index}"), scenario).err()?;
        Some(format!("{}\n{first}\nand again, alone:\n{second}", scenario.name))
    });
    let differences: Vec<String> = again.collect();
    assert!(differences.is_empty(), "{} of {} differ:\n\n{}", differences.len(), scenarios.len(), differences.join("\n\n"));
}

/// CASE="words of its name" plays one scenario.
#[expect(clippy::disallowed_methods, reason = "which scenario is played, the environment of a test says")]
fn only() -> String {
    std::env::var("CASE").unwrap_or_default()
}
