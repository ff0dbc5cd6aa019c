//! The projection: what the events make of one object. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use argosy_actor::aside::json_bytes;
use argosy_api::ArcStr;
use argosy_api::digest::{self, Position, Watermark};
use argosy_api::labels;
use argosy_api::message::{Growth, NodeList, StatusChanged, WorkflowDelta};
use argosy_api::v1alpha1::{NodeStatus, WorkflowPhase};
use argosy_objects::{compressed, merge_patch::diff};
use json_patch::merge;
use serde_json::{Map, Value, json};

/// Size of the whole object as JSON past which its nodes are written compressed. Source: Argo, `maxWorkflowSize`.
pub const BYTES_MAX: usize = 1024 * 1024;

/// Size of the whole object as JSON past which its compressed nodes are kept outside of it. An API server refuses 1.5 MiB,
/// counted in its own way; 64 KiB are left for what it adds.
pub const OBJECT_BYTES_MAX: usize = 1536 * 1024 - 64 * 1024;

/// Changed nodes from which on a patch takes more than a few milliseconds.
const LONG_NODES: usize = 500;

/// An object, or an event, cannot be folded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object's compressed nodes cannot be read.
    #[error("read compressed nodes")]
    Compressed(#[from] compressed::Error),
    /// The object's nodes are kept outside of it, and were not given.
    #[error("its nodes are kept outside of the object as version {0}")]
    Outside(String),
    /// Our own state is not JSON.
    #[error("read nodes")]
    Json(#[from] serde_json::Error),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is in; perhaps its step still lacks parts.
    Folded,
    /// It was in already.
    Known,
    /// One before it has not come yet.
    Gap,
}

/// Where an event stands among those of its workflow, as its headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Of the change that it is, or is a part of.
    pub position: Position,
    /// Of the change before that.
    pub previous: Position,
    /// Which part of the change it is, from 0.
    pub part: usize,
}

/// How the object has its nodes. A workflow goes on to the next when it grows, and not back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// `status.nodes`.
    #[default]
    Plain,
    /// `status.compressedNodes`.
    Compressed,
    /// Not at all: `status.offloadNodeStatusVersion` names what is kept outside.
    Outside,
}

/// Nodes that are to be kept outside of the object, before it names them.
#[derive(Debug)]
pub struct Outside {
    /// What the object is going to name them.
    pub version: String,
    /// They, compressed.
    pub nodes: String,
}

/// Bytes of JSON besides the nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Of the metadata.
    pub metadata: usize,
    /// Of the spec.
    pub spec: usize,
    /// Of the other members of the status.
    pub members: usize,
}

/// One object as the events make it, beside what of that the API has.
#[derive(Debug, Default)]
pub struct StatusProjection {
    uid: String,
    resource_version: String,
    /// Of the last change that is in, whole.
    position: Position,
    /// JSON text of each node.
    nodes: BTreeMap<ArcStr, Box<str>>,
    nodes_bytes: usize,
    nodes_digest: u64,
    /// Members of the status besides its nodes.
    members: Value,
    /// The members as the API has them.
    members_written: Value,
    /// The merge patch of all members that were folded and are not written yet, also of those that are equal to the API's: so
    /// that it can be put on top of what somebody edits meanwhile.
    changes: Value,
    /// Nodes that were folded and are not written, with the text that the API has.
    dirty: BTreeMap<ArcStr, Option<Box<str>>>,
    /// Those of them of which only lists grew, and which lists: the rest of such a node was not said anew.
    grown: BTreeMap<ArcStr, BTreeSet<NodeList>>,
    delta: WorkflowDelta,
    form: Form,
    /// The form that the API has; the member of another may stand beside it, where somebody put it.
    form_written: Form,
    /// The API has the nodes as the object's own member.
    is_plain_written: bool,
    /// What the object names the nodes that are kept outside of it.
    version_written: Option<String>,
    /// To be kept before the last patch is written.
    outside: Option<Outside>,
    /// What the last patch names the nodes that are kept outside.
    version_patched: Option<String>,
    sizes: Sizes,
    /// Changes of nodes that are not in `nodes` yet.
    pending: BTreeMap<ArcStr, Pending>,
    /// Parts of a change that is not complete.
    parts: Vec<StatusChanged>,
    /// Its position.
    in_parts: Option<Position>,
    /// Something was folded that the API has not.
    is_ahead: bool,
}

