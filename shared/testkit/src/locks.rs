//! The locks of all namespaces, which answer at once.

use std::collections::BTreeMap;

use argosy_api::message::{LockAnswer, LockFact, LockLimit, LockOwner, LockWant, Observed};
use argosy_engine::Command;
use argosy_locks::{Locks, Wish};
use jiff::Timestamp;

/// The locks of all namespaces. What a workflow asks of them they answer at once; ConfigMaps are read as they are then.
#[derive(Default)]
pub struct AllLocks {
    namespaces: BTreeMap<String, Locks>,
    sequence: u64,
    /// What holders were told last.
    told: BTreeMap<(String, String), (u64, LockAnswer)>,
}

impl AllLocks {
    /// What the workflow `of` asks of the locks; `limit` tells what the ConfigMap of that namespace and name has under a key.
    /// Answers what workflows are told, each with its uid.
    pub fn obey(
        &mut self,
        of: LockOwner,
        command: &Command,
        at: Timestamp,
        limit: &dyn Fn(&str, &str, &str) -> Option<String>,
    ) -> Vec<(String, Observed)> {
        let (namespace, fact) = match command {
            Command::WantLocks { namespace, want } => (namespace, wanted(of, want)),
            Command::ReleaseLocks { namespace, holder, since } => {
                self.told.remove(&(namespace.clone(), holder.clone()));
                (namespace, LockFact::Released { workflow: of, holder: holder.clone(), since: *since })
            }
            Command::Cluster { .. }
            | Command::ArmTimer { .. }
            | Command::DisarmTimer { .. }
            | Command::Lookup(_)
            | Command::Publish(_) => return Vec::new(),
        };
        let mut told = Vec::new();
        self.tell(namespace, fact, at, limit, &mut told);
        told.retain(|(_, fact)| self.is_news(fact));
        told
    }

    /// A workflow that is built anew after every event asks anew as often: the same answer would be an event again.
    fn is_news(&mut self, fact: &Observed) -> bool {
        let Observed::LocksAnswered { namespace, holder, since, answer } = fact else { return true };
        let (of, told) = ((namespace.clone(), holder.clone()), (*since, answer.clone()));
        self.told.insert(of, told.clone()) != Some(told)
    }

    fn tell(
        &mut self,
        namespace: &str,
        fact: LockFact,
        at: Timestamp,
        limit: &dyn Fn(&str, &str, &str) -> Option<String>,
        told: &mut Vec<(String, Observed)>,
    ) {
        let mut facts = vec![fact];
        if !self.namespaces.contains_key(namespace) {
            facts.insert(0, LockFact::HoldersRead { holders: Vec::new() });
        }
        for fact in facts {
            self.sequence += 1;
            let locks = self.namespaces.entry(namespace.to_owned()).or_default();
            for wish in locks.step(self.sequence, at, fact) {
                match wish {
                    Wish::Answer { to, holder, since, answer } => {
                        let namespace = namespace.to_owned();
                        told.push((to.uid, Observed::LocksAnswered { namespace, holder, since, answer }));
                    }
                    Wish::ReadLimits { locks, up_to } => {
                        let limits = locks.into_iter().map(|lock| read(lock, limit)).collect();
                        self.tell(namespace, LockFact::LimitsRead { limits, up_to }, at, limit, told);
                    }
                    // Nothing is ever lost here.
                    Wish::ReadHolders
                    | Wish::Look { .. }
                    | Wish::ArmTimer { .. }
                    | Wish::DisarmTimer { .. }
                    | Wish::Keep(_) => {}
                }
            }
        }
    }
}

fn wanted(workflow: LockOwner, want: &LockWant) -> LockFact {
    LockFact::Wanted { workflow, want: want.clone() }
}

/// The limit of a semaphore `<namespace>/ConfigMap/<name>/<key>`.
fn read(lock: String, limit: &dyn Fn(&str, &str, &str) -> Option<String>) -> LockLimit {
    let parts: Vec<&str> = lock.splitn(4, '/').collect();
    let text = match parts[..] {
        [namespace, _, name, key] => limit(namespace, name, key),
        _ => None,
    };
    LockLimit { limit: text.and_then(|text| argosy_locks::limit_of(&text)), lock }
}
