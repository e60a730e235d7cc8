//! What a value is. There are few kinds: nothing in a template can make others.

use std::collections::BTreeMap;
use std::rc::Rc;

/// The values that a template is given, in Go's order.
pub type Data = BTreeMap<Rc<[u8]>, Rc<[u8]>>;

/// A value. Texts are bytes, as in Go: `slice` may cut a character in two.
#[derive(Clone, Debug)]
pub enum Value {
    /// What `nil` is, and a field of it.
    Nil,
    /// A bool.
    Bool(bool),
    /// An int.
    Int(i64),
    /// A uint8: what `index` finds in a text.
    Byte(u8),
    /// A float64.
    Float(f64),
    /// A string.
    Text(Rc<[u8]>),
    /// All values: only the dot and `$` are such.
    Map(Rc<Data>),
}

/// What numbers are compared and printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// An int.
    Signed,
    /// A uint8.
    Unsigned,
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// The name of its type in Go; nil has none.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Map(_) => "map[string]string",
        }
    }

    /// Whether it counts as true: whether it is not the zero of its type.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Map(map) => !map.is_empty(),
        }
    }

    /// An integer of either type.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Byte(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// How many bytes it takes to read it.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            _ => 0,
        }
    }
}
