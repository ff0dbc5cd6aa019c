//! Where one durable consumer stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::chaos::{Chaos, DeliverFault};
use super::disk::Record;
use super::store::Store;
use crate::subject::Filter;
use crate::{ConsumerSpec, Lag, Message, Stream, Verdict};

pub(super) struct Cursor {
    pub(super) filter: Filter,
    ack_wait: Duration,
    max_ack_pending: usize,
    /// Everything up to here was handed out, or does not fit the filter.
    position: u64,
    /// Handed out (or held back by a fault) and not settled.
    pending: BTreeMap<u64, Pending>,
    /// When each pending message is to be handed out again.
    due: BTreeSet<(Instant, u64)>,
    /// Settled beyond `position`; only while the log is read back.
    ahead: BTreeSet<u64>,
    /// Second copies, planted by a fault.
    copies: VecDeque<Message>,
    /// Subjects held back by a fault, and until when.
    held: BTreeMap<Arc<str>, Instant>,
    /// Wakes one handle: there may be something to take.
    pub(super) wake: Arc<Notify>,
}

struct Pending {
    deliveries: u32,
    due: Instant,
    /// Held back by a fault, which shall not strike again when the time is over.
    spared: bool,
}

impl Cursor {
    pub(super) fn new(spec: &ConsumerSpec, filter: Filter, position: u64) -> Self {
        Self {
            filter,
            ack_wait: spec.ack_wait,
            max_ack_pending: spec.max_ack_pending,
            position,
            pending: BTreeMap::new(),
            due: BTreeSet::new(),
            ahead: BTreeSet::new(),
            copies: VecDeque::new(),
            held: BTreeMap::new(),
            wake: Arc::new(Notify::new()),
        }
    }

