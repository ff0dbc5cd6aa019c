//! Messages as each version of the program wrote them: every later version reads them, and loses nothing of what they say.
//! A sample is never changed; a new version of a message is a new file.

use argosy_api::message::{CommandMessage, ObservedMessage, StatusChanged};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

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
    ];
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
        "createObject",
        "saveCacheEntry",
        "deleteObject",
    ];
    kinds(&samples, &all);
}

#[test]
fn events_are_read_for_ever() {
    check::<StatusChanged>(include_str!("samples/event-v1.json"));
}
