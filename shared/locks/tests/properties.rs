//! Whatever happens: never more holders than the limit lets in, nobody waits for what is free, who comes first gets it first,
//! repeats and a new owner change nothing.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::message::{LockAnswer, LockFact, LockLimit, LockOwner, LockWant};
use argosy_locks::{Locks, Wish};
use jiff::Timestamp;
use proptest::prelude::*;

const WORKFLOWS: usize = 5;
const NODES: usize = 3;
const LOCKS: [&str; 4] = ["ns/Mutex/a", "ns/Mutex/b", "ns/ConfigMap/c/x", "ns/ConfigMap/c/y"];

#[derive(Clone, Debug)]
enum Op {
    Want { workflow: usize, node: usize, locks: Vec<usize>, claims: bool },
    Release { workflow: usize, node: usize },
    Gone { workflow: usize },
    Limit { lock: usize, limit: u32 },
    Repeat { back: usize },
    NewOwner,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let who = || (0..WORKFLOWS, 0..NODES);
    let locks = prop::collection::btree_set(0..LOCKS.len(), 1..3).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    let op = prop_oneof![
        6 => (who(), locks, prop::bool::weighted(0.1))
            .prop_map(|((workflow, node), locks, claims)| Op::Want { workflow, node, locks, claims }),
        5 => who().prop_map(|(workflow, node)| Op::Release { workflow, node }),
        1 => (0..WORKFLOWS).prop_map(|workflow| Op::Gone { workflow }),
        1 => (2..LOCKS.len(), 1..4_u32).prop_map(|(lock, limit)| Op::Limit { lock, limit }),
        1 => (1..20_usize).prop_map(|back| Op::Repeat { back }),
        1 => Just(Op::NewOwner),
    ];
    prop::collection::vec(op, 1..120)
}

struct World {
    locks: Locks,
    sequence: u64,
    limits: BTreeMap<String, u32>,
    /// As the workflows see it.
    has: BTreeSet<(usize, usize)>,
    log: Vec<(u64, LockFact)>,
    kept: Vec<LockFact>,
}

fn owner(workflow: usize) -> LockOwner {
    LockOwner { uid: format!("u{workflow}"), namespace: "ns".into(), name: format!("w{workflow}") }
}

fn holder(workflow: usize, node: usize) -> String {
    format!("ns/w{workflow}/n{node}")
}

fn now() -> Timestamp {
    Timestamp::from_second(1000).expect("a moment")
}

impl World {
    fn tell(&mut self, fact: LockFact) -> Vec<(String, LockAnswer)> {
        self.sequence += 1;
        self.log.push((self.sequence, fact.clone()));
        let wishes = self.locks.step(self.sequence, now(), fact);
        self.obey(wishes)
    }

    fn obey(&mut self, wishes: Vec<Wish>) -> Vec<(String, LockAnswer)> {
        let mut told = Vec::new();
        for wish in wishes {
            match wish {
                Wish::Answer { holder, answer, .. } => {
                    let mut numbers = holder.split(['w', 'n', '/']).filter_map(|part| part.parse::<usize>().ok());
                    let id = numbers.next().zip(numbers.next()).expect("a holder of ours");
                    match answer {
                        LockAnswer::Granted => _ = self.has.insert(id),
                        LockAnswer::Waiting { .. } => _ = self.has.remove(&id),
                        LockAnswer::Refused { .. } => {}
                    }
                    told.push((holder, answer));
                }
                Wish::ReadLimits { locks, up_to } => {
                    let limit = |lock: String| LockLimit { limit: self.limits.get(&lock).copied(), lock };
                    let limits = locks.into_iter().map(limit).collect();
                    told.extend(self.tell(LockFact::LimitsRead { limits, up_to }));
                }
                Wish::ReadHolders => told.extend(self.tell(LockFact::HoldersRead { holders: Vec::new() })),
                Wish::Keep(fact) => self.kept.push(fact),
                Wish::Look { .. } | Wish::ArmTimer { .. } | Wish::DisarmTimer { .. } => {}
            }
        }
        told
    }