    pub(super) fn update(&mut self, ack_wait: Duration, max_ack_pending: usize) {
        self.ack_wait = ack_wait;
        self.max_ack_pending = max_ack_pending;
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// Everything up to here is settled, or does not fit the filter.
    pub(super) fn floor(&self) -> u64 {
        self.pending.keys().next().map_or(self.position, |oldest| oldest - 1)
    }

    /// What is undone.
    pub(super) fn lag(&self, store: &Store) -> Lag {
        Lag { pending: store.count_after(&self.filter, self.position), unacknowledged: self.pending.len() as u64 }
    }

    /// When the next redelivery is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Hands out up to `max` messages that may go now.
    pub(super) fn take(&mut self, store: &Store, max: usize, now: Instant, chaos: Option<&dyn Chaos>) -> Vec<Message> {
        let mut taken = Vec::new();
        while taken.len() < max {
            if let Some(copy) = self.copies.pop_front() {
                taken.push(copy);
            } else if let Some(sequence) = self.overdue(now) {
                taken.extend(self.hand_out(store, sequence, now, chaos));
            } else if let Some(sequence) = self.fresh(store) {
                taken.extend(self.hand_out(store, sequence, now, chaos));
            } else {
                break;
            }
        }
        taken
    }

    fn overdue(&mut self, now: Instant) -> Option<u64> {
        let (due, sequence) = *self.due.first()?;
        (due <= now).then(|| {
            self.due.pop_first();
            sequence
        })
    }

    fn fresh(&mut self, store: &Store) -> Option<u64> {
        if self.pending.len() >= self.max_ack_pending {
            return None;
        }
        match store.next(&self.filter, self.position) {
            Ok(sequence) => {
                self.position = sequence;
                Some(sequence)
            }
            Err(none_up_to) => {
                self.position = self.position.max(none_up_to);
                None
            }
        }
    }

    /// Makes a delivery of a message that is in no timer; `None` when a fault keeps it back.
    fn hand_out(&mut self, store: &Store, sequence: u64, now: Instant, chaos: Option<&dyn Chaos>) -> Option<Message> {
        let entry = store.entry(sequence)?;
        let before = self.pending.get(&sequence);
        let (deliveries, spared) = before.map_or((0, false), |pending| (pending.deliveries, pending.spared));
        let message = entry.message(store.stream, sequence, deliveries + 1);
        let fault = match chaos {
            Some(chaos) if !spared => self.fault(chaos, &message, &entry.subject, deliveries == 0, now),
            _ => DeliverFault::Once,
        };
        let (deliveries, due, spared) = match fault {
            DeliverFault::DelayMs(delay) => (deliveries, now + Duration::from_millis(delay), true),
            DeliverFault::Once | DeliverFault::Twice | DeliverFault::DropThenRedeliver => {
                (deliveries + 1, now + self.ack_wait, false)
            }
        };
        self.pending.insert(sequence, Pending { deliveries, due, spared });
        self.due.insert((due, sequence));
        match fault {
            DeliverFault::Once => Some(message),
            DeliverFault::Twice => {
                self.copies.push_back(message.clone());
                Some(message)
            }
            DeliverFault::DelayMs(_) | DeliverFault::DropThenRedeliver => None,
        }
    }

    /// Asks for a fault; a first delivery behind one that is held back waits with it, as order per subject holds.
    fn fault(
        &mut self,
        chaos: &dyn Chaos,
        message: &Message,
        subject: &Arc<str>,
        first: bool,
        now: Instant,
    ) -> DeliverFault {
        self.held.retain(|_, until| *until > now);
        if let (true, Some(until)) = (first, self.held.get(subject)) {
            let delay = until.duration_since(now).as_millis();
            return DeliverFault::DelayMs(u64::try_from(delay).unwrap_or(u64::MAX));
        }
        let fault = chaos.on_deliver(message);
        if let (true, DeliverFault::DelayMs(delay)) = (first, fault) {
            self.held.insert(Arc::clone(subject), now + Duration::from_millis(delay));
        }
        fault
    }

    /// Applies a verdict on delivery number `deliveries`; says whether the message is settled.
    pub(super) fn settle(&mut self, sequence: u64, deliveries: u32, verdict: Verdict, now: Instant) -> bool {
        let Some(pending) = self.pending.get_mut(&sequence) else {
            return false;
        };
        let wait = match verdict {
            Verdict::Ack | Verdict::Term => {
                self.drop_pending(sequence);
                return true;
            }
            Verdict::Nak(_) | Verdict::InProgress if pending.deliveries != deliveries => {
                return false;
            }
            Verdict::Nak(delay) => delay,
            Verdict::InProgress => self.ack_wait,
        };
        self.due.remove(&(pending.due, sequence));
        pending.due = now + wait;
        self.due.insert((pending.due, sequence));
        self.wake.notify_one();
        false
    }

    /// Stops waiting for a message, because it is settled or no longer stored.
    pub(super) fn drop_pending(&mut self, sequence: u64) {
        if let Some(pending) = self.pending.remove(&sequence) {
            self.due.remove(&(pending.due, sequence));
            if self.pending.len() + 1 == self.max_ack_pending {
                self.wake.notify_one();
            }
        }
    }

    /// Whether a message was stored that this consumer may wait for.
    pub(super) fn wake_for(&self, subject: &str) {
        if self.filter.matches(subject) {
            self.wake.notify_one();
        }
    }

    /// As it stands, for the log.
    pub(super) fn record(&self, stream: Stream, name: &str) -> Record {
        Record::Consumer {
            stream,
            name: name.to_owned(),
            filter: self.filter.as_str().to_owned(),
            ack_wait_ms: u64::try_from(self.ack_wait.as_millis()).unwrap_or(u64::MAX),
            max_ack_pending: self.max_ack_pending as u64,
            position: self.position,
            pending: self.pending.keys().copied().collect(),
        }
    }

    /// While the log is read back: waits for a message again, at once.
    pub(super) fn restore_pending(&mut self, sequence: u64, now: Instant) {
        self.pending.insert(sequence, Pending { deliveries: 1, due: now, spared: false });
        self.due.insert((now, sequence));
    }

    /// While the log is read back: a message was settled.
    pub(super) fn restore_settled(&mut self, sequence: u64) {
        self.drop_pending(sequence);
        if sequence > self.position {
            self.ahead.insert(sequence);
        }
    }

    /// After the log was read back: what was handed out before the last settled message comes again.
    pub(super) fn restored(&mut self, store: &Store, now: Instant) {
        let Some(position) = self.ahead.last().copied() else {
            return;
        };
        for sequence in store.range(&self.filter, self.position, position) {
            if !self.ahead.contains(&sequence) {
                self.restore_pending(sequence, now);
            }
        }
        self.position = position;
        self.ahead.clear();
    }
}
