//! What a run is made of, and what a seed stands for.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    corpus::{self, ARGO, Case, OTHER},
    gate::{Crash, FREEZE_MAX, Plant},
    random::Random,
    services::Role,
    sick::Sick,
};

/// What is run, and under which faults.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub workflows: Vec<Case>,
    /// Replicas of each service.
    pub replicas: usize,
    /// For how long faults happen; none without.
    pub faults: Option<Duration>,
    /// The one crash of a run without other faults.
    pub crash: Option<(Role, Crash)>,
    pub plant: Option<Plant>,
    /// When the bus is lost.
    pub losses: Vec<Duration>,
    /// Whether replicas leave in order and come back, besides crashing.
    pub comes_and_goes: bool,
    /// When somebody ends all workflows.
    pub terminate: Option<Duration>,
    /// What the first world has not.
    pub grown: Option<Grown>,
    /// Workflows want the same locks. When one that holds one of them for ever is deleted; there may be none.
    pub locked: Option<Option<Duration>>,
    /// Tell of every write and fault on standard error.
    pub trace: bool,
}

/// What happens in the grown world besides: more kinds of faults (late requests of the dead, leases lost alive, conflicts of
/// quotas), and this.
#[derive(Clone, Debug, Default)]
pub struct Grown {
    /// Pods at once that a ResourceQuota of the first namespace allows.
    pub quota: Option<u64>,
    pub edits: Vec<Edit>,
    /// Whether workflows that failed are retried once, as `argo retry` does.
    pub retries: bool,
    /// Whether workflows are stopped rather than terminated.
    pub stops: bool,
    pub sick: Vec<Sick>,
}

/// An edit of a workflow from outside.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    pub at: Duration,
    pub workflow: Case,
    pub what: Change,
}

#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Suspended, and resumed after so long.
    Suspend(Duration),
    /// `spec.parallelism`.
    Parallelism(i64),
    /// A label that means nothing.
    Label,
}

impl Plan {
    /// One workflow, one replica, nothing goes wrong.
    pub fn calm(workflow: &'static str) -> Self {
        Self {
            seed: 1,
            workflows: vec![Case::argo(workflow)],
            replicas: 1,
            faults: None,
            crash: None,
            plant: None,
            losses: Vec::new(),
            comes_and_goes: false,
            terminate: None,
            grown: None,
            locked: None,
            trace: false,
        }
    }

    /// What `seed` stands for in the first world: up to three workflows, and perhaps one that needs a hand, two or three
    /// replicas of each service, which may come and go, all faults for up to two minutes, in one of four the loss of the bus.
    pub fn of_seed(seed: u64) -> Self {
        let random = Random::new(seed ^ 0x5eed);
        let names = corpus::names();
        let first = random.below(names.len() as u64) as usize;
        let count = 1 + random.below(3) as usize;
        let mut workflows: Vec<Case> = (0..count).map(|i| Case::argo(names[(first + i * 3) % names.len()])).collect();
        let faults = random.millis(10_000, 120_000);
        let replicas = 2 + random.below(2) as usize;
        let losses = if random.chance(250) { 1 + random.below(2) } else { 0 };
        let losses = (0..losses).map(|_| random.millis(200, 40_000)).collect();
        let terminate = random.chance(150).then(|| random.millis(200, 20_000));
        if terminate.is_some() {
            workflows.push(Case::argo(corpus::ENDLESS));
        } else if random.chance(200) {
            workflows.push(Case::argo(corpus::WAITING));
        }
        Self {
            seed,
            workflows,
            replicas,
            faults: Some(faults),
            losses,
            comes_and_goes: random.chance(500),
            terminate,
            ..Self::calm("")
        }
    }