/// What has become of a node since it was put in.
#[derive(Debug, Default)]
struct Pending {
    node: Option<Arc<NodeStatus>>,
    grown: Vec<Growth>,
}

impl StatusProjection {
    /// From the object as the API has it, and its compressed nodes where they are kept outside of it.
    ///
    /// Errors: nodes that cannot be decompressed, or were not given.
    pub fn of_object(object: &Value, outside: Option<&str>) -> Result<Self, Error> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let annotations = &object["metadata"]["annotations"];
        let uid = text("/metadata/uid");
        let watermark = annotations[labels::WATERMARK].as_str().and_then(|text| Watermark::parse(text, &uid));
        let watermark = watermark.unwrap_or_default();
        let mut members = match &object["status"] {
            Value::Object(members) => members.clone(),
            _ => Map::new(),
        };
        let plain = members.remove("nodes");
        let text_of = |member: Option<Value>| match member {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let compressed = text_of(members.remove("compressedNodes"));
        let version_written = text_of(members.remove("offloadNodeStatusVersion"));
        let form = match (&version_written, &compressed) {
            (Some(_), _) => Form::Outside,
            (None, Some(_)) => Form::Compressed,
            (None, None) => Form::Plain,
        };
        let sizes =
            Sizes { metadata: json_bytes(&object["metadata"])?, spec: json_bytes(&object["spec"])?, members: 0 };
        let mut projection = Self {
            uid,
            resource_version: text("/metadata/resourceVersion"),
            position: watermark.position(),
            members_written: Value::Object(members.clone()),
            members: Value::Object(members),
            form,
            // Somebody may have put compressed nodes beside those that are kept outside.
            form_written: if compressed.is_some() { Form::Compressed } else { form },
            is_plain_written: plain.is_some(),
            version_written,
            sizes,
            ..Self::default()
        };
        let nodes = match (&projection.version_written, outside, compressed) {
            (Some(version), None, _) => return Err(Error::Outside(version.clone())),
            (Some(_), Some(text), _) => serde_json::from_slice(&compressed::decode(text)?)?,
            (None, _, Some(text)) => serde_json::from_slice(&compressed::decode(&text)?)?,
            (None, _, None) => plain.unwrap_or_default(),
        };
        if let Value::Object(nodes) = nodes {
            for (id, node) in nodes {
                projection.put(&id.into(), Some(node));
            }
        }
        projection.dirty.clear();
        Ok(projection)
    }

    /// The uid of the object.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Position of the last change that is in.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether there is something to write.
    pub fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    /// Whether a step lacks parts.
    pub fn is_in_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Whether nodes are written compressed: each write then costs as much as all of them.
    pub fn is_compressed(&self) -> bool {
        self.form > Form::Plain
    }

    /// Whether making the next patch takes long.
    pub fn is_long(&self) -> bool {
        self.is_compressed() || self.nodes_bytes > BYTES_MAX / 2 || self.pending.len() > LONG_NODES
    }

    /// Bytes of JSON besides the nodes, as of the last patch.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// What the object names the nodes that are kept outside of it, as the API has it.
    pub fn version_written(&self) -> Option<&str> {
        self.version_written.as_deref()
    }

    /// What the last patch speaks of; to be kept before that is written.
    pub fn take_outside(&mut self) -> Option<Outside> {
        self.outside.take()
    }

    /// The API takes no object so large: the next patch makes a smaller one. False when there is none.
    pub fn shrink(&mut self) -> bool {
        let smaller = match self.form {
            Form::Plain => Form::Compressed,
            Form::Compressed => Form::Outside,
            Form::Outside => return false,
        };
        self.form = smaller;
        true
    }

    /// Whether the workflow has ended, as far as folded.
    pub fn is_completed(&self) -> bool {
        let phase = self.members["phase"].as_str().and_then(|phase| phase.parse::<WorkflowPhase>().ok());
        phase.is_some_and(WorkflowPhase::is_completed)
    }

