//! The values of custom metrics, and how they are shown. Source: Argo docs/metrics.md for names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use argosy_api::message::{GaugeOperation, MetricKind, MetricSample};
use jiff::Timestamp;

/// In front of every name.
const PREFIX: &str = "argo_workflows_";
/// Argo's count of workflows by phase, whole.
const TOTAL: &str = "argo_workflows_total_count";
/// Names of Argo's own, which no workflow may take.
const RESERVED: [&str; 33] = [
    "client_rate_limiter_latency",
    "cronworkflows_concurrencypolicy_triggered",
    "cronworkflows_triggered_total",
    "deprecated_feature",
    "error_count",
    "gauge",
    "is_leader",
    "k8s_request_duration",
    "k8s_request_total",
    "locks_held",
    "locks_pending",
    "locks_taken_total",
    "log_messages",
    "operation_duration_seconds",
    "pod_missing",
    "pod_pending_count",
    "pod_restarts_total",
    "pods_gauge",
    "pods_total_count",
    "queue_adds_count",
    "queue_depth_gauge",
    "queue_duration",
    "queue_latency",
    "queue_longest_running",
    "queue_retries",
    "queue_unfinished_work",
    "resource_rate_limiter_latency",
    "total_count",
    "version",
    "workers_busy_count",
    "workflow_condition",
    "workflowtemplate_runtime",
    "workflowtemplate_triggered_total",
];

/// Why a value is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Prometheus does not take the name, or a label's.
    Name,
    /// Argo has a metric of that name.
    Reserved,
    /// The name is that of a metric of another kind, or with other buckets.
    Kind,
    /// There are as many series as there may be.
    TooMany,
}

impl Refused {
    pub fn reason(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Reserved => "reserved",
            Self::Kind => "kind",
            Self::TooMany => "too-many",
        }
    }
}

type Labels = BTreeMap<String, String>;

#[derive(Debug)]
enum Value {
    Number(f64),
    /// It grows since then, and is of this workflow.
    Live(Timestamp, String),
    /// How many observations are in each bucket, those beyond the last bound at the end; and the sum of all.
    Buckets(Vec<u64>, f64),
}

#[derive(Debug)]
struct Family {
    help: String,
    kind: MetricKind,
    series: BTreeMap<Labels, Value>,
}

/// All series.
#[derive(Debug)]
pub(crate) struct Tally {
    families: BTreeMap<String, Family>,
    /// Series that grow, by the workflow that they are of.
    live: BTreeMap<String, BTreeSet<(String, Labels)>>,
    count: usize,
    count_max: usize,
}

impl Tally {
    pub fn new(count_max: usize) -> Self {
        Self { families: BTreeMap::new(), live: BTreeMap::new(), count: 0, count_max }
    }

    /// Counts what a workflow measured.
    pub fn add(&mut self, sample: MetricSample, workflow_uid: &str) -> Result<(), Refused> {
        if RESERVED.contains(&sample.name.as_str()) {
            return Err(Refused::Reserved);
        }
        self.count(sample, workflow_uid)
    }

    /// Workflows that came to a phase. Source: Argo `total_count`.
    pub fn add_phase(&mut self, phase: &str, namespace: &str) {
        let labels = [("phase", phase), ("namespace", namespace)];
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let help = "Workflows that came to a phase".to_owned();
        let sample = MetricSample {
            name: TOTAL.trim_start_matches(PREFIX).to_owned(),
            help,
            labels,
            value: 1.0,
            ..MetricSample::default()
        };
        // Phases are few; namespaces count as all other labels do.
        if let Err(refused) = self.count(sample, "") {
            crate::metrics::NOT_MEASURED.with_label_values(&[refused.reason()]).inc();
        }
    }

