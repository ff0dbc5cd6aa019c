//! What a projection is written as.

use argosy_actor::aside::json_bytes;
use argosy_api::digest;
use argosy_objects::merge_patch::diff;
use serde_json::{Map, Value, json};

use super::{Error, Sizes, StatusProjection};

impl StatusProjection {
    /// Bytes of the object but for its nodes, with what is to be written.
    pub(super) fn rest_bytes(&mut self) -> Result<usize, Error> {
        let Sizes { metadata, spec, .. } = self.sizes;
        self.sizes.members = json_bytes(&self.members)?;
        let delta =
            json_bytes(&self.delta.spec)? + json_bytes(&self.delta.labels)? + json_bytes(&self.delta.annotations)?;
        Ok(metadata + spec + self.sizes.members + delta)
    }

    /// A name for the nodes that are kept outside of the object. It depends on the version of the object that it is written
    /// upon, so that a name which was replaced never comes back, and on what is written, so that two writers do not take each
    /// other's. Argo's clients know it by its first letters.
    pub(super) fn next_version(&self) -> String {
        let of = json!([self.nodes_digest.to_string(), self.position.to_string(), self.resource_version]);
        format!("fnv:{}", digest::of_member("nodes", &of))
    }

    pub(super) fn nodes_patch(&self) -> Result<Map<String, Value>, Error> {
        let mut nodes = Map::new();
        for (id, before) in &self.dirty {
            let change = match (before, self.nodes.get(id)) {
                (Some(before), Some(now)) => diff(&serde_json::from_str(before)?, &serde_json::from_str(now)?),
                (None, Some(now)) => Some(serde_json::from_str(now)?),
                (Some(_), None) => Some(Value::Null),
                (None, None) => None,
            };
            if let Some(change) = change {
                nodes.insert(id.to_string(), change);
            }
        }
        Ok(nodes)
    }

    pub(super) fn nodes_text(&self) -> String {
        let mut text = String::with_capacity(self.nodes_bytes + self.nodes.len() * 6 + 2);
        text.push('{');
        for (index, (id, node)) in self.nodes.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&Value::String(id.to_string()).to_string());
            text.push(':');
            text.push_str(node);
        }
        text.push('}');
        text
    }
}
