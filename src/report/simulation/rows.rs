//! The rows of the picture for a page: a bar per node, names where they fit, and words or marks at what went wrong.

use std::collections::BTreeMap;

use super::facts::state_at;
use super::gantt::Scale;
use super::style::{class, class_of_plate, class_on};
use super::svg::{Element, Rectangles, line, rect, text};
use crate::report::words::clip_to;
use crate::simulate::trace::{NodeTrace, Span, State, Trace};
use crate::text::one_line;

/// Up to so many nodes, every row has a name, and its bars have words.
const NAMED: usize = 40;
/// Rows together are about so high, if there are more.
const TALL: f64 = 1000.0;
/// Height that a name needs, and width of one of its characters; both of the fonts in which names are written.
const LINE: f64 = 14.0;
const CHARACTER: f64 = 6.8;
/// What is narrower than this is not drawn, unless it failed: then it is made wide enough to be seen.
const THIN: f64 = 0.2;
const SEEN: f64 = 2.0;
/// Height of the heading of a group.
const HEADING: f64 = 22.0;

/// Where rows are, and how wide what stands beside them is.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    /// The nodes with the upper edges of their rows.
    rows: Vec<(&'a NodeTrace, f64)>,
    /// The headings of groups with their base lines.
    headings: Vec<(&'static str, f64)>,
    /// From row to row.
    pitch: f64,
    /// Where the last row ends.
    pub bottom: f64,
    /// Width of names and zones on the left.
    pub left: f64,
    /// Width of marks on the right.
    pub right: f64,
    zones: f64,
}

impl<'a> Rows<'a> {
    /// Puts the nodes of a trace below each other: the control plane first, else in the order of the trace.
    pub fn of(trace: &'a Trace, top: f64) -> Self {
        let (control_plane, others): (Vec<_>, Vec<_>) = trace.nodes.iter().partition(|node| node.control_plane);
        let pitch = match trace.nodes.len() {
            0..=12 => 28.0,
            13..=24 => 22.0,
            25..=NAMED => 18.0,
            // Whole pixels as long as there are enough: no seams between rows that touch.
            nodes if nodes as f64 <= TALL => (TALL / nodes as f64).floor().min(LINE),
            nodes => TALL / nodes as f64,
        };
        let is_grouped = !control_plane.is_empty() && !others.is_empty();
        let (mut rows, mut headings, mut y) = (Vec::new(), Vec::new(), top);
        for (heading, nodes) in [("Control plane", control_plane), ("Workers", others)] {
            if is_grouped {
                // A name beside a thin row reaches beyond it.
                let (height, above_row) = if pitch < LINE { (HEADING + 6.0, 11.0) } else { (HEADING, 8.0) };
                y += height;
                headings.push((heading, y - above_row));
            }
            for node in nodes {
                rows.push((node, y));
                y += pitch;
            }
        }
        let longest = |of: &dyn Fn(&NodeTrace) -> usize| trace.nodes.iter().map(of).max().unwrap_or(0) as f64 * CHARACTER;
        let names = longest(&|node| one_line(&node.name).chars().count()).clamp(60.0, 200.0);
        let zones = match trace.nodes.iter().any(|node| node.zone.is_some()) {
            true => longest(&|node| node.zone.as_deref().map_or(0, |zone| one_line(zone).chars().count())).clamp(30.0, 110.0) + 12.0,
            false => 0.0,
        };
        let is_marked = trace.nodes.len() > NAMED && trace.nodes.iter().any(|node| mark(trace, node).is_some());
        let right = if is_marked { names + 3.0 * CHARACTER + 14.0 } else { 0.0 };
        Self { rows, headings, pitch, bottom: y, left: names + zones + 14.0, right, zones }
    }

    /// Everything, on a scale of time; `edge` is where names begin.
    pub fn draw(&self, trace: &Trace, scale: &Scale, edge: f64) -> Vec<Element> {
        let mut drawn: Vec<Element> = self.headings.iter().map(|(heading, y)| text(edge, *y, "head", heading)).collect();
        drawn.extend(self.names(trace, scale, edge));
        if self.rows.len() <= NAMED {
            // A group per node: a page that shows the picture itself tells of each what it did.
            drawn.extend(self.rows.iter().map(|row| {
                let title = Element::new("title").say(&told(row.0));
                Element::new("g").with(title).with_all(self.bars(std::slice::from_ref(row), scale)).with_all(self.words(row, scale))
            }));
        } else {
            drawn.push(Element::new("g").set("class", "crisp").with_all(self.bars(&self.rows, scale)));
            drawn.extend(self.marks(trace, scale));
        }
        drawn
    }

    /// The grounds of all rows: what lies on them is what nodes did besides waiting.
    pub fn grounds(&self, scale: &Scale) -> Option<Element> {
        let mut grounds = Rectangles::default();
        for (_, y) in &self.rows {
            grounds.add(scale.left, y + self.gap(), scale.width, self.pitch - 2.0 * self.gap());
        }
        grounds.path(class(State::Waiting))
    }

    /// What is left free above and below a bar.
    fn gap(&self) -> f64 {
        if self.pitch >= 5.0 { (self.pitch * 0.12).max(0.5) } else { 0.0 }
    }

    /// Names and zones, as many as fit.
    fn names(&self, trace: &Trace, scale: &Scale, edge: f64) -> Vec<Element> {
        let mut elements = Vec::new();
        let mut free = f64::MIN;
        for (node, y) in &self.rows {
            let middle = y + self.pitch / 2.0;
            if middle < free {
                continue;
            }
            free = middle + LINE - 0.01;
            let room = scale.left - 14.0 - edge - self.zones;
            let (sign, class) = if state_at(node, trace.ended) == State::Failed { ("✕ ", "bold alarm") } else { ("", "name") };
            let name = clip_to(&format!("{sign}{}", one_line(&node.name)), (room / CHARACTER) as usize + 2);
            elements.push(text(edge, middle + 4.0, class, &name));
            if let Some(zone) = &node.zone {
                let zone = clip_to(&one_line(zone), (self.zones / CHARACTER) as usize);
                elements.push(text(scale.left - 12.0, middle + 4.0, "quiet small end", &zone));
            }
        }
        elements
    }

    /// What nodes did, one path per state.
    fn bars(&self, rows: &[(&NodeTrace, f64)], scale: &Scale) -> Vec<Element> {
        let mut paths: BTreeMap<State, Rectangles> = BTreeMap::new();
        for (node, y) in rows {
            for (state, x, width) in stretches(node, scale) {
                paths.entry(state).or_default().add(x, y + self.gap(), width, self.pitch - 2.0 * self.gap());
            }
        }
        paths.into_iter().filter_map(|(state, rectangles)| rectangles.path(class(state))).collect()
    }

    /// Words on bars, where they fit.
    fn words(&self, (node, y): &(&NodeTrace, f64), scale: &Scale) -> Vec<Element> {
        let baseline = y + self.pitch / 2.0 + 4.0;
        let mut elements = Vec::new();
        for (state, x, width) in stretches(node, scale) {
            let Some(words) = words(node, state, ((width - 10.0) / CHARACTER).max(0.0) as usize) else { continue };
            // Letters on a pattern need a plate.
            let character = if state == State::Failed { CHARACTER } else { 5.8 };
            let plate = words.chars().count() as f64 * character + 6.0;
            elements.push(rect(x + 3.0, baseline - 10.5, plate.min(width - 4.0), 14.0, class_of_plate(state)).at("rx", 2.0));
            elements.push(text(x + 6.0, baseline, class_on(state), &words));
        }
        elements
    }

    /// On the right of rows that are too thin for words: who failed and who was blocked, as many as fit.
    fn marks(&self, trace: &Trace, scale: &Scale) -> Vec<Element> {
        let mut marked: Vec<(&NodeTrace, f64, State)> =
            self.rows.iter().filter_map(|(node, y)| Some((*node, y + self.pitch / 2.0, mark(trace, node)?))).collect();
        marked.sort_by_key(|(_, _, state)| std::cmp::Reverse(super::look::weight(*state)));
        let mut taken: Vec<f64> = Vec::new();
        let mut elements = Vec::new();
        for (node, y, state) in marked {
            if taken.iter().any(|other| (other - y).abs() < LINE) {
                continue;
            }
            taken.push(y);
            let (sign, class) = if state == State::Failed { ("✕", "small bold alarm") } else { ("B", "small quiet") };
            let right = scale.right();
            elements.push(line((right + 2.0, y), (right + 8.0, y), if state == State::Failed { "lead" } else { "grid" }));
            let name = clip_to(&one_line(&node.name), ((self.right - 14.0) / CHARACTER) as usize - 2);
            elements.push(text(right + 11.0, y + 4.0, class, &format!("{sign} {name}")));
        }
        elements
    }
}

/// Whether a node needs a mark: it ends failed, or was blocked.
fn mark(trace: &Trace, node: &NodeTrace) -> Option<State> {
    let was_blocked = || node.spans.iter().any(|span| span.state == State::Blocked);
    if state_at(node, trace.ended) == State::Failed { Some(State::Failed) } else { was_blocked().then_some(State::Blocked) }
}

/// What a node did besides waiting, from where and how wide: what touches and is equal is one.
fn stretches(node: &NodeTrace, scale: &Scale) -> Vec<(State, f64, f64)> {
    let touches = |one: &Span, other: &Span| one.state == other.state && one.to == other.from;
    let merged = node.spans.chunk_by(touches).filter_map(|spans| Some((spans.first()?, spans.last()?)));
    let drawn = merged.filter(|(first, _)| first.state != State::Waiting).filter_map(|(first, last)| {
        let (x, width) = (scale.x(first.from), scale.x(last.to) - scale.x(first.from));
        match first.state {
            State::Failed => Some((State::Failed, x.min(scale.right() - SEEN), width.max(SEEN))),
            state => (width >= THIN).then_some((state, x, width)),
        }
    });
    drawn.collect()
}

/// What stands on a bar of so many characters: what failed says why, what is blocked shortens to a letter.
fn words(node: &NodeTrace, state: State, room: usize) -> Option<String> {
    let reason = || node.spans.iter().rev().find(|span| span.state == State::Failed).and_then(|span| span.reason);
    let words: &[&str] = match state {
        State::Failed => &[reason().map_or("failed", |reason| reason.code()), "failed", "✕"],
        State::Blocked => &["blocked", "B"],
        // On all the others words would come and go with the length of bars, and say nothing new.
        _ => return None,
    };
    words.iter().find(|words| words.chars().count() <= room).map(ToString::to_string)
}

/// A node in a sentence.
fn told(node: &NodeTrace) -> String {
    let zone = node.zone.as_deref().map(|zone| format!(" ({zone})")).unwrap_or_default();
    let last = node.spans.last();
    let state = last.map_or(State::Waiting, |span| span.state).word();
    let why = last.map(|span| super::facts::explained(span.reason, &span.message)).filter(|why| !why.is_empty());
    format!("{}{zone}: {state}{}", node.name, why.map(|why| format!(": {why}")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::simulation::cases::{self, at, node};

    #[test]
    fn equal_spans_merge_and_slivers_go_unless_they_failed() {
        use State::*;
        let did = [(Waiting, 100), (Draining, 200), (Draining, 500), (Running, 501), (Done, 999_999), (Failed, 1_000_000)];
        let trace = Trace { begun: at(0), ended: at(1_000_000), nodes: vec![node("n", "", &did)], ..Trace::default() };
        let scale = Scale::of(&trace, 0.0, 1000.0);
        let seen: Vec<_> = stretches(&trace.nodes[0], &scale).into_iter().map(|(state, _, width)| (state, width.round())).collect();
        assert_eq!(seen, [(Draining, 0.0), (Done, 999.0), (Failed, 2.0)]);
    }

    #[test]
    fn the_control_plane_comes_first_with_headings() {
        let mut trace = cases::failed();
        trace.nodes.rotate_left(1);
        let rows = Rows::of(&trace, 0.0);
        assert_eq!(rows.rows[0].0.name, "cp-1");
        assert_eq!(rows.headings.len(), 2);
        trace.nodes.pop();
        assert!(Rows::of(&trace, 0.0).headings.is_empty(), "one group needs no name");
    }

    #[test]
    fn names_and_marks_never_stand_on_each_other() {
        let mut trace = cases::staircase(500);
        for number in (0..500).step_by(3) {
            let name = format!("w-{number:03}");
            trace.nodes[number] = node(&name, "a", &[(State::Blocked, 15_000), (State::Failed, 30_000)]);
        }
        let rows = Rows::of(&trace, 0.0);
        let scale = Scale::of(&trace, rows.left, 500.0);
        for elements in [rows.names(&trace, &scale, 0.0), rows.marks(&trace, &scale)] {
            let mut places: Vec<f64> = elements.iter().map(ToString::to_string).filter_map(|text| place(&text)).collect();
            places.sort_by(f64::total_cmp);
            places.dedup();
            assert!(places.len() > 30 && places.windows(2).all(|two| two[1] - two[0] > LINE - 0.1), "{places:?}");
        }
    }

    fn place(text: &str) -> Option<f64> {
        text.strip_prefix("<text")?.split_once(" y=\"")?.1.split_once('"')?.0.parse().ok()
    }

    #[test]
    fn words_shorten_with_their_room() {
        let trace = cases::failed();
        let on = |node: usize, state, room| words(&trace.nodes[node], state, room);
        assert_eq!(on(2, State::Failed, 20).as_deref(), Some("CommandFailed"));
        assert_eq!(on(2, State::Failed, 8).as_deref(), Some("failed"));
        assert_eq!(on(2, State::Failed, 1).as_deref(), Some("✕"));
        assert_eq!((on(1, State::Blocked, 3).as_deref(), on(1, State::Blocked, 0)), (Some("B"), None));
        assert_eq!((on(0, State::Done, 50), on(0, State::Running, 50)), (None, None));
    }
}
