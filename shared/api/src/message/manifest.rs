//! The manifest of a pod: what it shares with the other pods of its template, and what is its own.

use std::sync::Arc;

use arcstr::ArcStr;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::Value;

/// What marks begin with: a control character, as no text that YAML or the API took in by itself would.
const MARK: char = '\u{1}';

/// What stands in the shared part for the value of this index.
pub fn mark(index: usize) -> String {
    format!("{MARK}{index}")
}

/// The index of a mark; none of a text that is no mark.
pub fn mark_index(text: &str) -> Option<usize> {
    text.strip_prefix(MARK)?.parse().ok()
}

/// What stands in a manifest for a mark.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Filling {
    Text(ArcStr),
    Number(i64),
    Null,
}

impl Filling {
    fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.to_string()),
            Self::Number(number) => Value::from(*number),
            Self::Null => Value::Null,
        }
    }
}

/// A pod's manifest. Pods of one template share a tree in which [`mark`]s stand for what is each one's own; the
/// marks are replaced when the manifest is written. One that was read is a tree of its own, without marks.
#[derive(Clone, Debug)]
pub struct Manifest {
    shared: Arc<Value>,
    own: Vec<Filling>,
}

impl Manifest {
    /// A pod of which `shared` holds all but what is in `own`, by the index of the marks.
    pub fn new(shared: Arc<Value>, own: Vec<Filling>) -> Self {
        Self { shared, own }
    }

    /// The name of the pod; empty when the manifest has none.
    pub fn pod_name(&self) -> &str {
        let name = &self.shared["metadata"]["name"];
        match self.filling(name) {
            Some(Filling::Text(text)) => text,
            Some(Filling::Number(_) | Filling::Null) => "",
            None => name.as_str().unwrap_or_default(),
        }
    }

    /// The manifest as a tree.
    pub fn to_value(&self) -> Value {
        self.fill(&self.shared)
    }

    fn filling(&self, value: &Value) -> Option<&Filling> {
        self.own.get(mark_index(value.as_str()?)?)
    }

    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), self.fill(value))).collect(),
            leaf => self.filling(leaf).map_or_else(|| leaf.clone(), Filling::to_value),
        }
    }
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.to_value() == other.to_value()
    }
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Filled { manifest: self, value: &self.shared }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|tree| Self::new(Arc::new(tree), Vec::new()))
    }
}

/// A part of the shared tree, to be written with the manifest's own values.
struct Filled<'a> {
    manifest: &'a Manifest,
    value: &'a Value,
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let manifest = self.manifest;
        match self.value {
            Value::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for value in items {
                    seq.serialize_element(&Filled { manifest, value })?;
                }
                seq.end()
            }
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, &Filled { manifest, value })?;
                }
                map.end()
            }
            leaf => match manifest.filling(leaf) {
                Some(filling) => filling.serialize(serializer),
                None => leaf.serialize(serializer),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_are_replaced_wherever_they_stand() {
        let shared = json!({
            "metadata": {"name": mark(0), "annotations": {"id": mark(1)}},
            "spec": {"activeDeadlineSeconds": mark(2), "containers": [{"env": [mark(1)]}]},
        });
        let manifest = Manifest::new(
            Arc::new(shared),
            vec![Filling::Text("p".into()), Filling::Text("n\"1".into()), Filling::Number(7)],
        );
        let expected = json!({
            "metadata": {"name": "p", "annotations": {"id": "n\"1"}},
            "spec": {"activeDeadlineSeconds": 7, "containers": [{"env": ["n\"1"]}]},
        });
        assert_eq!(manifest.to_value(), expected);
        assert_eq!(manifest.pod_name(), "p");
        let text = serde_json::to_string(&manifest).expect("writes");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("reads"), expected);
        assert_eq!(serde_json::from_str::<Manifest>(&text).expect("reads"), manifest);
    }
}
