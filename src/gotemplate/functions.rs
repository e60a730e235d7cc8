//! The functions that a template can call: Go's, and no others.

use super::value::Value;
use super::{MAX_TEXT, compare, escape, printf, too_long};

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The first argument that is false, or the last.
    And,
    /// The first argument that is true, or the last.
    Or,
    /// Whether the argument is false.
    Not,
    /// Calls an argument; none can be called.
    Call,
    /// Escaped for HTML.
    Html,
    /// Escaped for JavaScript.
    Js,
    /// Escaped for the query of a URL.
    Urlquery,
    /// An element.
    Index,
    /// A part of a text.
    Slice,
    /// How long something is.
    Len,
    /// As text.
    Print,
    /// As text, by a format.
    Printf,
    /// As text, with blanks and a line break.
    Println,
    /// Equal to any of the others.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

impl Function {
    /// The function of a name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "or" => Self::Or,
            "not" => Self::Not,
            "call" => Self::Call,
            "html" => Self::Html,
            "js" => Self::Js,
            "urlquery" => Self::Urlquery,
            "index" => Self::Index,
            "slice" => Self::Slice,
            "len" => Self::Len,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            _ => return None,
        })
    }

    /// Whether it takes so many arguments.
    pub fn takes(self, count: usize) -> Result<(), String> {
        let (least, most) = match self {
            Self::Html | Self::Js | Self::Urlquery | Self::Print | Self::Println => (0, usize::MAX),
            Self::And | Self::Or | Self::Call | Self::Index | Self::Slice | Self::Printf | Self::Eq => (1, usize::MAX),
            Self::Not | Self::Len => (1, 1),
            Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => (2, 2),
        };
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let wanted = if least == most { least.to_string() } else { format!("at least {least}") };
        Err(format!("{} arguments for {}: {count}, and it takes {wanted}", if count < least { "too few" } else { "too many" }, self.name()))
    }

    /// How many bytes of text it reads.
    pub fn reads(self, arguments: &[Value]) -> usize {
        match self {
            Self::Len | Self::Not | Self::Call | Self::Slice => 0,
            _ => arguments.iter().map(Value::weight).sum(),
        }
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// Calls a function that takes so many arguments. `and` and `or` do not come here: what they are given depends on it.
pub fn call(function: Function, arguments: &[Value]) -> Result<Value, String> {
    match (function, arguments) {
        (Function::Not, [value]) => Ok(Value::Bool(!value.is_true())),
        (Function::Len, [value]) => length(value),
        (Function::Index, [value, indexes @ ..]) => index(value, indexes),
        (Function::Slice, [value, indexes @ ..]) => slice(value, indexes),
        (Function::Html, values) => escaped(values, escape::html),
        (Function::Js, values) => escaped(values, escape::javascript),
        (Function::Urlquery, values) => escaped(values, escape::query),
        (Function::Print, values) => printf::print(values).map(Value::text),
        (Function::Println, values) => printf::println(values).map(Value::text),
        (Function::Printf, [Value::Text(format), values @ ..]) => printf::printf(format, values).map(Value::text),
        (Function::Printf, [other, ..]) => Err(format!("the format of printf is a {}, not a string", other.type_name())),
        (Function::Eq, [first, others @ ..]) => compare::equal_to_any(first, others).map(Value::Bool),
        (Function::Ne, [first, second]) => compare::equal(first, second).map(|equal| Value::Bool(!equal)),
        (Function::Lt, [first, second]) => compare::less(first, second).map(Value::Bool),
        (Function::Le, [first, second]) => compare::less_or_equal(first, second).map(Value::Bool),
        (Function::Gt, [first, second]) => compare::less_or_equal(first, second).map(|less| Value::Bool(!less)),
        (Function::Ge, [first, second]) => compare::less(first, second).map(|less| Value::Bool(!less)),
        (Function::Call, [value, ..]) => Err(format!("a {} cannot be called", value.type_name())),
        (function, _) => Err(format!("wrong arguments for {}", function.name())),
    }
}

/// The text of the arguments, which becomes longer.
fn escaped(values: &[Value], escape: fn(&[u8]) -> Vec<u8>) -> Result<Value, String> {
    let text = escape(&escape::plain(values)?);
    if text.len() > MAX_TEXT { Err(too_long()) } else { Ok(Value::text(text)) }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("a {} has no length", other.type_name())),
    };
    i64::try_from(length).map(Value::Int).map_err(|error| error.to_string())
}

fn index(value: &Value, indexes: &[Value]) -> Result<Value, String> {
    if let Value::Nil = value {
        return Err("nil has no elements".into());
    }
    let mut value = value.clone();
    for index in indexes {
        value = match (&value, index) {
            (Value::Text(text), index) => Value::Byte(*text.get(position(index)?).ok_or_else(|| out_of_range(index))?),
            (Value::Map(map), Value::Text(key)) => Value::Text(map.get(key).cloned().unwrap_or_default()),
            (Value::Map(_), other) => return Err(format!("the values are asked for by a string, not by a {}", other.type_name())),
            (other, _) => return Err(format!("a {} has no elements", other.type_name())),
        };
    }
    Ok(value)
}

fn slice(value: &Value, indexes: &[Value]) -> Result<Value, String> {
    let Value::Text(text) = value else {
        return Err(format!("a {} cannot be sliced", value.type_name()));
    };
    let bound = |index: &Value| Some(position(index)?).filter(|at| *at <= text.len()).ok_or_else(|| out_of_range(index));
    let (from, to) = match indexes {
        [] => (0, text.len()),
        [from] => (bound(from)?, text.len()),
        [from, to] => (bound(from)?, bound(to)?),
        _ => return Err("a string is sliced by at most two numbers".into()),
    };
    let part = text.get(from..to).ok_or_else(|| format!("the slice ends at {to}, before it begins at {from}"))?;
    Ok(Value::text(part))
}

fn position(index: &Value) -> Result<usize, String> {
    let number = index.integer().ok_or_else(|| format!("a position is a number, not a {}", index.type_name()))?;
    usize::try_from(number).map_err(|_| out_of_range(index))
}

fn out_of_range(index: &Value) -> String {
    format!("{} is out of range", index.integer().unwrap_or_default())
}