    /// A new owner has the state that was kept last, and the log behind that.
    fn new_owner(&mut self) {
        let (mut locks, up_to) = Locks::restore(self.kept.clone()).unwrap_or_default();
        for (sequence, fact) in self.log.iter().filter(|(sequence, _)| *sequence > up_to) {
            locks.step(*sequence, now(), fact.clone());
        }
        assert_eq!(locks.holders(), self.locks.holders());
        assert_eq!(locks.counts(), self.locks.counts());
        self.locks = locks;
        let wishes = self.locks.recover(now());
        self.obey(wishes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn locks_keep_their_limits_and_nobody_waits_for_what_is_free(ops in ops()) {
        let limits = BTreeMap::from([(LOCKS[2].to_owned(), 2), (LOCKS[3].to_owned(), 1)]);
        let mut world = World {
            locks: Locks::default(), sequence: 0, limits, has: BTreeSet::new(), log: Vec::new(), kept: Vec::new(),
        };
        let wishes = world.locks.recover(now());
        world.obey(wishes);
        for (since, op) in (1..).zip(ops) {
            let before: BTreeMap<String, usize> =
                world.locks.holders().iter().map(|(lock, all)| ((*lock).to_owned(), all.len())).collect();
            match op {
                Op::Want { workflow, node, locks, claims } => {
                    let locks = locks.into_iter().map(|lock| LOCKS[lock].to_owned()).collect();
                    // Who has what it wants is told so again; who wants others has none until then.
                    world.has.remove(&(workflow, node));
                    let priority = i32::try_from(workflow % 2).expect("0 or 1");
                    let created = Timestamp::from_second(workflow as i64).expect("a moment");
                    let want = LockWant { holder: holder(workflow, node), locks, priority, created, since, claims };
                    world.tell(LockFact::Wanted { workflow: owner(workflow), want });
                }
                Op::Release { workflow, node } => {
                    world.has.remove(&(workflow, node));
                    world.tell(LockFact::Released { workflow: owner(workflow), holder: holder(workflow, node), since });
                }
                Op::Gone { workflow } => {
                    world.has.retain(|(of, _)| *of != workflow);
                    world.tell(LockFact::WorkflowGone { uid: format!("u{workflow}"), up_to: world.sequence });
                }
                Op::Limit { lock, limit } => {
                    world.limits.insert(LOCKS[lock].to_owned(), limit);
                    let limits = vec![LockLimit { lock: LOCKS[lock].to_owned(), limit: Some(limit) }];
                    world.tell(LockFact::LimitsRead { limits, up_to: 0 });
                }
                Op::Repeat { back } => {
                    // An old wish or an old word of thanks comes again: what came after it stands.
                    let old = world.log.iter().rev().nth(back).map(|(_, fact)| fact.clone());
                    if let Some(fact @ LockFact::Released { .. }) = old {
                        let was = world.has.clone();
                        world.tell(fact);
                        prop_assert!(world.has.is_superset(&was));
                        continue;
                    }
                }
                Op::NewOwner => world.new_owner(),
            }
            for (lock, holders) in world.locks.holders() {
                let limit = if lock.contains("/Mutex/") { 1 } else { world.limits[lock] as usize };
                let was = before.get(lock).copied().unwrap_or_default();
                prop_assert!(holders.len() <= limit.max(was), "{lock}: {holders:?}, {limit} are allowed");
            }
            prop_assert_eq!(world.locks.overlooked(), Vec::<String>::new());
            let held: BTreeSet<String> = world.locks.holders().into_values().flatten().map(str::to_owned).collect();
            let seen: BTreeSet<String> = world.has.iter().map(|(w, n)| holder(*w, *n)).collect();
            prop_assert!(seen.is_subset(&held), "{seen:?} have locks by what they were told, {held:?} by the locks");
        }
    }

    #[test]
    fn all_get_their_turn_in_the_order_of_priority_and_age(
        wants in prop::collection::vec((0..3_i32, 0..20_i64), 1..12),
    ) {
        let mut world = World {
            locks: Locks::default(), sequence: 0, limits: BTreeMap::new(), has: BTreeSet::new(), log: Vec::new(),
            kept: Vec::new(),
        };
        let wishes = world.locks.recover(now());
        world.obey(wishes);
        let want = |workflow: usize, priority, created| LockFact::Wanted {
            workflow: owner(workflow),
            want: LockWant {
                holder: holder(workflow, 0),
                locks: vec![LOCKS[0].to_owned()],
                priority,
                created: Timestamp::from_second(created).expect("a moment"),
                since: 1,
                claims: false,
            },
        };
        world.tell(want(99, 0, 0));
        let mut order: Vec<_> = wants.iter().enumerate().map(|(n, (p, created))| (-p, *created, n)).collect();
        for (n, (priority, created)) in wants.iter().enumerate() {
            world.tell(want(n, *priority, *created));
        }
        order.sort_unstable();
        let mut last = 99;
        for (_, _, n) in order {
            let release =
                LockFact::Released { workflow: owner(last), holder: holder(last, 0), since: 2 };
            let told = world.tell(release);
            prop_assert_eq!(told, [(holder(n, 0), LockAnswer::Granted)]);
            last = n;
        }
    }
}
