//! The state of one workflow, and the loop that takes a step.

use std::sync::Arc;

use argosy_api::{message::Observed, v1alpha1 as api};
use jiff::Timestamp;

use crate::{
    Bug, Command, Config, Event,
    state::{
        Agenda, Book, Budget, Bugs, Clock, Frames, Globals, Held, Library, Life, Locks, Memo, Plan, Stage, Strays,
        Timers, Work,
    },
};

/// One workflow: the object that everyone sees, and what is derived from it.
#[derive(Debug)]
pub struct Workflow {
    pub(crate) plan: Plan,
    pub(crate) globals: Globals,
    pub(crate) clock: Clock,
    pub(crate) life: Life,
    pub(crate) agenda: Agenda,
    pub(crate) budget: Budget,
    pub(crate) timers: Timers,
    pub(crate) strays: Strays,
    pub(crate) bugs: Bugs,
    pub(crate) book: Book,
    pub(crate) library: Library,
    pub(crate) frames: Frames,
    pub(crate) held: Held,
    pub(crate) locks: Locks,
    pub(crate) memo: Memo,
}

impl Workflow {
    /// The state that `object` stands for, up to and with OBSERVED sequence `watermark`.
    ///
    /// `object` is as the API has it, status included; a workflow that nobody has begun has an empty status.
    pub fn new(config: Arc<Config>, object: api::Workflow, watermark: u64) -> Self {
        Self::with_bugs(config, object, watermark, Bugs::default())
    }

    /// As [`Workflow::new`]; bugs are noted in `bugs`.
    pub(crate) fn with_bugs(config: Arc<Config>, object: api::Workflow, watermark: u64, bugs: Bugs) -> Self {
        let mut workflow = Self {
            globals: Globals::new(config.limits),
            plan: Plan::new(config, object.spec.clone()),
            clock: Clock::default(),
            life: Life::of(&object),
            agenda: Agenda::default(),
            budget: Budget::default(),
            timers: Timers::default(),
            strays: Strays::default(),
            bugs: bugs.clone(),
            library: Library::default(),
            frames: Frames::default(),
            held: Held::default(),
            locks: Locks::of(&object),
            memo: Memo::default(),
            book: Book::new(object, watermark, bugs),
        };
        workflow.set_now(latest_moment(workflow.book.status()));
        workflow
    }

    /// The object, status and all, as it is after the last step.
    pub fn object(&self) -> &api::Workflow {
        self.book.object()
    }

    /// The last OBSERVED sequence that is in the state.
    pub fn watermark(&self) -> u64 {
        self.book.watermark()
    }

    /// True once the workflow has ended. Then none of its timers is wanted any more.
    pub fn is_completed(&self) -> bool {
        self.life.is_done()
    }

    /// Every wish that may have been lost with the former owner. To be called once, after [`Workflow::new`] on an
    /// object with a status; harmless when repeated, since names are deterministic.
    ///
    /// `at` is the time of day. Nothing is decided by it: what the log holds behind the watermark comes first, and must find the
    /// workflow as it was.
    pub fn resume(&mut self, at: Timestamp) -> Vec<Command> {
        self.clock.set_time_of_day(at);
        self.open_budget(true);
        let claimed = self.locks.next_since(self.book.watermark());
        if self.life.is(Stage::New) && self.book.status().phase != api::WorkflowPhase::Unknown {
            if let Some(is_stop_ahead) = self.book.follow_recorded() {
                self.life.set_stop_ahead(is_stop_ahead);
                self.plan.draft(self.book.spec().clone());
            }
            self.life.set_rebuilding(true);
            self.prepare();
            self.drain();
            self.life.set_rebuilding(self.life.is(Stage::Preparing));
        }
        if !matches!(self.life.stage(), Stage::New | Stage::Preparing | Stage::Done) {
            self.confirm_orphans();
        }
        if !self.life.is_done() {
            self.reclaim_locks(claimed);
        }
        self.take_commands()
    }

