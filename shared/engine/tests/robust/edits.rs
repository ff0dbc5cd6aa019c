//! Edits come late, twice, out of order, or cannot be read.

use argosy_api::{
    labels,
    message::{Observed, StatusChanged},
    v1alpha1::{NodePhase, Workflow},
};
use argosy_engine::Command;
use serde_json::json;

use crate::play::{Next, Play, changed, object};

fn versioned(mut object: Workflow, generation: i64, version: &str) -> Workflow {
    object.metadata.generation = generation;
    object.metadata.resource_version = version.to_owned();
    object
}

/// Two pods, one at a time, with a deadline.
fn play() -> Play {
    let spec = json!({"entrypoint": "main", "parallelism": 1, "activeDeadlineSeconds": 900, "templates": [
        {"name": "main", "steps": [[{"name": "a", "template": "pod"}, {"name": "b", "template": "pod"}]]},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]});
    Play::new(versioned(object(spec), 1, "10"), Default::default())
}

#[test]
fn an_older_spec_never_follows_a_newer_one() {
    for (older, newer) in [((2, ""), (3, "")), ((0, "20"), (0, "30")), ((0, "9"), (0, "10")), ((2, "20"), (2, "30"))] {
        let mut play = play();
        let mut base = play.engine.object().clone();
        base.metadata.annotations.remove(labels::FOLLOWED);
        let mut suspended = versioned(base.clone(), older.0, older.1);
        suspended.spec.suspend = Some(true);
        let resumed = versioned(base.clone(), newer.0, newer.1);
        play.engine = argosy_engine::Workflow::new(play.config.clone(), versioned(base, 0, ""), play.sequence);
        _ = play.engine.resume(play.now);
        play.feed(changed(suspended.clone(), false));
        assert_eq!(play.engine.object().spec.suspend, Some(true));
        play.feed(changed(resumed, false));
        play.feed(changed(suspended.clone(), false));
        assert_eq!(play.engine.object().spec.suspend, None, "{older:?} after {newer:?}");
        // The object itself says which version was adopted: a new owner knows it as well.
        play.restart();
        play.feed(changed(suspended, false));
        assert_eq!(play.engine.object().spec.suspend, None, "{older:?} after {newer:?} and a restart");
        play.run();
        assert_eq!(play.phase(), "Succeeded");
    }
}

#[test]
fn what_came_before_an_edit_is_stepped_by_the_spec_of_then() {
    let mut play = play();
    let mut edited = versioned(play.engine.object().clone(), 2, "20");
    edited.spec.suspend = Some(true);
    // A new owner reads an object that was edited already; the log has the end of the pod first, and then the edit.
    play.engine = argosy_engine::Workflow::new(play.config.clone(), edited.clone(), play.sequence);
    let commands = play.engine.resume(play.now);
    play.carry_out(commands);
    play.end_pod("wf[0].a", "Succeeded");
    assert!(play.node("wf[0].b").is_some(), "it began before the edit");
    play.feed(changed(edited, false));
    play.end_pod("wf[0].b", "Succeeded");
    assert_eq!(play.engine.object().spec.suspend, Some(true));
}

/// The first owner published that it was suspended, and ended; what its successor reads says neither that nor that it ever was.
#[test]
fn an_edit_that_was_taken_back_is_adopted_again_by_a_new_owner() {
    let mut first = play();
    let before = first.engine.object().clone();
    let mut suspended = versioned(before.clone(), 2, "20");
    suspended.spec.suspend = Some(true);
    let resumed = versioned(before.clone(), 3, "30");
    let mut second = play();
    first.feed(changed(suspended.clone(), false));
    // Nothing of this was written when the second took it up, but the object is the edited one.
    second.engine = argosy_engine::Workflow::new(second.config.clone(), resumed.clone(), second.sequence);
    let commands = second.engine.resume(second.now);
    second.carry_out(commands);
    let published = second.events.len();
    second.feed(changed(suspended, false));
    assert_eq!(second.events.get(published), first.events.last(), "the same event says the same");
    second.feed(changed(resumed, false));
    let followed =
        |event: &StatusChanged| event.workflow_status.as_ref()?.annotations.get(labels::FOLLOWED).cloned()?;
    let last = second.events.last().and_then(followed).expect("it is told what it follows");
    assert!(!last.contains("suspend"), "{last}");
    second.end_pod("wf[0].a", "Succeeded");
    assert!(second.node("wf[0].b").is_some(), "it goes on");
}

#[test]
fn no_pod_is_wished_for_while_a_shutdown_is_about_to_come() {
    let mut play = play();
    let mut edited = versioned(play.engine.object().clone(), 2, "20");
    edited.spec.shutdown = "Terminate".into();
    play.engine = argosy_engine::Workflow::new(play.config.clone(), edited.clone(), play.sequence);
    let wishes = play.engine.resume(play.now);
    let kind = |command: &Command| match command {
        Command::Cluster { command, .. } => Some(command.kind()),
        _ => None,
    };
    assert_eq!(wishes.iter().filter_map(kind).collect::<Vec<_>>(), ["confirmPod"]);
    play.feed(changed(edited, false));
    assert_eq!(play.phase(), "Failed");
}

#[test]
fn an_edit_without_a_version_is_adopted() {
    let mut play = play();
    let mut edited = versioned(play.engine.object().clone(), 0, "not-a-number");
    edited.spec.parallelism = Some(2);
    play.feed(changed(edited, false));
    assert_eq!(play.pods.len(), 2);
}

