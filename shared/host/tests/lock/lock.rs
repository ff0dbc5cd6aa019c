//! The lock.

use std::collections::{BTreeMap, VecDeque};

use argosy_bus::{Message, Publish, Stream, subject};
use argosy_host::{Cause, Entity, EntityKey, Event, Outgoing};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A lock's name is its uid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockKey(pub String);

impl EntityKey for LockKey {
    fn uid(&self) -> &str {
        &self.0
    }

    fn named(&self) -> (&str, &str) {
        ("", &self.0)
    }

    fn of_log(message: &Message) -> Option<Self> {
        Some(Self(message.subject.parse::<subject::Observed>().ok()?.uid))
    }
}

/// What is told to its log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Fact {
    /// So many may hold it.
    Make { room: usize },
    /// Somebody wants it for so long.
    Take { who: String, secs: i64 },
    /// A holder needs it no more.
    Give { who: String },
    /// A holder's time is over.
    Over { who: String },
    /// There is a bug.
    Jam,
}

pub enum Command {
    Grant { who: String },
    ArmTimer { who: String, due: Timestamp },
    DisarmTimer { who: String },
}

/// A turn, as it is told to everybody.
#[derive(Serialize, Deserialize)]
pub struct Granted {
    pub who: String,
    /// Of the owner that granted it.
    pub epoch: u64,
}

#[derive(Default)]
pub struct Lock {
    room: usize,
    /// Until when.
    holders: BTreeMap<String, Timestamp>,
    waiting: VecDeque<(String, i64)>,
    published: u64,
}

impl Lock {
    fn fill(&mut self, at: Timestamp) -> Vec<Command> {
        let mut commands = Vec::new();
        while self.holders.len() < self.room
            && let Some((who, secs)) = self.waiting.pop_front()
        {
            let due = at + SignedDuration::from_secs(secs);
            self.holders.insert(who.clone(), due);
            commands.extend([Command::Grant { who: who.clone() }, Command::ArmTimer { who, due }]);
        }
        commands
    }
}

impl Entity for Lock {
    type Key = LockKey;
    type Fact = Fact;
    type Command = Command;
    /// It asks nothing.
    type Question = ();
    type Position = u64;

    fn step(&mut self, event: Event<Fact>) -> Vec<Command> {
        let mut commands = Vec::new();
        match event.fact {
            Fact::Make { room } => self.room = room,
            Fact::Take { who, secs } => self.waiting.push_back((who, secs)),
            Fact::Give { who } => {
                if self.holders.remove(&who).is_some() {
                    commands.push(Command::DisarmTimer { who });
                }
            }
            Fact::Over { who } => _ = self.holders.remove(&who),
            Fact::Jam => panic!("jammed"),
        }
        commands.extend(self.fill(event.at));
        commands
    }

    /// Nothing of it was stored: all that it waits for is in the log.
    fn recover(&mut self, _: Timestamp) -> Vec<Command> {
        Vec::new()
    }

    fn stamp(&mut self, cause: &Cause<'_, LockKey>, commands: Vec<Command>, out: &mut Outgoing<()>) {
        for command in commands {
            match command {
                Command::Grant { who } => {
                    let uid = cause.key.uid();
                    let subject = subject::Event {
                        shard: cause.shard,
                        namespace: "locks".into(),
                        uid: uid.into(),
                        kind: "granted".into(),
                    };
                    let id = format!("{uid}:{}:granted.{who}", cause.id);
                    let payload = serde_json::to_vec(&Granted { who, epoch: cause.epoch }).expect("it has names only");
                    out.messages.push(Publish::new(Stream::Events, subject.to_string(), id, payload));
                    self.published = cause.sequence;
                }
                Command::ArmTimer { who, due } => out.arm(who, due),
                Command::DisarmTimer { who } => out.disarm(who),
            }
        }
    }

    fn published(&self) -> u64 {
        self.published
    }

    fn is_over(&self) -> bool {
        false
    }

    fn timers(&self) -> Vec<(String, Timestamp)> {
        self.holders.iter().map(|(who, due)| (who.clone(), *due)).collect()
    }

    fn replayed(&mut self, fact: &Fact, out: &mut Outgoing<()>) {
        if let Fact::Over { who } = fact {
            out.fired(who);
        }
    }

    fn still_wished(&self, message: Publish) -> Option<Publish> {
        let granted: Granted = serde_json::from_slice(&message.payload).expect("a grant");
        self.holders.contains_key(&granted.who).then_some(message)
    }
}
