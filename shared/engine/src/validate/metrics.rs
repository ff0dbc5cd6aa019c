//! Metrics of workflows and templates.

use argosy_api::v1alpha1::Metrics;

fn is_word(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What is wrong with `metrics`; `place` is `templates.t` or `spec`.
pub(super) fn check(place: &str, metrics: Option<&Metrics>) -> Vec<String> {
    let mut problems = Vec::new();
    for metric in metrics.iter().flat_map(|m| &m.prometheus) {
        let name = &metric.name;
        if !is_word(name) {
            problems.push(format!(
                "{place} metric name '{name}' is invalid. Metric names must contain alphanumeric characters or '_'"
            ));
        }
        if metric.help.is_empty() {
            problems.push(format!("{place} metric '{name}' must contain a help string under 'help: ' field"));
        }
        for label in metric.labels.iter().filter(|l| !is_word(&l.key)) {
            problems.push(format!(
                "metric label '{}' is invalid: keys may only contain alphanumeric characters or '_'",
                label.key
            ));
        }
        let mut wrong = |text: &str| problems.push(format!("{place} metric '{name}' error: {text}"));
        let kinds = usize::from(metric.gauge.is_some())
            + usize::from(metric.counter.is_some())
            + usize::from(metric.histogram.is_some());
        if kinds != 1 {
            wrong("must have one and only one of gauge, counter or histogram");
        }
        if let Some(gauge) = &metric.gauge {
            if gauge.value.is_empty() {
                wrong("missing gauge.value");
            } else if gauge.realtime == Some(true) && gauge.value.contains("resourcesDuration.") {
                wrong("'resourcesDuration.*' metrics cannot be used in real-time");
            }
        }
        if metric.counter.as_ref().is_some_and(|c| c.value.is_empty()) {
            wrong("missing counter.value");
        }
        if metric.histogram.as_ref().is_some_and(|h| h.value.is_empty()) {
            wrong("missing histogram.value");
        }
    }
    problems
}