#[test]
fn a_shutdown_that_the_object_has_is_carried_out_when_its_event_comes() {
    let mut play = play();
    let mut stopped = versioned(play.engine.object().clone(), 2, "20");
    stopped.spec.shutdown = "Terminate".into();
    // The status was written since, which counts as a change of the object.
    let written = versioned(stopped.clone(), 7, "70");
    play.engine = argosy_engine::Workflow::new(play.config.clone(), written, play.sequence);
    _ = play.engine.resume(play.now);
    play.feed(changed(stopped, false));
    play.run();
    assert_eq!(play.phase(), "Failed");
}

#[test]
fn a_retry_that_is_told_twice_is_one() {
    let mut play = play();
    play.end_pod("wf[0].a", "Failed");
    play.run();
    assert_eq!(play.phase(), "Failed");
    let mut retried = versioned(play.engine.object().clone(), 5, "50");
    let options = argosy_engine::ops::retry::Retry::default();
    argosy_engine::ops::retry::retry(&mut retried, &options, None, play.now).expect("retries");
    play.pods.clear();
    play.feed(changed(retried.clone(), true));
    play.run();
    assert_eq!(play.phase(), "Succeeded", "{}", play.message());
    play.feed(changed(retried, true));
    assert!(play.engine.is_completed(), "it ran again");
}

#[test]
fn an_object_that_cannot_be_read_lifts_no_limit() {
    let mut play = play();
    play.feed(Observed::WorkflowUnreadable { error: "spec.templates: not a list".into() });
    assert_eq!(play.pods.len(), 1, "parallelism still holds");
    assert!(play.timers.contains_key("workflow-deadline"));
    let conditions = &play.engine.object().status.conditions;
    let condition = conditions.iter().find(|c| c.r#type == "SpecError").expect("a condition");
    assert!(condition.message.contains("spec.templates: not a list"), "{}", condition.message);
    // It is mended.
    let mended = versioned(play.engine.object().clone(), 3, "30");
    play.feed(changed(mended, false));
    assert!(play.engine.object().status.conditions.iter().all(|c| c.r#type != "SpecError"));
    play.run();
    assert_eq!(play.phase(), "Succeeded");
}

#[test]
fn a_workflow_that_could_never_be_read_ends_with_error() {
    let mut play = play();
    play.engine = argosy_engine::Workflow::new(play.config.clone(), Workflow::default(), 0);
    play.sequence = 0;
    play.feed(Observed::WorkflowUnreadable { error: "no".into() });
    assert_eq!((play.phase().as_str(), play.message()), ("Error", "cannot read the workflow: no"));
}

#[test]
fn an_older_edit_of_nodes_ends_but_does_not_undo() {
    let mut play = Play::new(
        versioned(object(json!({"entrypoint": "w", "templates": [{"name": "w", "suspend": {}}]})), 1, "10"),
        Default::default(),
    );
    let set = |play: &Play, generation: i64, message: &str, phase: NodePhase| {
        let mut edited = versioned(play.engine.object().clone(), generation, "");
        for node in edited.status.nodes.values_mut() {
            node.message = message.into();
            node.phase = phase;
        }
        changed(edited, true)
    };
    play.feed(set(&play, 5, "new", NodePhase::Running));
    play.feed(set(&play, 4, "old", NodePhase::Running));
    assert_eq!(play.node("wf").map(|n| n.message.to_string()), Some("new".to_owned()));
    play.feed(set(&play, 4, "new", NodePhase::Succeeded));
    assert_eq!(play.phase(), "Succeeded");
}

#[test]
fn a_circle_of_nodes_in_an_edited_status_ends_nobody() {
    let mut play = play();
    let mut object = play.engine.object().clone();
    let ids: Vec<_> = object.status.nodes.keys().cloned().collect();
    for node in object.status.nodes.values_mut() {
        node.children = ids.clone();
        node.outbound_nodes = ids.clone();
    }
    play.engine = argosy_engine::Workflow::new(play.config.clone(), object, play.sequence);
    _ = play.engine.resume(play.now);
    play.run();
    assert!(play.engine.is_completed());
}

#[test]
fn a_workflow_of_a_template_that_was_suspended_before_it_began_is_resumed() {
    let template = json!({"metadata": {"name": "t"}, "spec": {"entrypoint": "main", "templates": [
        {"name": "main", "container": {"image": "i", "command": ["c"]}}]}});
    for resumed in [None, Some(false)] {
        for restarts in [false, true] {
            let spec = json!({"suspend": true, "workflowTemplateRef": {"name": "t"}});
            let mut play = Play::new(versioned(object(spec), 1, "10"), Default::default());
            play.happen(Next::Lookup, false, |_| Some(template.clone()));
            assert!(play.pods.is_empty(), "it is held");
            let mut edited = versioned(play.engine.object().clone(), 2, "20");
            edited.spec.suspend = resumed;
            if restarts {
                // The new owner finds the object edited, and the edit in the log.
                play.take_up(edited.clone());
            }
            play.feed(changed(edited, false));
            assert_eq!(play.pods.len(), 1, "{resumed:?}, restarts: {restarts}");
            // What is written is the sum of merge patches, so that what goes must be said.
            let status =
                &play.events.last().and_then(|event| event.workflow_status.as_ref()).expect("it changed").status;
            assert_eq!(status["storedWorkflowTemplateSpec"].get("suspend"), Some(&json!(resumed)));
            play.restart();
            play.run();
            assert_eq!(play.phase(), "Succeeded");
        }
    }
}
