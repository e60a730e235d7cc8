//! Waiting for what happens in its own time.

use std::time::{Duration, Instant};

/// Asks until it is so; panics after `limit`.
pub fn wait_for(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test waits by the clock on the wall")]
    let start = Instant::now();
    let mut pause = Duration::from_millis(100);
    while !holds() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(pause);
        pause = pause.mul_f32(1.3).min(Duration::from_millis(500));
    }
}
