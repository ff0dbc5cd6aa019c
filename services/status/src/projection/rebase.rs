//! An object that changed under the projection.

use argosy_actor::merge_patch::diff;
use argosy_api::ArcStr;
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
            for (id, before) in &self.dirty {
                let theirs = fresh.nodes.get(id).map(AsRef::as_ref).filter(|_| self.grown.contains(id));
                let node = self.rebased(id, before.as_deref(), theirs)?;
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

    /// A node as it is here, or, on top of what others made of it meanwhile, with what changed here.
    fn rebased(&self, id: &ArcStr, before: Option<&str>, theirs: Option<&str>) -> Result<Option<Value>, Error> {
        let Some(ours) = self.nodes.get(id) else {
            return Ok(None);
        };
        let ours = serde_json::from_str(ours)?;
        let (Some(before), Some(theirs)) = (before, theirs) else {
            return Ok(Some(ours));
        };
        let mut node = serde_json::from_str(theirs)?;
        if let Some(change) = diff(&serde_json::from_str(before)?, &ours) {
            merge(&mut node, &change);
        }
        Ok(Some(node))
    }
}
