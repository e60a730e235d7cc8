//! SVG elements: well-formed by construction, whatever the texts in them are, and the same bytes for the same picture.

use std::fmt::{Display, Formatter, Result, Write as _};

use crate::text::one_line;

/// An element with its attributes and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    tag: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Child>,
}

#[derive(Clone, Debug, PartialEq)]
enum Child {
    Element(Element),
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(tag: &'static str) -> Self {
        Self { tag, attributes: Vec::new(), children: Vec::new() }
    }

    /// With a number as an attribute.
    pub fn at(self, name: &'static str, value: f64) -> Self {
        self.set(name, number(value))
    }

    /// With a text as an attribute.
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// With an element in it.
    pub fn with(mut self, child: Element) -> Self {
        self.children.push(Child::Element(child));
        self
    }

    /// With elements in it.
    pub fn with_all(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children.into_iter().map(Child::Element));
        self
    }

    /// With a text in it, in one line.
    pub fn say(mut self, text: &str) -> Self {
        self.children.push(Child::Text(one_line(text)));
        self
    }
}

/// A text at a place.
pub fn text(x: f64, y: f64, class: &str, words: &str) -> Element {
    Element::new("text").at("x", x).at("y", y).set("class", class).say(words)
}

/// A rectangle of a class.
pub fn rect(x: f64, y: f64, width: f64, height: f64, class: &str) -> Element {
    Element::new("rect").at("x", x).at("y", y).at("width", width).at("height", height).set("class", class)
}

/// A line of a class.
pub fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Element {
    Element::new("line").at("x1", from.0).at("y1", from.1).at("x2", to.0).at("y2", to.1).set("class", class)
}

/// Many rectangles of one class in few bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rectangles(String);

impl Rectangles {
    /// One more.
    pub fn add(&mut self, x: f64, y: f64, width: f64, height: f64) {
        let [x, y, width, height] = [x, y, width, height].map(number);
        self.0 += &format!("M{x} {y}h{width}v{height}h-{width}z");
    }

    /// All of them as one element, if there are any.
    pub fn path(self, class: &str) -> Option<Element> {
        (!self.0.is_empty()).then(|| Element::new("path").set("class", class).set("d", self.0))
    }
}

/// A number to a hundredth of a pixel, without zeros that say nothing.
pub fn number(value: f64) -> String {
    let number = format!("{value:.2}");
    let number = number.trim_end_matches('0').trim_end_matches('.');
    if matches!(number, "-0" | "") { "0".into() } else { number.into() }
}

/// Characters that end a text or an attribute, or that XML does not have at all.
fn escape(text: &str, f: &mut Formatter) -> Result {
    text.chars().try_for_each(|c| match c {
        '&' => f.write_str("&amp;"),
        '<' => f.write_str("&lt;"),
        '>' => f.write_str("&gt;"),
        '"' => f.write_str("&quot;"),
        '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
        c if c.is_control() && c != '\n' => f.write_char('\u{fffd}'),
        c => f.write_char(c),
    })
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter) -> Result {
        write!(f, "<{}", self.tag)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"")?;
            escape(value, f)?;
            f.write_char('"')?;
        }
        if self.children.is_empty() {
            return f.write_str("/>");
        }
        f.write_char('>')?;
        for child in &self.children {
            match child {
                Child::Text(text) => escape(text, f)?,
                // A line each: a diff of two pictures can be read.
                Child::Element(element) => write!(f, "\n{element}")?,
            }
        }
        let end = if self.children.iter().any(|child| matches!(child, Child::Element(_))) { "\n" } else { "" };
        write!(f, "{end}</{}>", self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_stay_texts() {
        let element = Element::new("g").set("id", "a\"><script>").with(text(1.0, 2.5, "name", "</text>&\x1b[2J\n\u{ffff}'x"));
        let expected = "\
<g id=\"a&quot;&gt;&lt;script&gt;\">
<text x=\"1\" y=\"2.5\" class=\"name\">&lt;/text&gt;&amp; \u{fffd}'x</text>
</g>";
        assert_eq!(element.to_string(), expected);
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [(0.0, "0"), (-0.001, "0"), (12.0, "12"), (12.346, "12.35"), (100.0, "100"), (0.5, "0.5")] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn many_rectangles_are_one_path() {
        let mut rectangles = Rectangles::default();
        assert_eq!(rectangles.clone().path("done"), None);
        rectangles.add(1.0, 2.0, 3.0, 4.0);
        rectangles.add(1.5, 2.0, 3.0, 4.0);
        assert_eq!(rectangles.path("done").unwrap().to_string(), "<path class=\"done\" d=\"M1 2h3v4h-3zM1.5 2h3v4h-3z\"/>");
    }
}
