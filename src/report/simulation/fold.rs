//! Many nodes in few rows: neighbours that did the same share a row; what failed or is blocked keeps its own.

use super::look;
use crate::simulate::trace::{NodeTrace, State};

/// A row of a picture: a node, or several that stand side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// The nodes, in the order of the trace.
    pub nodes: Vec<&'a NodeTrace>,
    /// What was done, per column; None where nothing is known (yet).
    pub bar: Vec<Option<State>>,
    /// What is done at the end.
    pub state: State,
}

impl Row<'_> {
    /// Whether somebody will look for it: it failed, it is blocked, or it was.
    fn stands_out(&self) -> bool {
        is_bad(self.state) || self.bar.iter().flatten().any(|state| is_bad(*state))
    }

    /// Takes the nodes of the row below; where the two differ, what must be seen wins.
    fn join(&mut self, below: Self) {
        for (here, there) in self.bar.iter_mut().zip(below.bar) {
            *here = heavier(*here, there);
        }
        self.state = heavier(Some(self.state), Some(below.state)).unwrap_or(self.state);
        self.nodes.extend(below.nodes);
    }
}

/// Of two states that share a place, the one that must be seen.
pub fn heavier(one: Option<State>, other: Option<State>) -> Option<State> {
    [one, other].into_iter().flatten().max_by_key(|state| look::weight(*state))
}

fn is_bad(state: State) -> bool {
    matches!(state, State::Failed | State::Blocked)
}

/// Whether two nodes stand the same for who looks at many: with one that was skipped nothing is left to do either.
fn stand_alike(one: State, other: State) -> bool {
    let is_over = |state| matches!(state, State::Done | State::Skipped);
    one == other || is_over(one) && is_over(other)
}

/// Folds rows of one node each until there are at most so many, if that can be without hiding a node that failed or is
/// blocked.
pub fn fold(rows: Vec<Row<'_>>, most: usize) -> Vec<Row<'_>> {
    if rows.len() <= most {
        return rows;
    }
    // Nodes that were blocked for a while stand out, unless that happened to all and sundry.
    let many = rows.iter().filter(|row| row.stands_out()).count() * 2 > most;
    let alone = |row: &Row| if many { is_bad(row.state) } else { row.stands_out() };
    let rows = join(rows, usize::MAX, |one, other| one.bar == other.bar && !alone(one) && !alone(other));
    if rows.len() <= most {
        return rows;
    }
    let may_join = |one: &Row, other: &Row| stand_alike(one.state, other.state) && !alone(one) && !alone(other);
    // The smallest number of nodes per row that does; twice as many at a time, so that a picture that is drawn again and
    // again does not jump.
    let sizes = (1..usize::BITS).map(|power| 1_usize << power).take_while(|size| *size < 2 * nodes(&rows));
    let mut folded = rows.clone();
    for size in sizes {
        folded = join(rows.clone(), size, may_join);
        if folded.len() <= most {
            break;
        }
    }
    folded
}

/// The most important rows, if even folded ones are too many, and how many nodes are not shown.
pub fn cut(rows: Vec<Row<'_>>, most: usize) -> (Vec<Row<'_>>, usize) {
    if rows.len() <= most {
        return (rows, 0);
    }
    let mut places: Vec<usize> = (0..rows.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(look::weight(rows[*place].state)));
    places.truncate(most);
    let (shown, hidden): (Vec<_>, Vec<_>) = rows.into_iter().enumerate().partition(|(place, _)| places.contains(place));
    (shown.into_iter().map(|(_, row)| row).collect(), hidden.iter().map(|(_, row)| row.nodes.len()).sum())
}

fn nodes(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.nodes.len()).sum()
}

/// Joins neighbours that may be, up to so many nodes per row.
fn join<'a>(rows: Vec<Row<'a>>, size: usize, may_join: impl Fn(&Row, &Row) -> bool) -> Vec<Row<'a>> {
    let mut joined: Vec<Row> = Vec::new();
    for row in rows {
        match joined.last_mut() {
            Some(above) if above.nodes.len() + row.nodes.len() <= size && may_join(above, &row) => above.join(row),
            _ => joined.push(row),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<'a>(nodes: &'a [NodeTrace], bars: &[&[State]]) -> Vec<Row<'a>> {
        let row = |(place, bar): (usize, &&[State])| Row {
            nodes: vec![&nodes[place]],
            bar: bar.iter().copied().map(Some).collect(),
            state: *bar.last().unwrap(),
        };
        bars.iter().enumerate().map(row).collect()
    }

    fn sizes(rows: &[Row]) -> Vec<usize> {
        rows.iter().map(|row| row.nodes.len()).collect()
    }

    #[test]
    fn neighbours_that_did_the_same_share_a_row_and_a_failure_keeps_its_own() {
        use State::*;
        let nodes = vec![NodeTrace::default(); 7];
        let bars: Vec<&[State]> = vec![
            &[Done, Done],
            &[Waiting, Waiting],
            &[Waiting, Waiting],
            &[Waiting, Failed],
            &[Waiting, Failed],
            &[Done, Done],
            &[Done, Done],
        ];
        let unfolded = rows(&nodes, &bars);
        assert_eq!(fold(unfolded.clone(), 7), unfolded, "what fits is not folded");
        assert_eq!(sizes(&fold(unfolded.clone(), 5)), [1, 2, 1, 1, 2]);
    }

    #[test]
    fn neighbours_that_stand_the_same_are_folded_further_and_the_staircase_stays() {
        use State::*;
        let nodes = vec![NodeTrace::default(); 6];
        let mut bars: Vec<Vec<State>> = (0..6).map(|step| vec![Waiting; step]).collect();
        for (step, bar) in bars.iter_mut().enumerate() {
            bar.push(Running);
            bar.resize(7, Done);
            bar[0] = if step == 0 { Running } else { Waiting };
        }
        bars[5][2] = Blocked;
        let bars: Vec<&[State]> = bars.iter().map(Vec::as_slice).collect();
        let folded = fold(rows(&nodes, &bars), 4);
        assert_eq!(sizes(&folded), [2, 2, 1, 1], "the node that was blocked keeps its row");
        assert_eq!(folded[0].bar[..3], [Some(Running), Some(Running), Some(Done)]);
        let (shown, hidden) = cut(folded, 2);
        assert_eq!((shown.len(), hidden), (2, 2));
    }

    #[test]
    fn of_too_many_rows_the_worst_are_kept() {
        use State::*;
        let nodes = vec![NodeTrace::default(); 3];
        let (shown, hidden) = cut(rows(&nodes, &[&[Done], &[Running], &[Failed]]), 2);
        assert_eq!((shown.iter().map(|row| row.state).collect::<Vec<_>>(), hidden), (vec![Running, Failed], 1));
    }
}
