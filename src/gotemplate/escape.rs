//! `html`, `js` and `urlquery`.

use super::printf;
use super::spec::{UPPER_DIGITS, is_printable, push_hex, split_character};
use super::value::Value;

/// The text of the arguments: as `print` makes it, but that nil is no value.
pub fn plain(values: &[Value]) -> Result<Vec<u8>, String> {
    let shown = |value: &Value| if let Value::Nil = value { Value::text("<no value>") } else { value.clone() };
    printf::print(&values.iter().map(shown).collect::<Vec<_>>())
}

/// For HTML.
pub fn html(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => escaped.extend("\u{fffd}".bytes()),
            b'"' => escaped.extend(b"&#34;"),
            b'\'' => escaped.extend(b"&#39;"),
            b'&' => escaped.extend(b"&amp;"),
            b'<' => escaped.extend(b"&lt;"),
            b'>' => escaped.extend(b"&gt;"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

/// For a JavaScript string.
pub fn javascript(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((character, bytes, after)) = split_character(rest) {
        match character {
            Some(c @ ('\\' | '\'' | '"')) => escaped.extend([b'\\', c as u8]),
            Some(c @ ('<' | '>' | '&' | '=' | '\0'..='\u{1f}')) => escaped.extend(format!("\\u{:04X}", u32::from(c)).bytes()),
            Some(c) if c != '\u{7f}' && !is_printable(c) => escaped.extend(format!("\\u{:04X}", u32::from(c)).bytes()),
            _ => escaped.extend(bytes),
        }
        rest = after;
    }
    escaped
}

/// For the query of a URL.
pub fn query(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => escaped.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => escaped.push(*byte),
            byte if byte.is_ascii_alphanumeric() => escaped.push(*byte),
            byte => {
                escaped.push(b'%');
                push_hex(&mut escaped, *byte, UPPER_DIGITS);
            }
        }
    }
    escaped
}
