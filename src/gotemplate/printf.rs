//! `print`, `println` and `printf`: formats and arguments, as Go's fmt takes them. What is wrong with a format stands in
//! the result, as there: `%!d(string=x)`.

use super::spec::{Spec, split_character};
use super::value::{Sign, Value};
use super::{MAX_TEXT, float, too_long};

/// The widest that Go takes.
const MAX_WIDTH: i64 = 1_000_000;

/// As text, with blanks between two values of which neither is a text.
pub fn print(values: &[Value]) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    let mut was_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !was_text {
            printer.write(b" ");
        }
        printer.value(value, 'v');
        was_text = is_text;
    }
    printer.finish()
}

/// As text, with blanks between all values and a line break after them.
pub fn println(values: &[Value]) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.write(b" ");
        }
        printer.value(value, 'v');
    }
    printer.write(b"\n");
    printer.finish()
}

/// As text, by a format.
pub fn printf(format: &[u8], values: &[Value]) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    let last_bracket = format.iter().rposition(|byte| *byte == b']');
    let mut reader = Reader { format, at: 0, last_bracket, values, next: 0, was_reordered: false, is_good: true };
    while let Some(found) = reader.rest().iter().position(|byte| *byte == b'%') {
        printer.write(&reader.rest()[..found]);
        reader.at += found + 1;
        reader.verb(&mut printer);
        if printer.is_full {
            break;
        }
    }
    printer.write(reader.rest());
    if !reader.was_reordered && reader.next < values.len() {
        printer.spec = Spec::default();
        printer.write(b"%!(EXTRA ");
        for (index, value) in values[reader.next..].iter().enumerate() {
            if index > 0 {
                printer.write(b", ");
            }
            printer.named(value);
        }
        printer.write(b")");
    }
    printer.finish()
}

/// Reads a format.
struct Reader<'f> {
    format: &'f [u8],
    at: usize,
    /// Where the last `]` stands: who looked for one behind it each time would read a format of `%[%[%[` for hours.
    last_bracket: Option<usize>,
    values: &'f [Value],
    next: usize,
    was_reordered: bool,
    is_good: bool,
}

impl<'f> Reader<'f> {
    fn rest(&self) -> &'f [u8] {
        &self.format[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// What follows a `%`.
    fn verb(&mut self, printer: &mut Printer) {
        let mut spec = Spec::default();
        self.is_good = true;
        while self.peek().is_some_and(|byte| spec.set_flag(byte)) {
            self.at += 1;
        }
        let after_index = self.argument_number();
        let after_index = self.width(&mut spec, printer, after_index);
        let after_index = self.precision(&mut spec, printer, after_index);
        if !after_index {
            self.argument_number();
        }
        let Some((character, bytes, _)) = split_character(self.rest()) else {
            return printer.write(b"%!(NOVERB)");
        };
        self.at += bytes.len();
        let verb = character.unwrap_or('\u{fffd}');
        match self.values.get(self.next) {
            _ if verb == '%' => printer.write(b"%"),
            _ if !self.is_good => printer.write(format!("%!{verb}(BADINDEX)").as_bytes()),
            None => printer.write(format!("%!{verb}(MISSING)").as_bytes()),
            Some(value) => {
                if matches!(verb, 'v' | 'w') {
                    spec.in_go_syntax = std::mem::take(&mut spec.sharp);
                    spec.plus = false;
                }
                printer.spec = spec;
                printer.value(value, verb);
                self.next += 1;
            }
        }
    }

    /// `*` or a number.
    fn width(&mut self, spec: &mut Spec, printer: &mut Printer, after_index: bool) -> bool {
        if self.peek() != Some(b'*') {
            spec.width = self.number();
            self.is_good &= !(after_index && spec.width.is_some());
            return after_index;
        }
        self.at += 1;
        match self.integer_argument() {
            None => printer.write(b"%!(BADWIDTH)"),
            Some(width) => {
                spec.width = usize::try_from(width.unsigned_abs()).ok();
                if width < 0 {
                    (spec.minus, spec.zero) = (true, false);
                }
            }
        }
        false
    }

    /// `.` with `*`, a number or nothing. At the end of the format it is none.
    fn precision(&mut self, spec: &mut Spec, printer: &mut Printer, after_index: bool) -> bool {
        if self.peek() != Some(b'.') || self.rest().len() < 2 {
            return after_index;
        }
        self.at += 1;
        self.is_good &= !after_index;
        let after_index = self.argument_number();
        if self.peek() != Some(b'*') {
            spec.precision = Some(self.number().unwrap_or(0));
            return after_index;
        }
        self.at += 1;
        spec.precision = self.integer_argument().and_then(|precision| usize::try_from(precision).ok());
        if spec.precision.is_none() {
            printer.write(b"%!(BADPREC)");
        }
        false
    }

    /// Digits. A number that is too large counts as none, and takes the rest of the format with it.
    fn number(&mut self) -> Option<usize> {
        let (number, length) = digits(self.rest());
        self.at += length;
        number
    }

    /// `[2]`: which argument comes next.
    fn argument_number(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.was_reordered = true;
        let is_closed = self.rest().len() >= 3 && self.last_bracket.is_some_and(|last| last > self.at);
        let end = if is_closed { self.rest().iter().position(|byte| *byte == b']') } else { None };
        let Some(end) = end else {
            self.at += 1;
            self.is_good = false;
            return false;
        };
        let inner = &self.rest()[1..end];
        self.at += end + 1;
        let (number, length) = digits(inner);
        let number = number.filter(|_| length == inner.len());
        match number.and_then(|number| number.checked_sub(1)).filter(|index| *index < self.values.len()) {
            Some(index) => self.next = index,
            None => self.is_good = false,
        }
        number.is_some()
    }

    /// The next argument, if it is an integer that can be a width.
    fn integer_argument(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        value.integer().filter(|number| (-MAX_WIDTH..=MAX_WIDTH).contains(number))
    }
}

/// A number and its length. It ends as soon as it is too large, and then takes all.
fn digits(text: &[u8]) -> (Option<usize>, usize) {
    let mut number = None;
    for (index, byte) in text.iter().enumerate() {
        if !byte.is_ascii_digit() {
            return (number, index);
        }
        if number.unwrap_or(0) > 1_000_000 {
            return (None, text.len());
        }
        number = Some(number.unwrap_or(0) * 10 + usize::from(byte - b'0'));
    }
    (number, text.len())
}

/// Collects what is printed, up to a bound.
#[derive(Default)]
struct Printer {
    text: Vec<u8>,
    spec: Spec,
    is_full: bool,
}

impl Printer {
    fn finish(self) -> Result<Vec<u8>, String> {
        if self.is_full { Err(too_long()) } else { Ok(self.text) }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.is_full |= self.text.len() + bytes.len() > MAX_TEXT;
        if !self.is_full {
            self.text.extend_from_slice(bytes);
        }
    }

