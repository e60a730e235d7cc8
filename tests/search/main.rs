//! The fault search: random fleets, resources, edits and faults, on the simulated cluster, by the million.
//!
//! `make search SEEDS=20000` plays so many scenarios from SEED on, after those kept in `cases/`, until FINDINGS=1 have
//! failed; a failing one is shrunk and printed as a file for that folder. `SHOW=file` plays one and tells everything that
//! happens. `make mutants` proves that each deliberate mistake is found within 10,000.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so by panicking")]

mod play;
mod scenario;
mod shrink;
mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use play::Figures;
use rounds::mutant::Mutant;
use scenario::Scenario;
use witness::Violation;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let told = |name: &str| std::env::var_os(name).and_then(|text| text.into_string().ok());
    let number = |name: &str, otherwise: u64| told(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    if let Some(file) = std::env::var_os("SHOW") {
        return show(&std::fs::read_to_string(file).expect("a file with a scenario"));
    }
    let (first, seeds) = (number("SEED", 0), number("SEEDS", 20_000));
    match told("MUTANTS") {
        Some(names) => mutants(&names, seeds.min(10_000)),
        None => search(first, seeds, number("FINDINGS", 1)),
    }
}

/// Plays one scenario and prints everything that happens.
fn show(text: &str) -> ExitCode {
    match try_play(&serde_json::from_str(text).expect("a scenario"), true) {
        Ok(_) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("{}: {}", violation.rule, violation.what);
            ExitCode::FAILURE
        }
    }
}

/// Plays the kept cases, and then so many seeds.
fn search(first: u64, seeds: u64, most: u64) -> ExitCode {
    let kept = kept();
    for (name, case) in &kept {
        if let Err(violation) = try_play(case, false) {
            println!("test {name} ... FAILED: {}: {}", violation.rule, violation.what);
            return ExitCode::FAILURE;
        }
    }
    println!("{} kept cases ... ok", kept.len());
    let begun = now();
    let (found, figures) = sweep(first, seeds, most);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} scenarios in {seconds:.1} s: {} rounds, {} writes while things went wrong, {} commands started",
        figures.0, figures.1.rounds, figures.1.writes, figures.1.starts
    );
    if found.is_empty() {
        println!("test result: ok. {} passed; 0 failed", kept.len() as u64 + figures.0);
        return ExitCode::SUCCESS;
    }
    let failed = found.len();
    for (seed, violation) in found {
        println!("test seed {seed} ... FAILED: {}: {}", violation.rule, violation.what);
        let (small, violation) = shrink::shrink(Scenario::of(seed), violation, |scenario| try_play(scenario, false).err());
        println!("# {}: {}", violation.rule, violation.what);
        println!("# keep it: tests/search/cases/<what-it-shows>.json");
        println!("{}", serde_json::to_string(&small).unwrap());
    }
    println!("test result: FAILED. {failed} failed");
    ExitCode::FAILURE
}

/// Each mistake must be found.
fn mutants(names: &str, seeds: u64) -> ExitCode {
    let wanted = |mutant: &Mutant| names.is_empty() || names.split(',').any(|name| name == format!("{mutant:?}"));
    let mut survivors = 0;
    for mutant in Mutant::ALL.into_iter().filter(wanted) {
        Mutant::choose(Some(mutant));
        let (found, _) = sweep(0, seeds, 1);
        match found.first() {
            Some((seed, violation)) => println!("test {mutant:?} ... ok: found by seed {seed}: {}", violation.rule),
            None => {
                println!("test {mutant:?} ... FAILED: not found by {seeds} seeds");
                survivors += 1;
            }
        }
    }
    println!("test result: {}. {survivors} mutants survived", if survivors == 0 { "ok" } else { "FAILED" });
    if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays seeds on all cores until so many have failed; those, and figures of all.
fn sweep(first: u64, seeds: u64, most: u64) -> (Vec<(u64, Violation)>, (u64, Figures)) {
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let (played, rounds, writes, starts) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let found: Mutex<Vec<(u64, Violation)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    match try_play(&Scenario::of(seed), false) {
                        Ok(figures) => {
                            played.fetch_add(1, Ordering::Relaxed);
                            rounds.fetch_add(figures.rounds, Ordering::Relaxed);
                            writes.fetch_add(figures.writes, Ordering::Relaxed);
                            starts.fetch_add(figures.starts, Ordering::Relaxed);
                        }
                        Err(violation) => {
                            let mut found = found.lock().unwrap();
                            found.push((seed, violation));
                            stop.store(found.len() as u64 >= most, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let figures = Figures { rounds: rounds.into_inner(), writes: writes.into_inner(), starts: starts.into_inner() };
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(seed, _)| *seed);
    (found, (played.into_inner(), figures))
}

/// Plays a scenario; a panic is a violation as well.
fn try_play(scenario: &Scenario, tell: bool) -> Result<Figures, Violation> {
    catch_unwind(AssertUnwindSafe(|| play::play(scenario, tell))).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_string()));
        Err(Violation { rule: "nothing panics", what: what.unwrap_or_default() })
    })
}

/// The scenarios that once failed.
fn kept() -> Vec<(String, Scenario)> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/search/cases")).expect("the folder of cases");
    let mut cases: Vec<(String, Scenario)> = folder
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_stem().unwrap().to_string_lossy().into_owned(), case)
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

#[expect(clippy::disallowed_methods, reason = "how long a search takes is told, not judged")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
