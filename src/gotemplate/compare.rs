//! `eq`, `lt` and the like. Values of different types are an error, not unequal.

use super::value::Value;

/// What can be compared with each other.
#[derive(PartialEq)]
enum Basic<'v> {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'v [u8]),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(value) => Basic::Bool(*value),
        Value::Int(value) => Basic::Integer(*value),
        Value::Byte(value) => Basic::Integer(i64::from(*value)),
        Value::Float(value) => Basic::Float(*value),
        Value::Text(text) => Basic::Text(text),
        Value::Nil | Value::Map(_) => return None,
    })
}

fn different(first: &Value, second: &Value) -> String {
    format!("a {} and a {} cannot be compared", first.type_name(), second.type_name())
}

/// Whether two values are equal. Nil can be compared with anything.
pub fn equal(first: &Value, second: &Value) -> Result<bool, String> {
    match (basic(first), basic(second)) {
        (Some(one), Some(other)) if std::mem::discriminant(&one) == std::mem::discriminant(&other) => Ok(one == other),
        _ => match (first, second) {
            (Value::Nil, Value::Nil) => Ok(true),
            (Value::Nil, _) | (_, Value::Nil) => Ok(false),
            _ => Err(different(first, second)),
        },
    }
}

/// Whether a value equals one of several.
pub fn equal_to_any(first: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("eq needs something to compare with".into());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a value is less than another.
pub fn less(first: &Value, second: &Value) -> Result<bool, String> {
    match (basic(first), basic(second)) {
        (Some(Basic::Integer(one)), Some(Basic::Integer(other))) => Ok(one < other),
        (Some(Basic::Float(one)), Some(Basic::Float(other))) => Ok(one < other),
        (Some(Basic::Text(one)), Some(Basic::Text(other))) => Ok(one < other),
        (Some(Basic::Bool(_)), Some(Basic::Bool(_))) => Err("bools have no order".into()),
        _ => Err(different(first, second)),
    }
}

/// Whether a value is less than another, or equal to it.
pub fn less_or_equal(first: &Value, second: &Value) -> Result<bool, String> {
    Ok(less(first, second)? || equal(first, second)?)
}
