//! Text that others wrote (what a container said, what an object is called), made fit to be recorded and printed: it must
//! not steer a terminal, nor look like lines of ours.

use std::borrow::Cow;
use std::fmt::Write as _;

/// In one line: what steers a terminal is taken out, and blanks, line breaks and control characters are one blank.
pub fn one_line(text: &str) -> String {
    let bare = anstream::adapter::strip_str(text).to_string();
    let words = bare.split(|c: char| c.is_whitespace() || steers(c));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// As it is, but for what steers a terminal: that is shown by its number. Line breaks, tabs and colours stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(steers) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        let kept = from.chars().next().map_or(0, |c| if matches!(c, '\n' | '\t') { 1 } else { colour(from) });
        shown.push_str(&from[..kept]);
        rest = &from[kept..];
        if kept == 0 {
            let mut others = rest.chars();
            shown.extend(others.next().into_iter().flat_map(char::escape_unicode));
            rest = others.as_str();
        }
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// A JSON document in which what steers a terminal is escaped: it says the same.
pub fn harmless_json(document: &str) -> Cow<'_, str> {
    let laid_out = |c: char| matches!(c, '\n' | '\r' | '\t');
    if !document.contains(|c| steers(c) && !laid_out(c)) {
        return Cow::Borrowed(document);
    }
    let escaped = document.chars().fold(String::with_capacity(document.len()), |mut escaped, c| {
        // Such characters only stand in strings, and none of them is beyond four digits. Writing into a String does not fail.
        let _ = if steers(c) && !laid_out(c) { write!(escaped, "\\u{:04x}", u32::from(c)) } else { write!(escaped, "{c}") };
        escaped
    });
    Cow::Owned(escaped)
}

/// Control characters, and those that turn the direction of what follows: the text on the screen would not be the text.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How long the escape sequence for a colour is with which a text begins; 0 if it does not.
fn colour(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\x1b[") else { return 0 };
    let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if rest.as_bytes().get(digits) == Some(&b'm') { "\x1b[".len() + digits + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_one_line_without_anything_that_steers() {
        for (text, expected) in [
            ("plain  text", "plain text"),
            ("a\nError: forged\r\n\tb", "a Error: forged b"),
            ("\x1b[31mred\x1b[0m and \x1b]0;title\x07gone", "red and gone"),
            ("c1 \u{9b}2J bidi \u{202e}x\u{2028}y", "c1 2J bidi x y"),
            ("ünïcödé ✓ 漢字", "ünïcödé ✓ 漢字"),
            ("\x1b[2J\x07", ""),
        ] {
            assert_eq!(one_line(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_printed_keeps_lines_and_colours_and_nothing_else_that_steers() {
        for (text, expected) in [
            ("a\tb\n\x1b[1;31mred\x1b[0m", "a\tb\n\x1b[1;31mred\x1b[0m"),
            ("\x1b[2J\x1b]0;t\x07", "\\u{1b}[2J\\u{1b}]0;t\\u{7}"),
            ("over\rwritten \u{9b}1A \u{202e}x \x1b", "over\\u{d}written \\u{9b}1A \\u{202e}x \\u{1b}"),
            ("漢字 ✓", "漢字 ✓"),
        ] {
            assert_eq!(harmless(text), expected, "{text:?}");
        }
    }

    #[test]
    fn json_says_the_same() {
        let value = serde_json::json!({"a": "\u{9b}2J \u{7f} \u{202e} \x1b ✓"});
        let document = serde_json::to_string_pretty(&value).unwrap();
        let shown = harmless_json(&document);
        assert!(!shown.contains(|c| steers(c) && c != '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        assert!(matches!(harmless_json("{\n  \"a\": \"é\"\n}"), Cow::Borrowed(_)));
    }
}
