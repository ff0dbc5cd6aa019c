//! Items of loops: what they are as text, and what their nodes are called. Source: Argo `processItem`; the recorded runs.
//!
//! A number stays spelled as it is in the list (`1.0`, `3.10`, `1e-05`), as Argo keeps the JSON text of items.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use argosy_api::v1alpha1 as api;
use serde_json::{Value, value::RawValue};

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoopItem {
    /// `{{item}}`.
    pub text: String,
    /// `{{item.KEY}}` of an object.
    pub members: BTreeMap<String, String>,
    /// In the node's name; none where it is the text.
    label: Option<String>,
}

impl LoopItem {
    /// The items of the JSON list `text`, of which null is one without any. One more than `limit` are as many as are made of it. Errors: those of the JSON
    /// reader.
    pub fn of_list(text: &str, limit: u64) -> Result<Vec<Self>, serde_json::Error> {
        let list: Option<Vec<&RawValue>> = serde_json::from_str(text)?;
        let mut list = list.unwrap_or_default();
        list.truncate(usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX));
        list.into_iter().map(|raw| Self::of_json(raw.get())).collect()
    }

    /// A text, as a sequence gives it.
    pub fn of_text(text: String) -> Self {
        Self { text, members: BTreeMap::new(), label: None }
    }

    /// An item of `withItems`. Its numbers are spelled as Kubernetes spells them.
    pub fn of_value(item: &Value) -> Self {
        match item {
            Value::Bool(_) | Value::Number(_) => Self::of_text(scalar(item)),
            Value::String(text) => Self::of_string(text.clone(), item.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                // What was just written as JSON reads as JSON.
                Self::of_json(&json_of(item)).unwrap_or_else(|_| Self::of_text(item.to_string()))
            }
        }
    }

    fn of_string(text: String, json: String) -> Self {
        let label = bare(&json);
        let label = (label != text).then(|| label.to_owned());
        Self { label, text, members: BTreeMap::new() }
    }

    fn of_json(json: &str) -> Result<Self, serde_json::Error> {
        let json = json.trim();
        Ok(match json.as_bytes().first() {
            Some(b'"') => Self::of_string(serde_json::from_str(json)?, json.to_owned()),
            Some(b'{') => {
                let map: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(json)?;
                let mut text = String::from("{");
                for (index, (key, value)) in map.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    let _ = write!(text, "{comma}{}:", escape_html(&Value::from(key.as_ref()).to_string()));
                    text.push_str(&escape_html(&compact(value.get())));
                }
                text.push('}');
                let members: BTreeMap<String, String> =
                    map.into_iter().map(|(key, value)| (key.into_owned(), member(value.get()))).collect();
                let mut pairs: Vec<String> = members.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                pairs.sort();
                Self { text, members, label: Some(pairs.join(",")) }
            }
            Some(b'[') => {
                let list: Vec<&RawValue> = serde_json::from_str(json)?;
                let elements: Vec<String> = list.iter().map(|element| member(element.get())).collect();
                let label = Some(format!("[{}]", elements.join(" ")));
                Self { text: escape_html(&compact(json)).into_owned(), members: BTreeMap::new(), label }
            }
            // Go reads null as a list of nothing.
            Some(b'n') => Self { label: Some("[]".to_owned()), ..Self::of_text(json.to_owned()) },
            _ => Self::of_text(json.to_owned()),
        })
    }

    /// `name(index:description)`, the description without parentheses.
    pub fn name(&self, step: &str, index: usize) -> String {
        let description = self.label.as_deref().unwrap_or(&self.text);
        format!("{step}({index}:{})", description.replace(['(', ')'], ""))
    }

    /// `item`, and `item.KEY`.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut vars = BTreeMap::from([("item".to_owned(), self.text.clone())]);
        vars.extend(self.members.iter().map(|(key, value)| (format!("item.{key}"), value.clone())));
        vars
    }
}

/// The JSON text as Go writes it when it has read it: without spaces, in its own spelling.
pub(crate) fn rewritten(json: &str) -> String {
    escape_html(&compact(json)).into_owned()
}

