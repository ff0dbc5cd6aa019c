//! Upper and lower case, words.

use super::super::value::Value;
use super::Answer;

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    let [Value::Str(s)] = args else { return None };
    Some(Ok(Value::from(match name {
        "title" => after_break(s, |c| !c.is_alphanumeric() && c != '_', |c| c.to_uppercase().to_string()),
        "untitle" => after_break(s, char::is_whitespace, |c| c.to_lowercase().to_string()),
        "swapcase" => swap(s),
        "snakecase" => words(s, '_'),
        "kebabcase" => words(s, '-'),
        "camelcase" => camel(s),
        _ => return None,
    })))
}

/// Changes the first character and those behind a break.
fn after_break(s: &str, is_break: impl Fn(char) -> bool, change: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(s.len());
    let mut first = true;
    for c in s.chars() {
        if first && !is_break(c) {
            out.push_str(&change(c));
        } else {
            out.push(c);
        }
        first = is_break(c);
    }
    out
}

fn swap(s: &str) -> String {
    s.chars()
        .map(|c| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() })
        .collect()
}

/// Lower-case words joined by `by`: a new one begins at a capital behind a small letter or digit, at the last capital
/// of a row of them, and at digits that small letters follow. Separators become `by`, each for itself.
fn words(s: &str, by: char) -> String {
    let chars: Vec<char> = s.chars().collect();
    let mut out = String::new();
    let mut numeric_word = false;
    for (i, c) in chars.iter().enumerate() {
        let previous = i.checked_sub(1).map(|i| chars[i]);
        if is_separator(*c) {
            out.push(by);
            numeric_word = false;
            continue;
        }
        let after_digits = || chars[i..].iter().find(|c| !c.is_numeric());
        let starts = previous.is_some_and(|p| match c {
            c if c.is_uppercase() => {
                let next_small = chars.get(i + 1).is_some_and(|c| c.is_lowercase());
                p.is_lowercase() || p.is_numeric() || (p.is_uppercase() && next_small)
            }
            c if c.is_numeric() => {
                p.is_alphabetic() && !numeric_word && after_digits().is_some_and(|c| c.is_lowercase())
            }
            _ => false,
        });
        if starts {
            out.push(by);
        }
        if starts || previous.is_none_or(is_separator) {
            numeric_word = c.is_numeric();
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn is_separator(c: char) -> bool {
    c == '_' || c == '-' || c.is_whitespace()
}

/// Capitals behind separators, which go; separators in front stay. A word all in capitals keeps only its first.
fn camel(s: &str) -> String {
    let start = s.find(|c| !is_separator(c)).unwrap_or(s.len());
    let (front, rest) = s.split_at(start);
    let mut out = front.to_owned();
    for word in rest.split(is_separator) {
        let shout = word.chars().count() > 1 && !word.chars().any(char::is_lowercase);
        for (i, c) in word.chars().enumerate() {
            if i == 0 {
                out.extend(c.to_uppercase());
            } else if shout {
                out.extend(c.to_lowercase());
            } else {
                out.push(c);
            }
        }
    }
    out
}
