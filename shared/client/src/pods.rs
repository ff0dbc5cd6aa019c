//! The pods of a workflow and their logs.

use std::collections::HashMap;

use argosy_api::{
    ArcStr,
    executor::MAIN,
    labels,
    names::{PodNameVersion, pod_name},
    v1alpha1::{NodePhase, NodeType, Workflow},
};
use futures::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, Stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::LogParams};

use crate::{named, order::Order};

/// A pod of a workflow.
#[derive(Clone, Debug)]
pub struct PodOf {
    /// Its name.
    pub name: String,
    /// The id of its node.
    pub id: ArcStr,
    /// The node's display name.
    pub display: String,
    /// The names of the steps that lead to it.
    pub step: String,
    /// The node's phase.
    pub phase: NodePhase,
    /// When the node was started.
    pub started: Option<Timestamp>,
    /// The containers of a container set; none for a pod whose container is `main`.
    pub containers: Vec<String>,
}

/// One container's log.
#[derive(Clone, Debug)]
pub struct LogOf {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// What stands before its lines: the step's name, with the container's where there are several.
    pub prefix: String,
    /// No line is older.
    pub since: Option<Timestamp>,
}

impl PodOf {
    /// True once its containers may have said something.
    pub fn has_started(&self) -> bool {
        !matches!(self.phase, NodePhase::Pending | NodePhase::Unknown)
    }

    /// True when `text` is its name, or one of its node.
    pub fn is(&self, text: &str) -> bool {
        text == self.name || text == self.display || text == self.step
    }

    /// Its logs: that of `container`, else those of all containers with a node, else that of `main`.
    pub fn logs(&self, container: Option<&str>) -> Vec<LogOf> {
        let log = |container: &str, prefix: String| LogOf {
            pod: self.name.clone(),
            container: container.to_owned(),
            prefix,
            since: self.started,
        };
        match container {
            Some(container) => vec![log(container, self.step.clone())],
            None if self.containers.is_empty() => vec![log(MAIN, self.step.clone())],
            None => self.containers.iter().map(|name| log(name, format!("{}/{name}", self.step))).collect(),
        }
    }
}

/// The pods that `workflow` has or had, oldest first.
pub fn of(workflow: &Workflow) -> Vec<PodOf> {
    let v1 = workflow.metadata.annotations.get(labels::POD_NAME_FORMAT).is_some_and(|format| format == "v1");
    let version = if v1 { PodNameVersion::V1 } else { PodNameVersion::V2 };
    let mut nodes: Vec<_> = workflow.status.nodes.values().filter(|node| node.r#type == NodeType::Pod).collect();
    let order = Order::new(workflow);
    nodes.sort_by(|a, b| order.start(a).cmp(&order.start(b)));
    let mut containers: HashMap<&str, Vec<String>> = HashMap::new();
    for node in workflow.status.nodes.values().filter(|node| node.r#type == NodeType::Container) {
        containers.entry(&node.boundary_id).or_default().push(node.display_name.to_string());
    }
    let named = |node: &argosy_api::v1alpha1::NodeStatus| {
        let template = node.template_ref.as_ref().map_or(node.template_name.as_str(), |r| r.template.as_str());
        PodOf {
            name: pod_name(&workflow.metadata.name, &node.name, template, &node.id, version),
            id: node.id.clone(),
            display: node.display_name.to_string(),
            step: named::step(workflow, node),
            phase: node.phase,
            started: node.started_at.map(|at| at.0),
            containers: containers.get(node.id.as_str()).cloned().unwrap_or_default(),
        }
    };
    nodes.into_iter().map(named).collect()
}

/// What of a log is wanted.
#[derive(Clone, Debug, Default)]
pub struct LogRequest {
    /// Wait for more until the container ends.
    pub follow: bool,
    /// Of the container's run before the last restart.
    pub previous: bool,
    /// With times.
    pub timestamps: bool,
    /// At most this old.
    pub since_seconds: Option<i64>,
    /// Not before this moment.
    pub since_time: Option<Timestamp>,
    /// At most this many lines, from the end.
    pub tail: Option<i64>,
}

/// The lines of a container's log.
///
/// Errors: there is no such pod or container, or the API does not answer.
pub async fn lines(
    client: &Client,
    namespace: &str,
    log: &LogOf,
    request: &LogRequest,
) -> Result<impl Stream<Item = std::io::Result<String>> + Send + Unpin + use<>, kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = LogParams {
        container: Some(log.container.clone()),
        follow: request.follow,
        previous: request.previous,
        timestamps: request.timestamps,
        since_seconds: request.since_seconds,
        since_time: request.since_time,
        tail_lines: request.tail,
        ..LogParams::default()
    };
    Ok(lossy_lines(api.log_stream(&log.pod, &params).await?))
}

/// The longest line; a longer one goes on as the next.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// The lines of a text that may be of any program: what is not UTF-8 is made visible, and hides nothing.
fn lossy_lines(
    log: impl AsyncBufRead + Send + Unpin + 'static,
) -> impl Stream<Item = std::io::Result<String>> + Send + Unpin {
    Box::pin(futures::stream::try_unfold(log, async |mut log| {
        let mut line = Vec::new();
        if (&mut log).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let end = line.strip_suffix(b"\n").map_or(line.as_slice(), |line| line.strip_suffix(b"\r").unwrap_or(line));
        Ok(Some((String::from_utf8_lossy(end).into_owned(), log)))
    }))
}

#[cfg(test)]
mod tests {
    use futures::{TryStreamExt as _, io::Cursor};

    use super::*;

    #[tokio::test]
    async fn a_byte_that_is_no_text_hides_no_line() {
        let log = Cursor::new(b"one\ncaf\xe9 latin1\r\n\nthe error is here".to_vec());
        let lines: Vec<String> = lossy_lines(log).try_collect().await.expect("read");
        assert_eq!(lines, ["one", "caf\u{fffd} latin1", "", "the error is here"]);
    }
}
