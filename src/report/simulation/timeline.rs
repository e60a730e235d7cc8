//! A picture for a terminal: a row per node, a column per stretch of time, a glyph per state.

use jiff::Timestamp;

use super::facts::{standing, state_at};
use super::fold::{self, Row, heavier};
use super::{clock, look};
use crate::report::words::clip_to;
use crate::simulate::trace::{NodeTrace, State, Trace};
use crate::text::one_line;

/// Columns that a bar has at least, and that a mark of the axis takes at least.
const BAR: usize = 10;
const MARK: usize = 8;
/// Columns of the longest word for a state.
const WORD: usize = 9;

/// Which stretch of time is drawn into how many columns, and what is known of it.
#[derive(Clone, Copy)]
struct Frame {
    begun: Timestamp,
    /// What is later is not drawn.
    now: Timestamp,
    seconds: i64,
    columns: usize,
}

/// The whole rollout, in so many columns and about so many rows: those that failed or are blocked are always shown.
pub fn timeline(trace: &Trace, columns: usize, rows: usize) -> String {
    let seconds = clock::seconds(trace.begun, trace.ended).max(1);
    let picture = Picture::of(trace, trace.ended, seconds, columns, trace.nodes.len() > rows);
    let drawn = fold::fold(picture.rows(trace), rows.max(1));
    let lines = picture.lines(&drawn).into_iter().chain(legend(trace, trace.ended, columns));
    lines.map(|line| line + "\n").collect()
}

/// The rollout up to now, never in more rows or columns than there are; the last line is one sentence on where it stands.
pub fn live(trace: &Trace, now: Timestamp, columns: usize, rows: usize) -> Vec<String> {
    let mut below = legend(trace, now, columns);
    below.push(clip_to(&standing(trace, now), columns.saturating_sub(1)));
    // A picture without a node says nothing: where there is no room for one, the sentence does.
    let Some(room) = rows.checked_sub(below.len() + 1).filter(|room| *room >= 2) else {
        return below.split_off(below.len() - 1);
    };
    let seconds = clock::ceiling(clock::seconds(trace.begun, now));
    let picture = Picture::of(trace, now, seconds, columns, trace.nodes.len() > room);
    let folded = fold::fold(picture.rows(trace), room);
    let fits = folded.len() <= room;
    let (drawn, hidden) = fold::cut(folded, if fits { room } else { room - 1 });
    let mut lines = picture.lines(&drawn);
    if hidden > 0 {
        lines.push(clip_to(&format!("and {hidden} more nodes"), columns.saturating_sub(1)));
    }
    lines.append(&mut below);
    lines
}

/// What the glyphs mean: those that the trace has up to now, in as many lines as it takes.
fn legend(trace: &Trace, now: Timestamp, columns: usize) -> Vec<String> {
    let occurs = |state: &State| trace.nodes.iter().flat_map(|node| &node.spans).any(|span| span.state == *state && span.from <= now);
    let mut lines: Vec<(usize, String)> = Vec::new();
    for state in State::ALL.into_iter().filter(occurs) {
        let glyph = look::glyph(state).to_string();
        let entry = format!("{} {}", look::tone(state).paint(&glyph), state.word());
        let width = 2 + state.word().len();
        match lines.last_mut() {
            Some((used, line)) if *used + 2 + width < columns => {
                *line += &format!("  {entry}");
                *used += 2 + width;
            }
            _ => lines.push((width, entry)),
        }
    }
    lines.into_iter().filter(|(width, _)| *width < columns).map(|(_, line)| line).collect()
}

/// How the columns are shared out: name, zone if there is room, bar, state.
struct Picture {
    frame: Frame,
    columns: usize,
    name: usize,
    zone: usize,
}

