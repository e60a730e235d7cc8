//! Makes a failing scenario as small as it gets while it still breaks the same rule.

use crate::scenario::Scenario;
use crate::witness::Violation;

/// The smallest scenario found that breaks the same rule, and how.
pub fn shrink(scenario: Scenario, violation: Violation, play: impl Fn(&Scenario) -> Option<Violation>) -> (Scenario, Violation) {
    let (mut best, mut how) = (scenario, violation);
    loop {
        let smaller = candidates(&best).into_iter().find_map(|candidate| {
            let found = play(&candidate).filter(|found| found.rule == how.rule)?;
            Some((candidate, found))
        });
        match smaller {
            Some((candidate, found)) => (best, how) = (candidate, found),
            None => return (best, how),
        }
    }
}

/// Scenarios that are one thing smaller.
fn candidates(of: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    let mut without = |count: usize, remove: fn(&mut Scenario, usize)| {
        for at in 0..count {
            let mut less = of.clone();
            remove(&mut less, at);
            all.push(less);
        }
    };
    without(of.deeds.len(), |less, at| {
        less.deeds.remove(at);
    });
    without(of.fates.len(), |less, at| {
        less.fates.remove(at);
    });
    without(of.stalls.len(), |less, at| {
        less.stalls.remove(at);
    });
    if of.operations.len() > 1 {
        without(of.operations.len(), |less, at| {
            less.operations.remove(at);
        });
    }
    if of.nodes.len() > 1 {
        without(of.nodes.len(), |less, at| {
            less.nodes.remove(at);
        });
    }
    without(usize::from(of.runners > 1), |less, _| less.runners -= 1);
    without(of.nodes.len(), |less, at| less.nodes[at].pods = 0);
    without(of.nodes.len(), |less, at| less.nodes[at].bare = 0);
    without(of.nodes.len(), |less, at| less.nodes[at].refusals = 0);
    without(of.nodes.len(), |less, at| less.nodes[at].untold = 0);
    without(of.nodes.len(), |less, at| less.nodes[at].failures = 0);
    without(of.nodes.len(), |less, at| (less.nodes[at].skip, less.nodes[at].cordoned) = (false, false));
    for (at, operation) in of.operations.iter().enumerate() {
        for key in operation.spec.as_object().into_iter().flat_map(|spec| spec.keys()).filter(|key| *key != "command") {
            let mut less = of.clone();
            if let Some(spec) = less.operations[at].spec.as_object_mut() {
                spec.remove(key);
            }
            all.push(less);
        }
    }
    all.retain(|less| less != of);
    all
}