    fn count(&mut self, sample: MetricSample, workflow_uid: &str) -> Result<(), Refused> {
        let MetricSample { name, help, labels, kind, value, since } = sample;
        if !is_word(&name) || !labels.keys().all(|key| is_word(key) && !key.starts_with("__") && key != "le") {
            return Err(Refused::Name);
        }
        let is_known = self.families.get(&name).is_some_and(|family| family.series.contains_key(&labels));
        if !is_known && self.count >= self.count_max {
            return Err(Refused::TooMany);
        }
        let new = || Family { help, kind: kind.clone(), series: BTreeMap::new() };
        let family = self.families.entry(name.clone()).or_insert_with(new);
        let is_same = match (&family.kind, &kind) {
            (MetricKind::Gauge(_), MetricKind::Gauge(_)) => true,
            (known, kind) => known == kind,
        };
        if !is_same {
            return Err(Refused::Kind);
        }
        self.count += usize::from(!is_known);
        let first = || match &kind {
            MetricKind::Histogram(bounds) => Value::Buckets(vec![0; bounds.len() + 1], 0.0),
            MetricKind::Counter | MetricKind::Gauge(_) => Value::Number(0.0),
        };
        let known = family.series.entry(labels.clone()).or_insert_with(first);
        if let Value::Live(_, uid) = known {
            let series = (name.clone(), labels.clone());
            if let Some(of_workflow) = self.live.get_mut(uid.as_str()) {
                of_workflow.remove(&series);
            }
        }
        if let Some(since) = since {
            *known = Value::Live(since, workflow_uid.to_owned());
            self.live.entry(workflow_uid.to_owned()).or_default().insert((name, labels));
            return Ok(());
        }
        match (&kind, &mut *known) {
            (MetricKind::Histogram(bounds), Value::Buckets(counts, sum)) => {
                let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
                if let Some(count) = counts.get_mut(bucket) {
                    *count += 1;
                }
                *sum += value;
            }
            (MetricKind::Counter | MetricKind::Gauge(GaugeOperation::Add), Value::Number(number)) => *number += value,
            (MetricKind::Gauge(GaugeOperation::Sub), Value::Number(number)) => *number -= value,
            (_, known) => *known = Value::Number(value),
        }
        Ok(())
    }

    /// The workflow has ended at this moment: nothing of it grows any more.
    pub fn finish(&mut self, workflow_uid: &str, at: Timestamp) {
        for (name, labels) in self.live.remove(workflow_uid).unwrap_or_default() {
            let value = self.families.get_mut(&name).and_then(|family| family.series.get_mut(&labels));
            if let Some(value) = value
                && let Value::Live(since, _) = value
            {
                *value = Value::Number(seconds(*since, at));
            }
        }
    }

    /// In Prometheus' text format.
    pub fn text(&self, now: Timestamp) -> String {
        let mut out = String::new();
        for (name, family) in &self.families {
            let kind = match &family.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge(_) => "gauge",
                MetricKind::Histogram(_) => "histogram",
            };
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            _ = writeln!(out, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
            for (labels, value) in &family.series {
                match value {
                    Value::Number(number) => line(&mut out, name, labels, None, *number),
                    Value::Live(since, _) => line(&mut out, name, labels, None, seconds(*since, now)),
                    Value::Buckets(counts, sum) => {
                        let MetricKind::Histogram(bounds) = &family.kind else { continue };
                        let bounds = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                        let mut count = 0;
                        for (bound, more) in bounds.zip(counts) {
                            count += more;
                            line(&mut out, &format!("{name}_bucket"), labels, Some(&bound), count as f64);
                        }
                        line(&mut out, &format!("{name}_sum"), labels, None, *sum);
                        line(&mut out, &format!("{name}_count"), labels, None, count as f64);
                    }
                }
            }
        }
        out
    }
}

