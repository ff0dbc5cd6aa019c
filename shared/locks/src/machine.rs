//! The machine.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::message::{LockAnswer, LockEntry, LockFact, LockHolder, LockLimit, LockOwner, LockStage, LockWant};
use jiff::{SignedDuration, Timestamp};

use crate::{
    LOOK, Wish,
    lock::{HolderId, Lock, Turn, is_mutex},
};

/// Holders that a namespace may have, those included that wait. Each takes some hundred bytes.
const HOLDERS_MAX: usize = 50_000;
/// Holders that an answer names for each lock.
const NAMED_MAX: usize = 50;
/// Workflows that one look asks after.
const LOOKED_AFTER_MAX: usize = 500;
/// Facts after which the state is kept.
const KEEP_EVERY: u32 = 64;
/// From when somebody waits to the first look at the world, in seconds; each pause is twice that before.
const LOOK_AFTER: i64 = 10;
/// The longest pause between looks, in seconds.
const LOOK_AFTER_MAX: i64 = 30;

/// The locks of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Locks {
    /// Whether it is known who holds locks: nobody gets one before.
    is_known: bool,
    entries: BTreeMap<HolderId, LockEntry>,
    /// Those of them whose limits are being looked up.
    asking: BTreeSet<HolderId>,
    /// The lock that each who waits was told of.
    told: BTreeMap<HolderId, String>,
    locks: BTreeMap<String, Lock>,
    /// When the world is looked at next, and the pause before that.
    look: Option<(Timestamp, SignedDuration)>,
    /// The fact in hand.
    sequence: u64,
    since_kept: u32,
}

impl Locks {
    /// The locks as they were kept.
    pub(crate) fn restored(limits: BTreeMap<String, u32>, entries: Vec<LockEntry>, sequence: u64) -> Self {
        let mut locks = Self { is_known: true, sequence, ..Self::default() };
        for entry in entries {
            let (id, turn) = (id_of(&entry), Turn::of(&entry));
            match entry.stage {
                LockStage::Asking => _ = locks.asking.insert(id.clone()),
                LockStage::Waiting => {
                    let is_several = entry.want.locks.len() > 1;
                    entry.want.locks.iter().for_each(|name| locks.lock(name).enter(turn.clone(), is_several));
                }
                LockStage::Holding => entry.want.locks.iter().for_each(|name| locks.lock(name).take(&turn)),
            }
            locks.entries.insert(id, entry);
        }
        for (name, limit) in limits {
            if let Some(lock) = locks.locks.get_mut(&name) {
                lock.set_limit(limit);
            }
        }
        locks
    }

    /// Takes a step.
    pub fn step(&mut self, sequence: u64, at: Timestamp, fact: LockFact) -> Vec<Wish> {
        self.sequence = sequence;
        let mut wishes = Vec::new();
        let is_kept = matches!(fact, LockFact::Kept { .. });
        match fact {
            LockFact::Wanted { workflow, want } => self.want(workflow, want, &mut wishes),
            LockFact::Released { workflow, holder, since } => {
                let id = (workflow.uid, holder);
                if self.entries.get(&id).is_some_and(|entry| entry.want.since <= since) {
                    let touched = self.remove(&id);
                    self.fill(touched, &mut wishes);
                }
            }
            LockFact::LimitsRead { limits, up_to } => self.limits_read(&limits, up_to, &mut wishes),
            LockFact::WorkflowGone { uid, up_to } => {
                let of_it = self.entries.range((uid.clone(), String::new())..).take_while(|(id, _)| id.0 == uid);
                let gone: Vec<HolderId> =
                    of_it.filter(|(_, entry)| entry.came <= up_to).map(|(id, _)| id.clone()).collect();
                let touched = gone.iter().flat_map(|id| self.remove(id)).collect();
                self.fill(touched, &mut wishes);
            }
            LockFact::HoldersRead { holders } => self.holders_read(holders, at, &mut wishes),
            LockFact::TimerFired { key } => {
                if key == LOOK && self.look.is_some_and(|(due, _)| due <= at) {
                    self.look_around(at, &mut wishes);
                }
            }
            LockFact::Kept { .. } => {}
        }
        self.mind_look(at, &mut wishes);
        self.since_kept += 1;
        if self.since_kept >= KEEP_EVERY && self.is_known && !is_kept {
            self.since_kept = 0;
            wishes.extend(self.kept(sequence).into_iter().map(Wish::Keep));
        }
        wishes
    }

