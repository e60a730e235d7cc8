//! Which sign stands for which state: a glyph and a tone in a terminal, and which state wins where there is room for one.

use crate::report::paint::Tone;
use crate::simulate::trace::State;

/// The one character that stands for a state. ASCII: every terminal and every log has it.
pub fn glyph(state: State) -> char {
    match state {
        State::Waiting => '.',
        State::Preflight => '?',
        State::Draining => 'v',
        State::Blocked => 'B',
        State::Running => '#',
        State::Rebooting => 'R',
        State::Done => '-',
        State::Skipped => '~',
        State::Failed => 'X',
    }
}

/// The colour that repeats it.
pub fn tone(state: State) -> Tone {
    match state {
        State::Waiting => Tone::Dim,
        State::Preflight => Tone::Plain,
        State::Draining | State::Running | State::Rebooting => Tone::Busy,
        State::Blocked => Tone::Wait,
        State::Done | State::Skipped => Tone::Good,
        State::Failed => Tone::Bad,
    }
}

/// How much a state must be seen: where several share one place, the largest is shown. Of what is done and what waits,
/// what waits: a place is done when all of it is.
pub fn weight(state: State) -> u8 {
    match state {
        State::Skipped => 0,
        State::Done => 1,
        State::Waiting => 2,
        State::Preflight => 3,
        State::Draining => 4,
        State::Running => 5,
        State::Rebooting => 6,
        State::Blocked => 7,
        State::Failed => 8,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_states_look_the_same_without_colour() {
        let glyphs: BTreeSet<char> = State::ALL.into_iter().map(glyph).collect();
        let weights: BTreeSet<u8> = State::ALL.into_iter().map(weight).collect();
        assert_eq!((glyphs.len(), weights.len()), (State::ALL.len(), State::ALL.len()));
        assert!(glyphs.iter().all(char::is_ascii_graphic));
    }
}
