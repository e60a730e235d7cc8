//! How long things take, and what fails: all that a simulation knows and a cluster would show.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::SignedDuration;

/// A duration that differs from time to time: `2m±30s`, evenly spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// In the middle, in milliseconds.
    middle: u64,
    /// How far from it at most, in milliseconds.
    around: u64,
}

impl Spread {
    /// Always the same.
    pub const fn seconds(seconds: u64) -> Self {
        Self { middle: seconds * 1000, around: 0 }
    }

    /// Between two lengths, in milliseconds.
    pub const fn around(middle: u64, around: u64) -> Self {
        Self { middle, around }
    }

    /// One of the durations.
    pub fn draw(self, dice: &mut fastrand::Rng) -> SignedDuration {
        let low = self.middle.saturating_sub(self.around);
        let high = self.middle.saturating_add(self.around);
        SignedDuration::from_millis(i64::try_from(dice.u64(low..=high)).unwrap_or(i64::MAX))
    }
}

impl FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (middle, around) = text.split_once('±').or_else(|| text.split_once("+-")).map_or((text, None), |(a, b)| (a, Some(b)));
        let length = |part: &str| {
            let parsed = humantime::parse_duration(part.trim());
            parsed
                .map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
                .map_err(|error| format!("{part:?} is not a duration ({error}): write for example 90s, 2m or 2m±30s"))
        };
        let spread = Self { middle: length(middle)?, around: around.map_or(Ok(0), length)? };
        if spread.around > spread.middle {
            return Err(format!("{text:?}: what stands after ± must not be longer than what stands before it"));
        }
        Ok(spread)
    }
}

/// How long things take, and which commands fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The command of an operation.
    pub job: Spread,
    /// A preflight.
    pub preflight: Spread,
    /// From a pod's creation until its containers run.
    pub start: Spread,
    /// From an eviction until the pod is gone.
    pub eviction: Spread,
    /// From the creation of a workload's pod until it is Ready.
    pub ready: Spread,
    /// From the reboot of a node until it is Ready again.
    pub reboot: Spread,
    /// A controller's reaction.
    pub controller: Spread,
    /// How often the command fails on a node before it succeeds; `u32::MAX`: always.
    pub failures: BTreeMap<String, u32>,
    /// How many pods of ours the kubelet of a node does not admit.
    pub refusals: BTreeMap<String, u32>,
    /// How often the container that follows a command cannot tell of which boot the node is.
    pub untold: BTreeMap<String, u32>,
    /// The share of nodes on which the command always fails, from 0 to 1.
    pub fail_rate: f64,
    /// Nodes on which the preflight says that there is nothing to do.
    pub skips: BTreeMap<String, String>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            job: Spread::around(120_000, 30_000),
            preflight: Spread::around(5_000, 2_000),
            start: Spread::around(3_000, 1_000),
            eviction: Spread::around(20_000, 10_000),
            ready: Spread::around(20_000, 10_000),
            reboot: Spread::around(90_000, 20_000),
            controller: Spread::around(200, 100),
            failures: BTreeMap::new(),
            refusals: BTreeMap::new(),
            untold: BTreeMap::new(),
            fail_rate: 0.0,
            skips: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_a_spread() {
        for (text, expected) in [
            ("2m±30s", Spread::around(120_000, 30_000)),
            ("2m+-30s", Spread::around(120_000, 30_000)),
            ("90s", Spread::seconds(90)),
            ("1h 30m ± 5m", Spread::around(5_400_000, 300_000)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for (text, part) in [("soon", "soon"), ("2m±", "not a duration"), ("1m±2m", "must not be longer"), ("", "90s")] {
            let error = text.parse::<Spread>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn every_draw_lies_within_the_spread_and_the_same_dice_draw_the_same() {
        let (mut one, mut two) = (fastrand::Rng::with_seed(7), fastrand::Rng::with_seed(7));
        let spread = Spread::around(2_000, 500);
        for _ in 0..1000 {
            let drawn = spread.draw(&mut one);
            assert_eq!(drawn, spread.draw(&mut two));
            assert!((1_500..=2_500).contains(&drawn.as_millis()));
        }
        assert_eq!(Spread::seconds(3).draw(&mut one), SignedDuration::from_secs(3));
    }
}
