//! The nodes: created, changed and taken away here and nowhere else, so that every change is published and counted.

use arcstr::{ArcStr, literal};
use argosy_api::{
    labels,
    v1alpha1::{NodeFlag, NodePhase, NodeStatus, NodeType, Nodes, Time, WorkflowStep},
};

use super::{Book, counters::Tally, progress::Resources};
use crate::{size, state::bug};

/// A node to be created.
pub(crate) struct NewNode<'a> {
    pub id: ArcStr,
    pub name: ArcStr,
    /// Of the step, where there is one: mostly what the node is shown as.
    pub step_name: Option<&'a ArcStr>,
    pub kind: NodeType,
    /// The step that calls it; names the template. None for groups.
    pub step: Option<&'a WorkflowStep>,
    /// Where the step's template name was looked up: `local/<workflow>` and so on.
    pub scope: ArcStr,
    /// Node id of the enclosing Steps or DAG node; empty at the root.
    pub boundary: ArcStr,
    pub phase: NodePhase,
    pub flag: NodeFlag,
    pub message: &'a str,
}

impl Book {
    pub fn nodes(&self) -> &Nodes {
        &self.object.status.nodes
    }

    pub fn node(&self, id: &str) -> Option<&NodeStatus> {
        self.object.status.nodes.get(id)
    }

    /// The node at a place in the status.
    pub fn node_at(&self, place: usize) -> Option<&NodeStatus> {
        self.object.status.nodes.at(place)
    }

    pub fn phase_of(&self, id: &str) -> NodePhase {
        self.node(id).map(|n| n.phase).unwrap_or_default()
    }

    /// Creates a node, which must not exist yet.
    pub fn create_node(&mut self, new: NewNode<'_>, now: Time) {
        let node = NodeStatus {
            display_name: self.display_name(&new),
            id: new.id,
            name: new.name,
            r#type: new.kind,
            template_name: new.step.map(|s| self.texts.shared(&s.template)).unwrap_or_default(),
            template_ref: new.step.and_then(|s| s.template_ref.clone()).map(Box::new),
            template_scope: new.scope,
            phase: new.phase,
            boundary_id: new.boundary,
            message: size::cut(new.message).as_ref().into(),
            started_at: Some(now),
            finished_at: new.phase.is_fulfilled().then_some(now),
            node_flag: flag_of(new.kind, new.flag),
            progress: if new.kind.executes() { literal!("0/1") } else { ArcStr::new() },
            ..Default::default()
        };
        self.counters.count(&node);
        self.ids.created(&node, &self.object.metadata.name);
        self.changes.node(&node.id);
        self.object.status.nodes.insert(node.id.clone(), node);
    }

    fn display_name(&self, new: &NewNode<'_>) -> ArcStr {
        let inline = new.step.and_then(|s| s.inline.as_deref());
        let annotated = inline.and_then(|t| t.annotations.get(labels::DISPLAY_NAME));
        if let Some(text) = annotated {
            return text.into();
        }
        // Entry points, exit handlers and hooks of the workflow have no boundary.
        let Some(boundary) = self.node(&new.boundary) else { return new.name.clone() };
        let tail = new.name.strip_prefix(boundary.name.as_str()).unwrap_or(&new.name);
        let tail = without_separator(tail);
        new.step_name.filter(|name| *name == tail).cloned().unwrap_or_else(|| tail.into())
    }

    /// Changes a node; what it was before and is after decides the counters. `change` tells whether it changed anything.
    pub fn update_node(&mut self, id: &str, change: impl FnOnce(&mut NodeStatus) -> bool) {
        self.update_pod(id, |node, _| change(node));
    }

    /// The same of a node whose pod may have taken resources, which `change` tells to the sum of all.
    pub fn update_pod(&mut self, id: &str, change: impl FnOnce(&mut NodeStatus, &mut Resources) -> bool) {
        let Some(node) = self.object.status.nodes.get_mut(id) else {
            return bug!(self, id, "a node that is to be changed is not in the status");
        };
        let before = Tally::of(node);
        if !change(node, self.counters.resources_mut()) {
            return;
        }
        let after = Tally::of(node);
        self.changes.node(&node.id);
        if after != before {
            self.counters.recount(before, after, &node.id, &node.boundary_id);
        }
    }

