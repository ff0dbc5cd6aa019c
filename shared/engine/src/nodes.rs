//! The nodes of the status: created, changed and linked here and nowhere else, so that every change is published and
//! counted.

use std::collections::{BTreeMap, BTreeSet};

use arcstr::{ArcStr, literal};
use argosy_api::{
    labels,
    v1alpha1::{NodeFlag, NodePhase, NodeStatus, NodeType, TemplateRef, Time, WorkflowStep},
};

use crate::{Workflow, library::TemplateScope, size, state::bug};

/// Nodes below each other that are looked through for those at which a node ends.
const OUTBOUND_DEPTH_MAX: usize = 256;

/// What goes on inside a Steps or DAG node, for its limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BoundaryCount {
    /// Pod, Steps and DAG nodes that are Pending or Running.
    pub active: i64,
    /// Pods among them.
    pub active_pods: i64,
    /// Nodes that ended Failed or Error.
    pub unsuccessful: i64,
}

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

impl Workflow {
    pub(crate) fn node(&self, id: &str) -> Option<&NodeStatus> {
        self.object.status.nodes.get(id)
    }

    pub(crate) fn phase_of(&self, id: &str) -> NodePhase {
        self.node(id).map(|n| n.phase).unwrap_or_default()
    }

    /// Creates a node, which must not exist yet.
    pub(crate) fn create_node(&mut self, new: NewNode<'_>) {
        let now = Time::new(self.clock.now());
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
        self.count(&node);
        if self.claimed.remove(&node.id).is_none() {
            self.note_id(&node.name, &node.id);
        }
        self.delta.nodes.insert(node.id.clone());
        self.object.status.nodes.insert(node.id.clone(), node);
        // What is over the limit is seen before the next piece of work.
        _ = self.check_nodes(0);
    }

    /// Where a template's name was looked up, as it stands in nodes.
    pub(crate) fn scope_label(&mut self, scope: &TemplateScope) -> ArcStr {
        let label = scope.label(self.local_name());
        self.texts.shared(&label)
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
    pub(crate) fn update_node(&mut self, id: &str, change: impl FnOnce(&mut NodeStatus) -> bool) {
        let Some(node) = self.object.status.nodes.get_mut(id) else {
            return bug!(self, id, "a node that is to be changed is not in the status");
        };
        let before = Tally::of(node);
        if !change(node) {
            return;
        }
        let after = Tally::of(node);
        self.delta.nodes.insert(node.id.clone());
        if after != before {
            let (id, boundary) = (node.id.clone(), node.boundary_id.clone());
            self.recount(before, after, &id, &boundary);
        }
    }

    /// Sets phase and message; an end gets its moment. A fulfilled node keeps its phase (S2).
    pub(crate) fn mark(&mut self, id: &str, phase: NodePhase, message: Option<&str>) {
        let now = Time::new(self.clock.now());
        self.update_node(id, |node| enter(node, phase, message, now));
    }

    /// Makes `child` a child of `parent`, once. To be called when the child has been created, and for one child at a time.
    pub(crate) fn link(&mut self, parent: usize, child: &ArcStr) {
        if let Some(node) = self.object.status.nodes.at_mut(parent)
            && node.children.last() != Some(child)
        {
            self.delta.parents.entry(parent).or_insert(node.children.len());
            node.children.push(child.clone());
        }
    }

    /// Sets the nodes at which a Steps or DAG node ends.
    pub(crate) fn set_outbound(&mut self, id: &ArcStr, outbound: Vec<ArcStr>) {
        if let Some(node) = self.object.status.nodes.get_mut(id)
            && set(&mut node.outbound_nodes, outbound)
        {
            self.delta.outbound.insert(id.clone());
        }
    }

    /// Where a node is in the status.
    pub(crate) fn place_of(&self, id: &str) -> Option<usize> {
        self.object.status.nodes.place_of(id)
    }

    pub(crate) fn places_of<'i>(&self, ids: impl IntoIterator<Item = &'i ArcStr>) -> impl Iterator<Item = usize> {
        ids.into_iter().filter_map(|id| self.place_of(id))
    }

    pub(crate) fn ids_at(&self, places: &[usize]) -> Vec<ArcStr> {
        let nodes = &self.object.status.nodes;
        places.iter().filter_map(|place| nodes.at(*place)).map(|node| node.id.clone()).collect()
    }

    /// The nodes at which these end: those that get the next group or task as a child.
    /// Source: Argo `getOutboundNodes`.
    pub(crate) fn outbound(&self, places: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut ends = Vec::new();
        places.into_iter().for_each(|place| self.add_outbound(place, 0, &mut ends));
        ends
    }

