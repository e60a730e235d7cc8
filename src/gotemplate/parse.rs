//! Tokens into a tree. The grammar is Go's; what is only known when a template is carried out is left to that.

use std::collections::BTreeMap;

use super::functions::Function;
use super::lex::{Kind, Token, lex};
use super::literal::{self, Number};
use super::tree::{Branches, Name, Node, Operand, Pipeline, ROOT, Range, Term, Tree};
use super::{Fault, MAX_DEPTH, MAX_VARIABLES};

/// Makes a tree of a template.
pub fn parse(template: &str) -> Result<Tree<'_>, Fault> {
    let lexed = lex(template);
    let mut parser = Parser {
        tokens: lexed.tokens,
        fault: lexed.fault,
        next: 0,
        names: vec!["$"],
        known: BTreeMap::from([("$", ROOT)]),
        scope: vec![ROOT],
        depth: 0,
        loops: 0,
    };
    let mut nodes = Vec::new();
    match parser.list(&mut nodes)? {
        End { kind: Kind::Eof, .. } => Ok(Tree { nodes, names: parser.names }),
        End { at, kind } => Err(Fault::new(at, format!("{} without a block before it", if kind == Kind::End { "end" } else { "else" }))),
    }
}

/// What a list of nodes ended with. An `if` or `with` after an `else` is still to come.
struct End {
    at: usize,
    kind: Kind,
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    fault: Option<Fault>,
    next: usize,
    names: Vec<&'t str>,
    known: BTreeMap<&'t str, Name>,
    /// The variables that have been declared so far, in blocks that are still open.
    scope: Vec<Name>,
    depth: usize,
    loops: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        // The last token is never passed over: it stands for all that may follow.
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn next_word(&mut self) -> Token<'t> {
        self.skip_space();
        self.next()
    }

    fn peek_word(&mut self) -> Token<'t> {
        self.skip_space();
        self.peek()
    }

    fn unexpected(&mut self, token: Token<'t>, context: &str) -> Fault {
        match (token.kind, self.fault.take()) {
            (Kind::Broken, Some(fault)) => fault,
            (Kind::Eof, _) => Fault::new(token.at, "the template ends here, and end is missing"),
            (Kind::Forbidden, _) => forbidden(token),
            _ => Fault::new(token.at, format!("{:?} is not expected in {context}", token.text)),
        }
    }

    fn close(&mut self, context: &str) -> Result<(), Fault> {
        let token = self.next_word();
        if token.kind == Kind::Close { Ok(()) } else { Err(self.unexpected(token, context)) }
    }

    /// Nodes, up to what ends them.
    fn list(&mut self, nodes: &mut Vec<Node<'t>>) -> Result<End, Fault> {
        loop {
            let token = self.next_word();
            match token.kind {
                Kind::Text => nodes.push(Node::Text(token.at, token.text)),
                Kind::Eof => return Ok(End { at: token.at, kind: Kind::Eof }),
                Kind::Open => {
                    if let Some(end) = self.action(nodes)? {
                        return Ok(end);
                    }
                }
                _ => return Err(self.unexpected(token, "the template")),
            }
        }
    }

    /// What is between `{{` and `}}`, and for a block up to its end.
    fn action(&mut self, nodes: &mut Vec<Node<'t>>) -> Result<Option<End>, Fault> {
        let token = self.peek_word();
        let Token { at, kind, .. } = token;
        self.next += 1;
        match kind {
            Kind::If | Kind::With => nodes.push(self.nested(at, |parser| parser.branches(kind))?),
            Kind::Range => nodes.push(self.nested(at, Self::range)?),
            Kind::Break | Kind::Continue => {
                self.close(token.text)?;
                if self.loops == 0 {
                    return Err(Fault::new(at, format!("{} outside of range", token.text)));
                }
                nodes.push(if kind == Kind::Break { Node::Break(at) } else { Node::Continue(at) });
            }
            Kind::End => {
                self.close("end")?;
                return Ok(Some(End { at, kind }));
            }
            Kind::Else => {
                if !matches!(self.peek_word().kind, Kind::If | Kind::With) {
                    self.close("else")?;
                }
                return Ok(Some(End { at, kind }));
            }
            Kind::Forbidden => return Err(forbidden(token)),
            _ => {
                self.next -= 1;
                nodes.push(Node::Action(self.pipeline("a command", Kind::Close)?));
            }
        }
        Ok(None)
    }

    /// Something in which something else may stand. Variables that it declares are gone after it.
    fn nested(&mut self, at: usize, inner: impl FnOnce(&mut Self) -> Result<Node<'t>, Fault>) -> Result<Node<'t>, Fault> {
        self.deeper(at)?;
        let outer = self.scope.len();
        let node = inner(self)?;
        self.scope.truncate(outer);
        self.depth -= 1;
        Ok(node)
    }

    fn deeper(&mut self, at: usize) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Fault::new(at, format!("nested deeper than {MAX_DEPTH} levels"))) } else { Ok(()) }
    }

    fn branches(&mut self, keyword: Kind) -> Result<Node<'t>, Fault> {
        let context = if keyword == Kind::If { "if" } else { "with" };
        let (mut branches, mut otherwise) = (Vec::new(), Vec::new());
        loop {
            let pipeline = self.pipeline(context, Kind::Close)?;
            let mut body = Vec::new();
            let end = self.list(&mut body)?;
            branches.push((pipeline, body));
            if !self.is_else(&end)? {
                break;
            }
            if self.peek().kind != keyword {
                self.otherwise(&mut otherwise)?;
                break;
            }
            self.next += 1;
        }
        Ok(Node::Branches(Branches { is_with: keyword == Kind::With, branches, otherwise }))
    }

    fn range(&mut self) -> Result<Node<'t>, Fault> {
        let pipeline = self.pipeline("range", Kind::Close)?;
        let (mut body, mut otherwise) = (Vec::new(), Vec::new());
        self.loops += 1;
        let end = self.list(&mut body)?;
        self.loops -= 1;
        if self.is_else(&end)? {
            self.otherwise(&mut otherwise)?;
        }
        Ok(Node::Range(Range { pipeline, body, otherwise }))
    }

    fn is_else(&mut self, end: &End) -> Result<bool, Fault> {
        match end.kind {
            Kind::Eof => Err(Fault::new(end.at, "the template ends here, and end is missing")),
            kind => Ok(kind == Kind::Else),
        }
    }

    fn otherwise(&mut self, nodes: &mut Vec<Node<'t>>) -> Result<(), Fault> {
        // An else with an if of another block: what follows it is no list of nodes.
        let end = self.list(nodes)?;
        if self.is_else(&end)? { Err(Fault::new(end.at, "a second else")) } else { Ok(()) }
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipeline<'t>, Fault> {
        let at = self.peek_word().at;
        let mut pipeline = Pipeline { at, variables: Vec::new(), is_assignment: false, commands: Vec::new() };
        self.declarations(context, &mut pipeline)?;
        loop {
            let token = self.peek_word();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::Raw
                | Kind::Quoted
                | Kind::Variable
                | Kind::LeftParen => pipeline.commands.push(self.command()?),
                _ => return Err(self.unexpected(token, context)),
            }
        }
        let close = self.next();
        if pipeline.commands.is_empty() {
            return Err(Fault::new(close.at, format!("{context} has no value")));
        }
        for (index, command) in pipeline.commands.iter().enumerate().skip(1) {
            if let Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text(_) = command[0].term {
                return Err(Fault::new(command[0].at, format!("stage {} of the pipeline cannot take a value", index + 1)));
            }
        }
        Ok(pipeline)
    }

    /// `$x :=`, `$x =`, and for a range `$i, $x :=`.
    fn declarations(&mut self, context: &str, pipeline: &mut Pipeline<'t>) -> Result<(), Fault> {
        while self.peek_word().kind == Kind::Variable {
            let before = self.next;
            let variable = self.next();
            let next = self.peek_word();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    pipeline.is_assignment = next.kind == Kind::Assign;
                    self.next += 1;
                    return self.declare(variable, pipeline);
                }
                Kind::Char if next.text == "," => {
                    self.next += 1;
                    self.declare(variable, pipeline)?;
                    if context != "range" || pipeline.variables.len() > 1 {
                        return Err(Fault::new(variable.at, format!("too many variables in {context}")));
                    }
                    let second = self.peek_word();
                    if !matches!(second.kind, Kind::Variable | Kind::Close | Kind::RightParen) {
                        return Err(Fault::new(second.at, "range can only set variables"));
                    }
                }
                _ => {
                    self.next = before;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn declare(&mut self, variable: Token<'t>, pipeline: &mut Pipeline<'t>) -> Result<(), Fault> {
        if self.scope.len() >= MAX_VARIABLES {
            return Err(Fault::new(variable.at, format!("more than {MAX_VARIABLES} variables")));
        }
        let names = &mut self.names;
        let name = *self.known.entry(variable.text).or_insert_with(|| {
            names.push(variable.text);
            names.len() - 1
        });
        pipeline.variables.push(name);
        self.scope.push(name);
        Ok(())
    }

    /// Operands with blanks between them. A `|` after them is passed over.
    fn command(&mut self) -> Result<Vec<Operand<'t>>, Fault> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            operands.extend(self.operand()?);
            let token = self.peek();
            match token.kind {
                Kind::Space => {}
                Kind::Close | Kind::RightParen => return Ok(operands),
                Kind::Pipe => {
                    self.next += 1;
                    return Ok(operands);
                }
                _ => return Err(self.unexpected(token, "an operand")),
            }
        }
    }

    /// A term with the fields that follow it; nothing if no term is here.
    fn operand(&mut self) -> Result<Option<Operand<'t>>, Fault> {
        let token = self.peek();
        let Some(mut term) = self.term(token)? else { return Ok(None) };
        let mut fields = Vec::new();
        let at = self.peek().at;
        while self.peek().kind == Kind::Field {
            fields.push(&self.next().text[1..]);
        }
        if fields.is_empty() {
            return Ok(Some(Operand { at: token.at, term }));
        }
        match &mut term {
            Term::Fields(names) | Term::Variable(_, names) => names.extend(fields),
            Term::Bool(_) | Term::Text(_) | Term::Number(_) | Term::Nil | Term::Dot => {
                return Err(Fault::new(at, format!("{} has no fields", token.text)));
            }
            _ => term = Term::Chain(Box::new(Operand { at: token.at, term }), fields),
        }
        Ok(Some(Operand { at: token.at, term }))
    }

    fn term(&mut self, token: Token<'t>) -> Result<Option<Term<'t>>, Fault> {
        let Token { at, text, .. } = token;
        let fault = |message| Fault::new(at, message);
        let term = match token.kind {
            Kind::Identifier => Term::Function(Function::named(text).ok_or_else(|| fault(format!("there is no function {text}")))?),
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => Term::Variable(self.known_variable(token)?, Vec::new()),
            Kind::Field => Term::Fields(vec![&text[1..]]),
            Kind::Bool => Term::Bool(text == "true"),
            Kind::CharConstant => Term::Number(Number::Int(literal::character(text).map_err(fault)?)),
            Kind::Number => Term::Number(literal::number(text).map_err(fault)?),
            Kind::Quoted | Kind::Raw => Term::Text(literal::quoted(text).map_err(fault)?.into()),
            Kind::LeftParen => {
                self.next += 1;
                self.deeper(at)?;
                let pipeline = self.pipeline("parentheses", Kind::RightParen)?;
                self.depth -= 1;
                return Ok(Some(Term::Pipeline(Box::new(pipeline))));
            }
            _ => return Ok(None),
        };
        self.next += 1;
        Ok(Some(term))
    }

    fn known_variable(&self, token: Token<'t>) -> Result<Name, Fault> {
        let known = self.known.get(token.text).copied().filter(|name| self.scope.contains(name));
        known.ok_or_else(|| Fault::new(token.at, format!("there is no variable {}", token.text)))
    }
}

fn forbidden(token: Token<'_>) -> Fault {
    Fault::new(token.at, format!("{} is forbidden here: a Dockerfile is one template", token.text))
}
