//! A template into tokens. The same states as Go's lexer, and like there a wrong character only counts once the parser
//! gets to it.

use super::Fault;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text outside of actions.
    Text,
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `|`
    Pipe,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    /// Blanks within an action.
    Space,
    /// Any other ASCII character.
    Char,
    /// `true` or `false`
    Bool,
    /// `'x'`
    CharConstant,
    /// A number.
    Number,
    /// `"x"`
    Quoted,
    /// A raw text.
    Raw,
    /// `.x`
    Field,
    /// `$` or `$x`
    Variable,
    /// The name of a function.
    Identifier,
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `if`
    If,
    /// `else`
    Else,
    /// `end`
    End,
    /// `range`
    Range,
    /// `with`
    With,
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `define`, `template` or `block`
    Forbidden,
    /// Something that is no token: what is wrong is in [`Tokens::fault`].
    Broken,
    /// The end of the template.
    Eof,
}

/// A piece of the template.
#[derive(Clone, Copy, Debug)]
pub struct Token<'t> {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub at: usize,
    /// Its text.
    pub text: &'t str,
}

/// All tokens of a template: the last one is [`Kind::Eof`] or [`Kind::Broken`].
pub struct Tokens<'t> {
    /// The tokens.
    pub tokens: Vec<Token<'t>>,
    /// What is wrong with the last one, if it is broken.
    pub fault: Option<Fault>,
}