    fn add_outbound(&self, place: usize, depth: usize, ends: &mut Vec<usize>) {
        let Some(node) = self.object.status.nodes.at(place) else {
            return bug!(self, "", "there is no node at place {place} of the status");
        };
        // A group, its retries, their pods and the containers of those are far fewer. A status that somebody has edited may
        // have a circle.
        if depth > OUTBOUND_DEPTH_MAX {
            return;
        }
        let inner: &[ArcStr] = match node.r#type {
            NodeType::Skipped | NodeType::Suspend | NodeType::Http | NodeType::Plugin | NodeType::Unknown => &[],
            NodeType::Pod => {
                let containers = self.terminal_containers(node);
                if containers.is_empty() {
                    ends.push(place);
                }
                return ends.extend(self.places_of(&containers));
            }
            NodeType::Container | NodeType::TaskGroup => &node.children,
            NodeType::Retry => node.children.last().map(std::slice::from_ref).unwrap_or_default(),
            NodeType::Steps | NodeType::Dag if node.memoization_status.as_ref().is_some_and(|m| m.hit) => &[],
            NodeType::Steps | NodeType::Dag | NodeType::StepGroup => {
                return ends.extend(self.places_of(&node.outbound_nodes));
            }
        };
        if inner.is_empty() {
            ends.push(place);
        }
        self.places_of(inner).for_each(|place| self.add_outbound(place, depth + 1, ends));
    }

    /// The containers of a containerSet that no other depends on. They are the pod's first children, so that a pod
    /// with many dependents need not be searched.
    fn terminal_containers(&self, pod: &NodeStatus) -> Vec<ArcStr> {
        let container =
            |id: &ArcStr| self.node(id).filter(|n| n.r#type == NodeType::Container && n.boundary_id == pod.id);
        let mut seen = BTreeSet::new();
        let mut stack: Vec<&NodeStatus> = pod.children.iter().map_while(container).collect();
        let mut ends = Vec::new();
        while let Some(node) = stack.pop() {
            if !seen.insert(&node.id) {
                continue;
            }
            let inner: Vec<&NodeStatus> = node.children.iter().map_while(container).collect();
            if inner.is_empty() {
                ends.push(node.id.clone());
            }
            stack.extend(inner);
        }
        ends.sort();
        ends
    }

    pub(crate) fn counts_of(&self, boundary: &str) -> BoundaryCount {
        self.counts.get(boundary).copied().unwrap_or_default()
    }

    /// Counts a node that is there already: those of a rebuilt workflow.
    pub(crate) fn count(&mut self, node: &NodeStatus) {
        self.recount(Tally::default(), Tally::of(node), &node.id, &node.boundary_id);
        self.resources.change(&BTreeMap::new(), &node.resources_duration);
    }

    /// Takes a node out of the counters: one that is no more.
    pub(crate) fn uncount(&mut self, node: &NodeStatus) {
        self.recount(Tally::of(node), Tally::default(), &node.id, &node.boundary_id);
        self.resources.change(&node.resources_duration, &BTreeMap::new());
    }

    fn recount(&mut self, was: Tally, is: Tally, id: &ArcStr, boundary: &ArcStr) {
        if is.is_daemon && !was.is_daemon {
            self.daemons.entry(boundary.clone()).or_default().push(id.clone());
        }
        self.progress.change(was.progress, is.progress);
        if was.counts == is.counts {
            return;
        }
        let (was, is) = (was.counts, is.counts);
        self.active_pods += is.active_pods - was.active_pods;
        self.running_pods += is.running_pods - was.running_pods;
        if is.active_pods < was.active_pods {
            self.freed.insert(ArcStr::new());
        }
        if !boundary.is_empty() {
            let count = self.counts.entry(boundary.clone()).or_default();
            count.active += is.active - was.active;
            count.active_pods += is.active_pods - was.active_pods;
            count.unsuccessful += is.unsuccessful - was.unsuccessful;
            if is.active < was.active || is.unsuccessful > was.unsuccessful {
                self.freed.insert(boundary.clone());
            }
        }
    }

    /// The reference to a template as it stands in a node: nothing, or name and template.
    pub(crate) fn template_label(step: &WorkflowStep) -> &str {
        match &step.template_ref {
            Some(TemplateRef { template, .. }) => template,
            None => &step.template,
        }
    }
}

/// Sets a node's phase and message; an end gets its moment, `now`. A fulfilled node keeps its phase (S2). True when that
/// changed anything.
pub(crate) fn enter(node: &mut NodeStatus, phase: NodePhase, message: Option<&str>, now: Time) -> bool {
    if node.phase.is_fulfilled() && node.phase != phase {
        return false;
    }
    let finished = node.finished_at.or(phase.is_fulfilled().then_some(now));
    set(&mut node.phase, phase)
        | message.is_some_and(|message| set_text(&mut node.message, &size::cut(message)))
        | set(&mut node.finished_at, finished)
}

/// Sets a member of a node; true when that changed it.
pub(crate) fn set<T: PartialEq>(slot: &mut T, value: T) -> bool {
    let changed = *slot != value;
    *slot = value;
    changed
}

/// The same for text, which is copied only when it differs.
pub(crate) fn set_text(slot: &mut ArcStr, value: &str) -> bool {
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

/// What a node adds to the counters.
#[derive(Clone, Copy, Default, PartialEq)]
struct Tally {
    counts: Counts,
    progress: (u64, u64),
    is_daemon: bool,
}

impl Tally {
    fn of(node: &NodeStatus) -> Self {
        let live = matches!(node.phase, NodePhase::Pending | NodePhase::Running);
        let pod = node.r#type == NodeType::Pod;
        let retried = node.node_flag.as_ref().is_some_and(|f| f.retried);
        let counts = Counts {
            active: i64::from(live && matches!(node.r#type, NodeType::Pod | NodeType::Steps | NodeType::Dag)),
            active_pods: i64::from(live && pod),
            running_pods: i64::from(pod && node.phase == NodePhase::Running),
            unsuccessful: i64::from(node.phase.is_failed_or_error() && !retried),
        };
        Self { counts, progress: crate::progress::of_leaf(node), is_daemon: node.daemoned == Some(true) }
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Counts {
    active: i64,
    active_pods: i64,
    running_pods: i64,
    unsuccessful: i64,
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
