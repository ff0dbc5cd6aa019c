//! Label and field selectors.

use super::failure::{Failure, Result};
use super::json::Json;
use super::kinds::{Flavor, Kind};
use super::object::Object;

/// Which objects a list, watch or collection deletion is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<LabelRule>,
    fields: Vec<FieldRule>,
}

#[derive(Clone, Debug, PartialEq)]
struct LabelRule {
    key: String,
    test: LabelTest,
}

#[derive(Clone, Debug, PartialEq)]
enum LabelTest {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

#[derive(Clone, Debug)]
struct FieldRule {
    path: Vec<String>,
    value: String,
    equal: bool,
}

impl Selector {
    pub fn parse(kind: &Kind, labels: Option<&str>, fields: Option<&str>) -> Result<Selector> {
        Ok(Selector {
            labels: labels
                .map_or(Ok(Vec::new()), parse_labels)
                .map_err(|why| Failure::bad_request(format!("unable to parse requirement: {why}")))?,
            fields: fields.map_or(Ok(Vec::new()), |text| parse_fields(kind, text))?,
        })
    }

    /// From a `LabelSelector` object: `matchLabels` and `matchExpressions`. An empty one matches all.
    pub fn from_object(selector: &Json) -> Selector {
        let mut labels = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Json::as_map).into_iter().flat_map(|m| m.iter()) {
            let value = value.as_str().unwrap_or("").to_owned();
            labels.push(LabelRule { key: key.to_owned(), test: LabelTest::In(vec![value]) });
        }
        for rule in selector.get("matchExpressions").and_then(Json::as_array).unwrap_or(&[]) {
            let values = rule
                .get("values")
                .and_then(Json::as_array)
                .unwrap_or(&[])
                .iter()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect();
            let test = match rule.str_at(&["operator"]) {
                Some("In") => LabelTest::In(values),
                Some("NotIn") => LabelTest::NotIn(values),
                Some("DoesNotExist") => LabelTest::Missing,
                _ => LabelTest::Exists,
            };
            let key = rule.str_at(&["key"]).unwrap_or("").to_owned();
            labels.push(LabelRule { key, test });
        }
        Selector { labels, fields: Vec::new() }
    }

    /// Narrowed to one object's name.
    pub fn named(mut self, name: Option<&str>) -> Selector {
        self.fields.extend(name.map(|name| FieldRule {
            path: vec!["metadata".to_owned(), "name".to_owned()],
            value: name.to_owned(),
            equal: true,
        }));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Object) -> bool {
        self.labels.iter().all(|rule| rule.holds(&object.tree))
            && self.fields.iter().all(|rule| rule.holds(&object.tree))
    }
}

impl LabelRule {
    fn holds(&self, tree: &Json) -> bool {
        let value = tree.at(&["metadata", "labels", &self.key]).and_then(Json::as_str);
        match (&self.test, value) {
            (LabelTest::Exists, value) => value.is_some(),
            (LabelTest::Missing, value) => value.is_none(),
            (LabelTest::In(values), Some(value)) => values.iter().any(|v| v == value),
            (LabelTest::NotIn(values), Some(value)) => values.iter().all(|v| v != value),
            (LabelTest::NotIn(_), None) => true,
            (LabelTest::Above(limit), Some(value)) => value.parse::<i64>().is_ok_and(|v| v > *limit),
            (LabelTest::Below(limit), Some(value)) => value.parse::<i64>().is_ok_and(|v| v < *limit),
            (LabelTest::In(_) | LabelTest::Above(_) | LabelTest::Below(_), None) => false,
        }
    }
}

impl FieldRule {
    fn holds(&self, tree: &Json) -> bool {
        let value = self.path.iter().try_fold(tree, |node, key| node.get(key));
        let equal = match value {
            None | Some(Json::Null) => self.value.is_empty() || self.value == "false",
            Some(Json::String(s)) => s.as_ref() == self.value,
            Some(Json::Bool(b)) => b.to_string() == self.value,
            Some(Json::Number(n)) => n.to_string() == self.value,
            Some(Json::Array(_) | Json::Object(_)) => false,
        };
        equal == self.equal
    }
}

