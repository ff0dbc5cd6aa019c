//! Steps: groups one after another, the steps of a group side by side.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodeFlag, NodePhase, NodeType, Template, WorkflowStep};

use crate::{
    Workflow,
    state::{Body, Call, Frame, FrameId, NewNode, Steps, TemplateScope, Work, bug},
    values::{
        expand::{Failure, is_loop},
        outputs::results_wanted,
    },
};

/// What happens to a Steps node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StepsEvent<'e> {
    /// It is the turn of the group of this index, or there is none any more.
    Turn { group: usize },
    /// All steps of the group have been added.
    GroupBegun,
    /// A step of the group has settled.
    StepSettled,
    /// A step cannot be resolved, begun or judged.
    StepErrored { message: &'e str },
    /// The group's node has ended so.
    GroupEnded { phase: NodePhase },
}

/// What follows for the node.
#[derive(Debug, PartialEq)]
enum Reaction<'e> {
    Nothing,
    BeginGroup(usize),
    /// The group ends as its steps did.
    EndGroup,
    /// The group is in error, and says why.
    FailGroup {
        message: &'e str,
    },
    NextGroup,
    /// The node fails, with what its group says.
    Fail,
    /// The node succeeds, if its outputs can be told.
    Finish,
}

/// `groups`: so many there are. `is_over`: the steps of the group that runs have been added, and have settled.
fn react(groups: usize, is_over: bool, event: StepsEvent<'_>) -> Reaction<'_> {
    match (is_over, event) {
        (_, StepsEvent::Turn { group }) if group < groups => Reaction::BeginGroup(group),
        (_, StepsEvent::Turn { .. }) => Reaction::Finish,
        (true, StepsEvent::GroupBegun | StepsEvent::StepSettled) => Reaction::EndGroup,
        (false, StepsEvent::GroupBegun | StepsEvent::StepSettled) => Reaction::Nothing,
        (_, StepsEvent::StepErrored { message }) => Reaction::FailGroup { message },
        (_, StepsEvent::GroupEnded { phase }) if phase.is_failed_or_error() => Reaction::Fail,
        (_, StepsEvent::GroupEnded { .. }) => Reaction::NextGroup,
    }
}

impl Workflow {
    pub(crate) fn on_steps_event(&mut self, frame: FrameId, event: StepsEvent<'_>) {
        let Some(owner) = self.frame(frame) else {
            // It may have ended in the same step (`failFast`), and with it the turn of the next group.
            return match event {
                StepsEvent::Turn { .. } => {}
                StepsEvent::GroupBegun
                | StepsEvent::StepSettled
                | StepsEvent::StepErrored { .. }
                | StepsEvent::GroupEnded { .. } => bug!(self, "", "a Steps node that runs has no frame"),
            };
        };
        let Body::Steps(steps) = &owner.body else { return bug!(self, &owner.call.id, "a node is no Steps node") };
        match react(owner.template.steps.len(), steps.is_group_over(), event) {
            Reaction::Nothing => {}
            Reaction::BeginGroup(index) => self.begin_group_of_steps(frame, index),
            Reaction::EndGroup => self.end_group(frame),
            Reaction::FailGroup { message } => self.fail_group(frame, message),
            Reaction::NextGroup => {
                let group = steps.current() + 1;
                self.agenda.push(Work::Group { frame, index: group });
            }
            Reaction::Fail => self.fail_steps(frame),
            Reaction::Finish => self.finish_steps(frame),
        }
    }

    /// It is the turn of a group.
    pub(crate) fn start_group(&mut self, frame: FrameId, index: usize) {
        self.on_steps_event(frame, StepsEvent::Turn { group: index });
    }

    pub(crate) fn begin_steps(
        &mut self,
        call: &Arc<Call>,
        template: Arc<Template>,
        scope: TemplateScope,
        may_want_results: bool,
    ) -> Result<(), String> {
        let results_wanted = if may_want_results { results_wanted(&template) } else { Vec::new() };
        let body = Steps::new(&template, scope, results_wanted);
        let frame = self.begin(call, NodeType::Steps, NodePhase::Running, template, Body::Steps(Box::new(body)));
        self.start_group(frame, 0);
        Ok(())
    }

    fn steps_mut(&mut self, frame: FrameId) -> Option<&mut Steps> {
        match &mut self.frame_mut(frame)?.body {
            Body::Steps(steps) => Some(steps),
            Body::Leaf | Body::Dag(_) | Body::Retry(_) => None,
        }
    }

    fn group_name(&self, frame: FrameId, index: usize) -> ArcStr {
        let Some(owner) = self.frame(frame) else {
            bug!(self, "", "a group is named of a node that has no frame");
            return ArcStr::new();
        };
        arcstr::format!("{}[{index}]", owner.call.name)
    }

    fn begin_group_of_steps(&mut self, frame: FrameId, index: usize) {
        let Some(template) = self.frame(frame).map(|f| f.template.clone()) else { return };
        let Some(group) = template.steps.get(index) else { return };
        let name = self.group_name(frame, index);
        let known = self.book.phase_of(&self.book.id_of(&name));
        let group_id = self.create_group(frame, index, &name);
        let Some(steps) = self.steps_mut(frame) else { return bug!(self, "", "a Steps node that runs has no frame") };
        steps.begin_group(index, group_id);
        if known.is_fulfilled() {
            return self.on_steps_event(frame, StepsEvent::GroupEnded { phase: known });
        }
        if let Err(message) = self.add_steps(frame, &group.steps, &name) {
            return self.on_steps_event(frame, StepsEvent::StepErrored { message: &message });
        }
        let Some(steps) = self.steps_mut(frame) else { return bug!(self, "", "a Steps node that runs has no frame") };
        steps.end_of_steps();
        self.on_steps_event(frame, StepsEvent::GroupBegun);
    }

    fn add_steps(&mut self, frame: FrameId, group: &[WorkflowStep], group_name: &str) -> Result<(), String> {
        let mut expanded = Vec::new();
        let mut count = 0;
        for step in group {
            let nameless = self.shared_step(frame, step);
            let resolved = self.resolve(frame, &step.name.as_str().into(), &nameless, count);
            let (_, items) = resolved.map_err(|failure| match failure {
                Failure::Reference(message) => format!("failed to resolve references: {message}"),
                Failure::Loop(message) => message,
            })?;
            count += items.len();
            expanded.push((step, nameless, items));
        }
        for (step, nameless, items) in expanded {
            if items.is_empty() {
                self.add_empty_loop(frame, nameless, &step.name, arcstr::format!("{group_name}.{}", step.name));
            }
            for item in items {
                let name = arcstr::format!("{group_name}.{}", item.name);
                let call = self.add_child(frame, item, name, 0)?;
                self.agenda.extend(call.map(Work::Call));
            }
        }
        Ok(())
    }

    /// The step without its name: the last one again where they differ in nothing else, as most do in a large workflow.
    fn shared_step(&mut self, frame: FrameId, step: &WorkflowStep) -> Arc<WorkflowStep> {
        let nameless = WorkflowStep { name: String::new(), ..step.clone() };
        let Some(steps) = self.steps_mut(frame) else {
            bug!(self, "", "a Steps node that runs has no frame");
            return Arc::new(nameless);
        };
        steps.shared(nameless)
    }

    /// The group's node, below the node itself or below all at which the group before ended.
    fn create_group(&mut self, frame: FrameId, index: usize, name: &ArcStr) -> ArcStr {
        let id = self.book.id_of(name);
        if self.book.node(&id).is_some() {
            let now = self.time();
            self.book.wake(&id, now);
            return id;
        }
        let Some(owner) = self.frame(frame) else {
            bug!(self, &id, "a Steps node that runs has no frame");
            return id;
        };
        let (boundary, scope) = (owner.call.id.clone(), owner.inner_scope());
        let parents: Vec<usize> = if index == 0 {
            self.book.places_of([&boundary]).collect()
        } else {
            let before = self.book.id_of(&self.group_name(frame, index - 1));
            match self.book.node(&before).map(|n| n.children.as_slice()) {
                None | Some([]) => self.book.places_of([&before]).collect(),
                Some(children) => self.book.outbound(self.book.places_of(children)),
            }
        };
        let scope = self.scope_label(&scope);
        self.create_node(NewNode {
            id: id.clone(),
            name: name.clone(),
            step_name: None,
            kind: NodeType::StepGroup,
            step: None,
            scope,
            boundary,
            phase: NodePhase::Running,
            flag: NodeFlag::default(),
            message: "",
        });
        for parent in parents {
            self.book.link(parent, &id);
        }
        id
    }

    /// All steps of the group have settled: it succeeded unless one failed that may not.
    fn end_group(&mut self, frame: FrameId) {
        let Some(steps) = self.steps_mut(frame) else { return bug!(self, "", "a Steps node that runs has no frame") };
        let group_id = steps.group_id().clone();
        let failed = self.frame(frame).and_then(Frame::children).and_then(|children| {
            let mut calls = children.list().iter().filter_map(|child| child.call.as_ref());
            let unforgiven = calls.find(|call| {
                let phase = self.book.phase_of(&call.id);
                phase.is_failed_or_error() && !continues_on(&call.step, phase)
            });
            unforgiven.map(|call| call.id.clone())
        });
        match failed {
            Some(child) => self.mark(&group_id, NodePhase::Failed, Some(&format!("child '{child}' failed"))),
            None => self.mark(&group_id, NodePhase::Succeeded, None),
        }
        match self.group_problem(frame, &group_id) {
            Some(why) => self.outputs_failed(frame, &why, Vec::new()),
            None => self.group_ended(frame),
        }
    }

    /// Why the outputs of a loop in the group that has just ended well are no list.
    fn group_problem(&self, frame: FrameId, group_id: &str) -> Option<String> {
        if self.book.phase_of(group_id) != NodePhase::Succeeded {
            return None;
        }
        let owner = self.frame(frame)?;
        let Body::Steps(steps) = &owner.body else { return None };
        let group = owner.template.steps.get(steps.current())?;
        let loops = group.steps.iter().filter(|step| is_loop(step));
        loops.filter_map(|step| self.results_problem(group_id, &step.name)).next()
    }

    /// The group is in error, and the steps node fails with its message.
    fn fail_group(&mut self, frame: FrameId, message: &str) {
        let Some(group_id) = self.steps_mut(frame).map(|s| s.group_id().clone()) else {
            return bug!(self, "", "a Steps node that runs has no frame");
        };
        self.mark(&group_id, NodePhase::Error, Some(message));
        self.group_ended(frame);
    }

    fn group_ended(&mut self, frame: FrameId) {
        let Some(group_id) = self.steps_mut(frame).map(|s| s.group_id().clone()) else {
            return bug!(self, "", "a Steps node that runs has no frame");
        };
        let Some(phase) = self.book.node(&group_id).map(|group| group.phase) else {
            return bug!(self, &group_id, "a group that ends has no node");
        };
        self.on_steps_event(frame, StepsEvent::GroupEnded { phase });
    }

    fn fail_steps(&mut self, frame: FrameId) {
        let group = self.steps_mut(frame).map(|s| s.group_id().clone());
        let message = group.and_then(|id| self.book.node(&id)).map(|group| group.message.clone()).unwrap_or_default();
        self.end_steps(frame, NodePhase::Failed, &message);
    }

    fn finish_steps(&mut self, frame: FrameId) {
        match self.outputs_of_frame(frame) {
            Ok(()) => self.end_steps(frame, NodePhase::Succeeded, ""),
            Err(message) => {
                let outbound = self.steps_outbound(frame);
                self.outputs_failed(frame, &message, outbound);
            }
        }
    }

    fn end_steps(&mut self, frame: FrameId, phase: NodePhase, message: &str) {
        let outbound = self.steps_outbound(frame);
        self.end_composite(frame, phase, message, outbound);
    }

    fn steps_outbound(&mut self, frame: FrameId) -> Vec<ArcStr> {
        let Some(steps) = self.steps_mut(frame) else {
            bug!(self, "", "a Steps node that runs has no frame");
            return Vec::new();
        };
        let group_id = steps.group_id().clone();
        let children = self.book.node(&group_id).map(|n| n.children.as_slice()).unwrap_or_default();
        self.book.ids_at(&self.book.outbound(self.book.places_of(children)))
    }
}

/// The step tolerates that its node ended so.
pub(crate) fn continues_on(step: &WorkflowStep, phase: NodePhase) -> bool {
    let Some(on) = &step.continue_on else { return false };
    (phase == NodePhase::Failed && on.failed) || (phase == NodePhase::Error && on.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_follow_each_other_until_one_fails_or_none_is_left() {
        let ended = |phase| react(2, true, StepsEvent::GroupEnded { phase });
        assert_eq!(react(2, false, StepsEvent::Turn { group: 1 }), Reaction::BeginGroup(1));
        assert_eq!(react(2, false, StepsEvent::Turn { group: 2 }), Reaction::Finish);
        assert_eq!(react(2, false, StepsEvent::GroupBegun), Reaction::Nothing);
        assert_eq!(react(2, false, StepsEvent::StepSettled), Reaction::Nothing);
        assert_eq!(react(2, true, StepsEvent::GroupBegun), Reaction::EndGroup);
        assert_eq!(react(2, true, StepsEvent::StepSettled), Reaction::EndGroup);
        assert_eq!(react(2, false, StepsEvent::StepErrored { message: "m" }), Reaction::FailGroup { message: "m" });
        assert_eq!([ended(NodePhase::Succeeded), ended(NodePhase::Failed)], [Reaction::NextGroup, Reaction::Fail]);
    }
}