impl Picture {
    fn of(trace: &Trace, now: Timestamp, seconds: i64, columns: usize, folded: bool) -> Self {
        let longest = |of: &dyn Fn(&NodeTrace) -> usize| trace.nodes.iter().map(of).max().unwrap_or(0);
        let zone = longest(&|node| node.zone.as_deref().map_or(0, |zone| one_line(zone).chars().count().max("ZONE".len())));
        let zone = zone.min(columns / 6);
        // Folded rows have two names and a number.
        let name = longest(&|node| one_line(&node.name).chars().count()).max("NODE".len());
        let name = if folded { 2 * name + " ...  (1000 nodes)".len() } else { name };
        let name = name.min((columns * 2 / 5).max(12)).min(columns.saturating_sub(BAR + WORD + 5));
        // Nodes that share a row are of all zones.
        let zone = if folded || columns < 60 { 0 } else { zone };
        let gaps = if zone > 0 { 3 * 2 } else { 2 * 2 };
        let bar = columns.saturating_sub(1 + name + zone + WORD + gaps).max(1);
        Self { frame: Frame { begun: trace.begun, now, seconds, columns: bar }, columns, name, zone }
    }

    fn rows<'a>(&self, trace: &'a Trace) -> Vec<Row<'a>> {
        let row = |node: &'a NodeTrace| Row { nodes: vec![node], bar: self.frame.bar(node), state: state_at(node, self.frame.now) };
        trace.nodes.iter().map(row).collect()
    }

    /// The axis and the rows.
    fn lines(&self, rows: &[Row]) -> Vec<String> {
        // As narrow as the names that are really there.
        let labels: Vec<String> = rows.iter().map(label).collect();
        let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max("NODE".len());
        let width = longest.min(self.name);
        let head = self.line(width, "NODE", "ZONE", &self.frame.axis(), |text| text.to_string(), "");
        let body = rows.iter().zip(&labels).map(|(row, label)| {
            let word = look::tone(row.state).paint(row.state.word());
            let bar: String = row.bar.iter().map(|state| state.map_or(' ', look::glyph)).collect();
            self.line(width, label, &zone(row), &bar, |_| painted(&row.bar), &word)
        });
        [head].into_iter().chain(body).collect()
    }

    /// A line, painted if it fits.
    fn line(&self, width: usize, name: &str, zone: &str, bar: &str, paint: impl Fn(&str) -> String, word: &str) -> String {
        let mut line = format!("{:<width$}  ", clip_to(name, width));
        if self.zone > 0 {
            line += &format!("{:<zone$}  ", clip_to(zone, self.zone), zone = self.zone);
        }
        let rest = line.chars().count() + bar.chars().count() + 2 + WORD;
        match rest < self.columns {
            true => format!("{line}{}  {word}", paint(bar)).trim_end().to_string(),
            // A line that wraps could not be erased.
            false => clip_to(&(line + bar), self.columns.saturating_sub(1)),
        }
    }
}

impl Frame {
    /// The column of a moment.
    fn column(&self, time: Timestamp) -> usize {
        let columns = i64::try_from(self.columns).unwrap_or(i64::MAX);
        usize::try_from(clock::seconds(self.begun, time).saturating_mul(columns) / self.seconds).unwrap_or(0)
    }

    /// What a node did, per column; a state that passed within a column wins it if it must be seen.
    fn bar(&self, node: &NodeTrace) -> Vec<Option<State>> {
        let mut bar = vec![None; self.columns];
        for span in node.spans.iter().filter(|span| span.from <= self.now) {
            let last = self.columns.saturating_sub(1);
            let from = self.column(span.from).min(last);
            let to = span.to.min(self.now);
            // Up to the column that the end lies in, unless it only begins there.
            let ends_in = self.column(to);
            let begins_there = clock::seconds(self.begun, to).saturating_mul(i64::try_from(self.columns).unwrap_or(1)) % self.seconds == 0;
            let end = if begins_there { ends_in } else { ends_in + 1 };
            let end = if span.state == State::Failed { end.max(from + 1) } else { end };
            for place in &mut bar[from..end.clamp(from, self.columns)] {
                *place = heavier(*place, Some(span.state));
            }
        }
        bar
    }

    /// Round numbers, each beginning in its column.
    fn axis(&self) -> String {
        let mut axis = String::new();
        for mark in clock::marks(self.seconds, self.columns / MARK) {
            let columns = i64::try_from(self.columns).unwrap_or(i64::MAX);
            let column = usize::try_from(mark.saturating_mul(columns) / self.seconds).unwrap_or(0);
            let label = format!("|{}", clock::mark(mark));
            if column + label.len() <= self.columns && column >= axis.len() {
                axis += &" ".repeat(column - axis.len());
                axis += &label;
            }
        }
        axis
    }
}

