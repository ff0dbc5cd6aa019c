//! The `fields` of a request: which members of the answer are wanted.
//!
//! Paths with commas between, such as `items.metadata.name,items.status.phase`; with `-` before the first, all but those.
//! Lists are passed through: a path speaks of each item. Source: Argo's `util/fields`.

use serde_json::{Map, Value};

/// Which members are wanted.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    paths: Vec<Vec<String>>,
    excludes: bool,
}

impl Fields {
    /// Of a query's text; without one, everything.
    pub fn parse(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default().trim();
        let (excludes, list) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let path = |text: &str| text.trim().split('.').map(str::to_owned).collect();
        Self { paths: list.split(',').filter(|text| !text.trim().is_empty()).map(path).collect(), excludes }
    }

    /// As this, of what stands at `prefix` of the whole: `result.object` of the events of a watch, `items` of a list.
    pub fn beneath(&self, prefix: &[&str]) -> Self {
        let inner = self.paths.iter().filter_map(|path| {
            let rest =
                path.strip_prefix(prefix.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>().as_slice())?;
            (!rest.is_empty()).then(|| rest.to_vec())
        });
        Self { paths: inner.collect(), excludes: self.excludes }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The value with what is wanted only.
    pub fn apply(&self, value: Value) -> Value {
        if self.paths.is_empty() {
            return value;
        }
        let paths: Vec<&[String]> = self.paths.iter().map(Vec::as_slice).collect();
        if self.excludes { without(value, &paths) } else { only(value, &paths) }
    }
}

/// The paths that go on within `name`, and whether one ends there.
fn inner<'a>(paths: &[&'a [String]], name: &str) -> (Vec<&'a [String]>, bool) {
    let within: Vec<&[String]> =
        paths.iter().filter(|path| path.first().is_some_and(|first| first == name)).map(|path| &path[1..]).collect();
    let ends = within.iter().any(|path| path.is_empty());
    (within, ends)
}

fn only(value: Value, paths: &[&[String]]) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, member) in members {
                let (within, ends) = inner(paths, &name);
                if ends {
                    kept.insert(name, member);
                } else if !within.is_empty() {
                    kept.insert(name, only(member, &within));
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => items.into_iter().map(|item| only(item, paths)).collect(),
        other => other,
    }
}

fn without(value: Value, paths: &[&[String]]) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, member) in members {
                let (within, ends) = inner(paths, &name);
                if !ends {
                    kept.insert(name, if within.is_empty() { member } else { without(member, &within) });
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => items.into_iter().map(|item| without(item, paths)).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list() -> Value {
        json!({"metadata": {"resourceVersion": "1"}, "items": [
            {"metadata": {"name": "a", "labels": {"x": "1"}}, "status": {"phase": "Running", "nodes": {"n": {}}}}]})
    }

    #[test]
    fn named_members_are_kept_in_lists_too() {
        let fields = Fields::parse(Some("items.metadata.name,items.status.phase"));
        assert_eq!(
            fields.apply(list()),
            json!({"items": [{"metadata": {"name": "a"}, "status": {"phase": "Running"}}]})
        );
    }

    #[test]
    fn excluded_members_go() {
        let fields = Fields::parse(Some("-items.status.nodes,metadata"));
        let items = json!([{"metadata": {"name": "a", "labels": {"x": "1"}}, "status": {"phase": "Running"}}]);
        assert_eq!(fields.apply(list()), json!({"items": items}));
    }

    #[test]
    fn nothing_said_is_everything() {
        assert_eq!(Fields::parse(None).apply(list()), list());
        assert_eq!(Fields::parse(Some(" ")).apply(list()), list());
    }

    #[test]
    fn what_is_beneath_a_place_has_paths_of_its_own() {
        let fields = Fields::parse(Some("result.object.metadata.name")).beneath(&["result"]);
        let event = json!({"type": "ADDED", "object": {"metadata": {"name": "a"}, "spec": {}}});
        assert_eq!(fields.apply(event), json!({"object": {"metadata": {"name": "a"}}}));
    }
}
