//! Text.

use super::super::error::Fail;
use super::super::value::Value;
use super::{Answer, OUTPUT_MAX, too_much};
use crate::gofmt;

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    use Value::{Array, Int, Str};
    Some(Ok(match (name, args) {
        ("hello", []) => Value::str("Hello!"),
        ("fail", [Str(message)]) => return Some(Err(Fail::run(message.to_string()))),
        ("trim", [Str(s)]) => Value::str(s.trim()),
        ("upper", [Str(s)]) => Value::from(s.to_uppercase()),
        ("lower", [Str(s)]) => Value::from(s.to_lowercase()),
        ("trimAll" | "trimall", [Str(cut), Str(s)]) => Value::str(s.trim_matches(|c| cut.contains(c))),
        ("trimSuffix", [Str(p), Str(s)]) => Value::str(s.strip_suffix(p.as_ref()).unwrap_or(s)),
        ("trimPrefix", [Str(p), Str(s)]) => Value::str(s.strip_prefix(p.as_ref()).unwrap_or(s)),
        ("contains", [Str(part), Str(s)]) => Value::Bool(s.contains(part.as_ref())),
        ("hasPrefix", [Str(p), Str(s)]) => Value::Bool(s.starts_with(p.as_ref())),
        ("hasSuffix", [Str(p), Str(s)]) => Value::Bool(s.ends_with(p.as_ref())),
        ("replace", [Str(old), Str(new), Str(s)]) => Value::from(s.replace(old.as_ref(), new)),
        ("repeat", [Int(n), Str(s)]) => {
            if n.saturating_mul(s.len() as i64) > OUTPUT_MAX {
                return Some(Err(too_much()));
            }
            match usize::try_from(*n) {
                Ok(n) => Value::from(s.repeat(n)),
                Err(_) => return Some(Err(Fail::run("strings: negative Repeat count"))),
            }
        }
        ("substr", [Int(from), Int(to), Str(s)]) => substr(s, *from, *to),
        ("trunc", [Int(n), Str(s)]) => {
            let len = s.len() as i64;
            match n {
                n if *n < 0 && len + n > 0 => cut(s, len + n, len),
                n if *n >= 0 && len > *n => cut(s, 0, *n),
                _ => Value::Str(s.clone()),
            }
        }
        ("abbrev", [Int(width), Str(s)]) => abbrev(s, 0, *width),
        ("abbrevboth", [Int(left), Int(width), Str(s)]) => {
            if *width < 4 || (*left > 0 && *width < 7) {
                Value::Str(s.clone())
            } else {
                abbrev(s, *left, *width)
            }
        }
        ("nospace", [Str(s)]) => Value::from(s.chars().filter(|c| !c.is_whitespace()).collect::<String>()),
        ("initials", [Str(s)]) => {
            Value::from(s.split_whitespace().filter_map(|w| w.chars().next()).collect::<String>())
        }
        ("plural", [Str(one), Str(many), Int(n)]) => Value::Str(if *n == 1 { one.clone() } else { many.clone() }),
        ("indent", [Int(n), Str(s)]) => return Some(indent(*n, s).map(Value::from)),
        ("nindent", [Int(n), Str(s)]) => {
            return Some(indent(*n, s).map(|s| Value::from(format!("\n{s}"))));
        }
        ("quote", items) => joined(items, |item| gofmt::quote(&item.display())),
        ("squote", items) => joined(items, |item| format!("'{}'", item.display())),
        ("cat", items) => joined(items, Value::display),
        ("toString", [value]) => Value::from(value.display()),
        ("toStrings", [value]) => Value::array(texts(value).into_iter().map(Value::from).collect()),
        ("join", [Str(by), value]) => Value::from(texts(value).join(by)),
        ("sortAlpha", [Array(_)]) => {
            let mut all = texts(&args[0]);
            all.sort();
            Value::array(all.into_iter().map(Value::from).collect())
        }
        ("sortAlpha", [value]) => Value::array(vec![Value::from(value.display())]),
        ("splitList", [Str(by), Str(s)]) => parts(s, by, -1),
        ("split", [Str(by), Str(s)]) => numbered(parts(s, by, -1)),
        ("splitn", [Str(by), Int(n), Str(s)]) => numbered(parts(s, by, *n)),
        ("wrap", [Int(width), Str(s)]) => Value::from(wrap(s, *width, "\n", false)),
        ("wrapWith", [Int(width), Str(by), Str(s)]) => Value::from(wrap(s, *width, by, true)),
        _ => return None,
    }))
}

