//! Tokens of the expression language.
//!
//! Source: the language definition of expr-lang 1.17 (docs/language-definition.md).

use super::error::Fail;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tok {
    Ident(String),
    Int(i64),
    Float(f64),
    Str(String),
    /// Operators, keywords that act as operators, commas and the like.
    Op(&'static str),
    /// `(`, `)`, `[`, `]`, `{`, `}`.
    Bracket(char),
    Eof,
}

#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub tok: Tok,
    /// Offset in characters.
    pub at: usize,
}

impl Tok {
    /// The token as Go expr names it in "unexpected token …".
    pub fn show(&self) -> String {
        match self {
            Tok::Ident(s) => format!("Identifier({s:?})"),
            Tok::Int(n) => format!("Number(\"{n}\")"),
            Tok::Float(n) => format!("Number(\"{n}\")"),
            Tok::Str(s) => format!("String({s:?})"),
            Tok::Op(s) => format!("Operator({s:?})"),
            Tok::Bracket(c) => format!("Bracket(\"{c}\")"),
            Tok::Eof => "EOF".into(),
        }
    }
}

/// Longest first.
const OPERATORS: &[&str] = &[
    "**", "..", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "?:", "::", ".", "+", "-", "*", "/", "%", "^", "<",
    ">", "!", "=", "?", ":", ",", ";", "|", "&", "#",
];

const WORDS: &[&str] =
    &["in", "or", "and", "matches", "contains", "startsWith", "endsWith", "not", "let", "if", "else"];

struct Lexer {
    chars: Vec<char>,
    pos: usize,
}

