//! A tree and values into a text, within bounds.

use std::rc::Rc;

use super::functions::{self, Function};
use super::literal::Number;
use super::printf;
use super::tree::{Branches, Name, Node, Operand, Pipeline, ROOT, Range, Term, Tree};
use super::value::{Data, Value};
use super::{Fault, MAX_STEPS, MAX_TEXT, MAX_WORK, Values};

/// Carries a template out.
pub fn execute(tree: &Tree<'_>, values: &Values) -> Result<Vec<u8>, Fault> {
    let data: Data = values.iter().map(|(key, value)| (key.as_bytes().into(), value.as_slice().into())).collect();
    let dot = Value::Map(Rc::new(data));
    let variables = vec![(ROOT, dot.clone())];
    let mut run = Run { names: &tree.names, variables, text: Vec::new(), steps: 0, work: 0 };
    run.list(&dot, &tree.nodes)?;
    Ok(run.text)
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'t> {
    names: &'t [&'t str],
    /// The last one of a name counts.
    variables: Vec<(Name, Value)>,
    text: Vec<u8>,
    steps: usize,
    work: usize,
}

impl<'t> Run<'t> {
    /// Counts a step, and the bytes that it takes.
    fn step(&mut self, at: usize, bytes: usize) -> Result<(), Fault> {
        self.steps += 1;
        self.work = self.work.saturating_add(bytes);
        if self.steps > MAX_STEPS {
            return Err(Fault::new(at, format!("the template takes more than {MAX_STEPS} steps")));
        }
        if self.work > MAX_WORK {
            return Err(Fault::new(at, format!("the template works on more than {MAX_WORK} bytes of text")));
        }
        Ok(())
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), Fault> {
        if self.text.len() + bytes.len() > MAX_TEXT {
            return Err(Fault::new(at, format!("the result has more than {MAX_TEXT} bytes")));
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    fn list(&mut self, dot: &Value, nodes: &[Node<'t>]) -> Result<Flow, Fault> {
        for node in nodes {
            let flow = self.node(dot, node)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, dot: &Value, node: &Node<'t>) -> Result<Flow, Fault> {
        match node {
            Node::Text(at, text) => {
                self.step(*at, 0)?;
                self.write(*at, text.as_bytes())?;
            }
            Node::Action(pipeline) => {
                // What it declares stays until the end of the block.
                let value = self.pipeline(dot, pipeline)?;
                if pipeline.variables.is_empty() {
                    self.print(pipeline.at, &value)?;
                }
            }
            Node::Branches(branches) => {
                let outer = self.variables.len();
                let flow = self.branches(dot, branches)?;
                self.variables.truncate(outer);
                return Ok(flow);
            }
            Node::Range(range) => {
                let outer = self.variables.len();
                let flow = self.range(dot, range)?;
                self.variables.truncate(outer);
                return Ok(flow);
            }
            Node::Break(at) => return self.step(*at, 0).map(|()| Flow::Break),
            Node::Continue(at) => return self.step(*at, 0).map(|()| Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn print(&mut self, at: usize, value: &Value) -> Result<(), Fault> {
        if let Value::Text(text) = value {
            return self.write(at, text);
        }
        let text = match value {
            Value::Nil => b"<no value>".to_vec(),
            value => printf::print(std::slice::from_ref(value)).map_err(|message| Fault::new(at, message))?,
        };
        self.step(at, text.len())?;
        self.write(at, &text)
    }

    fn branches(&mut self, dot: &Value, branches: &Branches<'t>) -> Result<Flow, Fault> {
        for (pipeline, body) in &branches.branches {
            let value = self.pipeline(dot, pipeline)?;
            if value.is_true() {
                return self.list(if branches.is_with { &value } else { dot }, body);
            }
        }
        self.list(dot, &branches.otherwise)
    }

    fn range(&mut self, dot: &Value, range: &Range<'t>) -> Result<Flow, Fault> {
        let at = range.pipeline.at;
        let over = self.pipeline(dot, &range.pipeline)?;
        let flow = match &over {
            Value::Int(_) | Value::Byte(_) if range.pipeline.variables.len() > 1 => {
                return Err(Fault::new(at, "a range over a number sets one variable"));
            }
            Value::Int(end) => self.turns(range, (0..*end).map(|index| (Value::Nil, Value::Int(index))))?,
            Value::Byte(end) => self.turns(range, (0..*end).map(|index| (Value::Nil, Value::Byte(index))))?,
            Value::Map(map) => self.turns(range, map.iter().map(|(key, value)| (Value::Text(key.clone()), Value::Text(value.clone()))))?,
            Value::Nil => None,
            other => return Err(Fault::new(at, format!("range cannot go over a {}", other.type_name()))),
        };
        match flow {
            Some(flow) => Ok(flow),
            // As in Go, a break there only leaves this range, even if it has had no turn.
            None => self.list(dot, &range.otherwise).map(|flow| if flow == Flow::Break { Flow::On } else { flow }),
        }
    }

    /// The body once for each element; nothing if there is none.
    fn turns(&mut self, range: &Range<'t>, elements: impl Iterator<Item = (Value, Value)>) -> Result<Option<Flow>, Fault> {
        let outer = self.variables.len();
        let mut any = None;
        for (index, element) in elements {
            any = Some(Flow::On);
            self.step(range.pipeline.at, 0)?;
            self.set_range_variables(&range.pipeline, index, &element)?;
            let flow = self.list(&element, &range.body)?;
            self.variables.truncate(outer);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(any)
    }

    fn set_range_variables(&mut self, pipeline: &Pipeline<'t>, index: Value, element: &Value) -> Result<(), Fault> {
        let values = match pipeline.variables.len() {
            0 => return Ok(()),
            1 => vec![element.clone()],
            _ => vec![index, element.clone()],
        };
        if pipeline.is_assignment {
            return pipeline.variables.iter().zip(values).try_for_each(|(name, value)| self.assign(pipeline.at, *name, value));
        }
        // The pipeline has declared them last.
        let first = self.variables.len() - values.len();
        for (variable, value) in self.variables[first..].iter_mut().zip(values) {
            variable.1 = value;
        }
        Ok(())
    }

    fn no_variable(&self, at: usize, name: Name) -> Fault {
        Fault::new(at, format!("there is no variable {} here", self.names[name]))
    }

    fn assign(&mut self, at: usize, name: Name, value: Value) -> Result<(), Fault> {
        let Some(variable) = self.variables.iter_mut().rev().find(|(known, _)| *known == name) else {
            return Err(self.no_variable(at, name));
        };
        variable.1 = value;
        Ok(())
    }

    fn pipeline(&mut self, dot: &Value, pipeline: &Pipeline<'t>) -> Result<Value, Fault> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(dot, command, last)?);
        }
        // A pipeline without commands is refused by the parser.
        let value = last.unwrap_or(Value::Nil);
        for name in &pipeline.variables {
            if pipeline.is_assignment {
                self.assign(pipeline.at, *name, value.clone())?;
            } else {
                self.variables.push((*name, value.clone()));
            }
        }
        Ok(value)
    }

    /// An operand with arguments, of which the value of the command before is the last.
    fn command(&mut self, dot: &Value, command: &[Operand<'t>], last: Option<Value>) -> Result<Value, Fault> {
        let (operand, arguments) = (&command[0], &command[1..]);
        if let Term::Function(function) = operand.term {
            return self.call(dot, operand.at, function, arguments, last);
        }
        if let Term::Nil = operand.term {
            return Err(Fault::new(operand.at, "nil is no command"));
        }
        let value = self.operand(dot, operand)?;
        // Fields of nil are nil, and Go does not look at their arguments.
        let has_fields = matches!(&operand.term, Term::Chain(_, fields) | Term::Variable(_, fields) if !fields.is_empty());
        let is_field_of_nil = has_fields && matches!(value, Value::Nil);
        if !is_field_of_nil && (!arguments.is_empty() || last.is_some()) {
            return Err(Fault::new(operand.at, "this is no function, and takes no arguments"));
        }
        Ok(value)
    }

    /// The value of an operand.
    fn operand(&mut self, dot: &Value, operand: &Operand<'t>) -> Result<Value, Fault> {
        let at = operand.at;
        self.step(at, 0)?;
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Ok(Value::Nil),
            Term::Bool(value) => Ok(Value::Bool(*value)),
            Term::Number(Number::Int(value)) => Ok(Value::Int(*value)),
            Term::Number(Number::Float(value)) => Ok(Value::Float(*value)),
            Term::Number(Number::TooLarge(text)) => Err(Fault::new(at, format!("{text} is too large for an integer"))),
            Term::Text(text) => Ok(Value::Text(text.clone())),
            Term::Function(function) => self.call(dot, at, *function, &[], None),
            Term::Fields(fields) => self.fields(at, dot.clone(), fields),
            Term::Variable(name, fields) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                let value = found.ok_or_else(|| self.no_variable(at, *name))?;
                self.fields(at, value, fields)
            }
            Term::Pipeline(pipeline) => self.pipeline(dot, pipeline),
            Term::Chain(operand, fields) => {
                let value = self.operand(dot, operand)?;
                self.fields(at, value, fields)
            }
        }
    }

    fn fields(&mut self, at: usize, mut value: Value, fields: &[&str]) -> Result<Value, Fault> {
        for field in fields {
            self.step(at, field.len())?;
            value = match &value {
                // A missing value is an empty text.
                Value::Map(map) => Value::Text(map.get(field.as_bytes()).cloned().unwrap_or_default()),
                Value::Nil => Value::Nil,
                other => return Err(Fault::new(at, format!("a {} has no field {field}", other.type_name()))),
            };
        }
        Ok(value)
    }

    fn call(&mut self, dot: &Value, at: usize, function: Function, operands: &[Operand<'t>], last: Option<Value>) -> Result<Value, Fault> {
        let count = operands.len() + usize::from(last.is_some());
        function.takes(count).map_err(|message| Fault::new(at, message))?;
        if let Function::And | Function::Or = function {
            return self.decide(dot, function, operands, last);
        }
        let mut arguments = Vec::with_capacity(count);
        for operand in operands {
            arguments.push(self.operand(dot, operand)?);
        }
        arguments.extend(last);
        self.step(at, function.reads(&arguments))?;
        let value = functions::call(function, &arguments).map_err(|message| Fault::new(at, message))?;
        self.step(at, value.weight())?;
        Ok(value)
    }

    /// `and` and `or`: the first argument that decides; those after it are not looked at.
    fn decide(&mut self, dot: &Value, function: Function, operands: &[Operand<'t>], last: Option<Value>) -> Result<Value, Fault> {
        let mut value = Value::Nil;
        for operand in operands {
            value = self.operand(dot, operand)?;
            if value.is_true() == (function == Function::Or) {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }
}