/// Bytes from one place to another, as Go cuts them.
fn cut(s: &str, from: i64, to: i64) -> Value {
    let bytes = &s.as_bytes()[from as usize..to as usize];
    Value::from(String::from_utf8_lossy(bytes).into_owned())
}

fn substr(s: &str, from: i64, to: i64) -> Value {
    let len = s.len() as i64;
    let to = if to < 0 || to > len { len } else { to };
    let from = from.max(0);
    if from > to { Value::str("") } else { cut(s, from, to) }
}

fn abbrev(s: &str, offset: i64, width: i64) -> Value {
    let len = s.len() as i64;
    if width < 4 || len <= width {
        return Value::str(s);
    }
    let offset = offset.min(len);
    let offset = if len - offset < width - 3 { len - (width - 3) } else { offset };
    let piece = |from, to| cut(s, from, to).display();
    Value::from(if offset <= 4 {
        piece(0, width - 3) + "..."
    } else if offset + width - 3 < len {
        format!("...{}...", piece(offset, offset + width - 6))
    } else {
        format!("...{}", piece(len - (width - 3), len))
    })
}

fn indent(n: i64, s: &str) -> Result<String, Fail> {
    let lines = s.matches('\n').count() as i64 + 1;
    if n.saturating_mul(lines) > OUTPUT_MAX {
        return Err(too_much());
    }
    let pad = " ".repeat(usize::try_from(n).map_err(|_| Fail::run("strings: negative Repeat count"))?);
    Ok(format!("{pad}{}", s.replace('\n', &format!("\n{pad}"))))
}

/// The texts of all items but nil, separated by spaces.
fn joined(items: &[Value], text: impl Fn(&Value) -> String) -> Value {
    let items: Vec<_> = items.iter().filter(|v| !v.is_nil()).map(text).collect();
    Value::from(items.join(" "))
}

/// The texts of a list without its nils; of anything else its own.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter(|v| !v.is_nil()).map(Value::display).collect(),
        Value::Nil => Vec::new(),
        other => vec![other.display()],
    }
}

fn parts(s: &str, by: &str, n: i64) -> Value {
    super::super::builtins::split(s, by, n, false)
}

/// A list as a map with the keys `_0`, `_1`, ….
fn numbered(list: Value) -> Value {
    let items = match &list {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    Value::map(items.iter().enumerate().map(|(i, item)| (format!("_{i}"), item.clone())).collect())
}

/// Breaks lines at spaces so that they are at most `width` long; `long` also breaks longer words.
fn wrap(s: &str, width: i64, by: &str, long: bool) -> String {
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let mut out = String::new();
    let chars: Vec<char> = s.chars().collect();
    let mut rest = chars.as_slice();
    while rest.len() > width {
        if rest[0] == ' ' {
            rest = &rest[1..];
            continue;
        }
        let space = rest[..=width].iter().rposition(|c| *c == ' ');
        let (end, skip) = match (space, long) {
            (Some(at), _) => (at, 1),
            (None, true) => (width, 0),
            (None, false) => match rest[width..].iter().position(|c| *c == ' ') {
                Some(at) => (width + at, 1),
                None => break,
            },
        };
        out.extend(&rest[..end]);
        out.push_str(by);
        rest = &rest[end + skip..];
    }
    out.extend(rest);
    out
}
