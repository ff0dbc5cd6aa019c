//! The state of one workflow, and the loop that takes a step.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use arcstr::ArcStr;
use argosy_api::{
    message::{Observed, StatusChanged},
    v1alpha1 as api,
};
use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::{
    Command, Config, Event,
    budget::Budget,
    bugs::Bugs,
    call::Call,
    frame::{Frame, FrameId, Live, Parent},
    library::Library,
    nodes::BoundaryCount,
    progress::{Progress, Resources},
    publish::Delta,
    texts::Texts,
    timers::Timers,
    variables::Globals,
    wishes::Stray,
};

/// One workflow: the object that everyone sees, and what is derived from it.
#[derive(Debug)]
pub struct Workflow {
    pub(crate) config: Arc<Config>,
    pub(crate) object: api::Workflow,
    /// What the workflow runs by: its own spec, over the referenced template's, over the defaults.
    pub(crate) spec: Arc<api::WorkflowSpec>,
    pub(crate) watermark: u64,
    /// The moment of the event in hand. What is decided depends on no other.
    pub(crate) now: Timestamp,
    /// The time of day, as far as known: past `now` while the workflow is taken up. For what a pod is told of the time that it
    /// has left.
    pub(crate) time_of_day: Timestamp,
    pub(crate) stage: Stage,
    pub(crate) library: Library,
    pub(crate) globals: Globals,
    pub(crate) frames: Vec<Option<Box<Frame>>>,
    pub(crate) live: Live,
    /// Nodes that became daemons, by their boundary.
    pub(crate) daemons: HashMap<ArcStr, Vec<ArcStr>>,
    pub(crate) work: VecDeque<Work>,
    pub(crate) commands: Vec<Command>,
    pub(crate) delta: Delta,
    /// Ids of nodes that are going to be, with their names.
    pub(crate) claimed: HashMap<ArcStr, ArcStr, RandomState>,
    /// Ids that do not follow from the node's name alone, by name.
    pub(crate) renumbered: HashMap<ArcStr, ArcStr>,
    pub(crate) texts: Texts,
    pub(crate) memo: crate::memoize::Memo,
    /// Nodes that were there before this was: they have children that this has not published.
    pub(crate) untold: HashSet<ArcStr>,
    /// Events that came while lookups were under way.
    pub(crate) backlog: VecDeque<Event>,
    pub(crate) counts: HashMap<ArcStr, BoundaryCount>,
    /// Pods that are Pending or Running.
    pub(crate) active_pods: i64,
    /// Pods that are Running.
    pub(crate) running_pods: i64,
    pub(crate) progress: Progress,
    pub(crate) resources: Resources,
    /// Calls that wait for the workflow's parallelism.
    pub(crate) held_by_workflow: VecDeque<Arc<Call>>,
    /// Calls that wait for the parallelism of their boundary, by its node id.
    pub(crate) held_by_boundary: HashMap<ArcStr, VecDeque<Arc<Call>>>,
    /// Boundaries with a slot that came free in this step.
    pub(crate) freed: BTreeSet<ArcStr>,
    /// The state is being rebuilt from nodes that exist: nothing is decided by the time at which that is done.
    pub(crate) rebuilding: bool,
    /// The shutdown that was carried out since the state was built: one that the object asks for already when it is built
    /// from it is carried out when its event comes, as before.
    pub(crate) shutdown_done: String,
    /// The object that the state was built from asks for a shutdown that the log has not come to.
    pub(crate) stop_ahead: bool,
    /// Hooks of the workflow that have begun, by key.
    pub(crate) hooks_begun: BTreeSet<String>,
    pub(crate) hooks_open: usize,
    /// The spec besides its templates has tags that only a pod's inputs can fill.
    pub(crate) spec_tagged: bool,
    pub(crate) timers: Timers,
    /// Pods whose nodes are not known, by name.
    pub(crate) strays: BTreeMap<String, Stray>,
    /// The number of the last [`crate::Behavior`] that the workflow goes by.
    pub(crate) behavior: u32,
    /// What the event in hand may still cost.
    pub(crate) budget: Budget,
    /// About the bytes of the inputs and outputs of all nodes.
    pub(crate) values_bytes: usize,
    pub(crate) bugs: Bugs,
}

/// Where a workflow is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No event yet.
    New,
    /// Waits for the objects that its spec names.
    Preparing,
    /// `spec.suspend` was set before the start.
    Held,
    Running,
    /// The entry node has ended; workflow hooks and the exit handler run.
    Exiting,
    Done,
}

/// What is to be done within the step, in order.
#[derive(Debug)]
pub(crate) enum Work {
    /// The node of a frame, or a node without one, is fulfilled: tell who waits for it.
    Fulfilled(Parent),
    /// A child of a composite changed without ending: its hooks may fire.
    Changed(Parent),
    /// A call that had to wait has its turn.
    Call(Arc<Call>),
    /// Tasks of a DAG whose dependencies are all settled.
    Task { frame: FrameId, task: usize },
    /// The next group of a Steps node.
    Group { frame: FrameId, index: usize },
}

