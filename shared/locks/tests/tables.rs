//! Who gets which lock, step by step. The rows are those of Argo's own tests (`workflow/sync/*_test.go`), and what may go
//! wrong between a workflow and its locks.

use std::collections::BTreeMap;

use argosy_api::message::{LockAnswer, LockFact, LockHolder, LockLimit, LockOwner, LockWant};
use argosy_locks::{LOOK, Locks, Wish};
use jiff::Timestamp;

struct Table {
    locks: Locks,
    sequence: u64,
    now: i64,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a moment")
}

fn owner(name: &str) -> LockOwner {
    LockOwner { uid: format!("uid-{name}"), namespace: "ns".into(), name: name.into() }
}

fn full(lock: &str) -> String {
    if lock.contains('/') { format!("ns/{lock}") } else { format!("ns/Mutex/{lock}") }
}

fn want(name: &str, locks: &[&str], priority: i32, created: i64) -> LockWant {
    LockWant {
        holder: format!("ns/{name}"),
        locks: locks.iter().map(|lock| full(lock)).collect(),
        priority,
        created: at(created),
        since: 10,
        claims: false,
    }
}

impl Table {
    /// Locks of which it is known that nobody has any.
    fn new() -> Self {
        let mut table = Self { locks: Locks::default(), sequence: 0, now: 1000 };
        assert_eq!(table.locks.recover(at(1000)), [Wish::ReadHolders]);
        table.tell(LockFact::HoldersRead { holders: Vec::new() });
        table
    }

    fn tell(&mut self, fact: LockFact) -> Vec<Wish> {
        self.sequence += 1;
        self.locks.step(self.sequence, at(self.now), fact)
    }

    /// What holders are told, each as `<holder> <answer>`.
    fn told(&mut self, fact: LockFact) -> Vec<String> {
        self.tell(fact).into_iter().filter_map(said).collect()
    }

    fn want(&mut self, name: &str, locks: &[&str]) -> Vec<String> {
        self.want_as(want(name, locks, 0, self.now))
    }

    fn want_as(&mut self, want: LockWant) -> Vec<String> {
        self.now += 1;
        let name = want.holder.split('/').nth(1).unwrap_or_default();
        self.told(LockFact::Wanted { workflow: owner(name), want: want.clone() })
    }

    fn release(&mut self, name: &str) -> Vec<String> {
        self.told(LockFact::Released { workflow: owner(name), holder: format!("ns/{name}"), since: 20 })
    }
}

fn said(wish: Wish) -> Option<String> {
    let Wish::Answer { holder, answer, .. } = wish else { return None };
    let who = holder.strip_prefix("ns/").unwrap_or(&holder);
    Some(match answer {
        LockAnswer::Granted => format!("{who} granted"),
        LockAnswer::Waiting { lock, free, limit, .. } => {
            let lock = lock.trim_start_matches("ns/").trim_start_matches("Mutex/");
            format!("{who} waits for {lock} {free}/{limit}")
        }
        LockAnswer::Refused { message } => format!("{who} refused: {message}"),
    })
}

#[test]
fn several_locks_are_had_all_or_none() {
    let mut t = Table::new();
    for name in ["one", "two", "three"] {
        assert_eq!(t.want(name, &[name]), [format!("{name} granted")]);
    }
    assert_eq!(t.want("all", &["one", "two", "three"]), ["all waits for one 0/1"]);
    assert_eq!(t.release("one"), ["all waits for two 0/1"]);
    assert_eq!(t.release("two"), ["all waits for three 0/1"]);
    assert_eq!(t.release("three"), ["all granted"]);
}

#[test]
fn nobody_overtakes_who_waits_for_other_locks_too() {
    let mut t = Table::new();
    t.want("one", &["one"]);
    assert_eq!(t.want("all", &["one", "two", "three"]), ["all waits for one 0/1"]);
    assert_eq!(t.want("two", &["two"]), ["two waits for two 1/1"]);
    assert_eq!(t.release("one"), ["all granted"]);
    assert_eq!(t.release("all"), ["two granted"]);
}

