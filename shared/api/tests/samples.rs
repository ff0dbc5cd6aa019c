//! Messages as each version of the program wrote them: every later version reads them, and loses nothing of what they say.
//! A sample is never changed; a new version of a message is a new file.

use argosy_api::executor::{self, Part, Report, WRAPPER, environment, paths};
use argosy_api::labels;
use argosy_api::message::{CommandMessage, LockMessage, ObservedMessage, PodPhase, StatusChanged};
use argosy_api::v1alpha1::{WorkflowOwner, WorkflowTaskResult};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Reads each message, writes it again, and looks for all that the sample says.
fn check<T: Serialize + DeserializeOwned>(samples: &str) -> Vec<Value> {
    let samples: Vec<Value> = serde_json::from_str(samples).expect("samples are JSON");
    for sample in &samples {
        let message: T = serde_json::from_value(sample.clone()).unwrap_or_else(|error| panic!("{error}: {sample}"));
        let written = serde_json::to_value(&message).expect("messages are JSON");
        let lost = lost(sample, &written, "");
        assert_eq!(lost, Vec::<String>::new(), "{sample}\nbecame\n{written}");
    }
    samples
}

/// Members of the sample that are not in what was written, or are otherwise there.
fn lost(sample: &Value, written: &Value, at: &str) -> Vec<String> {
    match (sample, written) {
        (Value::Object(sample), Value::Object(written)) => sample
            .iter()
            .flat_map(|(name, value)| lost(value, written.get(name).unwrap_or(&Value::Null), &format!("{at}/{name}")))
            .collect(),
        _ if sample == written => Vec::new(),
        _ => vec![at.to_owned()],
    }
}

/// The kinds that the samples hold; `expected` are all that there are.
fn kinds(samples: &[Value], expected: &[&str]) {
    let mut kinds: Vec<&str> = samples.iter().filter_map(|sample| sample["kind"].as_str()).collect();
    kinds.dedup();
    assert_eq!(kinds, expected);
}

#[test]
fn observations_are_read_for_ever() {
    let samples = check::<ObservedMessage>(include_str!("samples/observed-v1.json"));
    let all = [
        "workflowChanged",
        "workflowReferenced",
        "workflowUnreadable",
        "workflowDeleted",
        "podChanged",
        "podRejected",
        "podNotCreated",
        "timerFired",
        "lookedUp",
        "locksAnswered",
    ];
    kinds(&samples, &all);
}

#[test]
fn facts_about_locks_are_read_for_ever() {
    let samples = check::<LockMessage>(include_str!("samples/locks-v1.json"));
    let all = ["wanted", "released", "limitsRead", "workflowGone", "holdersRead", "timerFired", "kept"];
    kinds(&samples, &all);
}

#[test]
fn commands_are_read_for_ever() {
    let samples = check::<CommandMessage>(include_str!("samples/command-v1.json"));
    let all = [
        "createPod",
        "confirmPod",
        "stopPod",
        "deletePod",
        "labelPodCompleted",
        "collectPod",
        "collectPods",
        "createObject",
        "saveCacheEntry",
        "deleteObject",
    ];
    kinds(&samples, &all);
}

#[test]
fn events_are_read_for_ever() {
    check::<StatusChanged>(include_str!("samples/event-v1.json"));
    check::<StatusChanged>(include_str!("samples/event-v1-metrics.json"));
}

/// The text of a newer Kubernetes must not make a report unreadable.
#[test]
fn phases_of_pods_are_read_as_kubernetes_writes_them() {
    for text in ["", "Pending", "Running", "Succeeded", "Failed", "Unknown"] {
        let phase: PodPhase = serde_json::from_value(json!(text)).expect("a phase");
        assert_eq!((json!(phase), PodPhase::from(text)), (json!(text), phase));
    }
    assert_eq!(
        serde_json::from_value::<PodPhase>(json!("Hibernating")).expect("a phase"),
        PodPhase::from("Hibernating")
    );
    assert_eq!(PodPhase::from("Hibernating"), PodPhase::Unknown);
}

#[test]
fn reports_of_the_executor_are_read_for_ever() {
    let samples = check::<Report>(include_str!("samples/report-v1.json"));
    for sample in samples {
        let report = Report::of_message(&sample.to_string()).expect("a report");
        let written: Value = serde_json::from_str(&report.to_message().expect("JSON")).expect("JSON");
        assert_eq!(written, sample, "nothing is added that an older version does not know");
    }
    for text in ["killed", "", "open /tmp/p: no such file or directory; ", "[1]", "7"] {
        assert_eq!(Report::of_message(text), None, "{text}");
    }
    check::<WorkflowTaskResult>(include_str!("samples/task-result-v1.json"));
}

/// A pod runs on while the services that made it are replaced, and its executor may be of another version than they are.
#[test]
fn what_pods_and_services_agree_on_stays() {
    let sample: Value = serde_json::from_str(include_str!("samples/pod-v1.json")).expect("a sample is JSON");
    let command = |part: Part| {
        let wrapper = if matches!(part, Part::Init | Part::Wait) { &[][..] } else { &WRAPPER };
        [wrapper, &part.words()].concat()
    };
    let ours = json!({
        "labels": {
            "workflow": labels::WORKFLOW,
            "workflowUid": labels::WORKFLOW_UID,
            "shard": labels::SHARD,
            "completed": labels::COMPLETED,
            "onExit": labels::ON_EXIT,
        },
        "annotations": {
            "nodeId": labels::NODE_ID,
            "nodeName": labels::NODE_NAME,
            "wishedAt": labels::WISHED_AT,
            "progress": labels::PROGRESS,
        },
        "owner": WorkflowOwner::controller("w", "u"),
        "containers": {"main": executor::MAIN, "wait": executor::WAIT, "init": executor::INIT},
        "commands": {
            "init": command(Part::Init),
            "wait": command(Part::Wait),
            "main": command(Part::Main),
            "resource": command(Part::Resource),
            "data": command(Part::Data),
        },
        "paths": {
            "executor": paths::EXECUTOR,
            "varRunArgo": paths::VAR_RUN_ARGO,
            "argoexec": paths::ARGOEXEC,
            "progress": paths::PROGRESS,
            "staging": paths::STAGING,
            "script": paths::SCRIPT,
            "inputs": paths::INPUTS,
            "secrets": paths::SECRETS,
            "mainFiles": paths::MAIN_FILES,
        },
        "environment": {
            "containerName": environment::CONTAINER_NAME,
            "nodeId": environment::NODE_ID,
            "workflowName": environment::WORKFLOW_NAME,
            "workflowUid": environment::WORKFLOW_UID,
            "podName": environment::POD_NAME,
            "podUid": environment::POD_UID,
            "includeScriptOutput": environment::INCLUDE_SCRIPT_OUTPUT,
            "progressFile": environment::PROGRESS_FILE,
            "progressTick": environment::PROGRESS_TICK,
            "deadline": environment::DEADLINE,
            "template": environment::TEMPLATE,
        },
    });
    assert_eq!(lost(&sample, &ours, ""), Vec::<String>::new());
}