    /// A new owner has it as it was kept: whatever may have got lost is asked for again, and who holds locks is told so again.
    pub fn recover(&mut self, at: Timestamp) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if !self.is_known {
            wishes.push(Wish::ReadHolders);
        }
        let asking = self.asking.iter().filter_map(|id| self.entries.get(id));
        wishes.extend(asking.map(ask_limits));
        let holding = self.entries.values().filter(|entry| entry.stage == LockStage::Holding);
        wishes.extend(holding.map(|entry| answer(entry, LockAnswer::Granted)));
        self.look = None;
        self.mind_look(at, &mut wishes);
        wishes
    }

    /// Nobody wants or has any of them.
    pub fn is_empty(&self) -> bool {
        self.is_known && self.entries.is_empty()
    }

    /// When the world is looked at next.
    pub fn look_due(&self) -> Option<Timestamp> {
        self.look.map(|(due, _)| due)
    }

    /// How many hold locks, and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        let holding = self.entries.values().filter(|entry| entry.stage == LockStage::Holding).count();
        (holding, self.entries.len() - holding)
    }

    /// Who could have all that it wants and does not, and locks that more have than may without having had it before: bugs.
    pub fn overlooked(&self) -> Vec<String> {
        if !self.is_known {
            return Vec::new();
        }
        let waiting = self.entries.iter().filter(|(_, entry)| entry.stage == LockStage::Waiting);
        let open = waiting.filter(|(id, entry)| self.failing(id, entry).is_none());
        open.map(|(_, entry)| format!("{} waits for locks that are free", entry.want.holder)).collect()
    }

    /// Who has each lock.
    pub fn holders(&self) -> BTreeMap<&str, Vec<&str>> {
        let all = self.locks.iter().map(|(name, lock)| (name.as_str(), lock));
        all.map(|(name, lock)| (name, lock.holders().map(|id| id.1.as_str()).collect())).collect()
    }

    /// The limits that are known.
    pub(crate) fn limits(&self) -> BTreeMap<String, u32> {
        self.locks.iter().filter_map(|(name, lock)| Some((name.clone(), lock.limit()?))).collect()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &LockEntry> {
        self.entries.values()
    }

    fn want(&mut self, workflow: LockOwner, want: LockWant, wishes: &mut Vec<Wish>) {
        let id = (workflow.uid.clone(), want.holder.clone());
        if let Some(entry) = self.entries.get_mut(&id) {
            if entry.want.locks == want.locks || entry.stage == LockStage::Holding && want.claims {
                entry.want.since = entry.want.since.max(want.since);
                let entry = entry.clone();
                match entry.stage {
                    LockStage::Asking => {}
                    LockStage::Waiting => self.tell_waiting(&id, wishes),
                    LockStage::Holding => wishes.push(answer(&entry, LockAnswer::Granted)),
                }
                return;
            }
            if entry.want.since > want.since {
                return;
            }
            // It wants others by now.
            let touched = self.remove(&id);
            self.fill(touched, wishes);
        }
        let entry = LockEntry { workflow, want, came: self.sequence, stage: LockStage::Asking };
        if self.entries.len() >= HOLDERS_MAX {
            let message = format!("more than {HOLDERS_MAX} holders want locks of this namespace");
            wishes.push(answer(&entry, LockAnswer::Refused { message }));
            return;
        }
        let needs_limits = entry.want.locks.iter().any(|name| !is_mutex(name));
        if needs_limits {
            wishes.push(ask_limits(&entry));
            self.asking.insert(id.clone());
        }
        self.entries.insert(id.clone(), entry);
        if !needs_limits {
            self.enter(&id, wishes);
        }
    }

    /// The holder gets what it wants, or waits from now on.
    fn enter(&mut self, id: &HolderId, wishes: &mut Vec<Wish>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.stage = LockStage::Waiting;
        let (turn, names) = (Turn::of(entry), entry.want.locks.clone());
        let is_several = names.len() > 1;
        names.iter().for_each(|name| self.lock(name).enter(turn.clone(), is_several));
        self.fill(names.into_iter().collect(), wishes);
        if self.is_known && self.entries.get(id).is_some_and(|entry| entry.stage == LockStage::Waiting) {
            self.tell_waiting(id, wishes);
        }
    }

    fn limits_read(&mut self, limits: &[LockLimit], up_to: u64, wishes: &mut Vec<Wish>) {
        let read: BTreeMap<&str, Option<u32>> =
            limits.iter().map(|limit| (limit.lock.as_str(), limit.limit.filter(|limit| *limit > 0))).collect();
        let mut touched = BTreeSet::new();
        for (name, limit) in &read {
            // Who has a lock keeps it, and who waits goes on waiting, when its limit cannot be read any more.
            if let Some((lock, limit)) = self.locks.get_mut(*name).zip(*limit)
                && lock.set_limit(limit)
            {
                touched.insert((*name).to_owned());
            }
        }
        self.fill(touched, wishes);
        let is_answered = |id: &&HolderId| {
            self.entries.get(*id).is_some_and(|entry| {
                entry.came <= up_to && semaphores(&entry.want).all(|name| read.contains_key(name.as_str()))
            })
        };
        let mut answered: Vec<(u64, HolderId)> =
            self.asking.iter().filter(is_answered).map(|id| (self.entries[id].came, id.clone())).collect();
        answered.sort();
        for (_, id) in answered {
            self.asking.remove(&id);
            let Some(entry) = self.entries.get(&id) else { continue };
            let bad = semaphores(&entry.want).find(|name| read.get(name.as_str()).is_none_or(|limit| limit.is_none()));
            if let Some(name) = bad {
                let message = format!("failed to initialize semaphore {name} with limit");
                wishes.push(answer(entry, LockAnswer::Refused { message }));
                self.entries.remove(&id);
                continue;
            }
            let names: Vec<String> = semaphores(&entry.want).cloned().collect();
            for name in names {
                if let Some(Some(limit)) = read.get(name.as_str()) {
                    self.lock(&name).set_limit(*limit);
                }
            }
            self.enter(&id, wishes);
        }
    }

    /// Nothing was known, and now it is: who has locks is told so, as it may have given them back meanwhile.
    fn holders_read(&mut self, holders: Vec<LockHolder>, at: Timestamp, wishes: &mut Vec<Wish>) {
        if self.is_known {
            return;
        }
        self.is_known = true;
        for LockHolder { workflow, holder, locks, since } in holders {
            let id = (workflow.uid.clone(), holder.clone());
            let known = self.entries.get(&id).map(|entry| entry.want.clone());
            self.remove(&id);
            let (priority, created) = known.as_ref().map_or((0, at), |want| (want.priority, want.created));
            let since = known.map_or(since, |want| want.since.max(since));
            let want = LockWant { holder, locks, priority, created, since, claims: true };
            let entry = LockEntry { workflow, want, came: self.sequence, stage: LockStage::Holding };
            let turn = Turn::of(&entry);
            entry.want.locks.iter().for_each(|name| self.lock(name).take(&turn));
            wishes.push(answer(&entry, LockAnswer::Granted));
            self.entries.insert(id, entry);
        }
        self.fill(self.locks.keys().cloned().collect(), wishes);
        let waiting = self.entries.iter().filter(|(_, entry)| entry.stage == LockStage::Waiting);
        let ids: Vec<HolderId> = waiting.map(|(id, _)| id.clone()).collect();
        ids.iter().for_each(|id| self.tell_waiting(id, wishes));
    }

    /// Gives these locks to those who are next, for as long as there are such. Who gets several makes others next elsewhere.
    fn fill(&mut self, mut touched: BTreeSet<String>, wishes: &mut Vec<Wish>) {
        while self.is_known
            && let Some(name) = touched.pop_first()
        {
            while let Some(id) = self.next_of(&name) {
                touched.extend(self.grant(&id, wishes).into_iter().filter(|other| *other != name));
            }
            self.tell_next(&name, wishes);
            if self.locks.get(&name).is_some_and(Lock::is_unused) {
                self.locks.remove(&name);
            }
        }
    }

    fn next_of(&self, name: &str) -> Option<HolderId> {
        let lock = self.locks.get(name).filter(|lock| lock.free() > 0)?;
        let is_open = |id: &&HolderId| self.entries.get(*id).is_some_and(|entry| self.failing(id, entry).is_none());
        let first = lock.first()?;
        if is_open(&first) {
            return Some(first.clone());
        }
        let blockers = self.blockers(first);
        let may_go = |id: &&HolderId| id.0 == first.0 || blockers.contains(id.0.as_str());
        lock.queue().filter(may_go).find(is_open).cloned()
    }

    /// Workflows that have what keeps the holder waiting.
    fn blockers(&self, id: &HolderId) -> BTreeSet<&str> {
        let names = self.entries.get(id).into_iter().flat_map(|entry| &entry.want.locks);
        let full = names.filter_map(|name| self.locks.get(name)).filter(|lock| lock.free() <= 0);
        full.flat_map(Lock::holders).map(|holder| holder.0.as_str()).collect()
    }

    /// Whether the holder could have the lock now: there is room, and nobody of another workflow comes first. Who has what
    /// keeps the first waiting goes before it all the same, as it would wait for ever otherwise.
    fn is_open(&self, lock: &Lock, id: &HolderId) -> bool {
        lock.free() > 0
            && lock.first().is_none_or(|first| first.0 == id.0 || self.blockers(first).contains(id.0.as_str()))
    }

    /// Answers the locks in which others may be next now.
    fn grant(&mut self, id: &HolderId, wishes: &mut Vec<Wish>) -> Vec<String> {
        let Some(entry) = self.entries.get_mut(id) else { return Vec::new() };
        entry.stage = LockStage::Holding;
        let (turn, names) = (Turn::of(entry), entry.want.locks.clone());
        wishes.push(answer(entry, LockAnswer::Granted));
        names.iter().for_each(|name| self.lock(name).take(&turn));
        self.told.remove(id);
        // Who waits for one of them, and comes first elsewhere, lets this workflow go before it there.
        let behind = names.iter().filter_map(|name| self.locks.get(name)).flat_map(Lock::several);
        let elsewhere = behind.filter_map(|id| self.entries.get(id)).flat_map(|entry| &entry.want.locks);
        let touched: Vec<String> = elsewhere.chain(&names).cloned().collect();
        touched
    }

    /// The first lock that keeps the holder waiting.
    fn failing<'e>(&self, id: &HolderId, entry: &'e LockEntry) -> Option<&'e str> {
        let is_closed = |name: &&String| !self.locks.get(*name).is_some_and(|lock| self.is_open(lock, id));
        entry.want.locks.iter().find(is_closed).map(String::as_str)
    }

    /// Who is next and still waits is told if that is for another lock than it knows of.
    fn tell_next(&mut self, name: &str, wishes: &mut Vec<Wish>) {
        let Some(id) = self.locks.get(name).and_then(Lock::first).cloned() else { return };
        let Some(entry) = self.entries.get(&id) else { return };
        let failing = self.failing(&id, entry);
        if self.told.get(&id).is_some_and(|told| Some(told.as_str()) != failing) {
            self.tell_waiting(&id, wishes);
        }
    }

    fn tell_waiting(&mut self, id: &HolderId, wishes: &mut Vec<Wish>) {
        let Some(entry) = self.entries.get(id).filter(|_| self.is_known) else { return };
        let Some(name) = self.failing(id, entry) else { return };
        let Some(lock) = self.locks.get(name) else { return };
        let holders = |name: &String| {
            let lock = self.locks.get(name)?;
            let named: Vec<String> = lock.holders().take(NAMED_MAX).map(|id| id.1.clone()).collect();
            (!named.is_empty()).then(|| (name.clone(), named))
        };
        let waiting = LockAnswer::Waiting {
            lock: name.to_owned(),
            free: lock.free(),
            limit: lock.limit().unwrap_or_default().into(),
            holders: entry.want.locks.iter().filter_map(holders).collect(),
        };
        wishes.push(answer(entry, waiting));
        let name = name.to_owned();
        self.told.insert(id.clone(), name);
    }

    /// The holder wants nothing any more. Answers the locks that it had or waited for.
    fn remove(&mut self, id: &HolderId) -> BTreeSet<String> {
        let Some(entry) = self.entries.remove(id) else { return BTreeSet::new() };
        self.asking.remove(id);
        self.told.remove(id);
        let turn = Turn::of(&entry);
        for name in &entry.want.locks {
            if let Some(lock) = self.locks.get_mut(name) {
                lock.leave(&turn);
                if lock.is_unused() {
                    self.locks.remove(name);
                }
            }
        }
        entry.want.locks.into_iter().collect()
    }

    fn lock(&mut self, name: &str) -> &mut Lock {
        self.locks.entry(name.to_owned()).or_insert_with(|| Lock::named(name))
    }

    /// The world is looked at while somebody waits: a workflow may be gone without a word, and nobody tells of a new limit.
    fn mind_look(&mut self, at: Timestamp, wishes: &mut Vec<Wish>) {
        let waits = self.is_known && self.locks.values().any(Lock::is_wanted);
        match (waits, self.look) {
            (true, None) => self.arm_look(at, SignedDuration::from_secs(LOOK_AFTER), wishes),
            (false, Some(_)) => {
                self.look = None;
                wishes.push(Wish::DisarmTimer { key: LOOK.to_owned() });
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn arm_look(&mut self, at: Timestamp, pause: SignedDuration, wishes: &mut Vec<Wish>) {
        let due = at.checked_add(pause).unwrap_or(at);
        self.look = Some((due, pause));
        wishes.push(Wish::ArmTimer { key: LOOK.to_owned(), due });
    }

    fn look_around(&mut self, at: Timestamp, wishes: &mut Vec<Wish>) {
        let wanted = || self.locks.iter().filter(|(_, lock)| lock.is_wanted());
        let limits = wanted().filter(|(name, _)| !is_mutex(name));
        let limits = limits.filter_map(|(name, lock)| Some((name.clone(), lock.limit()?))).collect();
        let holders: BTreeSet<&HolderId> = wanted().flat_map(|(_, lock)| lock.holders().chain(lock.first())).collect();
        let workflows: BTreeSet<&LockOwner> =
            holders.into_iter().filter_map(|id| self.entries.get(id)).map(|entry| &entry.workflow).collect();
        let workflows = workflows.into_iter().take(LOOKED_AFTER_MAX).cloned().collect();
        wishes.push(Wish::Look { limits, workflows, up_to: self.sequence });
        let pause = self.look.map_or(0, |(_, pause)| pause.as_secs());
        self.arm_look(at, SignedDuration::from_secs((2 * pause).clamp(LOOK_AFTER, LOOK_AFTER_MAX)), wishes);
    }
}

fn id_of(entry: &LockEntry) -> HolderId {
    (entry.workflow.uid.clone(), entry.want.holder.clone())
}

fn semaphores(want: &LockWant) -> impl Iterator<Item = &String> {
    want.locks.iter().filter(|name| !is_mutex(name))
}

fn ask_limits(entry: &LockEntry) -> Wish {
    Wish::ReadLimits { locks: semaphores(&entry.want).cloned().collect(), up_to: entry.came }
}

fn answer(entry: &LockEntry, answer: LockAnswer) -> Wish {
    let (to, holder) = (entry.workflow.clone(), entry.want.holder.clone());
    Wish::Answer { to, holder, since: entry.want.since, answer }
}
