//! A picture for a page, such as a pull request: one self-contained SVG file, a row per node over time.

use jiff::Timestamp;

use super::curve::{self, curve};
use super::facts::{Ending, Facts, standing};
use super::rows::Rows;
use super::svg::{Element, line, rect, text};
use super::{clock, style};
use crate::report::words::clip_to;
use crate::simulate::trace::{State, Trace};

/// Width of the picture, and of its margin.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
/// Characters of a line below the title.
const CHARACTERS: usize = 125;
/// Width that a mark of the axis needs.
const MARK: f64 = 70.0;

/// From time to pixels.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    begun: Timestamp,
    milliseconds: f64,
    /// Where it begins.
    pub left: f64,
    /// How wide it is.
    pub width: f64,
}

impl Scale {
    /// The scale on which a whole trace fits.
    pub fn of(trace: &Trace, left: f64, width: f64) -> Self {
        let milliseconds = trace.ended.as_millisecond().saturating_sub(trace.begun.as_millisecond());
        Self { begun: trace.begun, milliseconds: (milliseconds as f64).max(1.0), left, width }
    }

    /// Where a time is.
    pub fn x(&self, time: Timestamp) -> f64 {
        let passed = time.as_millisecond().saturating_sub(self.begun.as_millisecond()) as f64;
        self.left + self.width * (passed / self.milliseconds).clamp(0.0, 1.0)
    }

    /// Where it ends.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }
}

/// The rollout as an SVG 1.1 document.
pub fn svg(trace: &Trace) -> String {
    let facts = Facts::of(trace);
    let (header, below) = header(trace, &facts);
    let (legend, below) = legend(trace, below);
    let top = below + 34.0;
    let rows = Rows::of(trace, top);
    let left = MARGIN + rows.left;
    let scale = Scale::of(trace, left, WIDTH - MARGIN - rows.right - left);
    let curve_top = rows.bottom + 44.0;
    let bottom = curve_top + curve::HEIGHT;
    let height = bottom + 42.0;
    let document = Element::new("svg")
        .set("xmlns", "http://www.w3.org/2000/svg")
        .set("version", "1.1")
        .set("viewBox", format!("0 0 {WIDTH} {height}", height = super::svg::number(height)))
        .at("width", WIDTH)
        .at("height", height)
        .set("role", "img")
        .with(Element::new("title").say(&facts.verdict))
        .with(Element::new("desc").say(&facts.sentence()))
        .with(style::style())
        .with(style::patterns())
        .with(rect(0.5, 0.5, WIDTH - 1.0, height - 1.0, "page").at("rx", 8.0))
        .with_all(header)
        .with_all(legend)
        .with_all(rows.grounds(&scale))
        .with_all(axis(trace, &scale, top, bottom))
        .with_all(rows.draw(trace, &scale, MARGIN))
        .with(text(MARGIN, curve_top + 4.0, "head", "Nodes away"))
        .with(curve(trace, &scale, curve_top));
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{document}\n")
}

/// How it ended, and why; and where it goes on below.
fn header(trace: &Trace, facts: &Facts) -> (Vec<Element>, f64) {
    let (sign, class) = match facts.ending {
        Ending::Completed => ("✓ ", "title"),
        Ending::NotCompleted => ("✕ ", "title alarm"),
        Ending::Nothing => ("", "title"),
    };
    let mut y = MARGIN + 16.0;
    let mut elements = vec![text(MARGIN, y, class, &format!("{sign}{}", facts.verdict))];
    y += 6.0;
    let mut lines = wrapped(&facts.why, CHARACTERS, 2);
    if facts.ending == Ending::NotCompleted {
        lines.push(standing(trace, trace.ended).replacen("  ", ": ", 1));
    }
    for line in lines {
        y += 18.0;
        elements.push(text(MARGIN, y, "why", &line));
    }
    (elements, y)
}

