//! Metrics: made once per crate, all in the process's default registry.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, TextEncoder,
};

/// A counter. Made twice under one name it counts for itself the second time, and is not shown.
pub fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help).expect("metric names are literals"))
}

/// Counters told apart by one label, whose values come from an enum.
pub fn counters(name: &str, help: &str, label: &str) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), &[label]).expect("metric names are literals"))
}

/// Counters under one of Argo's names, with Argo's labels, which may be names of objects: as many as there are of these.
pub fn counters_of_argo(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels).expect("metric names are literals"))
}

/// A value that goes up and down.
pub fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help).expect("metric names are literals"))
}

/// Values that go up and down, told apart by one label, whose values come from an enum or a fixed set.
pub fn gauges(name: &str, help: &str, label: &str) -> IntGaugeVec {
    registered(IntGaugeVec::new(Opts::new(name, help), &[label]).expect("metric names are literals"))
}

/// A distribution of seconds, from 0.5 ms to 16 s.
pub fn seconds(name: &str, help: &str) -> Histogram {
    let buckets = prometheus::exponential_buckets(0.0005, 2.0, 16).expect("the bounds are literals");
    registered(
        Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)).expect("metric names are literals"),
    )
}

/// Metrics whose names are not known beforehand.
pub trait Source: Send + Sync {
    /// All of them, in Prometheus' text format.
    fn text(&self) -> String;
}

/// What is shown besides the metrics of crates.
static SOURCES: Mutex<Vec<Weak<dyn Source>>> = Mutex::new(Vec::new());

/// From now on the source's metrics are shown as long as it lives.
pub fn show(source: &Arc<dyn Source>) {
    let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
    sources.retain(|known| known.strong_count() > 0);
    sources.push(Arc::downgrade(source));
}

/// Everything, in Prometheus' text format.
pub fn text() -> String {
    let sources: Vec<_> =
        SOURCES.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect();
    sources.iter().fold(registered_text(), |text, source| text + &source.text())
}

fn registered_text() -> String {
    let mut out = Vec::new();
    let families = prometheus::gather();
    match TextEncoder::new().encode(&families, &mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => format!("# encoding failed: {error}\n"),
    }
}

fn registered<C: Collector + Clone + 'static>(collector: C) -> C {
    if let Err(error) = prometheus::register(Box::new(collector.clone())) {
        tracing::warn!(error = &error as &dyn std::error::Error, "metric not registered");
    }
    collector
}
