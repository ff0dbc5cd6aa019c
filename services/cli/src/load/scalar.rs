//! What a plain scalar means to the YAML parser of Kubernetes (go-yaml v2, YAML 1.1 with the rules it dropped).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};

static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$").expect("a constant expression")
});

/// The value of a plain (unquoted, untagged) scalar.
///
/// `yes`, `on`, `no`, `off` are bools, `y` and `n` are texts, a leading zero means octal, `0x` and `0b` are known,
/// underscores in numbers are ignored, dates stay texts. Source: gopkg.in/yaml.v2 `resolve.go`.
pub fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::String(text.to_owned());
    }
    let digits = text.replace('_', "");
    if let Some(number) = integer(&digits) {
        return Value::Number(number);
    }
    if FLOAT.is_match(&digits)
        && let Ok(value) = digits.parse::<f64>()
        && let Some(number) = float(value)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

/// A float as JSON has it after Go wrote it: whole numbers without a fraction are integers.
fn float(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

fn integer(digits: &str) -> Option<Number> {
    let (negative, rest) = match digits.as_bytes().first()? {
        b'-' => (true, &digits[1..]),
        b'+' => (false, &digits[1..]),
        _ => (false, digits),
    };
    let lower = rest.to_ascii_lowercase();
    let (radix, body) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if body.is_empty() || body.starts_with(['+', '-']) {
        return None;
    }
    if negative {
        let magnitude = i128::from_str_radix(body, radix).ok()?;
        return i64::try_from(-magnitude).ok().map(Number::from);
    }
    u64::from_str_radix(body, radix).ok().map(Number::from)
}

/// The text of a scalar as a member's name: Go turns numbers and bools into texts.
pub fn key(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_as_go_reads_them() {
        let cases = [
            ("0755", json!(493)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("089", json!(89)),
            ("1_000", json!(1000)),
            ("-5", json!(-5)),
            ("+7", json!(7)),
            ("1e3", json!(1000)),
            ("1.50", json!(1.5)),
            (".5", json!(0.5)),
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!("y")),
            ("n", json!("n")),
            ("2001-01-01", json!("2001-01-01")),
            ("1.2.3", json!("1.2.3")),
            ("12:30", json!("12:30")),
            ("~", json!(null)),
            ("-", json!("-")),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
