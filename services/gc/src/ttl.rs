//! When a workflow expires, by its whole object. What is noted on it as it ends is what the engine decides by the same rule;
//! this is for those that ended under another controller, and for edits after the end.
//! Source: Argo `workflow/gccontroller`, `Workflow.GetTTLStrategy`.

use argosy_api::v1alpha1::TTLStrategy;
use jiff::{SignedDuration, Timestamp};
use kube::api::DynamicObject;
use serde_json::Value;

/// When the workflow expires; `None` when it does not, or has not ended. Members of the wrong shape count as absent.
/// `default` is that of the configuration.
pub(crate) fn expiry(object: &DynamicObject, default: Option<&TTLStrategy>) -> Option<Timestamp> {
    let text = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_str);
    let ended: Timestamp = text("/status/finishedAt")?.parse().ok()?;
    let of = |pointer: &str| -> Option<TTLStrategy> {
        serde_json::from_value(object.data.pointer(pointer).filter(|value| value.is_object())?.clone()).ok()
    };
    let own = of("/spec/ttlStrategy").or_else(|| of("/status/storedWorkflowTemplateSpec/ttlStrategy"));
    let ttl = own.or_else(|| default.cloned())?;
    let seconds = match text("/status/phase")? {
        "Failed" => ttl.seconds_after_failure,
        "Succeeded" => ttl.seconds_after_success,
        "Error" => None,
        _ => return None,
    };
    let seconds = seconds.or(ttl.seconds_after_completion)?;
    ended.checked_add(SignedDuration::from_secs(seconds.into())).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seconds(phase: &str, ttl: Value, stored: Value, default: Option<&TTLStrategy>) -> Option<i64> {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"},
            "spec": {"ttlStrategy": ttl},
            "status": {"phase": phase, "finishedAt": "1970-01-01T00:00:00Z", "storedWorkflowTemplateSpec": stored},
        });
        expiry(&serde_json::from_value(object).expect("an object"), default).map(|at| at.as_second())
    }

    #[test]
    fn the_first_that_applies_counts() {
        let ttl = json!({"secondsAfterCompletion": 1, "secondsAfterSuccess": 2, "secondsAfterFailure": 3});
        let own = |phase: &str, ttl: &Value| seconds(phase, ttl.clone(), Value::Null, None);
        assert_eq!(own("Succeeded", &ttl), Some(2));
        assert_eq!(own("Failed", &ttl), Some(3));
        assert_eq!(own("Error", &ttl), Some(1), "an error is no failure");
        assert_eq!(own("Running", &ttl), None);
        assert_eq!(own("Failed", &json!({"secondsAfterCompletion": 0})), Some(0));
        assert_eq!(own("Failed", &json!({"secondsAfterSuccess": 2})), None);
        for odd in [Value::Null, json!("x"), json!([]), json!({"secondsAfterCompletion": "x"})] {
            assert_eq!(own("Failed", &odd), None, "{odd}");
        }
    }

    #[test]
    fn a_template_says_it_for_workflows_that_do_not_and_the_configuration_for_all() {
        let stored = json!({"ttlStrategy": {"secondsAfterCompletion": 5}});
        let default = TTLStrategy { seconds_after_completion: Some(9), ..TTLStrategy::default() };
        let own = json!({"secondsAfterCompletion": 1});
        assert_eq!(seconds("Succeeded", own, stored.clone(), Some(&default)), Some(1));
        assert_eq!(seconds("Succeeded", Value::Null, stored, Some(&default)), Some(5));
        assert_eq!(seconds("Succeeded", Value::Null, Value::Null, Some(&default)), Some(9));
    }
}
