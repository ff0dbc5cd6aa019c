//! Custom metrics: what is told to be counted, when, and that it is told once.

use argosy_api::message::{GaugeOperation, MetricKind, MetricSample, Observed};
use serde_json::{Value, json};

use crate::play::{Play, at, pod};

/// All that was told so far, as name, labels and value; what grows as the second since which it does.
fn told(play: &Play) -> Vec<(String, String, f64)> {
    let sample = |sample: &MetricSample| {
        let labels: Vec<_> = sample.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let since = sample.since.map(|since| since.duration_since(at(0)).as_secs_f64());
        (sample.name.clone(), labels.join(","), since.unwrap_or(sample.value))
    };
    play.events.iter().flat_map(|event| &event.metrics).map(sample).collect()
}

fn metric(name: &str, of: Value) -> Value {
    let mut metric = json!({"name": name, "help": "help"});
    for (key, value) in of.as_object().expect("a map") {
        metric[key] = value.clone();
    }
    metric
}

fn row(name: &str, labels: &str, value: f64) -> (String, String, f64) {
    (name.to_owned(), labels.to_owned(), value)
}

fn error(play: &Play) -> String {
    let conditions = &play.engine.object().status.conditions;
    conditions.iter().find(|c| c.r#type == "MetricsError").map(|c| c.message.to_string()).unwrap_or_default()
}

#[test]
fn a_node_and_its_workflow_tell_their_metrics_once() {
    let labels = |key: &str, value: &str| json!([{"key": key, "value": value}]);
    let own = json!({"prometheus": [
        metric("ends", json!({"labels": labels("how", "{{status}} {{inputs.parameters.p}} {{exitCode}}"), "counter": {"value": "1"}})),
        metric("result", json!({"gauge": {"value": "{{outputs.result}}", "operation": "Add"}, "when": "{{status}} == Succeeded"})),
        metric("failures", json!({"counter": {"value": "1"}, "when": "{{status}} == Failed"})),
        metric("spread", json!({"histogram": {"value": "{{duration}}", "buckets": [5, "2.5", 5]}})),
        metric("now", json!({"gauge": {"value": "{{duration}}", "realtime": true}})),
    ]});
    let whole = json!({"prometheus": [
        metric("whole", json!({"labels": labels("how", "{{workflow.status}} {{workflow.name}}"), "gauge": {"value": "{{workflow.duration}}"}})),
        metric("alive", json!({"gauge": {"value": "{{workflow.duration}}", "realtime": true}})),
    ]});
    let mut play = Play::of(json!({"entrypoint": "main", "metrics": whole, "templates": [
        {"name": "main", "steps": [[{"name": "a", "template": "t", "arguments": {"parameters": [{"name": "p", "value": "v"}]}}]]},
        {"name": "t", "inputs": {"parameters": [{"name": "p"}]}, "metrics": own, "container": {"image": "i", "command": ["c"]}},
    ]}));
    assert_eq!(told(&play), [row("alive", "", 0.0), row("now", "", 0.0)]);
    play.restart();
    assert_eq!(told(&play).len(), 2, "whoever takes it up tells nothing anew");
    play.now = at(3);
    let (id, name) = {
        let id = play.node("wf[0].a").expect("a").id.to_string();
        (id, play.pods.keys().next().cloned().expect("a pod"))
    };
    let mut report = pod(&id, &name, "Succeeded");
    report.outputs = Some(serde_json::from_value(json!({"result": "12", "exitCode": "0"})).expect("outputs"));
    play.feed(Observed::PodChanged { pod: Box::new(report.clone()) });
    play.feed(Observed::PodChanged { pod: Box::new(report) });
    assert_eq!((play.phase().as_str(), error(&play)), ("Succeeded", String::new()));
    let expected = [
        row("ends", "how=Succeeded v 0", 1.0),
        row("result", "", 12.0),
        row("spread", "", 3.0),
        row("now", "", 3.0),
        row("whole", "how=Succeeded wf", 3.0),
        row("alive", "", 3.0),
    ];
    assert_eq!(told(&play)[2..], expected);
    let kinds: Vec<_> = play.events.iter().flat_map(|e| &e.metrics).map(|s| s.kind.clone()).collect();
    assert_eq!(kinds[3], MetricKind::Gauge(GaugeOperation::Add));
    assert_eq!(kinds[4], MetricKind::Histogram(vec![2.5, 5.0]));
}

#[test]
fn each_attempt_counts_and_the_last_one_as_the_node() {
    let metrics = json!({"prometheus": [
        metric("runs", json!({"labels": [{"key": "code", "value": "{{exitCode}}"}], "counter": {"value": "1"}}))]});
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "retryStrategy": {"limit": 2}, "metrics": metrics, "container": {"image": "i", "command": ["c"]}},
    ]}));
    play.end_pod("wf(0)", "Failed");
    play.end_pod("wf(1)", "Failed");
    play.end_pod("wf(2)", "Succeeded");
    assert_eq!(play.phase(), "Succeeded");
    let codes: Vec<_> = told(&play).into_iter().map(|(_, labels, _)| labels).collect();
    assert_eq!(codes, ["code=1", "code=1", "code=0"], "{}", error(&play));
}

#[test]
fn what_cannot_be_measured_is_said_and_harms_nothing() {
    let cases = [
        (
            json!({"counter": {"value": "{{outputs.parameters.none}}"}}),
            "unable to substitute parameters for metric 'm'",
        ),
        (json!({"counter": {"value": "many"}}), "could not construct metric 'm': strconv.ParseFloat: parsing \"many\""),
        (json!({"counter": {"value": "-1"}}), "a counter cannot be added -1"),
        (json!({"counter": {"value": "1"}, "when": "{{status}} =="}), "unable to compute 'when' clause for metric 'm'"),
        (
            json!({"gauge": {"value": "{{status}}", "realtime": true}}),
            "'status' is not available as a real time metric",
        ),
        (
            json!({"gauge": {"value": "1", "realtime": true}}),
            "real time metrics can only be used with metric variables",
        ),
        (json!({"gauge": {"value": "1", "operation": "Mul"}}), "unsupported gauge operation: Mul"),
        (json!({"counter": {"value": "1"}, "labels": [{"key": "k", "value": "x".repeat(2000)}]}), "of 1024 at most"),
    ];
    for (of, expected) in cases {
        let mut play = Play::of(json!({"entrypoint": "main", "templates": [
            {"name": "main", "metrics": {"prometheus": [metric("m", of), metric("good", json!({"counter": {"value": "1"}}))]},
                "container": {"image": "i", "command": ["c"]}},
        ]}));
        play.run();
        assert_eq!(play.phase(), "Succeeded", "{expected}");
        assert!(error(&play).contains(expected), "{expected}: {}", error(&play));
        assert_eq!(told(&play), [row("good", "", 1.0)], "{expected}");
    }
}