/// JSON as text: a string with its escapes and without its quotes, all else without spaces. Characters that JSON need not
/// escape are not.
fn member(json: &str) -> String {
    bare(&respelled(&compact(json))).to_owned()
}

/// The JSON text with each of its strings as short as can be.
fn respelled(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u") {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let (before, quoted) = rest.split_at(start);
        let mut escaped = false;
        let is_end = |(_, c): &(usize, char)| {
            let is_end = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            is_end
        };
        // What has been read as JSON ends its strings.
        let Some((end, _)) = quoted.char_indices().skip(1).find(is_end) else { break };
        let (string, after) = quoted.split_at(end + 1);
        text.push_str(before);
        match serde_json::from_str::<String>(string) {
            Ok(plain) => text.push_str(&Value::from(plain).to_string()),
            Err(_) => text.push_str(string),
        }
        rest = after;
    }
    text.push_str(rest);
    Cow::Owned(text)
}

fn bare(json: &str) -> &str {
    json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json)
}

/// The JSON text without spaces outside of its strings.
fn compact(json: &str) -> Cow<'_, str> {
    let space = |c: char| matches!(c, ' ' | '\n' | '\r' | '\t');
    let json = json.trim_matches(space);
    if !json.starts_with(['[', '{']) {
        return Cow::Borrowed(json);
    }
    let (mut quoted, mut escaped) = (false, false);
    let kept = json.chars().filter(|c| {
        if quoted {
            (escaped, quoted) = (!escaped && *c == '\\', escaped || *c != '"');
            return true;
        }
        quoted = *c == '"';
        !space(*c)
    });
    Cow::Owned(kept.collect())
}

