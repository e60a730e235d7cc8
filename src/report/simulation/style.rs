//! The colours of the picture for a page, in the light and in the dark, and the patterns that say the same without colour.
//!
//! What goes on is blue and amber, which nearly everybody can tell apart; what is over is pale. Blocked is hatched, failed is
//! crossed, skipped is dotted.

use super::svg::{Element, rect};
use crate::simulate::trace::State;

/// What is coloured, in the light, and in the dark.
const COLOURS: [(&str, &str, &str); 16] = [
    ("page", "#ffffff", "#0d1117"),
    ("edge", "#d1d9e0", "#30363d"),
    ("ink", "#1f2328", "#e6edf3"),
    ("quiet", "#59636e", "#9da7b1"),
    ("grid", "#d5dae0", "#363d46"),
    ("waiting", "#f0f2f5", "#1b2027"),
    ("preflight", "#7d8795", "#707b8c"),
    ("draining", "#f3c65f", "#c9982f"),
    ("stripe", "#7a4b00", "#3d2600"),
    ("running", "#2560a8", "#3f83cf"),
    ("rebooting", "#86bef0", "#9bcdf5"),
    ("done", "#a3cfa8", "#265c42"),
    ("failed", "#a61b1b", "#f0736b"),
    ("cross", "#f2a7a0", "#7d1f19"),
    ("alarm", "#a61b1b", "#ff8f87"),
    ("on-failed", "#ffffff", "#1f0504"),
];

/// Whether it is light or dark around the picture.
#[derive(Clone, Copy, PartialEq)]
enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    fn colour(self, name: &str) -> &'static str {
        COLOURS.iter().find(|(one, ..)| *one == name).map_or("", |(_, light, dark)| if self == Self::Light { light } else { dark })
    }
}

/// What does not depend on the scheme.
const SHAPES: &str = "
text{font-family:-apple-system,BlinkMacSystemFont,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif;font-size:12px}
.title{font-size:18px;font-weight:600}
.why{font-size:13px}
.head{font-size:11px;font-weight:600}
.small{font-size:11px}
.bold{font-weight:600}
.end{text-anchor:end}
.middle{text-anchor:middle}
.skipped{fill:url(#rounds-skipped)}
.blocked{fill:url(#rounds-blocked)}
.failed{fill:url(#rounds-failed)}
.crisp{shape-rendering:crispEdges}
.grid,.lead{stroke-width:1;fill:none}
.most{stroke-width:1;stroke-dasharray:3 3;fill:none}
.curve{stroke-width:1.5;fill-opacity:.25}
";

/// The style sheet.
pub fn style() -> Element {
    let dark = format!("@media(prefers-color-scheme:dark){{\n{}}}", rules(Scheme::Dark));
    // A style sheet is read as text: line breaks in it are of no importance.
    Element::new("style").say(&format!("{SHAPES}{}{dark}", rules(Scheme::Light)))
}

/// The rules of one scheme.
fn rules(scheme: Scheme) -> String {
    let of = |name: &str| scheme.colour(name);
    let fill = |classes: &str, name: &str| format!("{classes}{{fill:{}}}\n", of(name));
    let line = |classes: &str, name: &str| format!("{classes}{{stroke:{}}}\n", of(name));
    [
        format!(".page{{fill:{};stroke:{}}}\n", of("page"), of("edge")),
        fill("text,.title", "ink"),
        fill(".quiet,.head,.why", "quiet"),
        fill(".waiting", "waiting"),
        fill(".preflight", "preflight"),
        fill(".draining", "draining"),
        fill(".running", "running"),
        fill(".rebooting", "rebooting"),
        fill(".done", "done"),
        fill(".ground-failed", "failed"),
        fill(".alarm", "alarm"),
        fill(".on-failed", "on-failed"),
        // This ground is light in both schemes.
        ".on-blocked{fill:#1f2328}\n".into(),
        line(".grid,.most", "grid"),
        line(".lead", "alarm"),
        line(".stripe", "stripe"),
        line(".cross", "cross"),
        fill(".dot", "quiet"),
        format!(".curve{{fill:{0};stroke:{0}}}\n", of("running")),
    ]
    .concat()
}

/// The class of what a state is drawn with.
pub fn class(state: State) -> &'static str {
    state.word()
}

/// The class of a text on what failed or is blocked.
pub fn class_on(state: State) -> &'static str {
    if state == State::Failed { "small bold on-failed" } else { "small on-blocked" }
}

/// The class of what lies between such a text and the pattern: the pattern's ground.
pub fn class_of_plate(state: State) -> &'static str {
    if state == State::Failed { "ground-failed" } else { "draining" }
}

/// The patterns.
pub fn patterns() -> Element {
    let stroke = |d: &str, class: &str, width: f64| Element::new("path").set("class", class).at("stroke-width", width).set("d", d);
    let blocked = pattern("rounds-blocked", 7.0, "draining").with(stroke("M-1 8L8 -1M-1 1L1 -1M6 8L8 6", "stripe", 2.2));
    let failed = pattern("rounds-failed", 8.0, "ground-failed").with(stroke("M0 0L8 8M8 0L0 8", "cross", 0.7));
    let dot = Element::new("circle").at("cx", 3.0).at("cy", 3.0).at("r", 0.9).set("class", "dot");
    let skipped = pattern("rounds-skipped", 6.0, "done").with(dot);
    Element::new("defs").with_all([blocked, failed, skipped])
}

fn pattern(id: &'static str, size: f64, ground: &str) -> Element {
    let pattern = Element::new("pattern").set("id", id).set("patternUnits", "userSpaceOnUse").at("width", size).at("height", size);
    pattern.with(rect(0.0, 0.0, size, size, ground))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_colour_every_state() {
        let sheet = style().to_string();
        let (light, dark) = sheet.split_once("@media").unwrap();
        for state in State::ALL {
            let class = format!(".{}{{fill:", class(state));
            let pattern = format!("rounds-{}", state.word());
            let everywhere = light.contains(&format!("url(#{pattern})")) && patterns().to_string().contains(&pattern);
            assert!(everywhere || light.contains(&class) && dark.contains(&class), "{state:?}: {sheet}");
        }
        assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
        assert!(!sheet.contains("{fill:}") && !sheet.contains("{stroke:}"), "{sheet}");
    }

    #[test]
    fn texts_can_be_read_on_what_they_stand() {
        for scheme in [Scheme::Light, Scheme::Dark] {
            for (text, ground, least) in
                [("ink", "page", 7.0), ("quiet", "page", 4.5), ("alarm", "page", 4.5), ("on-failed", "failed", 4.0)]
            {
                let (one, other) = (luminance(scheme.colour(text)), luminance(scheme.colour(ground)));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= least, "{text} on {ground}: {contrast}");
            }
        }
    }

    /// Relative luminance as WCAG has it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }
}