#[test]
fn higher_priority_comes_first_and_then_the_older_workflow() {
    let mut t = Table::new();
    t.want("holder", &["m"]);
    t.want_as(want("late", &["m"], 0, 50));
    t.want_as(want("old", &["m"], 0, 40));
    t.want_as(want("important", &["m"], 5, 60));
    assert_eq!(t.release("holder"), ["important granted"]);
    assert_eq!(t.release("important"), ["old granted"]);
    assert_eq!(t.release("old"), ["late granted"]);
}

#[test]
fn nodes_of_one_workflow_do_not_stand_in_each_others_way() {
    let mut t = Table::new();
    t.want("w", &["a"]);
    let node = |id: &str, locks: &[&str]| LockFact::Wanted {
        workflow: owner("v"),
        want: LockWant { holder: format!("ns/v/{id}"), ..want("v", locks, 0, 7) },
    };
    assert_eq!(t.told(node("1", &["a", "b"])), ["v/1 waits for a 0/1"]);
    assert_eq!(t.told(node("2", &["b"])), ["v/2 granted"]);
    assert_eq!(t.release("w"), ["v/1 waits for b 0/1"]);
}

#[test]
fn limits_are_those_of_the_config_map_when_they_are_wanted() {
    let mut t = Table::new();
    let limit = |lock: &str, limit| LockLimit { lock: full(lock), limit };
    let wishes = t.tell(LockFact::Wanted { workflow: owner("a"), want: want("a", &["ConfigMap/c/k"], 0, 1) });
    assert_eq!(wishes, [Wish::ReadLimits { locks: vec!["ns/ConfigMap/c/k".into()], up_to: 2 }]);
    let read = |of: Vec<LockLimit>, up_to| LockFact::LimitsRead { limits: of, up_to };
    assert_eq!(t.told(read(vec![limit("ConfigMap/c/k", Some(1))], 2)), ["a granted"]);
    assert!(t.want("b", &["ConfigMap/c/k"]).is_empty(), "its limit is read first");
    assert_eq!(t.told(read(vec![limit("ConfigMap/c/k", Some(1))], 4)), ["b waits for ConfigMap/c/k 0/1"]);
    // A larger limit lets it in; one that cannot be read changes nothing for who waits.
    assert!(t.told(read(vec![limit("ConfigMap/c/k", None)], 0)).is_empty());
    assert_eq!(t.told(read(vec![limit("ConfigMap/c/k", Some(2))], 0)), ["b granted"]);
    for limit_of in [None, Some(0)] {
        t.want("c", &["ConfigMap/c/other"]);
        let told = t.told(read(vec![limit("ConfigMap/c/other", limit_of)], 100));
        assert_eq!(told, ["c refused: failed to initialize semaphore ns/ConfigMap/c/other with limit"]);
    }
}

