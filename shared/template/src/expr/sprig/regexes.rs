//! Regular expressions. Go and the regex crate share RE2's syntax but for rarities.

use regex::Regex;

use super::super::budget::Budget;
use super::super::value::Value;
use super::Answer;

pub(super) fn call(name: &str, args: &[Value], budget: &Budget<'_>) -> Answer {
    use Value::{Int, Str};
    if let ("regexQuoteMeta", [Str(s)]) = (name, args) {
        let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
        return Some(Ok(Value::from(
            s.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect::<String>(),
        )));
    }
    let plain = name.strip_prefix("mustRegex").or_else(|| name.strip_prefix("regex"))?;
    let Some(Str(pattern)) = args.first() else {
        return None;
    };
    let regex = match budget.pattern(pattern) {
        Ok(regex) => regex,
        // `regexMatch` alone hides a bad pattern.
        Err(_) if name == "regexMatch" && !budget.is_spent() => return Some(Ok(Value::Bool(false))),
        Err(fail) => return Some(Err(fail)),
    };
    Some(Ok(match (plain, &args[1..]) {
        ("Match", [Str(s)]) => Value::Bool(regex.is_match(s)),
        ("Find", [Str(s)]) => Value::str(regex.find(s).map_or("", |m| m.as_str())),
        ("FindAll", [Str(s), Int(n)]) => {
            Value::array(regex.find_iter(s).take(limit(*n)).map(|m| Value::str(m.as_str())).collect())
        }
        ("ReplaceAll", [Str(s), Str(by)]) => Value::str(regex.replace_all(s, by.as_ref())),
        ("ReplaceAllLiteral", [Str(s), Str(by)]) => Value::str(regex.replace_all(s, regex::NoExpand(by))),
        ("Split", [Str(s), Int(n)]) => split(&regex, s, *n),
        _ => return None,
    }))
}

fn limit(n: i64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn split(regex: &Regex, s: &str, n: i64) -> Value {
    if n == 0 {
        return Value::array(vec![]);
    }
    let parts = regex.splitn(s, limit(n)).map(Value::str);
    Value::array(parts.collect())
}
