//! Nodes and workflows that want locks: what they ask, what they become by the answers, what they give back.

use std::collections::BTreeMap;

use argosy_api::message::{LockAnswer, Observed};
use argosy_engine::{Command, ops::retry};
use serde_json::{Value, json};

use crate::play::{Play, at, changed, object};

/// What was told of locks in the last step.
fn told(play: &Play) -> Vec<String> {
    let text = |command: &Command| match command {
        Command::WantLocks { namespace, want } => {
            let claims = if want.claims { "claims" } else { "wants" };
            let names: Vec<&str> = want.locks.iter().map(String::as_str).collect();
            Some(format!("{} {claims} {} of {namespace}", want.holder, names.join(" and ")))
        }
        Command::ReleaseLocks { namespace, holder, .. } => Some(format!("{holder} leaves {namespace}")),
        Command::Cluster { .. }
        | Command::ArmTimer { .. }
        | Command::DisarmTimer { .. }
        | Command::Lookup(_)
        | Command::Publish(_) => None,
    };
    play.last.iter().filter_map(text).collect()
}

/// The place of what a holder wanted last.
fn since(play: &Play, holder: &str) -> u64 {
    let wanted = play.last.iter().rev().find_map(|command| match command {
        Command::WantLocks { want, .. } if want.holder == holder => Some(want.since),
        _ => None,
    });
    wanted.unwrap_or_else(|| panic!("{holder} wants nothing: {:?}", told(play)))
}

fn answer(play: &mut Play, namespace: &str, holder: &str, since: u64, answer: LockAnswer) {
    let (namespace, holder) = (namespace.to_owned(), holder.to_owned());
    play.feed(Observed::LocksAnswered { namespace, holder, since, answer });
}

fn waiting(lock: &str, who: &str) -> LockAnswer {
    let holders = BTreeMap::from([(lock.to_owned(), vec![who.to_owned()])]);
    LockAnswer::Waiting { lock: lock.to_owned(), free: 0, limit: 1, holders }
}

fn pod(synchronization: Value) -> Value {
    json!({"name": "main", "synchronization": synchronization, "container": {"image": "i", "command": ["c"]}})
}

fn mutex() -> Value {
    json!({"mutexes": [{"name": "m"}]})
}

fn one(template: Value) -> Value {
    json!({"entrypoint": "main", "templates": [template]})
}

const NODE: &str = "ns/wf/wf";
const LOCK: &str = "ns/Mutex/m";

fn status(play: &Play) -> Value {
    json!(play.engine.object().status.synchronization)
}

#[test]
fn a_node_waits_gets_its_lock_runs_and_gives_it_back() {
    let mut play = Play::of(one(pod(mutex())));
    assert_eq!(told(&play), ["ns/wf/wf wants ns/Mutex/m of ns"]);
    assert!(play.node("wf").is_none() && play.pods.is_empty());
    let since = since(&play, NODE);
    answer(&mut play, "ns", NODE, since, waiting(LOCK, "ns/other/n"));
    let node = play.node("wf").expect("it waits");
    assert_eq!(node.phase.to_string(), "Pending");
    assert_eq!(node.message, "Waiting for ns/Mutex/m lock. Lock status: 0/1");
    assert_eq!(json!(node.synchronization_status), json!({"waiting": LOCK}));
    assert_eq!(status(&play), json!({"mutex": {"waiting": [{"mutex": LOCK, "holder": "ns/other/n"}]}}));
    let why = play.engine.reasons();
    assert_eq!(why[0].text, "it waits for the lock `ns/Mutex/m`, which these have: ns/other/n");
    answer(&mut play, "ns", NODE, since, LockAnswer::Granted);
    assert_eq!(play.pods.len(), 1);
    assert_eq!(status(&play), json!({"mutex": {"holding": [{"mutex": LOCK, "holder": NODE}]}}));
    let node = play.node("wf").expect("it runs");
    assert!(node.synchronization_status.is_none() && node.message.is_empty());
    // It is told again, and nothing comes of it.
    answer(&mut play, "ns", NODE, since, LockAnswer::Granted);
    assert!(play.last.is_empty(), "{:?}", play.last);
    play.end_pod("wf", "Succeeded");
    assert_eq!(told(&play), ["ns/wf/wf leaves ns"]);
    assert_eq!((play.phase().as_str(), status(&play)), ("Succeeded", Value::Null));
    // Granted to nobody: given back.
    answer(&mut play, "ns", NODE, since + 100, LockAnswer::Granted);
    assert_eq!(told(&play), ["ns/wf/wf leaves ns"]);
}

