//! Sick neighbours: what one workflow, message or pod can be that must harm no other.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use argosy_api::labels;
use argosy_apiserver::Server;
use argosy_bus::{Bus, Publish, Stream, shard_of, subject};
use argosy_objects::api;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{corpus::ARGO, faults::Faults, node::FOREIGN, world::SHARDS};

/// A kind of sickness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sick {
    /// A workflow whose spec has members of the wrong types.
    Unreadable,
    /// A workflow that runs, until somebody puts garbage where its nodes are.
    Garbage,
    /// A workflow whose pod is too large for a message.
    Large,
    /// Messages that nobody can read, and some that only a newer process could.
    Poison,
    /// A pod of nobody that looks like one of ours, in another namespace.
    ForeignPod,
}

/// Bytes of an argument that makes a command too large for the bus, and not its workflow for etcd.
const LARGE: usize = 1_100_000;
/// Garbage comes once its workflow has got this far.
const BEGINS: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);
/// Where a foreign pod is: no workflow of this world needs its name there.
const ELSEWHERE: &str = "elsewhere";
/// A uid that no workflow has.
const NOBODY: &str = "nobody";
/// A schema that no process knows yet.
const NEWER: u32 = 99;

impl Sick {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Unreadable, Self::Garbage, Self::Large, Self::Poison, Self::ForeignPod];

    /// The workflow that has it, if it is a workflow's. It must end with Error or Failed.
    pub fn workflow(self) -> Option<&'static str> {
        match self {
            Self::Unreadable => Some("sick-unreadable"),
            Self::Garbage => Some("sick-garbage"),
            Self::Large => Some("sick-large"),
            Self::Poison | Self::ForeignPod => None,
        }
    }

    fn spec(self) -> Value {
        match self {
            Self::Unreadable => json!({"entrypoint": 5, "templates": "none"}),
            Self::Garbage => json!({"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]}),
            Self::Large => {
                let container = json!({"image": "sim/ok", "command": ["x"], "args": ["y".repeat(LARGE)]});
                json!({"entrypoint": "main", "templates": [{"name": "main", "container": container}]})
            }
            Self::Poison | Self::ForeignPod => Value::Null,
        }
    }
}

/// Whether the object is of a sick workflow.
pub fn is_sick(object: &DynamicObject) -> bool {
    let name = object.metadata.name.as_deref();
    Sick::ALL.into_iter().any(|sick| sick.workflow().is_some() && sick.workflow() == name)
}

/// Whether a sick workflow has ended, as it must.
pub fn has_ended(object: &DynamicObject) -> bool {
    let phase = object.data.pointer("/status/phase").and_then(Value::as_str);
    matches!(phase, Some("Error" | "Failed"))
}

/// What brings sickness into a world.
pub struct Carrier {
    pub sick: Sick,
    pub server: Server,
    pub bus: Arc<dyn Bus>,
    pub faults: Arc<Faults>,
}

impl Carrier {
    /// Creates the sick workflow, if it is one, when the world begins.
    ///
    /// Errors: the API refuses.
    pub async fn create(&self) -> Result<()> {
        let Some(name) = self.sick.workflow() else { return Ok(()) };
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": {"name": name, "namespace": ARGO}, "spec": self.sick.spec(),
        });
        let object: DynamicObject = serde_json::from_value(object).context("a sick workflow")?;
        let created = self.workflows().create(&PostParams::default(), &object).await;
        created.map(|_| ()).with_context(|| format!("create {name}"))
    }

    /// Does what comes later.
    ///
    /// Errors: API or bus refuse.
    pub async fn later(self) -> Result<()> {
        match self.sick {
            Sick::Unreadable | Sick::Large => Ok(()),
            Sick::Garbage => self.garbage().await,
            Sick::Poison => self.poison().await,
            Sick::ForeignPod => self.foreign_pod().await,
        }
    }

    fn workflows(&self) -> Api<DynamicObject> {
        api::workflows(&self.server.client(ARGO), ARGO)
    }

    async fn garbage(&self) -> Result<()> {
        tokio::time::sleep(BEGINS).await;
        let patch = json!({"status": {"compressedNodes": "no gzip, no base64!", "nodes": null}});
        let name = self.sick.workflow().unwrap_or_default();
        self.faults.note("garbage instead of nodes");
        let patched = self.workflows().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.map(|_| ()).context("patch garbage")
    }

    /// For every workflow, and for one that there is not, on each stream. What a newer process said to a workflow's log is no
    /// poison: that workflow waits for such a process, so here only one hears of it that there is not.
    async fn poison(&self) -> Result<()> {
        tokio::time::sleep(BEGINS).await;
        let all = self.workflows().list_metadata(&ListParams::default()).await.context("list the workflows")?;
        let mut uids: Vec<String> = all.into_iter().filter_map(|object| object.metadata.uid).collect();
        uids.push(NOBODY.to_owned());
        let payloads: [Vec<u8>; 4] = [
            b"\xff no JSON".to_vec(),
            b"{}".to_vec(),
            br#"{"schema": 1, "body": []}"#.to_vec(),
            json!({"schema": NEWER, "kind": "fromTheFuture"}).to_string().into_bytes(),
        ];
        self.faults.note("poison on all streams");
        for uid in &uids {
            let shard = shard_of(uid, SHARDS);
            let node = "no-node".to_owned();
            let (namespace, kind) = (ARGO.to_owned(), "statusChanged".to_owned());
            let subjects = [
                (Stream::Observed, subject::Observed { shard, uid: uid.clone() }.to_string()),
                (Stream::Commands, subject::Command { shard, uid: uid.clone(), node }.to_string()),
                (Stream::Events, subject::Event { shard, namespace, uid: uid.clone(), kind }.to_string()),
            ];
            for (stream, subject) in subjects {
                let is_log = stream == Stream::Observed && uid != NOBODY;
                let count = if is_log { payloads.len() - 1 } else { payloads.len() };
                for (n, payload) in payloads.iter().take(count).enumerate() {
                    let message = Publish::new(stream, &subject, format!("poison:{uid}:{n}"), payload.clone());
                    if let Err(error) = self.bus.publish(message).await {
                        self.faults.note(&format!("poison not published: {error}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// A copy of the first pod that comes, but for its owner, which says that it has failed.
    async fn foreign_pod(&self) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.server.client(ARGO), ARGO);
        let mut copy = loop {
            let all = pods.list(&ListParams::default()).await.context("list the pods")?;
            if let Some(pod) = all.items.into_iter().next() {
                break pod;
            }
            tokio::time::sleep(PAUSE).await;
        };
        let name = copy.metadata.name.clone().unwrap_or_default();
        self.faults.note(&format!("a copy of pod {name} in {ELSEWHERE}"));
        copy.metadata.namespace = Some(ELSEWHERE.to_owned());
        (copy.metadata.uid, copy.metadata.resource_version, copy.metadata.deletion_timestamp) = (None, None, None);
        copy.metadata.finalizers = None;
        copy.metadata.annotations.get_or_insert_default().insert(FOREIGN.to_owned(), "true".to_owned());
        copy.metadata.labels.get_or_insert_default().insert(labels::COMPLETED.to_owned(), "false".to_owned());
        copy.status = None;
        let pods: Api<Pod> = Api::namespaced(self.server.client(ELSEWHERE), ELSEWHERE);
        while let Err(error) = pods.create(&PostParams::default(), &copy).await {
            self.faults.note(&format!("no copy yet: {error}"));
            tokio::time::sleep(PAUSE).await;
        }
        self.faults.add_foreign();
        let status = json!({"status": {"phase": "Failed", "message": "foreign"}});
        let patched = pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await;
        patched.map(|_| ()).context("the copy fails")
    }
}

/// S12: foreign pods, of which there are `made`, are left alone.
///
/// Errors: the API does not answer.
pub async fn left_alone(server: &Server, made: u64) -> Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(server.client(ELSEWHERE), ELSEWHERE);
    let all = pods.list(&ListParams::default()).await.context("list the pods")?;
    let is_foreign = |pod: &&Pod| pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(FOREIGN));
    let found: Vec<&Pod> = all.items.iter().filter(is_foreign).collect();
    if found.len() as u64 != made {
        return Ok(vec![format!("S12: there are {} foreign pods, {made} were made", found.len())]);
    }
    let is_touched = |pod: &&Pod| {
        let completed = pod.metadata.labels.as_ref().and_then(|all| all.get(labels::COMPLETED));
        pod.metadata.deletion_timestamp.is_some() || completed.is_some_and(|value| value == "true")
    };
    Ok(found.into_iter().filter(is_touched).map(|_| "S12: a foreign pod was touched".to_owned()).collect())
}