/// The name of a row: of a node, or of the first and the last of several.
fn label(row: &Row) -> String {
    let name = |node: Option<&&NodeTrace>| node.map(|node| one_line(&node.name)).unwrap_or_default();
    match row.nodes.len() {
        0 | 1 => name(row.nodes.first()),
        nodes => format!("{} ... {} ({nodes} nodes)", name(row.nodes.first()), name(row.nodes.last())),
    }
}

/// The zone of the first node of a row.
fn zone(row: &Row) -> String {
    row.nodes.first().and_then(|node| node.zone.as_deref()).map(one_line).unwrap_or_default()
}

/// A bar in colours, one per stretch.
fn painted(bar: &[Option<State>]) -> String {
    let stretch = |states: &[Option<State>]| match states.first().copied().flatten() {
        Some(state) => look::tone(state).paint(&look::glyph(state).to_string().repeat(states.len())),
        None => " ".repeat(states.len()),
    };
    bar.chunk_by(|one, other| one == other).map(stretch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::cases::plain;
    use crate::report::simulation::cases::{self, at};

    #[test]
    fn a_row_per_node_under_an_axis_with_round_numbers() {
        let expected = "\
NODE  ZONE  |0            |5m           |10m          |15m
cp-1  a     ??vvv######RRRRRR---------------------------------------  done
w-1   a     ................vvvBBBBBBBBBBBBBBB######----------------  done
w-2   b     .......................................vvv########XXXXXX  failed
w-3   b     ........................................................  waiting
. waiting  ? preflight  v draining  B blocked  # running  R rebooting  - done
X failed
";
        let picture = plain(&timeline(&cases::failed(), 80, 40));
        assert_eq!(picture, expected);
    }

    #[test]
    fn a_large_fleet_is_folded_and_what_failed_is_shown() {
        let mut trace = cases::staircase(500);
        trace.nodes[77] = cases::node("w-077", "a", &[(State::Waiting, 4620), (State::Running, 4680), (State::Failed, 30_000)]);
        let picture = plain(&timeline(&trace, 100, 40));
        assert!(picture.lines().count() <= 42, "{picture}");
        assert!(picture.lines().any(|line| line.starts_with("w-077 ") && line.ends_with("failed")), "{picture}");
        assert!(picture.contains("nodes)"), "{picture}");
    }

    #[test]
    fn while_it_runs_the_picture_fits_and_ends_with_a_sentence() {
        let mut trace = cases::failed();
        trace.nodes.extend(cases::staircase(100).nodes);
        for columns in (1..130).step_by(3) {
            for rows in 1..20 {
                let lines = live(&trace, at(700), columns, rows);
                assert!(lines.len() <= rows, "{rows}: {lines:#?}");
                for line in &lines {
                    assert!(plain(line).chars().count() < columns.max(1) || plain(line).is_empty(), "{columns}: {line}");
                }
            }
        }
        let lines = live(&cases::failed(), at(1100), 80, 24);
        assert_eq!(lines.last().unwrap(), "18m 20s  2 of 4 done, 1 failed");
        let lines = live(&cases::failed(), at(700), 80, 24);
        assert_eq!(lines.last().unwrap(), "11m 40s  1 of 4 done, 1 away, 1 blocked");
    }

    #[test]
    fn what_lies_ahead_is_not_drawn() {
        let lines = live(&cases::failed(), at(700), 80, 24);
        assert!(!lines.iter().any(|line| plain(line).contains("failed")), "{lines:#?}");
    }

    #[test]
    fn hostile_names_steer_nothing() {
        let mut trace = cases::failed();
        trace.nodes[0].name = "\x1b[2Jcp\nfake".into();
        trace.nodes[0].zone = Some("\x1b]0;x\x07a".into());
        let picture = plain(&timeline(&trace, 80, 40));
        assert!(picture.contains("\ncp fake"), "{picture}");
        assert!(!picture.contains('\x1b'));
    }
}