#[test]
fn a_new_owner_asks_again_and_claims_what_the_status_says() {
    let mut play = Play::of(one(pod(mutex())));
    let first = since(&play, NODE);
    answer(&mut play, "ns", NODE, first, waiting(LOCK, "ns/other/n"));
    play.restart();
    assert_eq!(told(&play), ["ns/wf/wf wants ns/Mutex/m of ns"]);
    let why = play.engine.reasons();
    assert_eq!(why[0].text, "it waits for the lock `ns/Mutex/m`, which these have: ns/other/n");
    // The answer to what the former owner asked is one to this, too: the log holds it behind what was written.
    answer(&mut play, "ns", NODE, first, LockAnswer::Granted);
    assert_eq!(play.pods.len(), 1);
    play.restart();
    assert_eq!(told(&play), ["ns/wf/wf claims ns/Mutex/m of ns"]);
    play.end_pod("wf", "Failed");
    assert_eq!(told(&play), ["ns/wf/wf leaves ns"]);
}

#[test]
fn a_new_owner_claims_what_nodes_have_before_it_asks_for_others() {
    // The one with the later name has the lock.
    let step = |name: &str| json!({"name": name, "template": "locked"});
    let mut locked = pod(mutex());
    locked["name"] = json!("locked");
    let spec =
        json!({"entrypoint": "main", "templates": [{"name": "main", "steps": [[step("a"), step("b")]]}, locked]});
    let mut play = Play::of(spec);
    let holders: Vec<String> = play
        .last
        .iter()
        .filter_map(|command| match command {
            Command::WantLocks { want, .. } => Some(want.holder.clone()),
            _ => None,
        })
        .collect();
    let (first, second) = (holders.iter().min().expect("two"), holders.iter().max().expect("two"));
    let asked = since(&play, second);
    answer(&mut play, "ns", second, asked, LockAnswer::Granted);
    play.restart();
    assert_eq!(told(&play), [format!("{second} claims {LOCK} of ns"), format!("{first} wants {LOCK} of ns")]);
}

#[test]
fn a_workflow_waits_for_its_own_locks_before_it_begins() {
    let mut spec = one(json!({"name": "main", "suspend": {}}));
    spec["synchronization"] = mutex();
    let mut play = Play::of(spec.clone());
    assert_eq!((play.phase().as_str(), told(&play)), ("Pending", vec!["ns/wf wants ns/Mutex/m of ns".to_owned()]));
    let asked = since(&play, "ns/wf");
    answer(&mut play, "ns", "ns/wf", asked, waiting(LOCK, "ns/other"));
    assert_eq!(play.message(), "Waiting for ns/Mutex/m lock. Lock status: 0/1");
    assert!(play.engine.object().status.started_at.is_none());
    assert_eq!(play.engine.reasons()[0].text, "it waits for the lock `ns/Mutex/m`, which these have: ns/other");
    play.restart();
    let asked = since(&play, "ns/wf");
    answer(&mut play, "ns", "ns/wf", asked, LockAnswer::Granted);
    assert_eq!((play.phase().as_str(), play.message()), ("Running", ""));
    assert!(play.node("wf").is_some());
    play.restart();
    assert_eq!(told(&play), ["ns/wf claims ns/Mutex/m of ns"]);
    // Terminated while it waits, it ends without a node.
    let mut play = Play::of(spec.clone());
    spec["shutdown"] = json!("Terminate");
    play.feed(changed(object(spec), false));
    assert_eq!((play.phase().as_str(), play.message()), ("Failed", "Stopped with strategy 'Terminate'"));
    assert!(play.engine.object().status.nodes.is_empty() && status(&play).is_null());
    assert_eq!(told(&play), ["ns/wf leaves ns"]);
}

#[test]
fn locks_of_several_namespaces_are_asked_for_one_namespace_after_the_other() {
    let several = json!({"mutexes": [{"name": "z"}, {"name": "b", "namespace": "a"}],
        "semaphores": [{"configMapKeyRef": {"name": "c", "key": "k"}}]});
    let mut play = Play::of(one(pod(several)));
    assert_eq!(told(&play), ["ns/wf/wf wants a/Mutex/b of a"]);
    let asked = since(&play, NODE);
    answer(&mut play, "a", NODE, asked, LockAnswer::Granted);
    assert_eq!(told(&play), ["ns/wf/wf wants ns/ConfigMap/c/k and ns/Mutex/z of ns"]);
    play.restart();
    let both = ["ns/wf/wf claims a/Mutex/b of a", "ns/wf/wf wants ns/ConfigMap/c/k and ns/Mutex/z of ns"];
    assert_eq!(told(&play), both);
    let asked = play.last.iter().find_map(|command| match command {
        Command::WantLocks { namespace, want } if namespace == "ns" => Some(want.since),
        _ => None,
    });
    let message = "failed to initialize semaphore ns/ConfigMap/c/k with limit".to_owned();
    answer(&mut play, "ns", NODE, asked.expect("it asks"), LockAnswer::Refused { message: message.clone() });
    assert_eq!(told(&play), ["ns/wf/wf leaves a"]);
    assert_eq!(play.phase(), "Error");
    assert_eq!(play.node("wf").map(|node| node.message.to_string()), Some(message));
}

