//! One case on a running system.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use argosy_api::{labels, v1alpha1::NodePhase};
use argosy_client::objects;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::Value;

use super::{
    case::{Case, Condition, Done},
    rename::{renamed, successor},
    server::Server,
};

/// Between two looks at the object.
const PAUSE: Duration = Duration::from_millis(150);
/// How long an object that is recorded has not changed.
const SETTLE: Duration = Duration::from_secs(2);
/// So that whoever watches templates has seen them.
const TEMPLATES_SEEN: Duration = Duration::from_millis(300);
const KINDS: [&str; 2] = ["WorkflowTemplate", "ClusterWorkflowTemplate"];

/// What came of a case.
#[derive(Default)]
pub struct Outcome {
    /// The objects, by label.
    pub kept: BTreeMap<String, Value>,
    pub done: Vec<Done>,
}

/// Does what the case says. Errors: a condition does not come true within `limit`; an operation that this program does not know.
pub async fn run(case: &Case, server: &Server, limit: Duration) -> Result<Outcome> {
    let mut drive = Drive { case, server, limit, name: case.id.clone(), outcome: Outcome::default() };
    let ended = drive.go().await;
    ended.with_context(|| {
        let done: Vec<String> = drive.outcome.done.iter().map(|done| format!("{} {}", done.rc, done.out)).collect();
        format!("operations so far: {done:?}")
    })?;
    Ok(drive.outcome)
}

struct Drive<'a> {
    case: &'a Case,
    server: &'a Server,
    limit: Duration,
    /// The workflow that is watched.
    name: String,
    outcome: Outcome,
}

