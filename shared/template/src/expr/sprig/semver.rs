//! Semantic versions.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::error::Fail;
use super::super::value::Value;
use super::Answer;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    pre: String,
    meta: String,
}

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    let invalid = || Fail::run("Invalid Semantic Version");
    Some(match (name, args) {
        ("semver", [Value::Str(text)]) => parse(text).map(|v| describe(&v.0)).ok_or_else(invalid),
        ("semverCompare", [Value::Str(constraint), Value::Str(text)]) => match parse(text) {
            None => Err(invalid()),
            Some((version, _)) => satisfies(&version, constraint)
                .map(Value::Bool)
                .ok_or_else(|| Fail::run(format!("improper constraint: {constraint}"))),
        },
        _ => return None,
    })
}

fn describe(v: &Version) -> Value {
    let mut map: BTreeMap<String, Value> = BTreeMap::new();
    for (name, n) in ["Major", "Minor", "Patch"].iter().zip(v.numbers) {
        map.insert((*name).to_owned(), Value::Int(n as i64));
    }
    map.insert("Prerelease".into(), Value::str(&v.pre));
    map.insert("Metadata".into(), Value::str(&v.meta));
    Value::map(map)
}

/// A version, and how many of its three numbers were given (and not `x`).
fn parse(text: &str) -> Option<(Version, usize)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, meta) = text.split_once('+').unwrap_or((text, ""));
    let (core, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut numbers = [0; 3];
    let mut given = 0;
    let parts: Vec<&str> = core.split('.').collect();
    if parts.len() > 3 {
        return None;
    }
    for (slot, part) in numbers.iter_mut().zip(parts) {
        if matches!(part, "x" | "X" | "*") {
            break;
        }
        *slot = part.parse().ok()?;
        given += 1;
    }
    Some((Version { numbers, pre: pre.to_owned(), meta: meta.to_owned() }, given))
}

fn compare(a: &Version, b: &Version) -> Ordering {
    a.numbers.cmp(&b.numbers).then_with(|| match (a.pre.is_empty(), b.pre.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare_pre(&a.pre, &b.pre),
    })
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Groups separated by `||`, each of parts that must all hold.
fn satisfies(version: &Version, constraint: &str) -> Option<bool> {
    let mut any = false;
    for group in constraint.split("||") {
        let mut all = true;
        let group = match group.split_once(" - ") {
            Some((from, to)) => format!(">={} <={}", from.trim(), to.trim()),
            None => group.to_owned(),
        };
        // `>= 1.2` is one part.
        let joined = group.replace(',', " ");
        let mut parts: Vec<String> = Vec::new();
        for word in joined.split_whitespace() {
            match parts.last_mut() {
                Some(last) if last.ends_with(['=', '<', '>', '~', '^', '!']) => last.push_str(word),
                _ => parts.push(word.to_owned()),
            }
        }
        for part in parts {
            all &= holds(version, &part)?;
        }
        any |= all;
    }
    Some(any)
}

fn holds(version: &Version, part: &str) -> Option<bool> {
    let at = part.find(|c: char| c.is_ascii_digit() || matches!(c, 'v' | 'x' | 'X' | '*')).unwrap_or(part.len());
    let (op, text) = part.split_at(at);
    let (wanted, given) = parse(text)?;
    // A pre-release fits only a constraint that names one.
    if !version.pre.is_empty() && wanted.pre.is_empty() && op != "!=" {
        return Some(false);
    }
    let order = compare(version, &wanted);
    let same = |n: usize| version.numbers[..n] == wanted.numbers[..n];
    Some(match op {
        "" | "=" | "==" if given < 3 => same(given),
        "" | "=" | "==" => order.is_eq(),
        "!=" if given < 3 => !same(given),
        "!=" => order.is_ne(),
        ">" if given < 3 => order.is_gt() && !same(given),
        ">" => order.is_gt(),
        "<" => order.is_lt(),
        ">=" | "=>" => order.is_ge(),
        "<=" | "=<" if given < 3 => order.is_lt() || same(given),
        "<=" | "=<" => order.is_le(),
        "~" | "~>" => order.is_ge() && same(given.min(2)),
        "^" => {
            let fixed = match wanted.numbers {
                [0, 0, _] if given == 3 => 3,
                [0, _, _] if given >= 2 => 2,
                _ => 1,
            };
            order.is_ge() && same(fixed.min(given))
        }
        _ => return None,
    })
}
