//! Pods that the API refuses for now.

use argosy_api::message::{ClusterCommand, NotCreated, Observed};
use argosy_engine::Command;
use serde_json::json;

use crate::play::{Play, at};

const PODS: usize = 1000;

/// A loop of pods, each of which was refused once.
fn refused() -> Play {
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[
            {"name": "a", "template": "pod", "withSequence": {"count": PODS.to_string()}},
            {"name": "other", "template": "pod"},
        ]]},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]}));
    let other = play.node("wf[0].other").expect("the other").id.clone();
    let nodes: Vec<_> = play.pods.values().map(|(node, _)| node.clone()).filter(|node| *node != *other).collect();
    assert_eq!(nodes.len(), PODS);
    nodes.iter().for_each(|node| refuse(&mut play, node));
    play
}

fn refuse(play: &mut Play, node: &str) {
    let reason = NotCreated::Refused { message: "exceeded quota".to_owned() };
    play.feed(Observed::PodNotCreated { node_id: node.to_owned(), reason });
}

/// The nodes that wished for a pod in the last step.
fn wishing(play: &Play) -> Vec<String> {
    let wish = |command: &Command| match command {
        Command::Cluster { node_id, command: ClusterCommand::CreatePod { .. } } => Some(node_id.to_string()),
        _ => None,
    };
    play.last.iter().filter_map(wish).collect()
}

/// The timer that is due first fires.
fn fire(play: &mut Play) -> bool {
    let first = play.timers.iter().min_by_key(|(_, due)| **due).map(|(key, due)| (key.clone(), *due));
    let Some((key, due)) = first else { return false };
    play.now = play.now.max(due);
    play.feed(Observed::TimerFired { key });
    true
}

#[test]
fn what_thousands_ask_of_the_api_does_not_grow_with_their_number() {
    let mut play = refused();
    let (mut wishes, until) = (0, at(200));
    while play.now < until && fire(&mut play) {
        for node in wishing(&play) {
            wishes += 1;
            refuse(&mut play, &node);
        }
    }
    assert!((200 * 15..200 * 25).contains(&wishes), "{wishes} wishes in 200 seconds");
    assert_eq!(play.timers.len(), PODS, "each of them still has a turn");
}

#[test]
fn where_there_is_room_again_all_begin_without_their_turns() {
    let mut play = refused();
    assert!(fire(&mut play));
    let mut wishing_now = wishing(&play);
    let mut begun = 0;
    while let Some(node) = wishing_now.pop() {
        begun += 1;
        let name = play.pods.iter().find(|(_, (of, _))| *of == node).map(|(name, _)| name.clone()).expect("a pod");
        play.happen(crate::play::Next::Pod(name), false, |_| None);
        wishing_now.extend(wishing(&play));
    }
    assert_eq!(begun, PODS);
    assert!(play.timers.is_empty());
}

#[test]
fn the_room_of_a_pod_that_ends_is_taken_at_once() {
    let mut play = refused();
    play.end_pod("wf[0].other", "Succeeded");
    assert_eq!(wishing(&play).len(), 1);
    assert_eq!(play.timers.len(), PODS - 1);
}
