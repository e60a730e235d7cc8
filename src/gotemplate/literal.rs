//! Numbers, characters and quoted texts, as Go's strconv reads them.

/// A number as it stands in a template.
#[derive(Clone, Debug)]
pub enum Number {
    /// An int.
    Int(i64),
    /// A float64.
    Float(f64),
    /// One that only an unsigned number could hold: an error once it is used.
    TooLarge(String),
}

/// A number. Like in Go its form says what it is: `1.0` is a float, `1` is none.
///
/// # Errors
/// What is wrong with it.
pub fn number(text: &str) -> Result<Number, String> {
    let has_float_form = text.contains(['.', 'e', 'E', 'p', 'P']);
    // Go looks at the text here: 0xe is an int, and -0xe a float for the e in it.
    let is_hex = text.len() > 2 && (text.starts_with("0x") || text.starts_with("0X")) && !text.contains(['p', 'P']);
    match integer(text) {
        Some(value) => match i64::try_from(value) {
            Ok(value) if has_float_form && !is_hex => Ok(Number::Float(value as f64)),
            Ok(value) => Ok(Number::Int(value)),
            Err(_) => Ok(Number::TooLarge(text.to_string())),
        },
        None => match float(text) {
            Some(_) if !has_float_form => Err(format!("{text} is too large for an integer, or has a wrong digit")),
            Some(value) => Ok(Number::Float(value)),
            None => Err(format!("{text} is no number")),
        },
    }
}

/// An integer of any base that 64 bits hold, with or without a sign.
fn integer(text: &str) -> Option<i128> {
    let (digits, is_negative) = match text.as_bytes().first()? {
        b'-' => (&text[1..], true),
        b'+' => (&text[1..], false),
        _ => (text, false),
    };
    let has_sign = digits.len() < text.len();
    let prefix = digits.get(..2).filter(|_| digits.len() > 2).unwrap_or_default().to_ascii_lowercase();
    let (base, rest) = match prefix.as_str() {
        "0b" => (2, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0x" => (16, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let bare = rest.replace('_', "");
    let is_digits =
        !digits.is_empty() && bare.chars().all(|c| c.is_digit(base)) && (bare.len() == rest.len() || underscores_are_right(text));
    if !is_digits {
        return None;
    }
    let value = i128::from(u64::from_str_radix(&bare, base).ok()?);
    let value = if is_negative { -value } else { value };
    (!has_sign || i64::try_from(value).is_ok()).then_some(value)
}

/// Underscores stand between digits, or between the prefix of a base and a digit.
fn underscores_are_right(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let is_hex = text.starts_with("0x");
    let has_prefix = is_hex || text.starts_with("0b") || text.starts_with("0o");
    let mut last = if has_prefix { '0' } else { '^' };
    for c in text.chars().skip(if has_prefix { 2 } else { 0 }) {
        last = match c {
            _ if c.is_ascii_digit() || is_hex && c.is_ascii_hexdigit() => '0',
            '_' if last != '0' => return false,
            '_' => '_',
            _ if last == '_' => return false,
            _ => '!',
        };
    }
    last != '_'
}

fn float(text: &str) -> Option<f64> {
    if text.contains('_') && !underscores_are_right(text) {
        return None;
    }
    let bare = text.replace('_', "");
    let unsigned = bare.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let value = match unsigned.strip_prefix("0x") {
        Some(hex) => hex_float(hex)?,
        None => unsigned.parse().ok()?,
    };
    value.is_finite().then_some(if bare.starts_with('-') { -value } else { value })
}

/// What follows 0x: digits, a dot perhaps, and an exponent of two.
fn hex_float(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once('p')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (mut mantissa, mut shift, mut is_any) = (0u128, 0i64, false);
    for (index, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u128::from(digit.to_digit(16)?);
        is_any = true;
        // Beyond 100 bits only whether anything follows matters.
        if mantissa >> 100 == 0 {
            mantissa = mantissa << 4 | digit;
            shift -= if index >= whole.len() { 4 } else { 0 };
        } else {
            mantissa |= u128::from(digit != 0);
            shift += if index >= whole.len() { 0 } else { 4 };
        }
    }
    let is_exponent =
        exponent.trim_start_matches(['+', '-']).bytes().all(|c| c.is_ascii_digit()) && exponent.bytes().any(|c| c.is_ascii_digit());
    let exponent = exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { -100_000 } else { 100_000 });
    let power = (exponent + shift).clamp(-3000, 3000);
    let value = mantissa as f64 * 2f64.powi((power / 2) as i32) * 2f64.powi((power - power / 2) as i32);
    (is_any && is_exponent).then_some(value)
}

/// The character of a constant, quotes included.
///
/// # Errors
/// When there is not just one character in it.
pub fn character(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text} is no character constant");
    let (character, rest) = unquote(&text[1..], '\'').ok_or_else(wrong)?;
    let code = match character {
        Unquoted::Char(c) => i64::from(u32::from(c)),
        Unquoted::Byte(byte) => i64::from(byte),
    };
    if rest == "'" { Ok(code) } else { Err(wrong()) }
}

/// The text within quotes, which may be no UTF-8: `"\xff"` is one byte.
///
/// # Errors
/// When an escape sequence is wrong.
pub fn quoted(text: &str) -> Result<Vec<u8>, String> {
    if let Some(raw) = text.strip_prefix('`') {
        return Ok(raw.trim_end_matches('`').bytes().filter(|byte| *byte != b'\r').collect());
    }
    let mut rest = &text[1..];
    let mut bytes = Vec::with_capacity(text.len());
    while rest != "\"" {
        let (character, after) = unquote(rest, '"').ok_or_else(|| {
            let shown: String = rest.chars().take(10).collect();
            format!("the quoted text has a wrong escape sequence: {shown}")
        })?;
        match character {
            Unquoted::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Unquoted::Byte(byte) => bytes.push(byte),
        }
        rest = after;
    }
    Ok(bytes)
}

enum Unquoted {
    Char(char),
    Byte(u8),
}

/// The first character of a quoted text, and what follows it.
fn unquote(text: &str, quote: char) -> Option<(Unquoted, &str)> {
    let mut chars = text.chars();
    match chars.next()? {
        c if c == quote || c == '\n' => return None,
        '\\' => {}
        c => return Some((Unquoted::Char(c), chars.as_str())),
    }
    let escaped = chars.next()?;
    let digits = |rest: &str, count: usize, base: u32| -> Option<u32> {
        let digits = rest.get(..count)?;
        if digits.bytes().all(|c| char::from(c).is_digit(base)) { u32::from_str_radix(digits, base).ok() } else { None }
    };
    let rest = chars.as_str();
    let plain = |c: char| Some((Unquoted::Char(c), rest));
    match escaped {
        'a' => plain('\u{7}'),
        'b' => plain('\u{8}'),
        'f' => plain('\u{c}'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\u{b}'),
        '\\' => plain('\\'),
        c if c == quote => plain(c),
        'x' => Some((Unquoted::Byte(u8::try_from(digits(rest, 2, 16)?).ok()?), &rest[2..])),
        'u' => Some((Unquoted::Char(char::from_u32(digits(rest, 4, 16)?)?), &rest[4..])),
        'U' => Some((Unquoted::Char(char::from_u32(digits(rest, 8, 16)?)?), &rest[8..])),
        '0'..='7' => Some((Unquoted::Byte(u8::try_from(digits(&text[1..], 3, 8)?).ok()?), &rest[2..])),
        _ => None,
    }
}