/// A text in a few lines; what does not fit is cut.
fn wrapped(words: &str, characters: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        let is_last = lines.len() == most;
        match lines.last_mut() {
            // The last line takes the rest, and is cut.
            Some(line) if is_last || line.chars().count() + 1 + word.chars().count() <= characters => *line += &format!(" {word}"),
            _ => lines.push(word.to_string()),
        }
    }
    lines.iter().map(|line| clip_to(line, characters)).collect()
}

/// What the colours and patterns mean: those that occur.
fn legend(trace: &Trace, above: f64) -> (Vec<Element>, f64) {
    let occurs = |state: &State| trace.nodes.iter().flat_map(|node| &node.spans).any(|span| span.state == *state);
    let (mut x, y) = (MARGIN, above + 18.0);
    let mut elements = Vec::new();
    for state in State::ALL.into_iter().filter(occurs) {
        elements.push(rect(x, y, 20.0, 12.0, style::class(state)).at("rx", 2.0));
        // The signs that stand where there is no room for a word.
        let sign = match state {
            State::Blocked => "B ",
            State::Failed => "✕ ",
            _ => "",
        };
        let words = format!("{sign}{}", state.word());
        elements.push(text(x + 26.0, y + 10.0, "small", &words));
        x += 26.0 + words.chars().count() as f64 * 5.6 + 20.0;
    }
    let height = if elements.is_empty() { 0.0 } else { 12.0 };
    (elements, y + height)
}

/// Round numbers above and below, and lines between them.
fn axis(trace: &Trace, scale: &Scale, top: f64, bottom: f64) -> Vec<Element> {
    let seconds = clock::seconds(trace.begun, trace.ended);
    let mut elements = Vec::new();
    for mark in clock::marks(seconds, (scale.width / MARK) as usize) {
        let x = scale.left + scale.width * mark as f64 * 1000.0 / scale.milliseconds;
        // Half a pixel: a line of one pixel is one pixel.
        let x = x.floor() + 0.5;
        elements.push(line((x, top - 4.0), (x, bottom), "grid"));
        let words = clock::mark(mark);
        elements.push(text(x, top - 10.0, "quiet small middle", &words));
        elements.push(text(x, bottom + 18.0, "quiet small middle", &words));
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::simulation::cases;

    #[test]
    fn the_picture_says_how_it_ended_and_names_every_node() {
        let picture = svg(&cases::failed());
        for words in [
            "✕ The rollout does not complete",
            "StoppedOnFailure: w-2 failed",
            ">cp-1<",
            ">✕ w-2<",
            ">Control plane<",
            ">failed<",
            ">blocked<",
            ">10m<",
        ] {
            assert!(picture.contains(words), "{words}: {picture}");
        }
        assert_eq!(picture, svg(&cases::failed()), "the same bytes each time");
    }

    #[test]
    fn a_large_fleet_stays_small() {
        let picture = svg(&cases::staircase(500));
        assert!(picture.len() < 200_000, "{}", picture.len());
        assert!(picture.matches("<text").count() < 300);
    }

    #[test]
    fn nothing_to_draw_is_drawn() {
        let picture = svg(&Trace::default());
        assert!(picture.contains("There is nothing to roll out") && !picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }

    #[test]
    fn hostile_texts_stay_texts() {
        let mut trace = cases::failed();
        trace.nodes[2].name = "</text><script>alert(1)</script>".into();
        trace.nodes[1].zone = Some("]]><!-- &x;".into());
        trace.operations[0].message = "<img onerror=x> \u{0} \u{202e}".into();
        let picture = svg(&trace);
        assert!(!picture.contains("<script") && !picture.contains("<img") && !picture.contains("<!--"), "{picture}");
        assert!(!picture.contains(|c: char| c.is_control() && c != '\n'));
    }

    #[test]
    fn a_long_reason_takes_two_lines_and_is_cut() {
        assert_eq!(wrapped("one two three", 8, 2), ["one two", "three"]);
        assert_eq!(wrapped("one two three four five", 8, 2), ["one two", "three f…"]);
        assert_eq!(wrapped("", 8, 2), Vec::<String>::new());
        assert_eq!(wrapped(&"x".repeat(50), 8, 2), ["xxxxxxx…"]);
    }
}