/// Takes a template apart.
pub fn lex(template: &str) -> Tokens<'_> {
    let mut lexer = Lexer { text: template, at: 0, start: 0, parens: 0, tokens: Vec::new() };
    let fault = lexer.run().err();
    let kind = if fault.is_some() { Kind::Broken } else { Kind::Eof };
    let at = fault.as_ref().map_or(template.len(), |fault| fault.at);
    lexer.tokens.push(Token { kind, at, text: "" });
    Tokens { tokens: lexer.tokens, fault }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    start: usize,
    parens: usize,
    tokens: Vec<Token<'t>>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, valid: &str) -> bool {
        let is_valid = self.peek().is_some_and(|c| valid.contains(c));
        self.at += usize::from(is_valid);
        is_valid
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn emit(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, at: self.start, text: &self.text[self.start..self.at] });
        self.start = self.at;
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.start, message)
    }

    fn run(&mut self) -> Result<(), Fault> {
        loop {
            let Some(found) = self.rest().find("{{") else {
                self.at = self.text.len();
                if self.at > self.start {
                    self.emit(Kind::Text);
                }
                return Ok(());
            };
            let open = self.at + found;
            let trims = has_left_trim(&self.text[open + 2..]);
            let before = &self.text[self.start..open];
            let kept = if trims { before.trim_end_matches(is_space) } else { before };
            self.at = self.start + kept.len();
            if !kept.is_empty() {
                self.emit(Kind::Text);
            }
            (self.at, self.start) = (open, open);
            self.action(if trims { 2 } else { 0 })?;
        }
    }

    /// From `{{` to `}}`, a comment included.
    fn action(&mut self, marker: usize) -> Result<(), Fault> {
        if self.text[self.at + 2 + marker..].starts_with("/*") {
            return self.comment(marker);
        }
        self.at += 2;
        self.emit(Kind::Open);
        self.at += marker;
        self.start = self.at;
        self.parens = 0;
        while !self.is_closed()? {
            self.inside()?;
        }
        Ok(())
    }

    fn comment(&mut self, marker: usize) -> Result<(), Fault> {
        let begin = self.at + 2 + marker + 2;
        let length = self.text[begin..].find("*/").ok_or_else(|| self.fault("the comment is not closed: */}} is missing"))?;
        self.at = begin + length + 2;
        let trims = self.at_close().ok_or_else(|| self.fault("a comment must end right before }}"))?;
        self.close(trims);
        Ok(())
    }

    /// Whether `}}` is here, and whether with a trim marker.
    fn at_close(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim(rest) && rest[2..].starts_with("}}") {
            return Some(true);
        }
        rest.starts_with("}}").then_some(false)
    }

    /// Passes over `}}`, and over the blanks that it trims.
    fn close(&mut self, trims: bool) {
        self.at += if trims { 4 } else { 2 };
        if trims {
            self.at = self.text.len() - self.rest().trim_start_matches(is_space).len();
        }
        self.start = self.at;
    }

    fn is_closed(&mut self) -> Result<bool, Fault> {
        let Some(trims) = self.at_close() else { return Ok(false) };
        if self.parens > 0 {
            return Err(self.fault("a left parenthesis is not closed"));
        }
        let at = self.at + if trims { 2 } else { 0 };
        self.tokens.push(Token { kind: Kind::Close, at, text: "}}" });
        self.close(trims);
        Ok(true)
    }

    fn inside(&mut self) -> Result<(), Fault> {
        let next = self.next().ok_or_else(|| self.fault("the action is not closed: }} is missing"))?;
        match next {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' if self.accept("=") => self.emit(Kind::Declare),
            ':' => return Err(self.fault("expected :=")),
            '|' => self.emit(Kind::Pipe),
            '"' => self.quote('"', Kind::Quoted, "the quoted text is not closed in its line")?,
            '\'' => self.quote('\'', Kind::CharConstant, "the character constant is not closed")?,
            '`' => self.raw()?,
            '$' => self.word(Kind::Variable, Kind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => self.word(Kind::Field, Kind::Dot)?,
            '.' | '+' | '-' | '0'..='9' => self.number()?,
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or_else(|| self.fault("a right parenthesis too many"))?;
                self.emit(Kind::RightParen);
            }
            c if is_alphanumeric(c) => self.identifier()?,
            ' '..='~' => self.emit(Kind::Char),
            c => return Err(self.fault(format!("{c:?} does not belong into an action"))),
        }
        Ok(())
    }

    /// Blanks, up to the one that belongs to ` -}}`.
    fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        let last = &self.text[self.at - 1..];
        if has_right_trim(last) && last[2..].starts_with("}}") {
            self.at -= 1;
        }
        if self.at > self.start {
            self.emit(Kind::Space);
        }
    }

    fn quote(&mut self, quote: char, kind: Kind, unclosed: &str) -> Result<(), Fault> {
        loop {
            match self.next() {
                Some('\\') if self.next().is_some_and(|c| c != '\n') => {}
                Some(c) if c == quote => break,
                None | Some('\n' | '\\') => return Err(self.fault(unclosed)),
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn raw(&mut self) -> Result<(), Fault> {
        let length = self.rest().find('`').ok_or_else(|| self.fault("the raw text is not closed: ` is missing"))?;
        self.at += length + 1;
        self.emit(Kind::Raw);
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), Fault> {
        self.letters()?;
        let kind = match &self.text[self.start..self.at] {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            "if" => Kind::If,
            "else" => Kind::Else,
            "end" => Kind::End,
            "range" => Kind::Range,
            "with" => Kind::With,
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "define" | "template" | "block" => Kind::Forbidden,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    /// What follows `.` or `$`, which may be nothing.
    fn word(&mut self, kind: Kind, alone: Kind) -> Result<(), Fault> {
        if self.at_terminator() {
            self.emit(alone);
            return Ok(());
        }
        self.letters()?;
        self.emit(kind);
        Ok(())
    }

    fn letters(&mut self) -> Result<(), Fault> {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if self.at_terminator() {
            return Ok(());
        }
        let (word, next) = (&self.text[self.start..self.at], self.peek().unwrap_or_default());
        let remedy = match (next, word.strip_prefix('.')) {
            ('-', Some(_)) => r#"; a name with other characters is asked for as index . "its-name""#,
            _ => "",
        };
        Err(Fault::new(self.at, format!("{next:?} cannot follow {word}{remedy}")))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with("}}"),
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.at = self.start;
        let is_number = self.scan_number();
        if is_number && !matches!(self.peek(), Some('+' | '-')) && !self.text[self.start..self.at].ends_with('i') {
            self.emit(Kind::Number);
            return Ok(());
        }
        let is_complex = is_number && (!matches!(self.peek(), Some('+' | '-')) || self.scan_number());
        let text = &self.text[self.start..self.at];
        Err(self.fault(match is_complex && text.ends_with('i') {
            true => format!("complex numbers are not supported: {text}"),
            false => format!("{text} is no number"),
        }))
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn has_left_trim(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

fn has_right_trim(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_space) && chars.next() == Some('-')
}