impl Drive<'_> {
    async fn go(&mut self) -> Result<()> {
        for document in &self.case.documents {
            self.create(document).await?;
        }
        if self.case.documents.iter().any(|d| KINDS.iter().any(|kind| d["kind"] == *kind)) {
            tokio::time::sleep(TEMPLATES_SEEN).await;
        }
        self.create(&self.case.workflow).await?;
        for operation in &self.case.operations {
            let settle = operation.settle.map_or(SETTLE, Duration::from_secs_f64);
            let settle = if operation.record.is_some() { settle } else { Duration::ZERO };
            let object = self.wait(&operation.conditions(), settle).await?;
            if let Some(label) = &operation.record {
                self.keep(format!("{}@{label}", self.case.id), object)?;
            }
            let (command, (rc, mut out)) = match (&operation.command, &operation.kubectl) {
                (Some(arguments), _) => (arguments.clone(), self.server.argosy(&self.words(arguments).await?).await?),
                (None, Some(arguments)) => {
                    let called = [&["kubectl".to_owned()], arguments.as_slice()].concat();
                    (called, self.kubectl(&self.words(arguments).await?).await?)
                }
                (None, None) => continue,
            };
            if operation.follow {
                self.name = successor(&self.case.id, &out).with_context(|| format!("no new workflow in: {out}"))?;
            }
            if self.name != self.case.id {
                out = out.replace(&self.name, &format!("{}-new", self.case.id));
            }
            self.outcome.done.push(Done { command, rc, out });
        }
        let object = self.wait(&[Condition::Workflow { phase: "completed".to_owned() }], Duration::ZERO).await?;
        self.keep(self.case.id.clone(), object)
    }

    async fn create(&self, document: &Value) -> Result<()> {
        let connection = &self.server.connection;
        let kind = document["kind"].as_str().unwrap_or_default();
        let mut document = document.clone();
        if kind != "ClusterWorkflowTemplate" {
            document["metadata"]["namespace"] = Value::from(connection.namespace.as_str());
        }
        let created = objects::create(&connection.client, &connection.namespace, kind, document, false).await;
        created.map(drop).with_context(|| format!("create the {kind}"))
    }

    fn keep(&mut self, label: String, object: Value) -> Result<()> {
        let object = if self.name == self.case.id {
            object
        } else {
            renamed(&object, &self.name, &format!("{}-new", self.case.id))?
        };
        self.outcome.kept.insert(label, object);
        Ok(())
    }

    async fn object(&self) -> Result<Value> {
        let connection = &self.server.connection;
        let object = objects::get(&connection.client, &connection.namespace, &self.name).await?;
        serde_json::to_value(object).context("a workflow")
    }

    async fn pods(&self) -> Result<Vec<Pod>> {
        let of_workflow = ListParams::default().labels(&format!("{}={}", labels::WORKFLOW, self.name));
        Ok(self.pod_api().list(&of_workflow).await?.items)
    }

    fn pod_api(&self) -> Api<Pod> {
        Api::namespaced(self.server.connection.client.clone(), &self.server.connection.namespace)
    }

    /// Waits until all conditions hold, and then until nothing has changed for `settle`; answers the object.
    async fn wait(&self, conditions: &[Condition], settle: Duration) -> Result<Value> {
        let seconds = conditions.iter().filter_map(|condition| match condition {
            Condition::Seconds { seconds } => Some(*seconds),
            _ => None,
        });
        let pause = Duration::from_secs_f64(seconds.fold(0.0, f64::max));
        let begun = Instant::now();
        let mut holds_since = None;
        let mut seen = (Value::Null, Instant::now());
        loop {
            let object = self.object().await?;
            if self.all_hold(conditions, &object).await? {
                let since = *holds_since.get_or_insert_with(Instant::now);
                let version = &object["metadata"]["resourceVersion"];
                if *version != seen.0 {
                    seen = (version.clone(), Instant::now());
                }
                if since.elapsed() >= pause && seen.1.elapsed() >= settle {
                    return Ok(object);
                }
            } else {
                holds_since = None;
            }
            if begun.elapsed() > self.limit {
                let nodes = object["status"]["nodes"].as_object().into_iter().flat_map(|nodes| nodes.values());
                let nodes: Vec<String> =
                    nodes.map(|n| format!("{} {} {}", n["name"], n["phase"], n["message"])).collect();
                bail!("no {conditions:?}; the workflow is {}, {nodes:?}", object["status"]["phase"]);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn all_hold(&self, conditions: &[Condition], object: &Value) -> Result<bool> {
        for condition in conditions {
            let holds = match condition {
                Condition::Seconds { .. } => true,
                Condition::Workflow { phase } if phase == "completed" => {
                    object["metadata"]["labels"][labels::COMPLETED] == "true"
                }
                Condition::Workflow { phase } => object["status"]["phase"] == *phase,
                Condition::Node { node, phase } => self.node_holds(node, phase, object),
                Condition::Pod { pod, phase } => {
                    let is_there = |found: &Pod| found.status.as_ref().and_then(|s| s.phase.as_ref()) == Some(phase);
                    self.pods().await?.iter().any(|found| self.is_of(found, pod) && is_there(found))
                }
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn node_holds(&self, node: &str, phase: &str, object: &Value) -> bool {
        let wanted = node.replace("NAME", &self.name);
        let nodes = object["status"]["nodes"].as_object().into_iter().flat_map(|nodes| nodes.values());
        let found: Vec<&Value> = nodes.filter(|n| n["name"] == wanted || n["displayName"] == wanted).collect();
        let has_ended = |n: &&Value| {
            let phase = n["phase"].as_str().and_then(|phase| phase.parse::<NodePhase>().ok());
            phase.is_some_and(NodePhase::is_fulfilled)
        };
        match phase {
            "absent" => found.is_empty(),
            "any" => !found.is_empty(),
            "fulfilled" => found.iter().any(has_ended),
            phase => found.iter().any(|n| n["phase"] == phase),
        }
    }

    fn is_of(&self, pod: &Pod, node: &str) -> bool {
        let annotations = pod.metadata.annotations.as_ref();
        let name = annotations.and_then(|all| all.get(labels::NODE_NAME)).map_or("", String::as_str);
        name == node.replace("NAME", &self.name) || name.rsplit('.').next() == Some(node)
    }

    /// The arguments with what `NAME` and `POD:node` stand for.
    async fn words(&self, arguments: &[String]) -> Result<Vec<String>> {
        let mut words = Vec::new();
        for argument in arguments {
            let Some(node) = argument.strip_prefix("POD:") else {
                words.push(argument.replace("NAME", &self.name));
                continue;
            };
            let pods = self.pods().await?;
            let pod = pods.iter().find(|pod| self.is_of(pod, node)).with_context(|| format!("no pod of {node}"))?;
            words.push(pod.metadata.name.clone().unwrap_or_default());
        }
        Ok(words)
    }

    /// What kubectl would do: only what the cases need, so that it need not be installed.
    async fn kubectl(&self, arguments: &[String]) -> Result<(i32, String)> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let connection = &self.server.connection;
        let done = match words.as_slice() {
            ["patch", "workflow" | "wf" | "workflows", name, kind @ ("--type=merge" | "--type=json"), "-p", patch] => {
                let patch: Value = serde_json::from_str(patch).context("the patch")?;
                let patch = match *kind {
                    "--type=merge" => Patch::Merge(patch),
                    _ => Patch::Json(serde_json::from_value(patch).context("the patch")?),
                };
                let api = objects::workflows(&connection.client, &connection.namespace);
                api.patch(name, &PatchParams::default(), &patch).await.map(drop)
            }
            ["delete", "pod" | "pods", name, ..] => {
                self.pod_api().delete(name, &DeleteParams::default()).await.map(drop)
            }
            _ => bail!("this program knows no `kubectl {}`", arguments.join(" ")),
        };
        match done {
            Ok(()) => Ok((0, String::new())),
            Err(kube::Error::Api(status)) => Ok((1, status.message.clone())),
            Err(error) => Err(error).context("the API does not answer"),
        }
    }
}
