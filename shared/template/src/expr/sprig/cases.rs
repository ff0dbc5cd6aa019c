//! Upper and lower case, words.

use super::super::value::Value;
use super::Answer;

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    let [Value::Str(s)] = args else { return None };
    Some(Ok(Value::from(match name {
        "title" => after_break(
            s,
            |c| !c.is_alphanumeric() && c != '_' && c != '\'',
            |c| c.to_uppercase().to_string(),
        ),
        "untitle" => after_break(s, char::is_whitespace, |c| c.to_lowercase().to_string()),
        "swapcase" => swap(s),
        "snakecase" => words(s).join("_"),
        "kebabcase" => words(s).join("-"),
        "camelcase" => camel(s),
        _ => return None,
    })))
}

/// Changes the first character and those behind a break.
fn after_break(
    s: &str,
    is_break: impl Fn(char) -> bool,
    change: impl Fn(char) -> String,
) -> String {
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
        .map(|c| {
            if c.is_uppercase() {
                c.to_lowercase().to_string()
            } else {
                c.to_uppercase().to_string()
            }
        })
        .collect()
}

/// Lower-case words: a new one begins behind a separator, at a capital behind a small letter, at the last capital of
/// a row of them, and where a row of digits meets letters.
fn words(s: &str) -> Vec<String> {
    let chars: Vec<char> = s.chars().collect();
    let mut words = vec![String::new()];
    for (i, c) in chars.iter().enumerate() {
        if c.is_whitespace() || *c == '_' || *c == '-' {
            words.push(String::new());
            continue;
        }
        let previous = i.checked_sub(1).map(|i| chars[i]);
        let next_small = chars.get(i + 1).is_some_and(|c| c.is_lowercase());
        let starts = previous.is_some_and(|p| {
            (c.is_uppercase()
                && (p.is_lowercase() || (p.is_uppercase() && next_small) || p.is_numeric()))
                || (c.is_numeric() && p.is_alphabetic())
                || (c.is_lowercase() && p.is_numeric())
        });
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Capitals behind separators, which go; separators in front stay.
fn camel(s: &str) -> String {
    let start = s
        .find(|c: char| c != '_' && c != '-' && c != ' ')
        .unwrap_or(s.len());
    let (front, rest) = s.split_at(start);
    let mut out = front.to_owned();
    let mut first = true;
    for c in rest.chars() {
        if c == '_' || c == '-' || c == ' ' {
            first = true;
            continue;
        }
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        first = false;
    }
    out
}
