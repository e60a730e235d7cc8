//! Waiting for what happens in its own time.

use std::time::{Duration, Instant};

/// How many times as long as on a machine that has nothing else to do: a test that passes never waits that long.
const PATIENCE: u32 = 4;

/// Asks until it is so; panics after `limit`, as it is on a machine that has nothing else to do.
pub fn wait_for(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let limit = limit * PATIENCE;
    #[expect(clippy::disallowed_methods, reason = "a test waits by the clock on the wall")]
    let start = Instant::now();
    let mut pause = Duration::from_millis(100);
    while !holds() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(pause);
        pause = pause.mul_f32(1.3).min(Duration::from_millis(500));
    }
}