/// As Go writes JSON.
fn escape_html(json: &str) -> Cow<'_, str> {
    if !json.contains(['<', '>', '&']) {
        return Cow::Borrowed(json);
    }
    Cow::Owned(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

fn scalar(item: &Value) -> String {
    match item {
        // What fits no int64 becomes a float on its way, and a negative zero a plain one.
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(float)) => api::number_text(float + 0.0),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// The value as JSON, numbers as Kubernetes spells them.
fn json_of(item: &Value) -> String {
    match item {
        Value::Array(list) => format!("[{}]", list.iter().map(json_of).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| format!("{}:{}", Value::from(key.as_str()), json_of(value));
            format!("{{{}}}", map.iter().map(pair).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => scalar(item),
        Value::String(_) => item.to_string(),
    }
}

/// Why the text is no JSON list, as near to Go's words as it can be told.
pub(crate) fn list_error(text: &str, error: &serde_json::Error) -> String {
    if let Ok(value) = serde_json::from_str::<&RawValue>(text) {
        let kind = match value.get().as_bytes().first() {
            Some(b'{') => "object",
            Some(b'"') => "string",
            Some(b't' | b'f') => "bool",
            _ => "number",
        };
        return format!("json: cannot unmarshal {kind} into Go value of type []v1alpha1.Item");
    }
    syntax_error(text, error).unwrap_or_else(|| error.to_string())
}

/// Why the text is no JSON at all, as near to Go's words as it can be told; nothing where `error` is about something else.
pub(crate) fn syntax_error(text: &str, error: &serde_json::Error) -> Option<String> {
    // A value that is not what was wanted is refused before the rest of it is read.
    let error = match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Err(syntax) => syntax.to_string(),
        Ok(_) => error.to_string(),
    };
    let place = error.rsplit_once(" at line ").and_then(|(_, place)| place.split_once(" column "));
    let found = place.and_then(|(line, column)| {
        let line = text.split('\n').nth(line.parse::<usize>().ok()?.checked_sub(1)?)?;
        line.get(column.parse::<usize>().ok()?.checked_sub(1)?..)?.chars().next()
    });
    let context = match error.as_str() {
        e if e.starts_with("expected value") || e.starts_with("trailing comma") => "looking for beginning of value",
        e if e.starts_with("expected ident") => "in literal",
        e if e.starts_with("expected `,` or `]`") => "after array element",
        e if e.starts_with("expected `,` or `}`") => "after object key:value pair",
        e if e.starts_with("expected `:`") => "after object key",
        e if e.starts_with("key must be a string") => "looking for beginning of object key string",
        e if e.starts_with("trailing characters") => "after top-level value",
        e if e.starts_with("control character") => "in string literal",
        e if e.starts_with("invalid escape") => "in string escape code",
        e if e.starts_with("EOF") => return Some("unexpected end of JSON input".to_owned()),
        _ => return None,
    };
    Some(match found {
        Some('\'') => format!("invalid character '\\'' {context}"),
        Some('"') => format!("invalid character '\"' {context}"),
        Some('\\') => format!("invalid character '\\\\' {context}"),
        Some(c) => format!("invalid character '{}' {context}", c.escape_debug()),
        None => "unexpected end of JSON input".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(list: &str) -> Vec<(String, String)> {
        let items = LoopItem::of_list(list, 100).expect("a list");
        items.iter().enumerate().map(|(index, item)| (item.name("s", index), item.text.clone())).collect()
    }

    #[test]
    fn numbers_keep_their_spelling_at_every_depth() {
        let list = "[1.0, 3.10, 1e-05, -0, 12345678901234567890, [1.0, 2.50], {\"n\": 7.0, \"l\": [ 1e3 ]}]";
        let expected = [
            ("s(0:1.0)", "1.0"),
            ("s(1:3.10)", "3.10"),
            ("s(2:1e-05)", "1e-05"),
            ("s(3:-0)", "-0"),
            ("s(4:12345678901234567890)", "12345678901234567890"),
            ("s(5:[1.0 2.50])", "[1.0,2.50]"),
            ("s(6:l:[1e3],n:7.0)", "{\"l\":[1e3],\"n\":7.0}"),
        ];
        assert_eq!(named(list), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn texts_have_their_escapes_in_names_and_as_members_only() {
        let items =
            LoopItem::of_list(r#"["a\n\"b\"", {"t": "a\n\"b\""}, ["x y", "<"], null, {}]"#, 100).expect("a list");
        assert_eq!(items[0].text, "a\n\"b\"");
        assert_eq!(items[0].name("s", 0), r#"s(0:a\n\"b\")"#);
        assert_eq!(items[1].members["t"], r#"a\n\"b\""#);
        assert_eq!(items[2].text, r#"["x y","\u003c"]"#);
        assert_eq!(items[2].name("s", 2), "s(2:[x y <])");
        assert_eq!((items[3].name("s", 3).as_str(), items[3].text.as_str()), ("s(3:[])", "null"));
        assert_eq!((items[4].name("s", 4).as_str(), items[4].text.as_str()), ("s(4:)", "{}"));
    }

    #[test]
    fn what_is_no_list_is_told_as_go_tells_it() {
        let told =
            |text: &str| LoopItem::of_list(text, 9).map(|_| String::new()).unwrap_or_else(|e| list_error(text, &e));
        assert_eq!(told("null"), "");
        assert_eq!(told(""), "unexpected end of JSON input");
        assert_eq!(told("[1"), "unexpected end of JSON input");
        assert_eq!(told("{\"a\": 1}"), "json: cannot unmarshal object into Go value of type []v1alpha1.Item");
        assert_eq!(told("7"), "json: cannot unmarshal number into Go value of type []v1alpha1.Item");
        assert_eq!(told("[1, 2,]"), "invalid character ']' looking for beginning of value");
        assert_eq!(told("[\\\"x\\\"]"), "invalid character '\\\\' looking for beginning of value");
        assert_eq!(told("[1 2]"), "invalid character '2' after array element");
        assert_eq!(told("hello"), "invalid character 'h' looking for beginning of value");
    }

    #[test]
    fn items_written_in_the_workflow_are_spelled_as_kubernetes_does() {
        let text = |item| LoopItem::of_value(&item).text;
        assert_eq!(text(json!(3.0)), "3");
        assert_eq!(text(json!({"n": 3.0, "b": 1e21, "s": 1e-6})), r#"{"b":1e+21,"n":3,"s":0.000001}"#);
        assert_eq!(LoopItem::of_value(&json!({"n": 3.0})).members["n"], "3");
    }
}
