//! A persistent JSON tree: clones are pointer copies, an edit copies only the path to it.
//!
//! Objects are sorted maps cut into chunks, so that changing one of 100,000 entries copies a few
//! hundred pointers instead of the whole map. Revisions of one Kubernetes object share all they have
//! in common, and comparing two of them skips the shared parts.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

use super::json_map::{Map, shared_key};

/// A JSON value whose clones share their content.
#[derive(Clone, Debug, Default)]
pub(crate) enum Json {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(Arc<str>),
    Array(Arc<Vec<Json>>),
    Object(Map),
}

impl Json {
    /// An empty object.
    pub fn object() -> Self {
        Json::Object(Map::default())
    }

    /// A string value.
    pub fn string(text: impl AsRef<str>) -> Self {
        Json::String(Arc::from(text.as_ref()))
    }

    /// Parses JSON text.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Compact JSON text.
    pub fn to_vec(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a JSON tree has only string keys and finite numbers")
    }

    pub fn to_value(&self) -> Value {
        match self {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => Value::Number(n.clone()),
            Json::String(s) => Value::String(s.to_string()),
            Json::Array(items) => Value::Array(items.iter().map(Json::to_value).collect()),
            Json::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.to_string(), v.to_value())).collect()),
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(s) => Some(s),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(b) => Some(*b),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(n) => n.as_i64(),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Json::Object(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// The members, of an object that is made one when it is anything else.
    pub fn map_mut(&mut self) -> &mut Map {
        if !matches!(self, Json::Object(_)) {
            *self = Json::object();
        }
        match self {
            Json::Object(map) => map,
            _ => unreachable!("made an object above"),
        }
    }

    /// Member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_map()?.get(key)
    }

    /// The value at a path of object members.
    pub fn at(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text at a path; `None` when absent or empty.
    pub fn str_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.as_str().filter(|s| !s.is_empty())
    }

    /// Sets the value at a path, making objects on the way.
    pub fn set(&mut self, path: &[&str], value: Json) {
        match path {
            [] => *self = value,
            [key, rest @ ..] => {
                let map = self.map_mut();
                if rest.is_empty() {
                    map.insert(key, value);
                } else {
                    map.get_or_insert_mut(key).set(rest, value);
                }
            }
        }
    }

    /// Sets the value at a path when nothing is there.
    pub fn set_default(&mut self, path: &[&str], value: impl FnOnce() -> Json) {
        if self.at(path).is_none_or(Json::is_null) {
            self.set(path, value());
        }
    }

    /// Removes the value at a path.
    pub fn remove(&mut self, path: &[&str]) -> Option<Json> {
        let (last, parents) = path.split_last()?;
        self.at(path)?;
        let mut node = self;
        for key in parents {
            node = match node {
                Json::Object(map) => map.get_mut(key)?,
                _ => return None,
            };
        }
        match node {
            Json::Object(map) => map.remove(last),
            _ => None,
        }
    }

    /// Copies the value at `path` from `other`, or removes it when `other` has none.
    pub fn copy_from(&mut self, other: &Json, path: &[&str]) {
        match other.at(path) {
            Some(value) => self.set(path, value.clone()),
            None => {
                self.remove(path);
            }
        }
    }

    /// Whether both are the same shared value; cheap, may say no for equal values.
    pub fn same(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Array(a), Json::Array(b)) => Arc::ptr_eq(a, b),
            (Json::Object(a), Json::Object(b)) => a.same(b),
            (Json::String(a), Json::String(b)) => a == b,
            (Json::Number(a), Json::Number(b)) => a == b,
            (Json::Bool(a), Json::Bool(b)) => a == b,
            (Json::Null, Json::Null) => true,
            _ => false,
        }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Array(a), Json::Array(b)) => Arc::ptr_eq(a, b) || a == b,
            (Json::Object(a), Json::Object(b)) => a == b,
            _ => self.same(other),
        }
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(b),
            Value::Number(n) => Json::Number(n),
            Value::String(s) => Json::String(s.into()),
            Value::Array(items) => Json::Array(Arc::new(items.into_iter().map(Json::from).collect())),
            Value::Object(map) => {
                Json::Object(Map::from_entries(map.into_iter().map(|(k, v)| (shared_key(&k), Json::from(v))).collect()))
            }
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(b) => serializer.serialize_bool(*b),
            Json::Number(n) => n.serialize(serializer),
            Json::String(s) => serializer.serialize_str(s),
            Json::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Json::Object(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map.iter() {
                    out.serialize_entry(key, value)?;
                }
                out.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(Arc::from(value)))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(Arc::from(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1024));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        items.shrink_to_fit();
        Ok(Json::Array(Arc::new(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut entries: Vec<(Arc<str>, Json)> = Vec::new();
        while let Some((Key(key), value)) = access.next_entry::<Key, Json>()? {
            entries.push((key, value));
        }
        Ok(Json::Object(Map::from_entries(entries)))
    }
}

/// A key of an object, shared with other objects.
struct Key(Arc<str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(Key(shared_key(key)))
    }
}
