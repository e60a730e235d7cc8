//! Flags, width and precision of a verb, and what they make of texts and integers.

use super::value::Sign;

/// Hexadecimal digits, as `%X` has them.
pub const UPPER_DIGITS: &[u8; 16] = b"0123456789ABCDEF";
/// The same, as `%x` has them.
const LOWER_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What stands between `%` and a verb.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The least number of characters.
    pub width: Option<usize>,
    /// How many digits, or at most how many characters.
    pub precision: Option<usize>,
    /// `-`: padded on the right.
    pub minus: bool,
    /// `+`: always a sign; only ASCII.
    pub plus: bool,
    /// `#`: the other form.
    pub sharp: bool,
    /// A blank in the place of a sign.
    pub space: bool,
    /// `0`: padded with zeros.
    pub zero: bool,
    /// `%#v`
    pub in_go_syntax: bool,
}

impl Spec {
    /// Takes a flag, if it is one.
    pub fn set_flag(&mut self, flag: u8) -> bool {
        let field = match flag {
            b'#' => &mut self.sharp,
            b'0' => &mut self.zero,
            b'+' => &mut self.plus,
            b'-' => &mut self.minus,
            b' ' => &mut self.space,
            _ => return false,
        };
        *field = true;
        true
    }

    /// Padded to the width; zeros only on the left.
    pub fn pad(&self, text: &[u8]) -> Vec<u8> {
        self.pad_with(text, self.zero && !self.minus)
    }

    /// Padded to the width, with zeros or blanks.
    pub fn pad_with(&self, text: &[u8], zeros: bool) -> Vec<u8> {
        let Some(width) = self.width.filter(|width| *width > 0) else { return text.to_vec() };
        let mut padding = vec![if zeros { b'0' } else { b' ' }; width.saturating_sub(characters(text))];
        if self.minus {
            return [text, &padding].concat();
        }
        padding.extend_from_slice(text);
        padding
    }

    /// A text, cut to the precision.
    pub fn text(&self, text: &[u8]) -> Vec<u8> {
        self.pad(self.cut(text))
    }

    fn cut<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.precision else { return text };
        let mut rest = text;
        for _ in 0..precision {
            let Some((_, _, after)) = split_character(rest) else { return text };
            rest = after;
        }
        &text[..text.len() - rest.len()]
    }

    /// A text in quotes, as Go would write it.
    pub fn quoted(&self, text: &[u8]) -> Vec<u8> {
        let text = self.cut(text);
        if self.sharp && can_be_raw(text) {
            return self.pad(&[b"`", text, b"`"].concat());
        }
        let mut quoted = vec![b'"'];
        let mut rest = text;
        while let Some((character, bytes, after)) = split_character(rest) {
            match character {
                Some(c) => escape(&mut quoted, c, '"', self.plus),
                None => bytes.iter().for_each(|byte| {
                    quoted.extend(b"\\x");
                    push_hex(&mut quoted, *byte, LOWER_DIGITS);
                }),
            }
            rest = after;
        }
        quoted.push(b'"');
        self.pad(&quoted)
    }

    /// The bytes of a text as hexadecimal digits.
    pub fn hex(&self, text: &[u8], verb: char) -> Vec<u8> {
        let bytes = &text[..self.precision.map_or(text.len(), |precision| precision.min(text.len()))];
        let digits = if verb == 'X' { UPPER_DIGITS } else { LOWER_DIGITS };
        let mut shown = Vec::with_capacity(bytes.len() * 2);
        for (index, byte) in bytes.iter().enumerate() {
            let is_apart = self.space && index > 0;
            if is_apart {
                shown.push(b' ');
            }
            if self.sharp && (is_apart || index == 0) {
                shown.extend([b'0', verb as u8]);
            }
            push_hex(&mut shown, *byte, digits);
        }
        self.pad(&shown)
    }

    /// An integer, given as its bits; nothing if the verb is not for integers.
    pub fn integer(&self, bits: u64, sign: Sign, verb: char) -> Option<Vec<u8>> {
        Some(match verb {
            'v' if self.in_go_syntax && sign == Sign::Unsigned => {
                Self { sharp: true, ..self.clone() }.digits(format!("{bits:x}"), bits == 0, false, Some("0x"), "")
            }
            'v' | 'd' => self.digits(magnitude(bits, sign).to_string(), bits == 0, is_negative(bits, sign), None, ""),
            'b' => self.digits(format!("{:b}", magnitude(bits, sign)), bits == 0, is_negative(bits, sign), Some("0b"), ""),
            'o' | 'O' => {
                let zero_o = if verb == 'O' { "0o" } else { "" };
                self.digits(format!("{:o}", magnitude(bits, sign)), bits == 0, is_negative(bits, sign), Some("0"), zero_o)
            }
            'x' => self.digits(format!("{:x}", magnitude(bits, sign)), bits == 0, is_negative(bits, sign), Some("0x"), ""),
            'X' => self.digits(format!("{:X}", magnitude(bits, sign)), bits == 0, is_negative(bits, sign), Some("0X"), ""),
            'c' => self.pad(character(bits).encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => {
                let mut quoted = vec![b'\''];
                escape(&mut quoted, character(bits), '\'', self.plus);
                quoted.push(b'\'');
                self.pad(&quoted)
            }
            'U' => self.code_point(bits),
            _ => return None,
        })
    }

    fn digits(&self, digits: String, is_zero: bool, is_negative: bool, prefix: Option<&str>, zero_o: &str) -> Vec<u8> {
        let least = match (self.precision, self.width) {
            // No digit is asked for, and none is needed.
            (Some(0), _) if is_zero => return vec![b' '; self.width.unwrap_or(0)],
            (Some(precision), _) => precision,
            (None, Some(width)) if self.zero && !self.minus => width.saturating_sub(usize::from(is_negative || self.plus || self.space)),
            _ => 0,
        };
        let mut number = digits;
        if number.len() < least {
            number.insert_str(0, &"0".repeat(least - number.len()));
        }
        let prefix = prefix.filter(|prefix| self.sharp && !(*prefix == "0" && number.starts_with('0'))).unwrap_or_default();
        let sign = match (is_negative, self.plus, self.space) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        self.pad_with(format!("{sign}{zero_o}{prefix}{number}").as_bytes(), false)
    }

    fn code_point(&self, bits: u64) -> Vec<u8> {
        let digits = self.precision.filter(|precision| *precision > 4).unwrap_or(4);
        let number = format!("{bits:X}");
        let zeros = "0".repeat(digits.saturating_sub(number.len()));
        let shown = u32::try_from(bits).ok().and_then(char::from_u32).filter(|c| self.sharp && is_printable(*c));
        let quoted = shown.map(|c| format!(" '{c}'")).unwrap_or_default();
        self.pad_with(format!("U+{zeros}{number}{quoted}").as_bytes(), false)
    }
}