#[test]
fn a_timeout_a_stop_and_a_deletion_end_the_waiting() {
    let waits = || {
        let mut template = pod(mutex());
        template["timeout"] = json!("20s");
        let mut play = Play::of(one(template));
        let asked = since(&play, NODE);
        answer(&mut play, "ns", NODE, asked, waiting(LOCK, "ns/other/n"));
        play
    };
    let mut play = waits();
    assert_eq!(play.timers.keys().collect::<Vec<_>>(), ["deadline/wf"]);
    play.now = at(20);
    play.feed(Observed::TimerFired { key: "deadline/wf".to_owned() });
    assert_eq!((play.phase().as_str(), play.message()), ("Failed", "timeout"));
    assert_eq!(told(&play), ["ns/wf/wf leaves ns"]);
    let mut play = waits();
    let mut stopped = play.engine.object().clone();
    stopped.spec.shutdown = "Stop".to_owned();
    play.feed(changed(stopped, false));
    assert_eq!(play.node("wf").map(|node| node.message.as_str()), Some("Stopped with strategy 'Stop'"));
    assert_eq!(told(&play), ["ns/wf/wf leaves ns"]);
    let mut play = waits();
    play.feed(Observed::WorkflowDeleted);
    assert_eq!(told(&play), ["ns/wf/wf leaves ns"]);
}

#[test]
fn who_waits_takes_no_place_and_takes_one_when_it_begins() {
    let items = json!({"name": "main", "dag": {"tasks": [
        {"name": "a", "template": "locked"}, {"name": "b", "template": "free"}, {"name": "c", "template": "free"}]}});
    let container = json!({"image": "i", "command": ["c"]});
    let spec = json!({"entrypoint": "main", "parallelism": 1, "templates": [items,
        {"name": "locked", "synchronization": mutex(), "container": container},
        {"name": "free", "container": container}]});
    let mut play = Play::of(spec);
    // Nothing runs yet, and b may; c waits for its place.
    assert_eq!(play.pods.len(), 1);
    let holder = "ns/wf/wf-2920353090";
    let asked = play.last.iter().find_map(|command| match command {
        Command::WantLocks { want, .. } => Some((want.holder.clone(), want.since)),
        _ => None,
    });
    let (found, asked) = asked.expect("a asks");
    assert!(found.starts_with("ns/wf/wf-"), "{found} is not like {holder}");
    answer(&mut play, "ns", &found, asked, waiting(LOCK, "ns/other/n"));
    assert_eq!(play.pods.len(), 1);
    answer(&mut play, "ns", &found, asked, LockAnswer::Granted);
    assert_eq!(play.pods.len(), 1, "there is no room yet");
    play.end_pod("wf.b", "Succeeded");
    play.end_pod("wf.c", "Succeeded");
    assert_eq!(play.pods.len(), 3);
    play.end_pod("wf.a", "Succeeded");
    assert_eq!(play.phase(), "Succeeded");
}

#[test]
fn locks_that_cannot_be_had_say_why() {
    for (synchronization, problem) in [
        (json!({"mutexes": [{"name": "m", "database": true}]}), "locks in a database are not available yet"),
        (json!({"semaphores": [{"database": {"key": "k"}}]}), "locks in a database are not available yet"),
        (json!({"mutexes": [{"name": "m"}, {"name": "m"}]}), "requested configuration is invalid: duplicate"),
    ] {
        let play = Play::of(one(pod(synchronization.clone())));
        assert_eq!(play.phase(), "Error", "{synchronization}");
        let message = play.node("wf").map(|node| node.message.to_string()).unwrap_or_default();
        assert!(message.starts_with(problem), "{message}");
        let mut spec = one(json!({"name": "main", "suspend": {}}));
        spec["synchronization"] = synchronization;
        let play = Play::of(spec);
        assert_eq!(play.phase(), "Failed");
        let own = format!("Failed to acquire the synchronization lock. {problem}");
        assert!(play.message().starts_with(&own), "{}", play.message());
    }
}

#[test]
fn a_grant_from_before_a_retry_is_none() {
    let mut play = Play::of(one(pod(mutex())));
    let before = since(&play, NODE);
    answer(&mut play, "ns", NODE, before, LockAnswer::Granted);
    play.end_pod("wf", "Failed");
    let mut retried = play.engine.object().clone();
    retry::retry(&mut retried, &retry::Retry::default(), None, play.now).expect("it failed");
    play.feed(changed(retried, true));
    assert_eq!(told(&play), ["ns/wf/wf wants ns/Mutex/m of ns"]);
    let asked = since(&play, NODE);
    play.pods.clear();
    answer(&mut play, "ns", NODE, before, LockAnswer::Granted);
    assert!(play.pods.is_empty() && told(&play).is_empty());
    answer(&mut play, "ns", NODE, asked, LockAnswer::Granted);
    assert_eq!(play.pods.len(), 1);
}