fn line(out: &mut String, name: &str, labels: &Labels, bound: Option<&str>, value: f64) {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut all: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
    all.extend(bound.map(|bound| format!("le=\"{bound}\"")));
    let all = if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) };
    _ = writeln!(out, "{PREFIX}{name}{all} {value}");
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.bytes().all(is_part) && !text.as_bytes()[0].is_ascii_digit()
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, label: &str, kind: MetricKind, value: f64) -> MetricSample {
        let labels = BTreeMap::from([("l".to_owned(), label.to_owned())]);
        MetricSample { name: name.to_owned(), help: "a\nb".to_owned(), labels, kind, value, since: None }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a moment")
    }

    #[test]
    fn each_kind_is_counted_and_shown() {
        let mut tally = Tally::new(100);
        let mut add = |name: &str, label: &str, kind: MetricKind, value: f64| {
            tally.add(sample(name, label, kind, value), "u").expect("counted");
        };
        add("c", "x\"\\", MetricKind::Counter, 2.0);
        add("c", "x\"\\", MetricKind::Counter, 0.5);
        for (operation, value) in [(GaugeOperation::Set, 7.0), (GaugeOperation::Add, 2.0), (GaugeOperation::Sub, 4.0)] {
            add("g", "x", MetricKind::Gauge(operation), value);
        }
        for value in [0.5, 1.0, 3.0] {
            add("h", "x", MetricKind::Histogram(vec![1.0, 2.0]), value);
        }
        tally.add_phase("Running", "ns");
        let expected = r#"# HELP argo_workflows_c a\nb
# TYPE argo_workflows_c counter
argo_workflows_c{l="x\"\\"} 2.5
# HELP argo_workflows_g a\nb
# TYPE argo_workflows_g gauge
argo_workflows_g{l="x"} 5
# HELP argo_workflows_h a\nb
# TYPE argo_workflows_h histogram
argo_workflows_h_bucket{l="x",le="1"} 2
argo_workflows_h_bucket{l="x",le="2"} 2
argo_workflows_h_bucket{l="x",le="+Inf"} 3
argo_workflows_h_sum{l="x"} 4.5
argo_workflows_h_count{l="x"} 3
# HELP argo_workflows_total_count Workflows that came to a phase
# TYPE argo_workflows_total_count counter
argo_workflows_total_count{namespace="ns",phase="Running"} 1
"#;
        assert_eq!(tally.text(at(0)), expected);
    }

    #[test]
    fn what_grows_does_so_until_there_is_a_value_or_the_workflow_has_ended() {
        let mut tally = Tally::new(100);
        for (label, uid) in [("a", "u"), ("b", "u"), ("c", "v")] {
            let live = sample("g", label, MetricKind::Gauge(GaugeOperation::Set), 0.0);
            tally.add(MetricSample { since: Some(at(10)), ..live }, uid).expect("counted");
        }
        tally.add(sample("g", "a", MetricKind::Gauge(GaugeOperation::Set), 3.0), "u").expect("counted");
        tally.finish("u", at(15));
        let text = tally.text(at(30));
        let values: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("argo_workflows_g")).collect();
        assert_eq!(values, [r#"{l="a"} 3"#, r#"{l="b"} 5"#, r#"{l="c"} 20"#]);
        assert_eq!(tally.live.keys().collect::<Vec<_>>(), ["v"]);
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let mut tally = Tally::new(2);
        assert_eq!(tally.add(sample("c", "a", MetricKind::Counter, 1.0), "u"), Ok(()));
        assert_eq!(tally.add(sample("c", "b", MetricKind::Counter, 1.0), "u"), Ok(()));
        assert_eq!(tally.add(sample("c", "c", MetricKind::Counter, 1.0), "u"), Err(Refused::TooMany));
        assert_eq!(tally.add(sample("c", "b", MetricKind::Counter, 1.0), "u"), Ok(()));
        let gauge = MetricKind::Gauge(GaugeOperation::Set);
        assert_eq!(tally.add(sample("c", "a", gauge.clone(), 1.0), "u"), Err(Refused::Kind));
        assert_eq!(tally.add(sample("total_count", "a", gauge.clone(), 1.0), "u"), Err(Refused::Reserved));
        assert_eq!(tally.add(sample("a b", "a", gauge, 1.0), "u"), Err(Refused::Name));
    }
}