    /// Whether an event at `place` comes behind one that is not in.
    pub fn is_gap(&self, place: Place) -> bool {
        place.position > self.position && place.previous > self.position
    }

    /// Folds one event, which comes at `place`. With `regardless`, a gap is no reason to wait.
    pub fn apply(&mut self, change: StatusChanged, place: Place, regardless: bool) -> Applied {
        // A repeat must not undo what somebody has edited since.
        if place.position <= self.position {
            return Applied::Known;
        }
        if self.in_parts.is_some_and(|position| position != place.position) {
            // The change was begun by an owner that did not end it; the new owner sends it whole.
            self.parts.clear();
        }
        if !regardless && (place.previous > self.position || place.part > self.parts.len()) {
            return Applied::Gap;
        }
        if place.part < self.parts.len() {
            return Applied::Known;
        }
        self.in_parts = Some(place.position);
        let is_last = change.last;
        self.parts.push(change);
        if is_last {
            self.in_parts = None;
            self.position = place.position;
            for change in std::mem::take(&mut self.parts) {
                self.fold(change);
            }
        }
        Applied::Folded
    }

    fn fold(&mut self, change: StatusChanged) {
        self.is_ahead = true;
        for id in change.removed_nodes {
            self.pending.remove(&id);
            self.put(&id, None);
        }
        for node in change.nodes {
            let change = self.pending.entry(node.id.clone()).or_default();
            change.node = Some(node);
        }
        for growth in change.grown {
            self.pending.entry(growth.node.clone()).or_default().grown.push(growth);
        }
        let Some(delta) = change.workflow_status else {
            return;
        };
        if let Value::Object(_) = &delta.status {
            merge(&mut self.members, &delta.status);
            merge_patches(&mut self.changes, &delta.status);
        }
        self.delta.labels.extend(delta.labels);
        self.delta.annotations.extend(delta.annotations);
        if let Value::Object(_) = &delta.spec {
            merge_patches(&mut self.delta.spec, &delta.spec);
        }
        self.delta.completed = delta.completed;
    }

    /// Puts the changes of nodes in. Left until there is something to write: a node that changed often in between, or
    /// whose list of children is long, is then made anew but once.
    fn apply_pending(&mut self) {
        for (id, change) in std::mem::take(&mut self.pending) {
            if change.node.is_some() {
                self.grown.remove(&id);
            } else if self.grown.contains_key(&id) || !self.dirty.contains_key(&id) {
                self.grown.entry(id.clone()).or_default().extend(change.grown.iter().map(|growth| growth.list));
            }
            let before: Option<NodeStatus> = self.nodes.get(&id).and_then(|text| serde_json::from_str(text).ok());
            let mut node = match (change.node, before) {
                (Some(node), Some(before)) => NodeStatus {
                    children: before.children,
                    outbound_nodes: before.outbound_nodes,
                    ..Arc::unwrap_or_clone(node)
                },
                (Some(node), None) => Arc::unwrap_or_clone(node),
                (None, before) => before.unwrap_or_default(),
            };
            for growth in change.grown {
                growth.apply(match growth.list {
                    NodeList::Children => &mut node.children,
                    NodeList::OutboundNodes => &mut node.outbound_nodes,
                });
            }
            // Nodes have string keys only, so there is always a JSON form.
            self.put(&id, serde_json::to_value(&node).ok());
        }
    }

    /// Sets or removes a node.
    fn put(&mut self, id: &ArcStr, node: Option<Value>) {
        let text = node.as_ref().map(|node| node.to_string().into_boxed_str());
        let before = match &text {
            Some(text) => self.nodes.insert(id.clone(), text.clone()),
            None => self.nodes.remove(id),
        };
        if before == text {
            self.dirty.entry(id.clone()).or_insert(before);
            return;
        }
        let share = |text: &str| serde_json::from_str(text).map_or(0, |node| digest::of_node(id, &node));
        if let Some(before) = &before {
            self.nodes_bytes -= before.len() + id.len();
            self.nodes_digest = self.nodes_digest.wrapping_sub(share(before));
        }
        if let (Some(text), Some(node)) = (&text, &node) {
            self.nodes_bytes += text.len() + id.len();
            self.nodes_digest = self.nodes_digest.wrapping_add(digest::of_node(id, node));
        }
        self.dirty.entry(id.clone()).or_insert(before);
    }

