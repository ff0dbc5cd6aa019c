//! After a retry pods of before have the names of those of now.

use argosy_api::{
    labels,
    message::{ClusterCommand, Observed, PodSummary},
    v1alpha1::{self as api, NodePhase},
};
use argosy_engine::{Command, Config, ops::retry};
use serde_json::json;

use crate::play::{Play, changed, object, pod};

fn two_pods() -> Play {
    let spec = json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "a", "template": "pod"}, {"name": "b", "template": "pod"}]]},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]});
    Play::of(spec)
}

fn phase(play: &Play) -> NodePhase {
    play.node("wf[0].a").expect("a node").phase
}

/// The object of the workflow, which has failed, as a retry leaves it; its pods are gone.
fn retry_of(play: &mut Play) -> api::Workflow {
    assert_eq!(play.phase(), "Failed");
    let mut retried = play.engine.object().clone();
    (retried.metadata.generation, retried.metadata.resource_version) = (5, "50".into());
    retry::retry(&mut retried, &retry::Retry::default(), None, play.now).expect("retries");
    play.pods.clear();
    retried
}

/// The workflow is terminated, and ends.
fn terminate(play: &mut Play) {
    let mut stopped = play.engine.object().clone();
    (stopped.metadata.generation, stopped.metadata.resource_version) = (2, "20".into());
    stopped.spec.shutdown = "Terminate".into();
    play.feed(changed(stopped, false));
    play.run();
}

/// A workflow that failed with its first pod and is retried, and that pod, as it was wished for.
fn retried() -> (Play, api::Workflow, PodSummary) {
    let mut play = two_pods();
    let node = play.node("wf[0].a").expect("a node").id.to_string();
    let name = play.pods.iter().find(|(_, (of, _))| *of == node).map(|(name, _)| name.clone()).expect("a pod");
    let old = PodSummary { wished_at: play.sequence, ..pod(&node, &name, "Failed") };
    play.feed(Observed::PodChanged { pod: Box::new(PodSummary { phase: "Running".into(), ..old.clone() }) });
    play.feed(Observed::PodChanged { pod: Box::new(old.clone()) });
    play.run();
    let retried = retry_of(&mut play);
    (play, retried, old)
}

/// Late reports of the old pod, and of that there is none, tell nothing of the new one.
fn check_late_reports(play: &mut Play, old: &PodSummary) {
    let absent = PodSummary { deleted: true, uid: String::new(), phase: Default::default(), ..old.clone() };
    let late = [old.clone(), PodSummary { deleted: true, ..old.clone() }, absent];
    // What is wished for in the new life is wished for when the workflow has ended.
    let wished_at = play.sequence;
    let tell = |play: &mut Play| {
        for pod in &late {
            play.feed(Observed::PodChanged { pod: Box::new(pod.clone()) });
        }
    };
    tell(play);
    assert_eq!(phase(play), NodePhase::Pending);
    let (name, node) = (old.name.clone(), old.node_id.clone());
    let new = |phase: &str| PodSummary { uid: "new".into(), wished_at, ..pod(&node, &name, phase) };
    play.feed(Observed::PodChanged { pod: Box::new(new("Running")) });
    tell(play);
    assert_eq!(phase(play), NodePhase::Running);
    play.feed(Observed::PodChanged { pod: Box::new(new("Succeeded")) });
    play.run();
    assert_eq!(play.phase(), "Succeeded", "{}", play.message());
}

#[test]
fn a_late_report_of_the_pod_before_a_retry_is_not_taken_for_the_new_ones() {
    let (mut play, object, old) = retried();
    play.feed(changed(object, true));
    let wish = play.last.iter().find_map(|command| match command {
        Command::Cluster { command: ClusterCommand::CreatePod { not_before, .. }, .. } => Some(*not_before),
        _ => None,
    });
    assert!(wish.is_some_and(|not_before| not_before > old.wished_at), "{wish:?}");
    check_late_reports(&mut play, &old);
}

#[test]
fn a_new_owner_knows_reports_of_before_a_retry() {
    // The retry has been stepped, and also when its event is still ahead.
    for is_stepped in [true, false] {
        let (mut play, object, old) = retried();
        if is_stepped {
            play.feed(changed(object, true));
            play.restart();
        } else {
            play.take_up(object.clone());
            play.feed(changed(object, true));
        }
        check_late_reports(&mut play, &old);
    }
}

#[test]
fn an_end_that_is_written_in_another_workflow_does_not_count() {
    let mut object =
        object(json!({"entrypoint": "a", "templates": [{"name": "a", "container": {"image": "i", "command": ["c"]}}]}));
    object.metadata.annotations.insert(labels::ENDED_AT.to_owned(), "900:another".to_owned());
    let mut play = Play::new(object, Config::default());
    let (name, (node, _)) = play.pods.first_key_value().map(|(name, pod)| (name.clone(), pod.clone())).expect("a pod");
    let ended = PodSummary { wished_at: 1, ..pod(&node, &name, "Succeeded") };
    play.feed(Observed::PodChanged { pod: Box::new(ended) });
    assert_eq!(play.phase(), "Succeeded");
}

#[test]
fn a_new_owner_does_not_judge_a_retried_workflow_by_the_shutdown_of_before() {
    let mut play = two_pods();
    terminate(&mut play);
    let retried = retry_of(&mut play);
    // Nobody has stepped the retry when the new owner finds the object.
    play.take_up(retried.clone());
    play.feed(changed(retried, true));
    play.run();
    assert_eq!(play.phase(), "Succeeded", "{}", play.message());
}

#[test]
fn a_group_that_is_retried_has_its_steps_again() {
    for restarts in [false, true] {
        let spec = json!({"entrypoint": "main", "templates": [
            {"name": "main", "steps": [[{"name": "a", "template": "pod"}]]},
            {"name": "pod", "container": {"image": "i", "command": ["c"]}},
        ]});
        let mut play = Play::of(spec);
        let children = |play: &Play| play.node("wf[0]").expect("a group").children.clone();
        let before = children(&play);
        terminate(&mut play);
        let retried = retry_of(&mut play);
        if restarts {
            play.take_up(retried.clone());
        }
        play.feed(changed(retried, true));
        play.run();
        assert_eq!(play.phase(), "Succeeded", "{}", play.message());
        assert_eq!((before.len(), children(&play)), (1, before), "restarts: {restarts}");
    }
}