    /// What `seed` stands for in the grown world: what it does in the first, with up to four workflows of the whole corpus in
    /// two namespaces, some of the same name, and some of [`Grown`].
    pub fn grown(seed: u64) -> Self {
        let random = Random::new(seed ^ 0x0960_9e11);
        let mut plan = Self::of_seed(seed);
        plan.workflows.retain(Case::is_helpless);
        let names = corpus::grown_names();
        for _ in 0..1 + random.below(3) {
            let name = names[random.below(names.len() as u64) as usize];
            let here = if random.chance(700) { ARGO } else { OTHER };
            plan.add(Case { namespace: here, name });
            if random.chance(250) {
                plan.add(Case { namespace: if here == ARGO { OTHER } else { ARGO }, name });
            }
        }
        let quota = random.chance(250).then(|| 4 + random.below(3));
        let edits = if random.chance(400) { 1 + random.below(3) } else { 0 };
        let edits = (0..edits).map(|_| plan.edit(&random)).collect();
        let is_ended = plan.terminate.is_some();
        let retries = random.chance(250) && !is_ended;
        let stops = random.chance(400);
        let sick = Sick::ALL.into_iter().filter(|_| random.chance(120)).collect();
        plan.grown = Some(Grown { quota, edits, retries, stops, sick });
        plan
    }

    /// What `seed` stands for in the world of locks: what it does in the grown one, with up to four workflows that want the same
    /// locks, and maybe one that is deleted while it has one. No quota and nobody sick.
    pub fn locked(seed: u64) -> Self {
        let random = Random::new(seed ^ 0x10c4_10c4);
        let mut plan = Self::of_seed(seed);
        plan.workflows.retain(|case| case.name == corpus::ENDLESS);
        let names = corpus::locked_names();
        for _ in 0..2 + random.below(3) {
            let name = names[random.below(names.len() as u64) as usize];
            plan.add(Case { namespace: if random.chance(700) { ARGO } else { OTHER }, name });
        }
        let edits = if random.chance(400) { 1 + random.below(2) } else { 0 };
        let edits = (0..edits).map(|_| plan.edit(&random)).collect();
        let retries = random.chance(250) && plan.terminate.is_none();
        plan.grown = Some(Grown { edits, retries, stops: random.chance(400), ..Grown::default() });
        plan.locked = Some(random.chance(300).then(|| random.millis(500, 20_000)));
        plan
    }

    fn add(&mut self, case: Case) {
        if !self.workflows.contains(&case) {
            self.workflows.push(case);
        }
    }

    fn edit(&self, random: &Random) -> Edit {
        let workflow = self.workflows[random.below(self.workflows.len() as u64) as usize];
        let what = match random.below(3) {
            0 => Change::Suspend(random.millis(500, 15_000)),
            // A daemon keeps its place until what runs beside it is over, as with Argo: with one place nothing would.
            1 => Change::Parallelism(1 + i64::from(workflow.has_daemon()) + random.below(3) as i64),
            _ => Change::Label,
        };
        Edit { at: random.millis(100, 30_000), workflow, what }
    }

    /// From here on nothing goes wrong by itself: faults and edits have ended, and what they froze or cut off goes on.
    pub fn calm_at(&self, started: Instant) -> Instant {
        let edits = self.grown.iter().flat_map(|grown| &grown.edits).map(Edit::ends);
        let doomed = self.locked.iter().flatten().copied();
        let last = self.losses.iter().copied().chain(self.faults).chain(edits).chain(doomed).max();
        started + last.map_or(Duration::ZERO, |last| last + FREEZE_MAX + Duration::from_secs(10))
    }

    /// The namespaces of its workflows, and that of the sick.
    pub fn namespaces(&self) -> Vec<&'static str> {
        if self.grown.is_some() { vec![ARGO, OTHER] } else { vec![ARGO] }
    }

    /// What lives beside its workflows and is sick.
    pub fn sick(&self) -> &[Sick] {
        self.grown.as_ref().map(|grown| grown.sick.as_slice()).unwrap_or_default()
    }

    /// Whether workflows that failed are retried.
    pub fn retries(&self) -> bool {
        self.grown.as_ref().is_some_and(|grown| grown.retries)
    }

    /// Edits of `case`, but those of labels.
    pub fn edits_spec_of(&self, case: Case) -> bool {
        let edits = self.grown.iter().flat_map(|grown| &grown.edits);
        edits.into_iter().any(|edit| edit.workflow == case && !matches!(edit.what, Change::Label))
    }
}

impl Edit {
    fn ends(&self) -> Duration {
        match self.what {
            Change::Suspend(long) => self.at + long,
            Change::Parallelism(_) | Change::Label => self.at,
        }
    }
}
