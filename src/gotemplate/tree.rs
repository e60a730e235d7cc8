//! What a template consists of.

use std::rc::Rc;

use super::functions::Function;
use super::literal::Number;

/// A variable: its place among the names of all variables.
pub type Name = usize;

/// The variable `$`.
pub const ROOT: Name = 0;

/// A template.
pub struct Tree<'t> {
    /// Its nodes.
    pub nodes: Vec<Node<'t>>,
    /// The names of its variables.
    pub names: Vec<&'t str>,
}

/// What is carried out in its turn.
pub enum Node<'t> {
    /// Text as it is.
    Text(usize, &'t str),
    /// A value to print, or a variable to set.
    Action(Pipeline<'t>),
    /// `if` or `with`, with all that `else` brings.
    Branches(Branches<'t>),
    /// `range`
    Range(Range<'t>),
    /// `break`
    Break(usize),
    /// `continue`
    Continue(usize),
}

/// `if … else if … else … end`, or the same with `with`.
pub struct Branches<'t> {
    /// Whether the value becomes the dot.
    pub is_with: bool,
    /// Conditions and what follows from them; the first that holds counts.
    pub branches: Vec<(Pipeline<'t>, Vec<Node<'t>>)>,
    /// What follows if none holds.
    pub otherwise: Vec<Node<'t>>,
}

/// `range … else … end`
pub struct Range<'t> {
    /// Over what.
    pub pipeline: Pipeline<'t>,
    /// What is done for each element.
    pub body: Vec<Node<'t>>,
    /// What is done if there is none.
    pub otherwise: Vec<Node<'t>>,
}

/// Commands, each of which gets the value of the one before as its last argument.
pub struct Pipeline<'t> {
    /// Where it begins.
    pub at: usize,
    /// The variables that get the value.
    pub variables: Vec<Name>,
    /// Whether these are there already.
    pub is_assignment: bool,
    /// The commands: an operand and its arguments.
    pub commands: Vec<Vec<Operand<'t>>>,
}

/// What a command is made of.
pub struct Operand<'t> {
    /// Where it begins.
    pub at: usize,
    /// What it is.
    pub term: Term<'t>,
}

/// The kinds of operands.
pub enum Term<'t> {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true` or `false`
    Bool(bool),
    /// A number or a character.
    Number(Number),
    /// A quoted text.
    Text(Rc<[u8]>),
    /// A function.
    Function(Function),
    /// `.a.b`
    Fields(Vec<&'t str>),
    /// `$x.a.b`
    Variable(Name, Vec<&'t str>),
    /// A pipeline in parentheses.
    Pipeline(Box<Pipeline<'t>>),
    /// Fields of another operand.
    Chain(Box<Operand<'t>>, Vec<&'t str>),
}
