//! Custom metrics of workflows and templates. Source: Argo docs/metrics.md, `computeMetrics`, `prepareMetricScope`.

use std::{borrow::Cow, collections::BTreeMap};

use argosy_api::{
    message::{GaugeOperation, MetricKind, MetricSample},
    v1alpha1::{Metrics, NodeStatus, Prometheus, Template, WorkflowPhase},
};
use argosy_template::{
    Scope,
    tags::{self, Layered, Options},
    when,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::Workflow;

/// Metrics of one template or workflow, and labels of one metric.
const METRICS_MAX: usize = 100;
const LABELS_MAX: usize = 20;
/// Bounds of a histogram.
const BUCKETS_MAX: usize = 100;
/// Bytes of a name, a help or the value of a label.
const TEXT_BYTES_MAX: usize = 1024;

/// What a metric may be about: variables, and a time that may not be over.
struct About {
    variables: BTreeMap<String, String>,
    /// What realtime metrics may name, when it began, and when it ended.
    realtime: (&'static str, Option<Timestamp>, Option<Timestamp>),
}

impl Workflow {
    /// The node has begun: its realtime metrics show.
    pub(crate) fn measure_begin(&mut self, node_id: &str, template: &Template) {
        self.measure_node(node_id, template.metrics.as_deref(), true);
    }

    /// The node has ended. Attempts that are followed by another count for themselves, the last one as the retry's node.
    pub(crate) fn measure_end(&mut self, node_id: &str, template: &Template) {
        self.measure_node(node_id, template.metrics.as_deref(), false);
    }

    fn measure_node(&mut self, node_id: &str, metrics: Option<&Metrics>, is_begin: bool) {
        let Some(metrics) = metrics.filter(|metrics| !metrics.prometheus.is_empty()) else { return };
        let Some(about) = self.book.node(node_id).map(|node| self.about_node(node)) else { return };
        self.measure(metrics, &about, is_begin);
    }

    /// The workflow has begun: its realtime metrics show.
    pub(crate) fn measure_workflow_begin(&mut self) {
        let spec = self.plan.spec().clone();
        let Some(metrics) = &spec.metrics else { return };
        let started = self.book.status().started_at.map(|at| at.0);
        let variables = self.workflow_variables(self.clock.now(), WorkflowPhase::Running);
        self.measure(metrics, &About { variables, realtime: ("workflow.duration", started, None) }, true);
    }

    /// The workflow has ended in its order, with an entry node.
    pub(crate) fn measure_workflow_end(&mut self, phase: WorkflowPhase) {
        let spec = self.plan.spec().clone();
        let Some(metrics) = &spec.metrics else { return };
        let now = self.clock.now();
        let Some(mut about) = self.book.node(self.book.name()).map(|node| self.about_node(node)) else { return };
        about.variables.extend(self.workflow_variables(now, phase));
        let started = self.book.status().started_at.map(|at| at.0);
        about.realtime = ("workflow.duration", started, Some(now));
        self.measure(metrics, &about, false);
    }

    fn workflow_variables(&self, now: Timestamp, phase: WorkflowPhase) -> BTreeMap<String, String> {
        let started = self.book.status().started_at.map_or(now, |at| at.0);
        let duration = seconds_text(started, now);
        BTreeMap::from([("workflow.duration".to_owned(), duration), ("workflow.status".to_owned(), phase.to_string())])
    }

    fn about_node(&self, node: &NodeStatus) -> About {
        let now = self.clock.now();
        let (started, finished) = (node.started_at.map_or(now, |at| at.0), node.finished_at.map(|at| at.0));
        let mut variables = self.workflow_variables(now, WorkflowPhase::Running);
        // What the workflow came to only its own metrics know.
        variables.remove("workflow.status");
        let mut set = |name: String, value: String| _ = variables.insert(name, value);
        set("duration".to_owned(), seconds_text(started, finished.unwrap_or(now)));
        set("status".to_owned(), node.phase.to_string());
        for (resource, seconds) in &node.resources_duration {
            set(format!("resourcesDuration.{resource}"), seconds.to_string());
        }
        for parameter in node.inputs.iter().flat_map(|inputs| &inputs.parameters) {
            if let Some(value) = &parameter.value {
                set(format!("inputs.parameters.{}", parameter.name), value.to_string());
            }
        }
        if let Some(outputs) = &node.outputs {
            if let Some(code) = &outputs.exit_code {
                set("exitCode".to_owned(), code.to_string());
            }
            if let Some(result) = &outputs.result {
                set("outputs.result".to_owned(), result.to_string());
            }
            for parameter in &outputs.parameters {
                if let Some(value) = &parameter.value {
                    set(format!("outputs.parameters.{}", parameter.name), value.to_string());
                }
            }
        }
        About { variables, realtime: ("duration", Some(started), finished) }
    }

    fn measure(&mut self, metrics: &Metrics, about: &About, is_begin: bool) {
        let is_realtime = |metric: &Prometheus| metric.gauge.as_ref().is_some_and(|gauge| gauge.realtime == Some(true));
        let wanted = metrics.prometheus.iter().take(METRICS_MAX).filter(|metric| !is_begin || is_realtime(metric));
        let mut told = Vec::new();
        for metric in wanted {
            let scope = Layered::new([&about.variables as &dyn Scope, &self.globals]);
            told.push(sample(metric, about, &scope, is_realtime(metric)));
        }
        if metrics.prometheus.len() > METRICS_MAX && !is_begin {
            told.push(Err(format!("there are {} metrics, of {METRICS_MAX} at most", metrics.prometheus.len())));
        }
        for sample in told {
            match sample {
                Ok(Some(sample)) => self.book.sample(sample),
                Ok(None) => {}
                Err(error) => self.book.set_metrics_error(&error),
            }
        }
    }
}

/// The sample; none when the metric's condition does not hold. Texts of errors are Argo's where it has one.
fn sample(
    metric: &Prometheus,
    about: &About,
    scope: &Layered<'_>,
    is_realtime: bool,
) -> Result<Option<MetricSample>, String> {
    let name = &metric.name;
    if metric.help.is_empty() {
        return Err(format!("metric '{name}' must contain a help string under 'help: ' field"));
    }
    let render = |text: &str| -> Result<String, String> {
        let text = tags::render(text, scope, &Options { deep: true, ..Options::strict() })
            .map_err(|e| format!("unable to substitute parameters for metric '{name}': {e}"))?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("a text of metric '{name}' takes {} bytes, of {TEXT_BYTES_MAX} at most", text.len()));
        }
        Ok(text.into_owned())
    };
    if metric.labels.len() > LABELS_MAX {
        return Err(format!("metric '{name}' has {} labels, of {LABELS_MAX} at most", metric.labels.len()));
    }
    let condition = tags::render(&metric.when, scope, &Options { deep: true, ..Options::strict() })
        .map_err(|e| format!("unable to substitute parameters for metric '{name}': {e}"))?;
    let applies = condition.trim().is_empty()
        || when::evaluate_within(&condition, &scope.limits())
            .map_err(|e| format!("unable to compute 'when' clause for metric '{name}': {e}"))?;
    if !applies {
        return Ok(None);
    }
    let labels: Result<_, String> = metric.labels.iter().map(|l| Ok((l.key.clone(), render(&l.value)?))).collect();
    let mut sample =
        MetricSample { name: render(name)?, help: render(&metric.help)?, labels: labels?, ..MetricSample::default() };
    if is_realtime {
        let value = metric.gauge.as_ref().map_or("", |gauge| gauge.value.trim());
        let variable = value.strip_prefix("{{").and_then(|value| value.strip_suffix("}}")).map(str::trim);
        let Some(variable) = variable else {
            return Err("real time metrics can only be used with metric variables".to_owned());
        };
        let (known, started, ended) = about.realtime;
        let Some(started) = started.filter(|_| variable == known) else {
            return Err(format!("'{variable}' is not available as a real time metric"));
        };
        sample.kind = MetricKind::Gauge(GaugeOperation::Set);
        match ended {
            Some(ended) => sample.value = seconds(started, ended),
            None => sample.since = Some(started),
        }
        return Ok(Some(sample));
    }
    let wrong = |why: String| format!("could not construct metric '{name}': {why}");
    let (kind, value) = match (&metric.counter, &metric.gauge, &metric.histogram) {
        (Some(counter), None, None) => (MetricKind::Counter, &counter.value),
        (None, Some(gauge), None) => (MetricKind::Gauge(operation(&gauge.operation).map_err(wrong)?), &gauge.value),
        (None, None, Some(histogram)) => {
            (MetricKind::Histogram(bounds(&histogram.buckets).map_err(wrong)?), &histogram.value)
        }
        _ => return Err(wrong("must have one and only one of gauge, counter or histogram".to_owned())),
    };
    let text = render(value)?;
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    sample.value = number.ok_or_else(|| wrong(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")))?;
    if kind == MetricKind::Counter && sample.value < 0.0 {
        return Err(wrong(format!("a counter cannot be added {text}")));
    }
    sample.kind = kind;
    Ok(Some(sample))
}

fn operation(text: &str) -> Result<GaugeOperation, String> {
    match text {
        "" | "Set" => Ok(GaugeOperation::Set),
        "Add" => Ok(GaugeOperation::Add),
        "Sub" => Ok(GaugeOperation::Sub),
        other => Err(format!("unsupported gauge operation: {other}")),
    }
}

/// The bounds in their order, each once.
fn bounds(buckets: &[Value]) -> Result<Vec<f64>, String> {
    if buckets.len() > BUCKETS_MAX {
        return Err(format!("{} buckets, of {BUCKETS_MAX} at most", buckets.len()));
    }
    let bound = |value: &Value| {
        let text = value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
        text.parse::<f64>().ok().filter(|bound| bound.is_finite()).ok_or_else(|| format!("{text} is no bucket"))
    };
    let mut bounds = buckets.iter().map(bound).collect::<Result<Vec<_>, _>>()?;
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    Ok(bounds)
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// As Go writes `%f`.
fn seconds_text(from: Timestamp, to: Timestamp) -> String {
    format!("{:.6}", seconds(from, to))
}
