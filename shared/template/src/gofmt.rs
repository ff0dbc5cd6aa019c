//! Text forms of values as Go writes them: `%v`, JSON, numbers.

use std::fmt::Write;

use crate::duration;
use crate::expr::Value;
use crate::gotime;

/// A float as Go's JSON writer prints it; also what `strconv.FormatFloat(f, 'f', -1)` gives in the middle range.
pub(crate) fn json_float(n: f64) -> String {
    let abs = n.abs();
    if abs != 0.0 && !(1e-6..1e21).contains(&abs) {
        let text = format!("{n:e}");
        return fix_exponent(&text, 1);
    }
    format!("{n}")
}

/// A float as `%v` prints it: the shortest digits, in exponent form below 1e-4 and from 1e6 on.
pub(crate) fn value_float(n: f64) -> String {
    if n.is_nan() {
        return "NaN".into();
    }
    if n.is_infinite() {
        return if n > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let abs = n.abs();
    if abs != 0.0 && !(1e-4..1e6).contains(&abs) {
        return fix_exponent(&format!("{n:e}"), 2);
    }
    format!("{n}")
}

/// `1e-7` to Go's `1e-07`, `1e21` to `1e+21`.
fn fix_exponent(text: &str, digits: usize) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text.to_owned();
    };
    let (sign, number) = match exponent.strip_prefix('-') {
        Some(number) => ('-', number),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{number:0>digits$}")
}

/// Writes `%v`.
pub(crate) fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => {
            let _ = write!(out, "{n}");
        }
        Value::Float(n) => out.push_str(&value_float(*n)),
        Value::Str(s) => out.push_str(s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Time(t) => out.push_str(&gotime::format(t, gotime::DISPLAY)),
        Value::Duration(nanos) => out.push_str(&duration::format(*nanos)),
    }
}

/// Writes JSON as Go does. `indent` is the unit of indentation and the current depth. `None`: there is no JSON for it.
pub(crate) fn write_json(out: &mut String, value: &Value, html: bool, indent: Option<(&str, usize)>) -> Option<()> {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => {
            let _ = write!(out, "{n}");
        }
        Value::Float(n) if !n.is_finite() => return None,
        Value::Float(n) => out.push_str(&json_float(*n)),
        Value::Str(s) => write_json_string(out, s, html),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                new_line(out, indent, 1);
                write_json(out, item, html, indent.map(|(unit, depth)| (unit, depth + 1)))?;
            }
            new_line(out, indent, 0);
            out.push(']');
        }
        Value::Map(map) if map.is_empty() => out.push_str("{}"),
        Value::Map(map) => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                new_line(out, indent, 1);
                write_json_string(out, key, html);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                write_json(out, item, html, indent.map(|(unit, depth)| (unit, depth + 1)))?;
            }
            new_line(out, indent, 0);
            out.push('}');
        }
        Value::Time(t) => write_json_string(out, &gotime::format(t, gotime::RFC3339_NANO), html),
        Value::Duration(nanos) => {
            let _ = write!(out, "{nanos}");
        }
    }
    Some(())
}

fn new_line(out: &mut String, indent: Option<(&str, usize)>, more: usize) {
    if let Some((unit, depth)) = indent {
        out.push('\n');
        for _ in 0..depth + more {
            out.push_str(unit);
        }
    }
}

/// A JSON string as Go's `json.Marshal` writes it.
pub(crate) fn write_json_string(out: &mut String, text: &str, html: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '<' | '>' | '&' if html => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Go's `strconv.Quote`.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        quote_char(&mut out, c, '"');
    }
    out.push('"');
    out
}

/// One character inside Go quotes of the given kind.
pub(crate) fn quote_char(out: &mut String, c: char, quote: char) {
    match c {
        c if c == quote || c == '\\' => {
            out.push('\\');
            out.push(c);
        }
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if (c as u32) < 0x20 || c == '\x7f' => {
            let _ = write!(out, "\\x{:02x}", c as u32);
        }
        c if c.is_control() => {
            let _ = write!(out, "\\u{:04x}", c as u32);
        }
        c => out.push(c),
    }
}