/// Splits at commas that are not inside parentheses.
fn split_rules(text: &str) -> Vec<&str> {
    let (mut rules, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                rules.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    rules.push(&text[start..]);
    rules
}

fn parse_labels(text: &str) -> std::result::Result<Vec<LabelRule>, String> {
    split_rules(text).into_iter().map(str::trim).filter(|rule| !rule.is_empty()).map(parse_label).collect()
}

fn parse_label(rule: &str) -> std::result::Result<LabelRule, String> {
    let made = |key: &str, test| {
        let key = key.trim();
        let good = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if good { Ok(LabelRule { key: key.to_owned(), test }) } else { Err(format!("invalid label key in \"{rule}\"")) }
    };
    if let Some(key) = rule.strip_prefix('!') {
        return made(key, LabelTest::Missing);
    }
    if let Some(open) = rule.find('(') {
        let list = rule[open..]
            .strip_prefix('(')
            .and_then(|r| r.strip_suffix(')'))
            .ok_or_else(|| format!("unbalanced parentheses in \"{rule}\""))?;
        let values = list.split(',').map(|v| v.trim().to_owned()).collect();
        let head = rule[..open].trim_end();
        return match head.rsplit_once(char::is_whitespace) {
            Some((key, "in")) => made(key, LabelTest::In(values)),
            Some((key, "notin")) => made(key, LabelTest::NotIn(values)),
            _ => Err(format!("expected `in` or `notin` in \"{rule}\"")),
        };
    }
    if let Some((key, value)) = rule.split_once("!=") {
        return made(key, LabelTest::NotIn(vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = rule.split_once("==").or_else(|| rule.split_once('=')) {
        return made(key, LabelTest::In(vec![value.trim().to_owned()]));
    }
    let number = |value: &str| value.trim().parse().map_err(|_| format!("not a number in \"{rule}\""));
    if let Some((key, value)) = rule.split_once('>') {
        return made(key, LabelTest::Above(number(value)?));
    }
    if let Some((key, value)) = rule.split_once('<') {
        return made(key, LabelTest::Below(number(value)?));
    }
    made(rule, LabelTest::Exists)
}

fn parse_fields(kind: &Kind, text: &str) -> Result<Vec<FieldRule>> {
    let mut rules = Vec::new();
    for rule in text.split(',').map(str::trim).filter(|r| !r.is_empty()) {
        let (field, value, equal) = if let Some((f, v)) = rule.split_once("!=") {
            (f, v, false)
        } else if let Some((f, v)) = rule.split_once("==").or_else(|| rule.split_once('=')) {
            (f, v, true)
        } else {
            return Err(Failure::bad_request(format!("invalid selector: '{rule}'; can't understand '{rule}'")));
        };
        if !field_supported(kind, field) {
            return Err(Failure::bad_request(format!("field label not supported: {field}")));
        }
        rules.push(FieldRule { path: field.split('.').map(str::to_owned).collect(), value: value.to_owned(), equal });
    }
    Ok(rules)
}

/// Source: the field label conversions of Kubernetes 1.3x; custom resources know only name and namespace.
fn field_supported(kind: &Kind, field: &str) -> bool {
    if matches!(field, "metadata.name" | "metadata.namespace") {
        return true;
    }
    match (kind.flavor, kind.plural) {
        (Flavor::Pod, _) => matches!(
            field,
            "spec.nodeName"
                | "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
                | "spec.hostNetwork"
                | "status.phase"
                | "status.podIP"
                | "status.nominatedNodeName"
        ),
        (Flavor::Secret, _) => field == "type",
        (Flavor::Namespace, _) => field == "status.phase",
        (_, "events") => {
            field.starts_with("involvedObject.")
                || field.starts_with("regarding.")
                || matches!(field, "reason" | "source" | "type" | "reportingComponent" | "reportingController")
        }
        (_, "nodes") => field == "spec.unschedulable",
        (_, "jobs") => field == "status.successful",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::find;
    use serde_json::json;

    fn pod(labels: serde_json::Value, phase: &str) -> Object {
        let tree = json!({"metadata": {"name": "p", "labels": labels}, "status": {"phase": phase}});
        Object::new(find("", "v1", "pods").expect("pods are served"), 1, tree.into())
    }

    fn holds(labels: &str, fields: &str) -> bool {
        let object = pod(json!({"app": "web", "n": "5"}), "Running");
        Selector::parse(object.kind, Some(labels), Some(fields)).expect("a valid selector").matches(&object)
    }

    #[test]
    fn label_rules_follow_kubernetes() {
        for yes in [
            "app=web",
            "app==web",
            "app!=x",
            "missing!=x",
            "app in (a, web)",
            "app notin (a,b)",
            "other notin (a)",
            "app",
            "!missing",
            "n>4",
            "n<6",
            "app=web,n=5",
            "",
        ] {
            assert!(holds(yes, ""), "{yes}");
        }
        for no in [
            "app=x",
            "app!=web",
            "app in (a,b)",
            "app notin (web)",
            "!app",
            "missing",
            "n>5",
            "app>1",
            "app=web,n=6",
            "missing=x",
        ] {
            assert!(!holds(no, ""), "{no}");
        }
        for bad in ["app in web", "app in (a", "a b", "n>x"] {
            assert!(parse_labels(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn field_rules_follow_kubernetes() {
        assert!(holds("", "metadata.name=p,status.phase!=Failed"));
        assert!(holds("", "spec.nodeName="));
        assert!(!holds("", "status.phase=Failed"));
        let workflows = find("argoproj.io", "v1alpha1", "workflows").expect("served");
        assert!(Selector::parse(workflows, None, Some("status.phase=Running")).is_err());
    }
}