#[test]
fn a_text_is_a_limit_as_go_reads_it() {
    let read = |text: &str| argosy_locks::limit_of(text);
    assert_eq!([read("2"), read("+3")], [Some(2), Some(3)]);
    for text in ["", "0", "-1", " 2", "1.5", "two", "2147483648000"] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn repeats_are_answered_and_change_nothing() {
    let mut t = Table::new();
    t.want("a", &["m"]);
    t.want("b", &["m"]);
    assert_eq!(t.want("a", &["m"]), ["a granted"]);
    assert_eq!(t.want("b", &["m"]), ["b waits for m 0/1"]);
    assert_eq!(t.release("a"), ["b granted"]);
    assert!(t.release("a").is_empty());
    // What it gave back before it wanted it again says nothing of now.
    t.want_as(LockWant { since: 30, ..want("b", &["m"], 0, 1) });
    assert!(t.release("b").is_empty());
    assert_eq!(t.want("c", &["m"]), ["c waits for m 0/1"]);
}

#[test]
fn nothing_is_granted_before_it_is_known_who_has_locks() {
    let mut t = Table { locks: Locks::default(), sequence: 0, now: 1000 };
    assert!(t.want("new", &["m"]).is_empty());
    let claims = LockWant { claims: true, ..want("other", &["x"], 0, 5) };
    assert!(t.want_as(claims).is_empty());
    let holder = LockHolder { workflow: owner("old"), holder: "ns/old".into(), locks: vec![full("m")], since: 4 };
    let told = t.told(LockFact::HoldersRead { holders: vec![holder.clone()] });
    assert_eq!(told, ["old granted", "other granted", "new waits for m 0/1"]);
    // What is known is not read again.
    assert!(t.told(LockFact::HoldersRead { holders: vec![LockHolder { workflow: owner("x"), ..holder }] }).is_empty());
    assert_eq!(t.release("old"), ["new granted"]);
}

#[test]
fn who_says_that_it_has_a_lock_gets_it_before_all_others() {
    let mut t = Table::new();
    t.want("a", &["m"]);
    t.want_as(want("b", &["m"], 9, 1));
    let claims = LockWant { claims: true, ..want("c", &["m"], 0, 99) };
    assert_eq!(t.want_as(claims), ["c waits for m 0/1"], "never two");
    assert_eq!(t.release("a"), ["c granted"]);
}

#[test]
fn the_world_is_looked_at_while_somebody_waits_and_who_is_gone_has_nothing() {
    let mut t = Table::new();
    t.want("a", &["m"]);
    assert_eq!(t.locks.look_due(), None);
    t.want("b", &["m"]);
    let due = t.locks.look_due().expect("b waits");
    t.now = due.as_second();
    let wishes = t.tell(LockFact::TimerFired { key: LOOK.into() });
    let workflows = vec![owner("a"), owner("b")];
    assert_eq!(wishes[0], Wish::Look { limits: Vec::new(), workflows, up_to: t.sequence });
    assert!(t.locks.look_due().is_some_and(|next| next > due));
    // What it wanted after that look is not gone.
    assert!(t.told(LockFact::WorkflowGone { uid: "uid-a".into(), up_to: 1 }).is_empty());
    assert_eq!(t.told(LockFact::WorkflowGone { uid: "uid-a".into(), up_to: t.sequence }), ["b granted"]);
    assert_eq!(t.locks.look_due(), None);
    t.release("b");
    assert!(t.locks.is_empty());
}

#[test]
fn the_state_is_kept_and_taken_up() {
    let mut t = Table::new();
    let mut kept = Vec::new();
    t.want("a", &["m", "n"]);
    for n in 0..200 {
        let wishes =
            t.tell(LockFact::Wanted { workflow: owner(&format!("w{n}")), want: want(&format!("w{n}"), &["m"], 0, n) });
        kept.extend(wishes.into_iter().filter_map(|wish| if let Wish::Keep(fact) = wish { Some(fact) } else { None }));
    }
    let text: Vec<String> = kept.iter().map(|fact| serde_json::to_string(fact).expect("JSON")).collect();
    let read = |text: &String| serde_json::from_str::<LockFact>(text).expect("it reads");
    let (locks, up_to) = Locks::restore(text.iter().map(read)).expect("it is whole");
    assert!(up_to > 64 && up_to <= t.sequence);
    let holders: BTreeMap<&str, Vec<&str>> = locks.holders();
    assert_eq!(holders["ns/Mutex/m"], ["ns/a"]);
    let mut again = Table { locks, sequence: t.sequence, now: t.now };
    assert_eq!(again.release("a"), t.release("a"));
    assert!(Locks::restore(Vec::new()).is_none());
}

#[test]
fn who_has_what_keeps_the_first_waiting_goes_before_it() {
    let mut t = Table::new();
    t.want("outer", &["door"]);
    assert_eq!(t.want("both", &["door", "gate"]), ["both waits for door 0/1"]);
    let inner = LockWant { holder: "ns/outer/node".into(), ..want("outer", &["gate"], 0, 2000) };
    assert_eq!(t.want_as(inner), ["outer/node granted"]);
}
