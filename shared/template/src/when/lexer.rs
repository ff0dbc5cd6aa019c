//! Tokens of govaluate.

use jiff::tz::TimeZone;

use super::eval::Value;
use super::parser::may_follow;
use crate::gotime;

/// Kinds of tokens, with govaluate's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    Prefix,
    Numeric,
    Boolean,
    String,
    Pattern,
    Time,
    Variable,
    Accessor,
    Separator,
    Comparator,
    LogicalOp,
    Modifier,
    Clause,
    ClauseClose,
    Ternary,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unknown => "UNKNOWN",
            Kind::Prefix => "PREFIX",
            Kind::Numeric => "NUMERIC",
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Pattern => "PATTERN",
            Kind::Time => "TIME",
            Kind::Variable => "VARIABLE",
            Kind::Accessor => "ACCESSOR",
            Kind::Separator => "SEPARATOR",
            Kind::Comparator => "COMPARATOR",
            Kind::LogicalOp => "LOGICALOP",
            Kind::Modifier => "MODIFIER",
            Kind::Clause => "CLAUSE",
            Kind::ClauseClose => "CLAUSE_CLOSE",
            Kind::Ternary => "TERNARY",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub kind: Kind,
    /// The value of an operand.
    pub value: Value,
    /// The text of an operator or a word.
    pub text: String,
}

impl Token {
    fn operator(kind: Kind, text: impl Into<String>) -> Self {
        Token { kind, value: Value::Nil, text: text.into() }
    }

    fn operand(kind: Kind, value: Value) -> Self {
        Token { kind, text: value.show(), value }
    }

    /// A bare word becomes a string.
    pub fn become_string(&mut self) {
        if self.kind == Kind::Variable {
            self.kind = Kind::String;
            self.value = Value::Str(self.text.clone());
        }
    }
}

/// Layouts in which a string is taken for a moment.
const TIME_LAYOUTS: &[&str] = &[
    "Mon Jan _2 15:04:05 2006",
    "Mon Jan _2 15:04:05 MST 2006",
    "Mon Jan 02 15:04:05 -0700 2006",
    "3:04PM",
    gotime::RFC3339,
    gotime::RFC3339_NANO,
    "2006-01-02",
    "2006-01-02 15:04",
    "2006-01-02 15:04:05",
    "2006-01-02 15:04:05-07:00",
    "2006-01-02T15Z0700",
    "2006-01-02T15:04Z0700",
    "2006-01-02T15:04:05Z0700",
    "2006-01-02T15:04:05.999999999Z0700",
];

struct Lexer {
    chars: Vec<char>,
    pos: usize,
}

/// Splits a condition into tokens.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { chars: text.chars().collect(), pos: 0 };
    let mut tokens: Vec<Token> = Vec::new();
    loop {
        while lexer.peek().is_some_and(char::is_whitespace) {
            lexer.pos += 1;
        }
        if lexer.peek().is_none() {
            break;
        }
        let previous = tokens.last().map_or(Kind::Unknown, |t| t.kind);
        let mut token = lexer.token(previous)?;
        let after_match = tokens.last().is_some_and(|t| t.kind == Kind::Comparator && is_match(&t.text));
        if after_match && let Value::Str(pattern) = &token.value {
            let regex = regex::RegexBuilder::new(pattern)
                .size_limit(crate::limits::PATTERN_BYTES_MAX)
                .build()
                .map_err(|e| {
                    let reason = e.to_string();
                    format!("error parsing regexp: {}", reason.lines().last().unwrap_or_default())
                })?;
            token = Token { kind: Kind::Pattern, text: pattern.clone(), value: Value::Pattern(regex) };
        }
        tokens.push(token);
    }
    Ok(tokens)
}

fn is_match(op: &str) -> bool {
    op == "=~" || op == "!~"
}