impl Workflow {
    /// The state that `object` stands for, up to and with OBSERVED sequence `watermark`.
    ///
    /// `object` is as the API has it, status included; a workflow that nobody has begun has an empty status.
    pub fn new(config: Arc<Config>, object: api::Workflow, watermark: u64) -> Self {
        let globals = Globals { limits: config.limits, ..Globals::default() };
        let mut workflow = Self {
            config,
            spec: Arc::new(object.spec.clone()),
            watermark,
            now: Timestamp::UNIX_EPOCH,
            time_of_day: Timestamp::UNIX_EPOCH,
            stage: Stage::New,
            library: Library::default(),
            globals,
            frames: Vec::new(),
            live: Live::default(),
            daemons: HashMap::new(),
            spec_tagged: false,
            work: VecDeque::new(),
            commands: Vec::new(),
            delta: Delta::default(),
            backlog: VecDeque::new(),
            counts: HashMap::new(),
            active_pods: 0,
            running_pods: 0,
            progress: Progress::default(),
            resources: Resources::default(),
            held_by_workflow: VecDeque::new(),
            held_by_boundary: HashMap::new(),
            freed: BTreeSet::new(),
            rebuilding: false,
            shutdown_done: String::new(),
            hooks_begun: BTreeSet::new(),
            hooks_open: 0,
            claimed: HashMap::default(),
            renumbered: HashMap::new(),
            texts: Texts::default(),
            memo: crate::memoize::Memo::default(),
            untold: HashSet::new(),
            timers: Timers::default(),
            stop_ahead: false,
            strays: BTreeMap::new(),
            behavior: Self::recorded_behavior(&object),
            budget: Budget::default(),
            values_bytes: 0,
            bugs: Bugs::default(),
            object,
        };
        if workflow.object.status.phase.is_completed() {
            workflow.stage = Stage::Done;
        }
        workflow.set_now(latest_moment(&workflow.object.status));
        workflow
    }

    /// The object, status and all, as it is after the last step.
    pub fn object(&self) -> &api::Workflow {
        &self.object
    }

    /// The last OBSERVED sequence that is in the state.
    pub fn watermark(&self) -> u64 {
        self.watermark
    }

    /// True once the workflow has ended. Then none of its timers is wanted any more.
    pub fn is_completed(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Every wish that may have been lost with the former owner. To be called once, after [`Workflow::new`] on an
    /// object with a status; harmless when repeated, since names are deterministic.
    ///
    /// `at` is the time of day. Nothing is decided by it: what the log holds behind the watermark comes first, and must find the
    /// workflow as it was.
    pub fn resume(&mut self, at: Timestamp) -> Vec<Command> {
        self.time_of_day = at;
        self.open_budget(true);
        if self.stage == Stage::New && self.object.status.phase != api::WorkflowPhase::Unknown {
            self.follow_recorded();
            self.rebuilding = true;
            self.prepare();
            self.drain();
            self.rebuilding = self.stage == Stage::Preparing;
        }
        if !matches!(self.stage, Stage::New | Stage::Preparing | Stage::Done) {
            self.confirm_orphans();
        }
        self.take_commands(self.watermark)
    }

    /// Takes one step. Events come in the order of their sequence; one that is not past the watermark changes nothing.
    pub fn step(&mut self, event: Event) -> Vec<Command> {
        if event.sequence <= self.watermark {
            return Vec::new();
        }
        if self.stage == Stage::Preparing
            && !matches!(event.body, Observed::LookedUp { .. } | Observed::WorkflowDeleted)
        {
            self.backlog.push_back(event);
            return Vec::new();
        }
        let Event { sequence, at, .. } = event;
        // What was asked anew of a workflow that goes on is answered late: what waited for it happened before.
        let is_late_answer = self.stage == Stage::Preparing && self.rebuilding;
        if !is_late_answer {
            self.set_now(at);
        }
        self.watermark = sequence;
        self.open_budget(self.rebuilding);
        self.apply(event.body);
        self.drain();
        self.rebuilding &= self.stage == Stage::Preparing;
        while self.stage != Stage::Preparing
            && let Some(event) = self.backlog.pop_front()
        {
            self.set_now(event.at);
            self.open_budget(self.rebuilding);
            self.apply(event.body);
            self.drain();
        }
        if self.stage != Stage::Preparing {
            self.set_now(at);
        }
        // One change, whatever was waiting: a workflow that is taken up between two would miss the second, as the events of
        // both are at or before the watermark of the first.
        self.take_commands(sequence)
    }

    /// The moment of the event in hand. It never goes back, although events are stamped by several clocks: a node must not
    /// end before it began.
    pub(crate) fn set_now(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        self.time_of_day = self.time_of_day.max(self.now);
        self.globals.now = self.now;
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
        }
    }

    /// Works until nothing is left to be done without a further event, or the workflow has used up its budget.
    pub(crate) fn drain(&mut self) {
        loop {
            while let Some(work) = self.work.pop_front() {
                match work {
                    Work::Fulfilled(parent) => self.child_fulfilled(parent),
                    Work::Changed(parent) => self.child_changed(parent),
                    Work::Call(call) => self.call(call),
                    Work::Task { frame, task } => self.start_task(frame, task),
                    Work::Group { frame, index } => self.start_group(frame, index),
                }
                if !self.may_go_on() {
                    break;
                }
            }
            if !self.release_held() {
                break;
            }
        }
    }

    fn take_commands(&mut self, sequence: u64) -> Vec<Command> {
        self.check_fields();
        self.finish_status();
        let mut commands = std::mem::take(&mut self.commands);
        if let Some(changed) = self.take_delta(sequence) {
            commands.push(Command::Publish(Box::new(StatusChanged { last: true, ..changed })));
        }
        commands
    }
}

/// The last moment that a status speaks of: the clock goes on from there.
fn latest_moment(status: &api::WorkflowStatus) -> Timestamp {
    let nodes = status.nodes.unordered().flat_map(|node| [node.started_at, node.finished_at]);
    let moments = nodes.chain([status.started_at, status.finished_at]);
    moments.flatten().map(|time| time.0).max().unwrap_or(Timestamp::UNIX_EPOCH)
}