/// Splits `source` into tokens; the last one is always `Eof`.
pub(crate) fn lex(source: &str) -> Result<Vec<Token>, Fail> {
    let mut lexer = Lexer { chars: source.chars().collect(), pos: 0 };
    let mut out = Vec::new();
    loop {
        let token = lexer.token()?;
        let done = token.tok == Tok::Eof;
        out.push(token);
        if done {
            return Ok(out);
        }
    }
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.pos + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c))
    }

    fn skip_blanks(&mut self) -> Result<(), Fail> {
        loop {
            if self.peek(0).is_some_and(char::is_whitespace) {
                self.pos += 1;
            } else if self.starts_with("//") {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.pos += 1;
                }
            } else if self.starts_with("/*") {
                self.pos += 2;
                while !self.starts_with("*/") {
                    if self.pos >= self.chars.len() {
                        return Err(Fail::syntax("unclosed comment", self.pos));
                    }
                    self.pos += 1;
                }
                self.pos += 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, Fail> {
        self.skip_blanks()?;
        let at = self.pos;
        let Some(c) = self.peek(0) else {
            return Ok(Token { tok: Tok::Eof, at: self.chars.len().saturating_sub(1) });
        };
        let tok = match c {
            '(' | ')' | '[' | ']' | '{' | '}' => {
                self.pos += 1;
                Tok::Bracket(c)
            }
            '\'' | '"' => Tok::Str(self.quoted(c)?),
            '`' => Tok::Str(self.raw()?),
            '0'..='9' => self.number()?,
            '.' if self.peek(1).is_some_and(|c| c.is_ascii_digit()) => self.number()?,
            c if c == '_' || c == '$' || c.is_alphabetic() => self.word(),
            _ => self.operator()?,
        };
        Ok(Token { tok, at })
    }

    fn word(&mut self) -> Tok {
        let start = self.pos;
        while self.peek(0).is_some_and(|c| c == '_' || c == '$' || c.is_alphanumeric()) {
            self.pos += 1;
        }
        let word: String = self.chars[start..self.pos].iter().collect();
        match WORDS.iter().find(|w| **w == word) {
            Some(w) => Tok::Op(w),
            None => Tok::Ident(word),
        }
    }

    fn operator(&mut self) -> Result<Tok, Fail> {
        for op in OPERATORS {
            if self.starts_with(op) {
                // `a ?.5 : b` is a ternary, `a ?: b` the short one.
                if *op == "?." && self.peek(2).is_some_and(|c| c.is_ascii_digit()) {
                    continue;
                }
                self.pos += op.chars().count();
                return Ok(Tok::Op(op));
            }
        }
        let c = self.chars[self.pos];
        Err(Fail::syntax(format!("unrecognized character: U+{:04X} '{c}'", c as u32), self.pos))
    }

    fn raw(&mut self) -> Result<String, Fail> {
        self.pos += 1;
        let mut out = String::new();
        loop {
            match self.peek(0) {
                None => return Err(Fail::syntax("literal not terminated", self.pos)),
                Some('`') if self.peek(1) == Some('`') => {
                    out.push('`');
                    self.pos += 2;
                }
                Some('`') => {
                    self.pos += 1;
                    return Ok(out);
                }
                Some(c) => {
                    out.push(c);
                    self.pos += 1;
                }
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fail> {
        self.pos += 1;
        let mut out = String::new();
        loop {
            match self.peek(0) {
                None | Some('\n') => {
                    return Err(Fail::syntax("literal not terminated", self.pos));
                }
                Some(c) if c == quote => {
                    self.pos += 1;
                    return Ok(out);
                }
                Some('\\') => {
                    self.pos += 1;
                    let c = self.escape().ok_or_else(|| Fail::syntax("invalid char escape", self.pos))?;
                    out.push(c);
                }
                Some(c) => {
                    out.push(c);
                    self.pos += 1;
                }
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.pos += 1;
        Some(match c {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' | '\'' | '"' | '`' | '?' => c,
            'x' | 'X' => self.code(2, 16)?,
            'u' if self.peek(0) == Some('{') => {
                self.pos += 1;
                let len = (0..8).find(|i| self.peek(*i) == Some('}'))?;
                let c = self.code(len, 16)?;
                self.pos += 1;
                c
            }
            'u' => self.code_unit()?,
            'U' => self.code(8, 16)?,
            '0'..='3' => {
                self.pos -= 1;
                self.code(3, 8)?
            }
            _ => {
                self.pos -= 1;
                return None;
            }
        })
    }

    fn digits(&mut self, len: usize, radix: u32) -> Option<u32> {
        let mut n = 0u32;
        for _ in 0..len {
            n = n.checked_mul(radix)?.checked_add(self.peek(0)?.to_digit(radix)?)?;
            self.pos += 1;
        }
        Some(n)
    }

    fn code(&mut self, len: usize, radix: u32) -> Option<char> {
        char::from_u32(self.digits(len, radix)?)
    }

    /// `\uXXXX`, joined with a second one when the first is a high surrogate.
    fn code_unit(&mut self) -> Option<char> {
        let high = self.digits(4, 16)?;
        if (0xD800..0xDC00).contains(&high) && self.starts_with("\\u") {
            self.pos += 2;
            let low = self.digits(4, 16)?;
            let low = low.checked_sub(0xDC00).filter(|l| *l < 0x400)?;
            return char::from_u32(0x10000 + ((high - 0xD800) << 10) + low);
        }
        char::from_u32(high)
    }

    fn number(&mut self) -> Result<Tok, Fail> {
        let radix = match (self.peek(0), self.peek(1)) {
            (Some('0'), Some('x' | 'X')) => Some((16, "hex")),
            (Some('0'), Some('b' | 'B')) => Some((2, "binary")),
            (Some('0'), Some('o' | 'O')) => Some((8, "octal")),
            _ => None,
        };
        if let Some((radix, name)) = radix {
            let text = self.take(|c| c == '_' || c.is_alphanumeric());
            let digits = text.get(2..).unwrap_or_default().replace('_', "");
            return i64::from_str_radix(&digits, radix)
                .map(Tok::Int)
                .map_err(|_| self.bad_number(name, "ParseInt", &text, "invalid syntax"));
        }
        let mut text = self.take(|c| c == '_' || c.is_ascii_digit());
        let mut float = false;
        if self.peek(0) == Some('.') && self.peek(1) != Some('.') {
            float = true;
            self.pos += 1;
            text.push('.');
            text += &self.take(|c| c == '_' || c.is_ascii_digit());
        }
        if matches!(self.peek(0), Some('e' | 'E')) {
            float = true;
            self.pos += 1;
            text.push('e');
            if let Some(sign @ ('+' | '-')) = self.peek(0) {
                text.push(sign);
                self.pos += 1;
            }
            text += &self.take(|c| c == '_' || c.is_ascii_digit());
        }
        if let Some(c) = self.peek(0).filter(|c| c.is_alphanumeric() || *c == '_') {
            text.push(c);
            return Err(Fail::syntax(format!("bad number syntax: {text:?}"), self.pos));
        }
        let clean = text.replace('_', "");
        if float {
            return clean
                .parse()
                .map(Tok::Float)
                .map_err(|_| self.bad_number("float", "ParseFloat", &clean, "invalid syntax"));
        }
        clean.parse().map(Tok::Int).map_err(|_| self.bad_number("integer", "ParseInt", &clean, "value out of range"))
    }

    fn bad_number(&self, kind: &str, function: &str, text: &str, why: &str) -> Fail {
        let message = format!("invalid {kind} literal: strconv.{function}: parsing {text:?}: {why}");
        Fail::syntax(message, self.pos - 1)
    }

    fn take(&mut self, ok: impl Fn(char) -> bool) -> String {
        let start = self.pos;
        while self.peek(0).is_some_and(&ok) {
            self.pos += 1;
        }
        self.chars[start..self.pos].iter().collect()
    }
}