fn is_quote(c: char) -> bool {
    c == '\'' || c == '"'
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.pos).copied()
    }

    fn take(&mut self, ok: impl Fn(char) -> bool) -> String {
        let start = self.pos;
        while self.peek().is_some_and(&ok) {
            self.pos += 1;
        }
        self.chars[start..self.pos].iter().collect()
    }

    fn token(&mut self, previous: Kind) -> Result<Token, String> {
        let Some(c) = self.peek() else {
            return Err("Unexpected end of expression".into());
        };
        if c.is_ascii_digit() {
            return self.number();
        }
        if c == ',' {
            self.pos += 1;
            return Ok(Token::operator(Kind::Separator, ","));
        }
        if c == '[' {
            self.pos += 1;
            let name = self.until(|c| c == ']').ok_or("Unclosed parameter bracket")?;
            return Ok(Token::operator(Kind::Variable, name));
        }
        if c.is_alphabetic() {
            return self.word();
        }
        if is_quote(c) {
            self.pos += 1;
            let text = self.until(is_quote).ok_or("Unclosed string literal")?;
            return Ok(match time(&text) {
                Some(seconds) => Token::operand(Kind::Time, Value::Num(seconds)),
                None => Token::operand(Kind::String, Value::Str(text)),
            });
        }
        if c == '(' || c == ')' {
            self.pos += 1;
            let kind = if c == '(' { Kind::Clause } else { Kind::ClauseClose };
            return Ok(Token::operator(kind, c));
        }
        let text = self
            .take(|c| !(c.is_numeric() || c.is_alphabetic() || is_quote(c) || c.is_whitespace() || "()[]".contains(c)));
        let kind = match text.as_str() {
            "-" | "!" | "~" if may_follow(previous, Kind::Prefix) => Kind::Prefix,
            "+" | "-" | "*" | "/" | "%" | "**" | "&" | "|" | "^" | ">>" | "<<" => Kind::Modifier,
            "&&" | "||" => Kind::LogicalOp,
            "==" | "!=" | ">" | ">=" | "<" | "<=" | "=~" | "!~" => Kind::Comparator,
            "?" | ":" | "??" => Kind::Ternary,
            _ => return Err(format!("Invalid token: '{text}'")),
        };
        Ok(Token::operator(kind, text))
    }

    fn number(&mut self) -> Result<Token, String> {
        if self.peek() == Some('0') && matches!(self.chars.get(self.pos + 1), Some('x' | 'X')) {
            self.pos += 2;
            let digits = self.take(|c| c.is_ascii_hexdigit());
            let n = u64::from_str_radix(&digits, 16)
                .map_err(|_| format!("Unable to parse hex value '{digits}' to uint64\n"))?;
            return Ok(Token::operand(Kind::Numeric, Value::Num(n as f64)));
        }
        let text = self.take(|c| c.is_ascii_digit() || c == '.');
        let n = text.parse().map_err(|_| format!("Unable to parse numeric value '{text}' to float64\n"))?;
        Ok(Token::operand(Kind::Numeric, Value::Num(n)))
    }

    fn word(&mut self) -> Result<Token, String> {
        let text = self.word_text();
        match text.as_str() {
            "true" | "false" => {
                return Ok(Token::operand(Kind::Boolean, Value::Bool(text == "true")));
            }
            "in" | "IN" => return Ok(Token::operator(Kind::Comparator, "in")),
            _ => {}
        }
        if !text.contains('.') {
            return Ok(Token::operator(Kind::Variable, text));
        }
        if text.ends_with('.') {
            return Err(format!("Hanging accessor on token '{text}'"));
        }
        for field in text.split('.').skip(1) {
            if field.chars().next().is_some_and(|c| c.to_uppercase().next() != Some(c)) {
                return Err(format!("Unable to access unexported field '{field}' in token '{text}'"));
            }
        }
        Ok(Token::operator(Kind::Accessor, text))
    }

    /// Letters, digits, `_` and `.`; a backslash takes the next character as it is.
    fn word_text(&mut self) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            let next = self.chars.get(self.pos + 1).copied();
            let (taken, width) = match (c, next) {
                ('\\', Some(next)) => (next, 2),
                _ if c.is_alphanumeric() || c == '_' || c == '.' => (c, 1),
                _ => break,
            };
            out.push(taken);
            self.pos += width;
        }
        out
    }

    /// The text up to `end`, which is passed; a backslash takes the next character as it is.
    fn until(&mut self, end: impl Fn(char) -> bool) -> Option<String> {
        let mut out = String::new();
        loop {
            let mut c = self.peek()?;
            self.pos += 1;
            if end(c) {
                return Some(out);
            }
            if c == '\\' {
                c = self.peek()?;
                self.pos += 1;
            }
            out.push(c);
        }
    }
}

fn time(text: &str) -> Option<f64> {
    if !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let moment = TIME_LAYOUTS.iter().find_map(|layout| gotime::parse(layout, text, &TimeZone::UTC).ok())?;
    Some(moment.timestamp().as_second() as f64)
}
