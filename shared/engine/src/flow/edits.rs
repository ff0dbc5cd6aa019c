//! Edits of the object by others: its creation, shutdown, suspend and resume, nodes set by hand, a retry.

use arcstr::ArcStr;
use argosy_api::v1alpha1::{self as api, NodeType};

use crate::{
    Workflow,
    flow::refusal::Refusal,
    kinds::{pod::PodEvent, retry::RetryEvent, suspend::SuspendEvent},
    size,
    state::{Body, Locks, Stage, set, set_text},
};

/// The age of an object, next to that of the one that was adopted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Older,
    /// The very same version.
    Same,
    /// Also when no version tells.
    Newer,
}

impl Age {
    /// By `metadata.generation`, which grows with each change of the spec. Where it says nothing (one of the two has none,
    /// or both have the same, as it is when only metadata changed) by the resource version: Kubernetes promises that those
    /// of one kind can be compared as integers where they are decimal, and etcd's revisions, which they are, always could.
    /// Versions that are no numbers do not tell.
    fn of(object: &api::ObjectMeta, adopted: &api::ObjectMeta) -> Self {
        let (is, was) = (object.generation, adopted.generation);
        if is != 0 && was != 0 && is != was {
            return if is < was { Self::Older } else { Self::Newer };
        }
        let number = |meta: &api::ObjectMeta| meta.resource_version.parse::<u64>().ok();
        match number(object).zip(number(adopted)) {
            Some((is, was)) if is < was => Self::Older,
            Some((is, was)) if is == was => Self::Same,
            Some(_) | None => Self::Newer,
        }
    }
}

impl Workflow {
    pub(crate) fn on_object(&mut self, object: api::Workflow, status_edited: bool) {
        let age = Age::of(&object.metadata, self.book.meta());
        self.life.set_stop_ahead(false);
        match self.life.stage() {
            // Nothing of the log is in the state yet: it begins with what the log says, even where the object that the state
            // was built from has been edited since. That edit has its own place in the log.
            Stage::New => {
                self.book.begin_with(object, status_edited);
                self.locks = Locks::of(self.book.object());
                self.prepare();
            }
            Stage::Done if age == Age::Newer && status_edited && !object.status.phase.is_completed() => {
                self.restart(object);
            }
            Stage::Done if age == Age::Older => {}
            Stage::Done => self.book.set_metadata(object.metadata),
            Stage::Preparing | Stage::Held | Stage::Running | Stage::Exiting => {
                if status_edited {
                    self.adopt_nodes(&object, age);
                }
                if age != Age::Older {
                    self.adopt_spec(object);
                    self.book.record_followed();
                }
                self.obey_spec();
            }
        }
    }

    /// The object cannot be read as it is now. What has begun goes on by what the object said before; what has not cannot.
    pub(crate) fn on_unreadable(&mut self, error: &str) {
        match self.life.stage() {
            Stage::New => self.reject(&Refusal::error(format!("cannot read the workflow: {error}"))),
            Stage::Preparing | Stage::Held | Stage::Running | Stage::Exiting => self.book.set_spec_error(Some(error)),
            Stage::Done => {}
        }
    }

    /// `argo retry`: the same object, with nodes taken away and phases set back.
    fn restart(&mut self, object: api::Workflow) {
        let (config, watermark, now) = (self.plan.config().clone(), self.book.watermark(), self.clock.now());
        let ended_at = self.life.ended_at();
        *self = Self::with_bugs(config, object, watermark, self.bugs.clone());
        self.life.has_ended_at(ended_at);
        self.set_now(now);
        self.open_budget(true);
        self.life.set_rebuilding(true);
        if self.book.status().phase != api::WorkflowPhase::Unknown {
            self.book.record_followed();
        }
        // One that begins anew is recorded when it is admitted: until then nothing of it is published, so that a new owner finds
        // the event that has it begin.
        self.prepare();
    }

    /// What a running workflow is edited to counts from now on: for nodes that are yet to begin, hooks that have not, and the exit
    /// handler. One that comes from a template goes on by the spec that it began with, as in Argo, but for shutdown, suspend,
    /// the deadline and parallelism.
    fn adopt_spec(&mut self, object: api::Workflow) {
        let object_stored = object.status.stored_workflow_template_spec.clone();
        let before = self.book.adopt(object.metadata, object.spec);
        if self.book.status().stored_workflow_template_spec.is_none() && is_edited(&before, self.book.spec()) {
            self.plan_anew();
        }
        let (parallelism, secs) = (self.book.spec().parallelism, self.book.spec().active_deadline_seconds);
        if parallelism != before.parallelism {
            self.plan.set_parallelism(parallelism);
            self.book.look_for_room(ArcStr::new());
        }
        if secs != before.active_deadline_seconds {
            self.plan.set_deadline_secs(secs);
            self.arm_workflow_deadline();
        }
        if let Some(stored) = object_stored {
            self.book.adopt_stored_spec(stored, self.plan.config().restrictions.is_some());
        }
        if self.book.spec().suspend != before.suspend {
            self.book.store_suspend();
        }
    }

