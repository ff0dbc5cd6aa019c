//! Calls that wait for room.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use arcstr::ArcStr;

use super::{Call, FrameId};

/// Calls that may not begin yet: for the workflow's parallelism, or for that of their boundary. A call waits in one place only,
/// and leaves it once: when it is its turn, or when it ends without having begun. Each queue keeps the order in which its
/// calls came, and a boundary without calls has none.
#[derive(Debug, Default)]
pub(crate) struct Held {
    by_workflow: VecDeque<Arc<Call>>,
    /// By the node id of the boundary.
    by_boundary: HashMap<ArcStr, VecDeque<Arc<Call>>>,
}

impl Held {
    /// The call waits for the workflow.
    pub fn hold_for_workflow(&mut self, call: Arc<Call>) {
        self.by_workflow.push_back(call);
    }

    /// The call waits for the Steps or DAG node of this id.
    pub fn hold_for_boundary(&mut self, node_id: ArcStr, call: Arc<Call>) {
        self.by_boundary.entry(node_id).or_default().push_back(call);
    }

    /// The workflow has room: the next call that waits for it.
    pub fn next_of_workflow(&mut self) -> Option<Arc<Call>> {
        self.by_workflow.pop_front()
    }

    /// The boundary has room: the next call that waits for it.
    pub fn next_of_boundary(&mut self, node_id: &str) -> Option<Arc<Call>> {
        let queue = self.by_boundary.get_mut(node_id)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.by_boundary.remove(node_id);
        }
        next
    }

    /// All calls but those that `keeps` answers true for, which go on waiting, from now on for the workflow. Those of
    /// boundaries come in the order of their ids.
    pub fn take_unless(&mut self, keeps: impl Fn(&Call) -> bool) -> Vec<Arc<Call>> {
        let mut calls: Vec<Arc<Call>> = self.by_workflow.drain(..).collect();
        let mut queues: Vec<_> = self.by_boundary.drain().collect();
        queues.sort_by(|a, b| a.0.cmp(&b.0));
        calls.extend(queues.into_iter().flat_map(|(_, queue)| queue));
        let (kept, taken): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| keeps(call));
        self.by_workflow.extend(kept);
        taken
    }

    /// Those of the calls that do not begin any more, in order.
    pub fn take_if(&mut self, is_over: impl Fn(&Call) -> bool) -> Vec<Arc<Call>> {
        let mut queues: Vec<_> = self.by_boundary.iter_mut().collect();
        queues.sort_by(|a, b| a.0.cmp(b.0));
        let mut taken = Vec::new();
        for queue in std::iter::once(&mut self.by_workflow).chain(queues.into_iter().map(|(_, queue)| queue)) {
            let (over, kept): (VecDeque<_>, VecDeque<_>) = queue.drain(..).partition(|call| is_over(call));
            taken.extend(over);
            *queue = kept;
        }
        self.by_boundary.retain(|_, queue| !queue.is_empty());
        taken
    }

    /// The boundary of this frame and node id has ended: the calls in it that waited, for it or for the workflow.
    pub fn take_of_boundary(&mut self, frame: FrameId, node_id: Option<&str>) -> VecDeque<Arc<Call>> {
        let mut taken = node_id.and_then(|id| self.by_boundary.remove(id)).unwrap_or_default();
        let is_inside = |call: &Arc<Call>| call.boundary == Some(frame);
        if self.by_workflow.iter().any(is_inside) {
            let held = std::mem::take(&mut self.by_workflow);
            let (inside, others): (VecDeque<_>, VecDeque<_>) = held.into_iter().partition(is_inside);
            taken.extend(inside);
            self.by_workflow = others;
        }
        taken
    }

    /// Nothing begins any more.
    pub fn clear(&mut self) {
        self.by_workflow.clear();
        self.by_boundary.clear();
    }

    /// Calls that wait for the workflow, in order.
    pub fn of_workflow(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.by_workflow.iter()
    }

    /// Calls that wait for a boundary, by its node id, in the order of ids.
    pub fn of_boundaries(&self) -> Vec<(&ArcStr, &VecDeque<Arc<Call>>)> {
        let mut boundaries: Vec<_> = self.by_boundary.iter().collect();
        boundaries.sort_by(|a, b| a.0.cmp(b.0));
        boundaries
    }

    /// All calls, in no order.
    pub fn calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.by_workflow.iter().chain(self.by_boundary.values().flatten())
    }
}

#[cfg(test)]
mod tests {
    use argosy_api::v1alpha1::NodeFlag;

    use super::*;
    use crate::state::{Parent, TemplateScope};

    fn call(name: &str, boundary: FrameId, on_exit: bool) -> Arc<Call> {
        Arc::new(Call {
            name: name.into(),
            id: name.into(),
            step_name: ArcStr::new(),
            step: Arc::default(),
            boundary: Some(boundary),
            scope: TemplateScope::Local,
            parent: Parent::Entry,
            flag: NodeFlag::default(),
            on_exit,
            depth: 0,
            attempt: None,
        })
    }

    fn names<'c>(calls: impl IntoIterator<Item = &'c Arc<Call>>) -> Vec<&'c str> {
        calls.into_iter().map(|call| call.name.as_str()).collect()
    }

    #[test]
    fn a_call_waits_in_one_place_and_leaves_it_once() {
        let mut held = Held::default();
        held.hold_for_boundary("z".into(), call("a", 1, false));
        held.hold_for_boundary("b".into(), call("b", 2, false));
        held.hold_for_workflow(call("c", 1, false));
        held.hold_for_workflow(call("d", 2, true));
        assert_eq!(held.next_of_boundary("z").as_ref().map(|call| call.name.as_str()), Some("a"));
        assert!(held.next_of_boundary("z").is_none() && held.of_boundaries().len() == 1);
        assert_eq!(names(&held.take_of_boundary(1, Some("z"))), ["c"]);
        assert_eq!(names(&held.take_unless(|call| call.on_exit)), ["b"]);
        assert_eq!(names(held.calls()), ["d"]);
        assert!(held.next_of_workflow().is_some() && held.calls().next().is_none());
    }
}