    /// The merge patch that brings the object up to date, on the condition that it is still as it was read.
    ///
    /// Errors: our own node texts are not JSON, which they are.
    pub fn patch(&mut self) -> Result<Value, Error> {
        self.apply_pending();
        self.outside = None;
        let rest = self.rest_bytes()?;
        // Quotes, colon and comma.
        if rest + self.nodes_bytes + 4 * self.nodes.len() > BYTES_MAX {
            self.form = self.form.max(Form::Compressed);
        }
        let mut status = match diff(&self.members_written, &self.members) {
            Some(Value::Object(status)) => status,
            _ => Map::new(),
        };
        let mut digest = digest::of_status(&self.members);
        self.version_patched = None;
        if let (true, Some(version)) =
            (self.dirty.is_empty() && self.form_written == Form::Outside, &self.version_written)
        {
            let text = Value::String(version.clone());
            digest = digest.wrapping_add(digest::of_member("offloadNodeStatusVersion", &text));
            self.version_patched = Some(version.clone());
        } else if self.form > Form::Plain {
            let text = compressed::encode(self.nodes_text().as_bytes())?;
            if rest + text.len() > OBJECT_BYTES_MAX {
                self.form = Form::Outside;
            }
            if self.is_plain_written {
                status.insert("nodes".to_owned(), Value::Null);
            }
            let (member, text) = if self.form == Form::Outside {
                if self.form_written == Form::Compressed {
                    status.insert("compressedNodes".to_owned(), Value::Null);
                }
                let version = self.next_version();
                self.version_patched = Some(version.clone());
                self.outside = Some(Outside { version: version.clone(), nodes: text });
                ("offloadNodeStatusVersion", Value::String(version))
            } else {
                ("compressedNodes", Value::String(text))
            };
            digest = digest.wrapping_add(digest::of_member(member, &text));
            status.insert(member.to_owned(), text);
        } else {
            digest = digest.wrapping_add(self.nodes_digest);
            let nodes = self.nodes_patch()?;
            if !nodes.is_empty() {
                status.insert("nodes".to_owned(), Value::Object(nodes));
            }
        }
        let Position { sequence, additions } = self.position;
        let watermark = Watermark { sequence, additions, digest };
        let mut annotations = json!(self.delta.annotations);
        annotations[labels::WATERMARK] = json!(watermark.written(&self.uid));
        let mut patch = json!({
            "metadata": {"uid": self.uid, "resourceVersion": self.resource_version, "annotations": annotations},
        });
        if !self.delta.labels.is_empty() {
            patch["metadata"]["labels"] = json!(self.delta.labels);
        }
        if !status.is_empty() {
            patch["status"] = Value::Object(status);
        }
        if !self.delta.spec.is_null() {
            patch["spec"] = self.delta.spec.clone();
        }
        Ok(patch)
    }

    /// The patch was written: the object has all that is folded. `metadata_bytes`: JSON of the metadata that the API then has.
    /// Gives the version that the object named before, when it names it no more.
    pub fn written(&mut self, resource_version: String, metadata_bytes: usize) -> Option<String> {
        self.resource_version = resource_version;
        self.sizes.metadata = metadata_bytes;
        if self.delta.spec.is_object() {
            // Rather too much, where something was replaced.
            self.sizes.spec += json_bytes(&self.delta.spec).unwrap_or(0);
        }
        self.members_written.clone_from(&self.members);
        self.changes = Value::Null;
        self.dirty.clear();
        self.grown.clear();
        self.delta = WorkflowDelta::default();
        self.is_plain_written = self.form == Form::Plain;
        self.form_written = self.form;
        self.is_ahead = false;
        let before = std::mem::replace(&mut self.version_written, self.version_patched.take());
        before.filter(|before| self.version_written.as_ref() != Some(before))
    }
}

/// Puts one merge patch on top of another, nulls kept.
fn merge_patches(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, change) in above {
                merge_patches(below.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

mod rebase;
#[cfg(test)]
mod tests;
mod texts;
