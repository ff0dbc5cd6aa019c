//! Conditions: label selectors over an object's fields.
//! Source: Argo `workflow/executor/resource.go`; the selector grammar of `k8s.io/apimachinery/pkg/labels`.

use std::fmt;

use serde_json::Value;

use super::error::Error;

/// When a resource has become what the template waits for, or never will.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    success: Vec<Requirement>,
    failure: Vec<Requirement>,
}

/// One part of a selector.
#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted.
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    DoubleEquals,
    NotEquals,
    In,
    NotIn,
    Exists,
    Missing,
    Greater,
    Less,
}

impl Conditions {
    /// Errors: `Condition`.
    pub fn parse(success: &str, failure: &str) -> Result<Self, Error> {
        let of = |which, text: &str| {
            requirements(text).map_err(|what| Error::Condition { which, text: text.to_owned(), what })
        };
        Ok(Self { success: of("success", success)?, failure: of("fail", failure)? })
    }

    pub fn is_empty(&self) -> bool {
        self.success.is_empty() && self.failure.is_empty()
    }

    /// Whether the object fulfills all of the success conditions.
    /// Errors: `Failed` when it fulfills any of the failure conditions.
    pub fn judge(&self, object: &Value) -> Result<bool, Error> {
        match self.failure.iter().find(|requirement| requirement.matches(object)) {
            Some(requirement) => Err(Error::Failed { requirement: requirement.to_string() }),
            None => Ok(self.success.iter().all(|requirement| requirement.matches(object))),
        }
    }
}

impl Requirement {
    fn matches(&self, object: &Value) -> bool {
        let found = field(object, &self.key);
        let is_one = |value: &String| self.values.contains(value);
        let order = |found: &String| {
            let (found, limit) = (found.parse::<i64>().ok()?, self.values.first()?.parse::<i64>().ok()?);
            Some(found.cmp(&limit))
        };
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => found.as_ref().is_some_and(is_one),
            Operator::NotEquals | Operator::NotIn => !found.as_ref().is_some_and(is_one),
            Operator::Exists => found.is_some(),
            Operator::Missing => found.is_none(),
            Operator::Greater => found.as_ref().and_then(order).is_some_and(|order| order.is_gt()),
            Operator::Less => found.as_ref().and_then(order).is_some_and(|order| order.is_lt()),
        }
    }
}

impl fmt::Display for Requirement {
    /// As Argo's messages have it: what Go makes of the parsed requirement.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Equals => "=",
            Operator::DoubleEquals => "==",
            Operator::NotEquals => "!=",
            Operator::In => "in",
            Operator::NotIn => "notin",
            Operator::Exists => "exists",
            Operator::Missing => "!",
            Operator::Greater => "gt",
            Operator::Less => "lt",
        };
        write!(f, "{{{} {operator} [{}]}}", self.key, self.values.join(" "))
    }
}

/// The text of the field at a dotted path; list members by number, `#` for a list's length.
fn field(object: &Value, path: &str) -> Option<String> {
    let mut now = object;
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        now = match now {
            Value::Object(map) => map.get(part)?,
            Value::Array(list) if part == "#" && parts.peek().is_none() => return Some(list.len().to_string()),
            Value::Array(list) => list.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(match now {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    })
}

/// The words and signs of a selector.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '=' if chars.next_if_eq(&'=').is_some() => tokens.push("==".into()),
            '!' if chars.next_if_eq(&'=').is_some() => tokens.push("!=".into()),
            '=' | '!' | '(' | ')' | ',' | '<' | '>' => tokens.push(c.into()),
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !"=!(),<>".contains(*c)) {
                    word.push(c);
                }
                tokens.push(word);
            }
        }
    }
    tokens
}

fn is_sign(token: &str) -> bool {
    matches!(token, "=" | "==" | "!=" | "!" | "(" | ")" | "," | "<" | ">")
}

fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let tokens = tokens(text);
    let mut rest = tokens.iter().map(String::as_str).peekable();
    let mut requirements = Vec::new();
    while let Some(first) = rest.next() {
        let is_negated = first == "!";
        if !is_negated && is_sign(first) {
            return Err(format!("found '{first}', expected: !, identifier, or 'end of string'"));
        }
        let mistake = |what: String| format!("unable to parse requirement: {what}");
        let key = if is_negated { rest.next().unwrap_or_default() } else { first };
        if key.is_empty() || is_sign(key) {
            return Err(mistake(format!("found '{key}', expected: identifier")));
        }
        let mut requirement = Requirement { key: key.to_owned(), operator: Operator::Exists, values: Vec::new() };
        if is_negated {
            requirement.operator = Operator::Missing;
        } else if let Some(sign) = rest.next_if(|token| *token != ",") {
            requirement.operator = match sign {
                "=" => Operator::Equals,
                "==" => Operator::DoubleEquals,
                "!=" => Operator::NotEquals,
                "in" => Operator::In,
                "notin" => Operator::NotIn,
                ">" => Operator::Greater,
                "<" => Operator::Less,
                other => return Err(mistake(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt"))),
            };
            requirement.values = match requirement.operator {
                Operator::In | Operator::NotIn => set(&mut rest).map_err(mistake)?,
                _ => match rest.next_if(|token| *token != ",") {
                    Some(sign) if is_sign(sign) => {
                        return Err(mistake(format!("found '{sign}', expected: identifier")));
                    }
                    value => vec![value.unwrap_or_default().to_owned()],
                },
            };
        }
        requirements.push(requirement);
        match rest.next() {
            None => {}
            Some(",") if rest.peek().is_some() => {}
            Some(",") => return Err("found '', expected: identifier after ','".to_owned()),
            Some(other) => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
        }
    }
    // Kubernetes keeps the parts of a selector sorted by key
    requirements.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(requirements)
}

fn set<'a>(rest: &mut impl Iterator<Item = &'a str>) -> Result<Vec<String>, String> {
    if rest.next() != Some("(") {
        return Err("found no '(' after in or notin".to_owned());
    }
    let mut values = vec![String::new()];
    loop {
        match rest.next() {
            Some(")") => break,
            Some(",") => values.push(String::new()),
            Some(word) if !is_sign(word) && values.last().is_some_and(String::is_empty) => {
                values.pop();
                values.push(word.to_owned());
            }
            Some(other) => return Err(format!("found '{other}', expected: ',', or ')'")),
            None => return Err("found '', expected: ',', or ')'".to_owned()),
        }
    }
    values.sort();
    values.dedup();
    Ok(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judge(success: &str, failure: &str) -> Result<bool, String> {
        let object = json!({"status": {"phase": "Succeeded", "ready": 3, "ok": true, "list": [{"type": "A"}]},
            "metadata": {"labels": {"x": "a"}}});
        let conditions = Conditions::parse(success, failure).map_err(|error| error.to_string())?;
        conditions.judge(&object).map_err(|error| error.to_string())
    }

    #[test]
    fn conditions_are_selectors_over_fields() {
        for (success, expected) in [
            ("status.phase == Succeeded, metadata.labels.x in (a,b)", true),
            ("status.phase=Succeeded,status.ready > 2", true),
            ("status.ready < 3", false),
            ("status.phase notin (Succeeded)", false),
            ("status.other != x", true),
            ("status.ok = true, !status.other, status.list.0.type == A", true),
            ("status.other", false),
            ("status.list.# == 1", true),
        ] {
            assert_eq!(judge(success, ""), Ok(expected), "{success}");
        }
    }

    #[test]
    fn failures_and_mistakes_are_told_as_argo_does() {
        let failed = judge("", "status.phase in (Succeeded, Error)");
        assert_eq!(failed, Err("failure condition '{status.phase in [Error Succeeded]}' evaluated true".into()));
        assert_eq!(judge("", "status.phase == Error"), Ok(true));
        for (text, what) in [
            ("status.phase ==== x", "unable to parse requirement: found '==', expected: identifier"),
            ("status.phase is x", "unable to parse requirement: found 'is', expected: in, notin, =, ==, !=, gt, lt"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("= x", "found '=', expected: !, identifier, or 'end of string'"),
            ("a = b c", "found 'c', expected: ',' or 'end of string'"),
            ("a = b,", "found '', expected: identifier after ','"),
        ] {
            let mistake = judge("", text).expect_err("no selector");
            assert_eq!(mistake, format!("fail condition '{text}' failed to parse: {what}"));
        }
        assert_eq!(judge("a =, b", ""), Ok(false));
        assert!(judge("a in (b", "").is_err() && judge("a,", "").is_err() && judge("a b", "").is_err());
    }
}
