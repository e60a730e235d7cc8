//! A runner that dies between any two writes, or whose last write arrives when it has long been dead: the next one ends
//! where one that lived would have ended.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::harness::proxy::{Asked, Fate};
use crate::harness::{Corner, Proxy};
use crate::trial::{self, Trial};

/// Rollouts side by side: each mostly waits for the control plane.
const ABREAST: usize = 6;

/// What becomes of the first write that the runner does not live to see answered.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    /// It is never sent.
    Lost,
    /// It arrives when three more rounds have been done.
    Late,
}

/// A runner in a process of its own whose connection is cut before it writes for the `writes`th time, and that is killed
/// then. Returns whether it lived to see everything settled, and the proxy, with the last write if that is to come late.
fn live_for(corner: &Corner, writes: usize, last: Last) -> (bool, Proxy) {
    let (cut, is_cut) = mpsc::channel();
    let mut dead = false;
    let rule = move |asked: &Asked| {
        if dead {
            return Fate::Drop;
        }
        dead = asked.write.is_some_and(|write| write >= writes);
        if !dead {
            return Fate::Pass;
        }
        // Nobody listens any more if it settled at this very moment.
        let _ = cut.send(());
        if last == Last::Lost { Fate::Drop } else { Fate::Hold }
    };
    let proxy = Proxy::start(corner, rule);
    let mut runner = corner.through(&proxy).command(&["run", "--until-settled", "--timeout", "300s"]).spawn().expect("the binary starts");
    (!dies(&mut runner, &is_cut), proxy)
}

/// Waits until a runner is cut off, and kills it; or until it has ended by itself.
fn dies(runner: &mut Child, is_cut: &mpsc::Receiver<()>) -> bool {
    loop {
        if is_cut.recv_timeout(Duration::from_millis(50)).is_ok() {
            runner.kill().expect("it is killed");
            runner.wait().expect("it is dead");
            return true;
        }
        if let Some(status) = runner.try_wait().expect("it can be asked for") {
            assert!(status.success(), "it ended by itself: {status}");
            return false;
        }
    }
}

/// One rollout whose first runner dies after so many writes; whether it lived.
fn rollout(root: &Corner, writes: usize, last: Last) -> (bool, Trial) {
    let trial = Trial::new(root, &writes.to_string(), format!("after {writes} writes"));
    let corner = &trial.corner;
    let (lived, proxy) = live_for(corner, writes, last);
    if last == Last::Late {
        (0..3).for_each(|_| corner.round());
        proxy.deliver();
    }
    let printed = corner.settle();
    assert_eq!(printed.code, 0, "after {writes} writes: {printed:#?}");
    trial.end();
    (lived, trial)
}

/// With ROUNDS_EVERY_WRITE (`make nightly`) no write is passed over.
#[expect(clippy::disallowed_methods, reason = "how thorough a test is, its environment says")]
fn is_thorough() -> bool {
    std::env::var("ROUNDS_EVERY_WRITE").is_ok_and(|value| !value.is_empty())
}

/// Rollouts whose runner dies after 0, 1, 2… writes (in steps), until one does all that it has to do.
fn die_after_every_write(name: &str, last: Last, step: usize) {
    let _alone = trial::alone();
    let root = Corner::new(name);
    let next = AtomicUsize::new(0);
    let lived = AtomicBool::new(false);
    let trials = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                while !lived.load(Ordering::SeqCst) {
                    let (to_the_end, trial) = rollout(&root, next.fetch_add(step, Ordering::SeqCst), last);
                    lived.fetch_or(to_the_end, Ordering::SeqCst);
                    trials.lock().unwrap().push(trial);
                }
            });
        }
    });
    let trials = trials.into_inner().unwrap();
    assert!(trials.len() * step > 30, "only {} trials: does the proxy count writes?", trials.len());
    Trial::assert_started_once(&root, &trials);
}

#[test]
fn a_runner_that_dies_between_any_two_writes_leaves_nothing_undone_and_nothing_done_twice() {
    die_after_every_write("crashes", Last::Lost, 1);
}

#[test]
fn a_write_that_arrives_when_its_runner_is_long_dead_changes_nothing() {
    die_after_every_write("late", Last::Late, if is_thorough() { 1 } else { 2 });
}
