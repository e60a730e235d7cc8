//! Floats as Go writes them: the shortest digits that read back the same, or as many as asked for.

use super::spec::Spec;

/// No float has more digits than this that are not zero.
const MAX_DIGITS: usize = 1100;
/// From which exponent on the shortest digits are written with one.
const SHORTEST_LIMIT: i32 = 6;

/// A float by a verb that is for floats.
pub fn format(spec: &Spec, value: f64, verb: char) -> Vec<u8> {
    let (form, default) = match verb {
        'v' => ('g', None),
        'F' => ('f', Some(6)),
        'f' | 'e' | 'E' => (verb, Some(6)),
        _ => (verb, None),
    };
    let precision = spec.precision.or(default);
    let mut number = number(value.abs(), form, precision);
    let sign = match (value.is_sign_negative(), spec.plus, spec.space) {
        (true, _, _) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    if spec.sharp && form != 'b' {
        number = with_point(&number, form, precision);
    }
    if spec.zero && !spec.minus && !sign.is_empty() {
        let zeros = spec.width.unwrap_or(0).saturating_sub(sign.len() + number.len());
        return format!("{sign}{}{number}", "0".repeat(zeros)).into_bytes();
    }
    spec.pad(format!("{sign}{number}").as_bytes())
}

/// A number without its sign.
fn number(value: f64, form: char, precision: Option<usize>) -> String {
    match form {
        'b' => {
            let (mantissa, exponent) = parts(value);
            format!("{mantissa}p{exponent:+}")
        }
        'x' | 'X' => hexadecimal(value, form, precision),
        'e' | 'E' => scientific(value, form, precision),
        'f' => decimal(value, precision),
        _ => general(value, if form == 'G' { 'E' } else { 'e' }, precision),
    }
}

/// The mantissa of 53 bits and the exponent of two.
fn parts(value: f64) -> (u64, i64) {
    let bits = value.to_bits();
    let (exponent, mantissa) = ((bits >> 52 & 0x7ff).cast_signed(), bits & ((1 << 52) - 1));
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) }
}

fn decimal(value: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision else { return format!("{value}") };
    let known = precision.min(MAX_DIGITS);
    format!("{value:.known$}") + &"0".repeat(precision - known)
}

/// Digits before and after the point, and the exponent of ten.
fn split(value: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{value:.*e}", precision.min(MAX_DIGITS)),
        None => format!("{value:e}"),
    };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let zeros = precision.unwrap_or(0).saturating_sub(MAX_DIGITS);
    let point = if zeros > 0 && !digits.contains('.') { "." } else { "" };
    (format!("{digits}{point}{}", "0".repeat(zeros)), exponent.parse().unwrap_or(0))
}

fn scientific(value: f64, form: char, precision: Option<usize>) -> String {
    let (digits, exponent) = split(value, precision);
    with_exponent(&digits, form, exponent)
}

fn with_exponent(digits: &str, form: char, exponent: i32) -> String {
    format!("{digits}{form}{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// `%g`: the shorter form, without zeros at the end.
fn general(value: f64, form: char, precision: Option<usize>) -> String {
    let wanted = precision.map(|precision| precision.max(1));
    let (digits, exponent) = split(value, wanted.map(|digits| digits.min(MAX_DIGITS) - 1));
    let bare: String = digits.chars().filter(|c| *c != '.').collect();
    let bare = bare.trim_end_matches('0');
    let (count, whole) = (i32::try_from(bare.len()).unwrap_or(0), exponent + 1);
    let limit = match wanted.map(|wanted| i32::try_from(wanted).unwrap_or(i32::MAX)) {
        None => SHORTEST_LIMIT,
        Some(wanted) if wanted > count && count >= whole => count,
        Some(wanted) => wanted,
    };
    if value != 0.0 && (exponent < -4 || exponent >= limit) {
        let (first, others) = bare.split_at(1);
        let point = if others.is_empty() { "" } else { "." };
        return with_exponent(&format!("{first}{point}{others}"), form, exponent);
    }
    let places = usize::try_from(count - whole).unwrap_or(0);
    decimal(value, wanted.map(|_| if value == 0.0 { 0 } else { places }))
}

fn hexadecimal(value: f64, form: char, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(value);
    // The leading 1 goes to bit 60.
    mantissa <<= 8;
    exponent = if mantissa == 0 { 0 } else { exponent + 52 };
    while mantissa != 0 && mantissa >> 60 == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(digits) = precision.filter(|digits| *digits < 15) {
        let shift = digits * 4;
        let extra = mantissa << shift & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        mantissa += u64::from(extra | (mantissa & 1) > 1 << 59);
        mantissa <<= 60 - shift;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let all = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        None => all.trim_end_matches('0').to_string(),
        Some(digits) => format!("{}{}", &all[..digits.min(15)], "0".repeat(digits.saturating_sub(15))),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let text = format!("0x{}{point}{fraction}p{sign}{:02}", mantissa >> 60, exponent.unsigned_abs());
    if form == 'X' { text.to_uppercase() } else { text }
}

/// `%#g` and the like: always a point, and zeros at the end.
fn with_point(number: &str, form: char, precision: Option<usize>) -> String {
    let mut wanted = match form {
        'g' | 'G' | 'x' => i64::try_from(precision.unwrap_or(6)).unwrap_or(0),
        _ => 0,
    };
    let is_hex = matches!(form, 'x' | 'X');
    let end = number.find(|c| matches!(c, 'p' | 'P') || !is_hex && matches!(c, 'e' | 'E')).unwrap_or(number.len());
    let (digits, tail) = number.split_at(end);
    let mut is_counting = false;
    for digit in digits.chars().filter(|c| *c != '.') {
        is_counting |= digit != '0';
        wanted -= i64::from(is_counting);
    }
    let point = if digits.contains('.') { "" } else { "." };
    if !point.is_empty() && digits == "0" {
        wanted -= 1;
    }
    format!("{digits}{point}{}{tail}", "0".repeat(usize::try_from(wanted).unwrap_or(0)))
}