    /// A node that was there before it was its turn: it begins now.
    pub fn wake(&mut self, id: &str, now: Time) {
        self.update_node(id, |node| {
            node.phase == NodePhase::Pending
                && set(&mut node.phase, NodePhase::Running) | set(&mut node.started_at, Some(now))
        });
    }

    /// Sets phase and message; an end gets its moment, `now`. A fulfilled node keeps its phase (S2).
    pub fn mark(&mut self, id: &str, phase: NodePhase, message: Option<&str>, now: Time) {
        self.update_node(id, |node| enter(node, phase, message, now));
    }

    /// Takes up the nodes that there are: counts them and their ids, and shows each to `look`.
    pub fn recount(&mut self, mut look: impl FnMut(&NodeStatus)) {
        for node in self.object.status.nodes.values() {
            self.counters.count(node);
            self.ids.note(&node.name, &node.id, &self.object.metadata.name);
            look(node);
            if is_uncounted(node) {
                self.by_hand.insert(node.id.clone());
            }
            if !node.children.is_empty() {
                self.untold.insert(node.id.clone());
            }
        }
        self.counters.forget_freed();
    }

    /// Takes away the nodes behind the first `kept`, which came with the event in hand, with all that speaks of them.
    pub fn drop_new_nodes(&mut self, kept: usize) {
        for node in self.object.status.nodes.split_off(kept) {
            self.counters.uncount(&node);
        }
        let nodes = &mut self.object.status.nodes;
        self.changes.drop_children(|parent, before| {
            if let Some(node) = nodes.at_mut(parent) {
                node.children.truncate(before);
            }
        });
        self.changes.keep_nodes(nodes);
        self.ids.drop_claims();
        self.untold.retain(|id| nodes.contains_key(id));
    }
}

/// A person has ended the node, and nothing has happened since.
fn is_uncounted(node: &NodeStatus) -> bool {
    node.r#type == NodeType::Suspend && node.phase == NodePhase::Succeeded && node.progress == "0/1"
}

/// Sets a node's phase and message; an end gets its moment, `now`. A fulfilled node keeps its phase (S2). True when that
/// changed anything.
pub fn enter(node: &mut NodeStatus, phase: NodePhase, message: Option<&str>, now: Time) -> bool {
    if node.phase.is_fulfilled() && node.phase != phase {
        return false;
    }
    let finished = node.finished_at.or(phase.is_fulfilled().then_some(now));
    set(&mut node.phase, phase)
        | message.is_some_and(|message| set_text(&mut node.message, &size::cut(message)))
        | set(&mut node.finished_at, finished)
}

/// Sets a member of a node; true when that changed it.
pub fn set<T: PartialEq>(slot: &mut T, value: T) -> bool {
    let changed = *slot != value;
    *slot = value;
    changed
}

/// The same for text, which is copied only when it differs.
pub fn set_text(slot: &mut ArcStr, value: &str) -> bool {
    let changed = *slot != value;
    if changed {
        *slot = value.into();
    }
    changed
}

/// Groups and skipped nodes always carry a flag, empty or not; others only one that says something.
fn flag_of(kind: NodeType, flag: NodeFlag) -> Option<NodeFlag> {
    let always = matches!(kind, NodeType::StepGroup | NodeType::TaskGroup | NodeType::Skipped);
    (always || flag != NodeFlag::default()).then_some(flag)
}

/// A node's name within its boundary, without the leading `[i].` or `.`.
fn without_separator(tail: &str) -> &str {
    if let Some(rest) = tail.strip_prefix('.') {
        return rest;
    }
    if let Some((index, rest)) = tail.strip_prefix('[').and_then(|t| t.split_once("]."))
        && index.bytes().all(|b| b.is_ascii_digit())
    {
        return rest;
    }
    tail
}
