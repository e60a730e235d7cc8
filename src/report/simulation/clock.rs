//! Durations in words, and round numbers for a time axis.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// Distances between the marks of an axis that people can count in.
#[rustfmt::skip]
const STEPS: [i64; 19] = [
    1, 2, 5, 10, 15, 30,
    MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY,
];

/// Seconds from one time to another, never negative.
pub fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second().saturating_sub(from.as_second()).max(0)
}

/// A duration in its two largest units: 45s, 12m 30s, 1h 5m, 2d 3h.
pub fn duration(seconds: i64) -> String {
    let (large, small) = units(seconds);
    match small {
        Some(small) => format!("{large} {small}"),
        None => large,
    }
}

/// The same without a blank, and nothing at all as a bare number: 0, 45s, 1h30m.
pub fn mark(seconds: i64) -> String {
    match units(seconds) {
        _ if seconds <= 0 => "0".into(),
        (large, small) => large + &small.unwrap_or_default(),
    }
}

fn units(seconds: i64) -> (String, Option<String>) {
    let seconds = seconds.max(0);
    let in_units = |large: i64, large_unit: char, small: i64, small_unit: char| {
        let rest = seconds % large / small;
        (format!("{}{large_unit}", seconds / large), (rest > 0).then(|| format!("{rest}{small_unit}")))
    };
    match seconds {
        0..MINUTE => (format!("{seconds}s"), None),
        MINUTE..HOUR => in_units(MINUTE, 'm', 1, 's'),
        HOUR..DAY => in_units(HOUR, 'h', MINUTE, 'm'),
        _ => in_units(DAY, 'd', HOUR, 'h'),
    }
}

/// The marks of an axis over so many seconds: round numbers from 0 on, as many as there is room for.
pub fn marks(seconds: i64, most: usize) -> Vec<i64> {
    let most = i64::try_from(most.max(1)).unwrap_or(i64::MAX);
    let fits = |step: i64| seconds.max(0) / step < most;
    let weeks = || (seconds / most / WEEK + 1).max(1) * WEEK;
    let step = STEPS.into_iter().find(|step| fits(*step)).unwrap_or_else(weeks);
    (0..=seconds.max(0) / step).map(|number| number * step).collect()
}

/// Where an axis that still grows may end, so that it does not change its scale with every second.
pub fn ceiling(seconds: i64) -> i64 {
    let seconds = seconds.max(MINUTE);
    let step = STEPS.into_iter().find(|step| seconds / step < 4).unwrap_or(2 * DAY);
    seconds.saturating_add(step - 1) / step * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_their_two_largest_units() {
        for (seconds, expected, short) in [
            (-5, "0s", "0"),
            (0, "0s", "0"),
            (45, "45s", "45s"),
            (750, "12m 30s", "12m30s"),
            (600, "10m", "10m"),
            (3900, "1h 5m", "1h5m"),
            (3601, "1h", "1h"),
            (183_600, "2d 3h", "2d3h"),
        ] {
            assert_eq!((duration(seconds).as_str(), mark(seconds).as_str()), (expected, short));
        }
    }

    #[test]
    fn an_axis_has_round_marks_and_not_too_many() {
        assert_eq!(marks(1500, 6), [0, 300, 600, 900, 1200, 1500]);
        assert_eq!(marks(0, 6), [0]);
        assert_eq!(marks(7200, 5), [0, 1800, 3600, 5400, 7200]);
        for seconds in [1, 59, 3599, 86_401, 10_000_000, 100_000_000_000] {
            for most in 1..20 {
                let marks = marks(seconds, most);
                assert!(marks.len() <= most && marks.iter().all(|mark| *mark <= seconds), "{seconds} {most}: {marks:?}");
            }
        }
    }

    #[test]
    fn an_axis_that_grows_grows_in_leaps() {
        for (seconds, end) in [(0, 60), (60, 60), (61, 90), (301, 360), (2000, 2400), (4000, 5400), (200_000, 259_200)] {
            assert_eq!(ceiling(seconds), end);
        }
    }
}
