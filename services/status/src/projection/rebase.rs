//! An object that changed under the projection.

use argosy_api::ArcStr;
use argosy_api::message::NodeList;
use json_patch::merge;
use serde_json::Value;

use super::{Error, StatusProjection};

impl StatusProjection {
    /// The object changed under us: takes it as it is now, and puts what is unwritten on top, unless it is further than
    /// we are.
    ///
    /// Errors: as `of_object`.
    pub fn rebase(&mut self, object: &Value, outside: Option<&str>) -> Result<(), Error> {
        self.apply_pending();
        let mut fresh = Self::of_object(object, outside)?;
        fresh.form = fresh.form.max(self.form);
        if self.in_parts.is_some_and(|position| position > fresh.position) {
            fresh.parts = std::mem::take(&mut self.parts);
            fresh.in_parts = self.in_parts;
        }
        let is_behind = fresh.position > self.position;
        if self.is_ahead && !is_behind {
            fresh.position = self.position;
            fresh.is_ahead = true;
            for id in self.dirty.keys() {
                let node = self.rebased(id, &fresh)?;
                fresh.put(id, node);
            }
            fresh.grown = std::mem::take(&mut self.grown);
            if let Value::Object(_) = &self.changes {
                merge(&mut fresh.members, &self.changes);
            }
            fresh.changes = std::mem::take(&mut self.changes);
            fresh.delta = std::mem::take(&mut self.delta);
        }
        *self = fresh;
        Ok(())
    }

    /// A node as it is here; of one of which only lists grew, these, on top of what others made of it meanwhile. A list counts
    /// as it was told also where it is as it was before: somebody may have taken away of it, as a retry does.
    fn rebased(&self, id: &ArcStr, fresh: &Self) -> Result<Option<Value>, Error> {
        let Some(ours) = self.nodes.get(id) else {
            return Ok(None);
        };
        let mut ours: Value = serde_json::from_str(ours)?;
        let (Some(lists), Some(theirs)) = (self.grown.get(id), fresh.nodes.get(id)) else {
            return Ok(Some(ours));
        };
        let mut node: Value = serde_json::from_str(theirs)?;
        if let (Value::Object(node), Value::Object(ours)) = (&mut node, &mut ours) {
            for list in lists {
                let name = match list {
                    NodeList::Children => "children",
                    NodeList::OutboundNodes => "outboundNodes",
                };
                match ours.remove(name) {
                    Some(list) => _ = node.insert(name.to_owned(), list),
                    None => _ = node.remove(name),
                }
            }
        }
        Ok(Some(node))
    }
}