    /// Takes one step. Events come in the order of their sequence; one that is not past the watermark changes nothing.
    pub fn step(&mut self, event: Event) -> Vec<Command> {
        if event.sequence <= self.book.watermark() {
            return Vec::new();
        }
        if self.life.is(Stage::Preparing)
            && !matches!(event.body, Observed::LookedUp { .. } | Observed::WorkflowDeleted)
        {
            self.agenda.put_off(event);
            return Vec::new();
        }
        let Event { sequence, at, .. } = event;
        // What was asked anew of a workflow that goes on is answered late: what waited for it happened before.
        let is_late_answer = self.life.is(Stage::Preparing) && self.life.is_rebuilding();
        if !is_late_answer {
            self.set_now(at);
        }
        self.book.set_watermark(sequence);
        self.open_budget(self.life.is_rebuilding());
        self.apply(event.body);
        self.drain();
        if !self.life.is(Stage::Preparing) {
            self.life.set_rebuilding(false);
        }
        while !self.life.is(Stage::Preparing)
            && let Some(event) = self.agenda.next_put_off()
        {
            self.set_now(event.at);
            self.open_budget(self.life.is_rebuilding());
            self.apply(event.body);
            self.drain();
        }
        if !self.life.is(Stage::Preparing) {
            self.set_now(at);
        }
        // One change, whatever was waiting: a workflow that is taken up between two would miss the second, as the events of
        // both are at or before the watermark of the first.
        self.take_commands()
    }

    /// The bugs that were noticed since the last call, and how many more there were than are kept (64). For the host to log
    /// and count after each step.
    pub fn take_bugs(&mut self) -> (Vec<Bug>, u64) {
        self.bugs.take()
    }

    /// Sets the moment of the event in hand, for whatever asks for it.
    pub(crate) fn set_now(&mut self, at: Timestamp) {
        self.clock.advance(at);
        self.globals.set_now(self.clock.now());
    }

    fn apply(&mut self, body: Observed) {
        match body {
            Observed::WorkflowChanged { object, status_edited } => self.on_object(*object, status_edited),
            Observed::WorkflowUnreadable { error } => self.on_unreadable(&error),
            Observed::WorkflowDeleted => self.on_deleted(),
            Observed::PodChanged { pod } => self.on_pod(&pod),
            Observed::PodRejected { node_id, message } => self.on_pod_rejected(&node_id, &message),
            Observed::PodNotCreated { node_id, reason } => self.on_pod_not_created(&node_id, &reason),
            // Whoever hosts the workflow puts the object in its place.
            Observed::WorkflowReferenced { .. } => {}
            Observed::TimerFired { key } => self.on_timer(&key),
            Observed::LookedUp { key, object, refused } => self.on_looked_up(key, object, refused),
            Observed::LocksAnswered { namespace, holder, since, answer } => {
                self.on_locks_answered(namespace, &holder, since, answer);
            }
        }
    }

    /// Works until nothing is left to be done without a further event, or the workflow has used up its budget.
    pub(crate) fn drain(&mut self) {
        loop {
            while let Some(work) = self.next_work() {
                match work {
                    Work::Fulfilled(parent) => self.child_fulfilled(parent),
                    Work::Changed(parent) => self.child_changed(parent),
                    Work::Call(call) => self.call(call),
                    Work::Task { frame, task } => self.start_task(frame, task),
                    Work::Group { frame, index } => self.start_group(frame, index),
                    Work::Time { timer, node_id } => self.on_time(timer, &node_id),
                }
                if !self.may_go_on() {
                    break;
                }
            }
            if self.is_paused() || !self.release_held() {
                break;
            }
        }
    }

    /// The next piece of work. While the workflow is suspended there is none: it goes on where it was, once it is resumed.
    fn next_work(&mut self) -> Option<Work> {
        if self.is_paused() { None } else { self.agenda.next() }
    }

    fn take_commands(&mut self) -> Vec<Command> {
        self.release_of_ended();
        self.check_fields();
        let mut commands = self.agenda.take_commands();
        commands.extend(self.book.take_changes(self.clock.now()).map(|changed| Command::Publish(Box::new(changed))));
        commands
    }
}

/// The last moment that a status speaks of: the clock goes on from there.
fn latest_moment(status: &api::WorkflowStatus) -> Timestamp {
    let nodes = status.nodes.unordered().flat_map(|node| [node.started_at, node.finished_at]);
    let moments = nodes.chain([status.started_at, status.finished_at]);
    moments.flatten().map(|time| time.0).max().unwrap_or(Timestamp::UNIX_EPOCH)
}
