//! Custom metrics of workflows and templates: what is to be counted because of an event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One value of one series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MetricSample {
    /// As the workflow says; shown with Argo's prefix.
    pub name: String,
    pub help: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    pub kind: MetricKind,
    pub value: f64,
    /// The value grows by a second each second from this moment on, until there is another one or the workflow has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// What the value does to the series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricKind {
    /// It is added.
    #[default]
    Counter,
    Gauge(GaugeOperation),
    /// It is one observation; upper bounds of the buckets, ascending.
    Histogram(Vec<f64>),
}

/// Argo's `gauge.operation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GaugeOperation {
    #[default]
    Set,
    Add,
    Sub,
}
