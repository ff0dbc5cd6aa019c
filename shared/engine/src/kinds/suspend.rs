//! Suspend nodes: wait for a time, or for a person.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeType, Outputs, Template};
use argosy_template::duration;
use jiff::SignedDuration;

use super::EXCEEDED;
use crate::{
    Workflow,
    state::{Body, Call, FrameId, Timer, Work, set, set_text},
};

/// What happens to a suspend node, which waits as long as it has not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SuspendEvent<'e> {
    /// It has waited as long as its template says.
    TimeOver,
    /// It was resumed, or its phase was set by hand.
    Set(NodePhase),
    /// The outputs that somebody gave it cannot be its own.
    Unfit { message: &'e str },
    /// The workflow's deadline has passed.
    Deadline,
    /// The workflow is being shut down.
    Shutdown { message: &'e str },
}

/// How the node ends, with a message where there is something to say.
fn end_by(event: SuspendEvent<'_>) -> (NodePhase, Option<&str>) {
    match event {
        SuspendEvent::TimeOver => (NodePhase::Succeeded, None),
        SuspendEvent::Set(phase) => (phase, None),
        SuspendEvent::Unfit { message } => (NodePhase::Error, Some(message)),
        SuspendEvent::Deadline => (NodePhase::Failed, Some(EXCEEDED)),
        SuspendEvent::Shutdown { message } => (NodePhase::Failed, Some(message)),
    }
}

impl Workflow {
    pub(crate) fn begin_suspend(&mut self, call: &Arc<Call>, template: Arc<Template>) -> Result<(), String> {
        let text = template.suspend.as_ref().map(|s| s.duration.clone()).unwrap_or_default();
        let wait = if text.is_empty() { None } else { Some(duration::parse(&text).map_err(|e| e.to_string())?) };
        let supplied: Vec<_> = template
            .outputs
            .parameters
            .iter()
            .filter(|p| p.value_from.as_ref().is_some_and(|from| from.supplied.is_some()))
            .cloned()
            .collect();
        self.begin(call, NodeType::Suspend, NodePhase::Running, template, Body::Leaf);
        let node_id = call.id.clone();
        // It runs, which hooks may wait for.
        self.agenda.push(Work::Changed(call.parent.clone()));
        if !supplied.is_empty() {
            let outputs = Outputs { parameters: supplied, ..Default::default() };
            self.book.update_node(&node_id, |n| n.outputs.is_none() && set(&mut n.outputs, Some(Box::new(outputs))));
        }
        if let Some(nanos) = wait {
            let started = self.book.node(&node_id).and_then(|n| n.started_at).map_or(self.clock.now(), |t| t.0);
            let due = started.checked_add(SignedDuration::from_nanos(nanos)).unwrap_or(self.clock.now());
            self.arm(Timer::Suspend, &node_id, due);
        }
        Ok(())
    }

    /// Ends a suspend node that still waits.
    pub(crate) fn on_suspend_event(&mut self, node_id: &str, event: SuspendEvent<'_>) {
        if self.book.node(node_id).is_none_or(|n| n.r#type != NodeType::Suspend) {
            return;
        }
        // It may have ended while the report of its timer was under way.
        let Some(frame) = self.live(node_id) else { return };
        let is_by_hand = matches!(event, SuspendEvent::Set(_));
        let (phase, message) = end_by(event);
        if phase == NodePhase::Succeeded {
            if let Err(message) = self.fill_supplied(frame, node_id) {
                return self.end_by_mistake(frame, &message);
            }
            if is_by_hand {
                self.book.set_by_hand(&ArcStr::from(node_id));
            } else {
                self.book.update_node(node_id, |n| set_text(&mut n.progress, "1/1"));
            }
        }
        self.mark(node_id, phase, message);
        // Outputs that nobody supplied are the node's alone.
        let is_supplied = !matches!(event, SuspendEvent::TimeOver);
        if let Some(template) = self.frame(frame).map(|f| f.template.clone()).filter(|_| is_supplied) {
            self.lift_outputs(node_id, &template);
        }
        self.end_frame(frame);
    }

    /// Gives the outputs that nobody supplied their defaults, or those of the inputs of the same name.
    ///
    /// Errors: an output has neither.
    fn fill_supplied(&mut self, frame: FrameId, node_id: &str) -> Result<(), String> {
        let Some(inputs) = self.frame(frame).map(|f| f.template.inputs.clone()) else { return Ok(()) };
        let of_input = |name: &str| inputs.parameters.iter().find(|p| p.name == name)?.default.clone();
        let mut lacking = None;
        self.book.update_node(node_id, |n| {
            let mut changed = false;
            for parameter in n.outputs.iter_mut().flat_map(|o| &mut o.parameters).filter(|p| p.value.is_none()) {
                let default = parameter.value_from.as_ref().and_then(|from| from.default.clone());
                parameter.value = default.or_else(|| of_input(&parameter.name));
                if parameter.value.is_none() {
                    lacking.get_or_insert_with(|| parameter.name.clone());
                    continue;
                }
                parameter.value_from = None;
                changed = true;
            }
            changed
        });
        match lacking {
            None => Ok(()),
            Some(name) => {
                Err(format!("raw output parameter '{name}' has not been set and does not have a default value"))
            }
        }
    }
}