fn is_negative(bits: u64, sign: Sign) -> bool {
    sign == Sign::Signed && bits.cast_signed() < 0
}

fn magnitude(bits: u64, sign: Sign) -> u64 {
    if is_negative(bits, sign) { bits.wrapping_neg() } else { bits }
}

fn character(bits: u64) -> char {
    u32::try_from(bits).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
}

/// A byte as two digits.
pub fn push_hex(text: &mut Vec<u8>, byte: u8, digits: &[u8; 16]) {
    text.extend([digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

/// How many characters a text has; a byte that is part of none counts as one.
fn characters(text: &[u8]) -> usize {
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

/// The first character of a text, if it is one, its bytes, and what follows.
pub fn split_character(text: &[u8]) -> Option<(Option<char>, &[u8], &[u8])> {
    let head = &text[..text.len().min(4)];
    let chunk = head.utf8_chunks().next()?;
    let character = chunk.valid().chars().next();
    let (bytes, rest) = text.split_at(character.map_or(1, char::len_utf8));
    Some((character, bytes, rest))
}

fn can_be_raw(text: &[u8]) -> bool {
    let steers = |c: char| c < ' ' && c != '\t' || matches!(c, '`' | '\u{7f}' | '\u{feff}');
    std::str::from_utf8(text).is_ok_and(|text| !text.contains(steers))
}

/// Letters, marks, numbers, punctuation, symbols and the plain blank, as Go has it.
pub fn is_printable(c: char) -> bool {
    // Rust escapes the same characters as Go, but for quotes, and for marks that have nothing before them.
    let text = String::from_iter(['a', c]);
    matches!(c, '"' | '\'' | '\\') || text.escape_debug().count() == 2
}

fn escape(text: &mut Vec<u8>, c: char, quote: char, only_ascii: bool) {
    let code = u32::from(c);
    let escaped = match c {
        _ if c == quote || c == '\\' => format!("\\{c}"),
        _ if is_printable(c) && (c.is_ascii() || !only_ascii) => c.to_string(),
        '\u{7}' => "\\a".into(),
        '\u{8}' => "\\b".into(),
        '\u{c}' => "\\f".into(),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        '\u{b}' => "\\v".into(),
        _ if c < ' ' || c == '\u{7f}' => format!("\\x{code:02x}"),
        _ if code < 0x10000 => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    };
    text.extend(escaped.bytes());
}