    /// The spec was edited. One with a mistake changes nothing, and is told of.
    fn plan_anew(&mut self) {
        const OF_THE_RUN: [&str; 3] = ["status", "duration", "failures"];
        let value = |name: &str| self.globals.value(&format!("workflow.{name}")).map(str::to_owned);
        let of_the_run = OF_THE_RUN.map(|name| (name, value(name)));
        let (spec, is_tagged) = (self.plan.spec().clone(), self.plan.is_tagged());
        match self.settle_spec() {
            Ok(()) => {
                for (name, value) in of_the_run {
                    if let Some(value) = value {
                        self.globals.set(name, value);
                    }
                }
                if self.life.is(Stage::Running) {
                    self.start_workflow_hooks();
                }
            }
            Err(refusal) => {
                self.plan.settle(api::WorkflowSpec::clone(&spec), is_tagged);
                self.book.set_spec_error(Some(&refusal.message));
            }
        }
    }

    /// Carries out what the spec asks for by now: a shutdown, or to go on.
    fn obey_spec(&mut self) {
        if let Err(refusal) = self.check_restrictions() {
            return self.reject(&refusal);
        }
        if self.life.begin_shutdown(&self.book.spec().shutdown) {
            self.on_shutdown();
        }
        if !self.is_suspended() {
            if self.life.is(Stage::Held) {
                self.enter();
            }
            self.book.look_for_room(ArcStr::new());
        }
    }

    /// Suspend nodes that were resumed or set by hand.
    /// An older object tells only of ends: what else it says has been said anew since.
    fn adopt_nodes(&mut self, object: &api::Workflow, age: Age) {
        for (id, edited) in &object.status.nodes {
            let Some(node) = self.book.node(id) else { continue };
            if node.r#type != NodeType::Suspend || node.phase.is_fulfilled() || edited == node {
                continue;
            }
            if let Some(problem) = self.outputs_problem(id, edited.outputs.as_deref()) {
                self.on_suspend_event(id, SuspendEvent::Unfit { message: &problem });
                continue;
            }
            if age == Age::Older && !edited.phase.is_fulfilled() {
                continue;
            }
            let (outputs, message, display) =
                (edited.outputs.clone(), edited.message.clone(), edited.display_name.clone());
            self.book.set_by_hand(id);
            self.book.update_node(id, |n| {
                set(&mut n.outputs, outputs)
                    | set_text(&mut n.message, &size::cut(&message))
                    | set_text(&mut n.display_name, &size::cut(&display))
            });
            if edited.phase.is_fulfilled() {
                self.on_suspend_event(id, SuspendEvent::Set(edited.phase));
            }
        }
    }

    /// Stop and Terminate end what runs; Stop spares exit handlers.
    fn on_shutdown(&mut self) {
        let strategy = self.book.spec().shutdown.clone();
        if self.life.is(Stage::Held) {
            return self.complete(api::WorkflowPhase::Failed, &format!("Stopped with strategy '{strategy}'"));
        }
        let spare_exit = !self.is_terminated();
        let leaves: Vec<(ArcStr, bool)> = self
            .frames
            .iter()
            .filter(|f| !matches!(f.body, Body::Steps(_) | Body::Dag(_)))
            .filter(|f| !spare_exit || !f.call.on_exit)
            .map(|f| (f.call.id.clone(), matches!(f.body, Body::Retry(_))))
            .collect();
        let (stopped, of_pod) = (format!("Stopped with strategy '{strategy}'"), self.shutdown_of_pod());
        for (id, is_retry) in leaves {
            if is_retry {
                self.on_retry_event(&id, RetryEvent::Shutdown);
                continue;
            }
            match self.book.node(&id).map(|n| n.r#type) {
                Some(NodeType::Suspend) => self.on_suspend_event(&id, SuspendEvent::Shutdown { message: &stopped }),
                Some(NodeType::Pod) => self.on_pod_event(&id, PodEvent::Shutdown { message: &of_pod }),
                Some(_) | None => {}
            }
        }
        self.refuse_held(&self.shutdown_message());
        self.end_all_waiting(&stopped, |call| spare_exit && call.on_exit);
    }

    pub(crate) fn on_deleted(&mut self) {
        if !self.life.is_done() {
            self.complete(api::WorkflowPhase::Failed, "the workflow was deleted");
        }
    }
}

/// Whether more of a spec was edited than what every running workflow obeys.
fn is_edited(before: &api::WorkflowSpec, now: &api::WorkflowSpec) -> bool {
    let rest = |spec: &api::WorkflowSpec| api::WorkflowSpec {
        shutdown: String::new(),
        suspend: None,
        active_deadline_seconds: None,
        parallelism: None,
        ..spec.clone()
    };
    rest(before) != rest(now)
}
