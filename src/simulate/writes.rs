//! The writes of one round that are still to be made, as the real one makes them: a decision's status first, its steps only
//! if that was taken; steps side by side; the actions of a step one after the other, until one is refused.

use std::collections::VecDeque;

use super::world::World;
use crate::mutant::Mutant;
use crate::outcome::Verdict;
use crate::plan::{Action, Plan, StatusWrite};

/// What is still to be written.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Those that may be next, in the order of the plan.
    ready: VecDeque<Line>,
    /// What waits for a status, by the number in its line.
    waiting: Vec<Vec<VecDeque<Action>>>,
}

/// Writes that follow each other.
#[derive(Clone, Debug)]
enum Line {
    Status(Box<StatusWrite>, usize),
    Step(VecDeque<Action>),
}

/// One write, and what depends on how it ends.
#[derive(Clone, Debug)]
pub struct Write {
    /// What is written.
    pub what: What,
    rest: VecDeque<Action>,
    unlocks: Option<usize>,
}

/// What is written.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A status.
    Status(Box<StatusWrite>),
    /// Anything else.
    Action(Action),
}

impl Writes {
    /// All writes of a plan.
    pub fn of(plan: Plan) -> Self {
        let mut writes = Self::default();
        for decision in plan.decisions {
            let steps = decision.steps.into_iter().map(|step| VecDeque::from(step.actions));
            match decision.status {
                Some(status) => {
                    writes.waiting.push(steps.collect());
                    writes.ready.push_back(Line::Status(Box::new(status), writes.waiting.len() - 1));
                }
                None => writes.ready.extend(steps.filter(|step| !step.is_empty()).map(Line::Step)),
            }
        }
        writes
    }

    /// How many writes could be the next one.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Begins one of them.
    pub fn begin(&mut self, choice: usize) -> Option<Write> {
        match self.ready.remove(choice)? {
            Line::Status(status, unlocks) => Some(Write { what: What::Status(status), rest: VecDeque::new(), unlocks: Some(unlocks) }),
            Line::Step(mut step) => Some(Write { what: What::Action(step.pop_front()?), rest: step, unlocks: None }),
        }
    }

    /// A write has ended.
    pub fn end(&mut self, write: Write, verdict: &Verdict) {
        let go = match write.unlocks {
            Some(_) if Mutant::ActBeforeClaim.lives() => true,
            Some(_) => matches!(verdict, Verdict::Done | Verdict::Already),
            None => matches!(verdict, Verdict::Done | Verdict::Already | Verdict::Blocked(_)),
        };
        if !go {
            return;
        }
        if let Some(steps) = write.unlocks.and_then(|at| self.waiting.get_mut(at)) {
            let steps = std::mem::take(steps);
            self.ready.extend(steps.into_iter().filter(|step| !step.is_empty()).map(Line::Step));
        }
        if !write.rest.is_empty() {
            self.ready.push_front(Line::Step(write.rest));
        }
    }
}

impl World {
    /// What the apiserver makes of a write.
    pub fn take(&mut self, what: &What) -> Verdict {
        match what {
            What::Status(status) => self.write_status(status),
            What::Action(action) => self.write(action),
        }
    }

    /// Carries out a whole plan, one write after the other; how many writes were taken.
    pub fn carry_out(&mut self, plan: Plan, mut tell: impl FnMut(&What, &Verdict)) -> usize {
        let mut writes = Writes::of(plan);
        let mut done = 0;
        while let Some(write) = writes.begin(0) {
            let verdict = self.take(&write.what);
            done += usize::from(verdict == Verdict::Done);
            tell(&write.what, &verdict);
            writes.end(write, &verdict);
        }
        done
    }
}