    fn value(&mut self, value: &Value, verb: char) {
        let shown = match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.spec.pad(b"<nil>"),
            (Value::Nil, _) => return self.write(format!("%!{verb}(<nil>)").as_bytes()),
            (_, 'T') => self.spec.text(value.type_name().as_bytes()),
            (Value::Map(_), 'p' | 'w') => return self.bad_verb(value, verb),
            (Value::Map(map), _) => {
                let (begin, between, end): (&[u8], &[u8], &[u8]) =
                    if self.spec.in_go_syntax { (b"map[string]string{", b", ", b"}") } else { (b"map[", b" ", b"]") };
                self.write(begin);
                for (index, (key, value)) in map.iter().enumerate() {
                    // What a width makes of each key is work, also if it has no place any more.
                    if self.is_full {
                        break;
                    }
                    self.write(if index > 0 { between } else { b"" });
                    self.value(&Value::Text(key.clone()), verb);
                    self.write(b":");
                    self.value(&Value::Text(value.clone()), verb);
                }
                return self.write(end);
            }
            (Value::Bool(value), 't' | 'v') => self.spec.pad(value.to_string().as_bytes()),
            (Value::Int(value), _) => match self.spec.integer(value.cast_unsigned(), Sign::Signed, verb) {
                Some(shown) => shown,
                None => return self.bad_verb(&Value::Int(*value), verb),
            },
            (Value::Byte(value), _) => match self.spec.integer(u64::from(*value), Sign::Unsigned, verb) {
                Some(shown) => shown,
                None => return self.bad_verb(&Value::Byte(*value), verb),
            },
            (Value::Float(value), 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') => float::format(&self.spec, *value, verb),
            (Value::Text(text), 'v') if self.spec.in_go_syntax => self.spec.quoted(text),
            (Value::Text(text), 'v' | 's') => self.spec.text(text),
            (Value::Text(text), 'x' | 'X') => self.spec.hex(text, verb),
            (Value::Text(text), 'q') => self.spec.quoted(text),
            (value, _) => return self.bad_verb(value, verb),
        };
        self.write(&shown);
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.write(format!("%!{verb}(").as_bytes());
        self.named(value);
        self.write(b")");
    }

    /// With its type.
    fn named(&mut self, value: &Value) {
        if let Value::Nil = value {
            return self.write(b"<nil>");
        }
        self.write(value.type_name().as_bytes());
        self.write(b"=");
        self.value(value, 'v');
    }
}
