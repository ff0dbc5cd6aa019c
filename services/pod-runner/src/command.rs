//! Carries out commands, those of one node in order. Each may be carried out twice without harm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Actor, Backoff, Factory, Failure, Next, Router, WorkflowKey, api};
use argosy_api::labels;
use argosy_api::message::{ClusterCommand, CommandMessage, Manifest, Observed, ObservedMessage, PodSummary, SCHEMA};
use argosy_bus::Delivery;
use async_trait::async_trait;
use http::HeaderValue;
use http::header::ACCEPT;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, Request};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::metrics;
use crate::observer::{Observers, Sight};
use crate::service::Surroundings;
use crate::watch::key_of;

/// An actor without commands leaves memory after this.
const IDLE: Duration = Duration::from_secs(30);
/// A command that cannot be carried out yet keeps its delivery alive this often.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// Asks for an answer without the object: nobody here reads it.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// A younger wish is not doubted.
const FRESH: SignedDuration = SignedDuration::from_secs(2);

/// A command and its delivery.
pub(crate) struct Inbound {
    pub delivery: Delivery,
    pub command: CommandMessage,
}

/// Names a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeKey {
    pub workflow_uid: String,
    pub node_id: String,
}

/// Builds the actors of nodes.
pub(crate) struct Commands {
    pub around: Arc<Surroundings>,
    pub observers: Router<Observers>,
}

#[async_trait]
impl Factory for Commands {
    type Key = NodeKey;
    type Actor = NodeActor;

    async fn build(&self, _key: &NodeKey) -> Result<Option<NodeActor>, Failure> {
        let (around, observers) = (Arc::clone(&self.around), self.observers.clone());
        Ok(Some(NodeActor { around, observers, ended: BTreeMap::new(), idle_at: Instant::now() + IDLE }))
    }

    async fn refuse(&self, _key: &NodeKey, _batch: Vec<Box<Inbound>>) -> Result<(), Failure> {
        Ok(()) // Never: `build` always builds.
    }
}

/// One node.
pub(crate) struct NodeActor {
    around: Arc<Surroundings>,
    observers: Router<Observers>,
    /// Sequence of the last command that ended the pod of this name: an older wish for it no longer holds.
    ended: BTreeMap<String, u64>,
    idle_at: Instant,
}

#[async_trait]
impl Actor for NodeActor {
    /// Boxed, as each of many mailboxes has room for 32.
    type Message = Box<Inbound>;

    async fn handle(&mut self, batch: Vec<Box<Inbound>>) -> Result<(), Failure> {
        for inbound in batch {
            let Inbound { delivery, command } = *inbound;
            let _timer = metrics::COMMAND_SECONDS.start_timer();
            self.insist(&delivery, &command).await?;
            delivery.ack().await?;
        }
        self.idle_at = Instant::now() + IDLE;
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.idle_at)
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        Ok(Next::Stop)
    }
}

/// What came of one try.
enum Outcome {
    Done,
    /// To be tried again.
    Later,
}

impl NodeActor {
    /// Tries until it is done, and says that it is still at it.
    async fn insist(&mut self, delivery: &Delivery, command: &CommandMessage) -> Result<(), Failure> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut beat_at = Instant::now() + HEARTBEAT;
        loop {
            match self.carry_out(delivery, command).await {
                Ok(Outcome::Done) => return Ok(()),
                Ok(Outcome::Later) => {}
                Err(error) if api::answer(&error) == api::Answer::Transient => {
                    tracing::warn!(
                        workflow.uid = command.workflow_uid,
                        node.id = command.node_id,
                        error = &error as &dyn std::error::Error,
                        "command not carried out, trying again"
                    );
                }
                Err(error) => return self.rejected(delivery, command, api::message(&error)).await,
            }
            backoff.wait().await;
            if Instant::now() >= beat_at {
                delivery.in_progress().await?;
                beat_at = Instant::now() + HEARTBEAT;
            }
        }
    }

    async fn carry_out(&mut self, delivery: &Delivery, command: &CommandMessage) -> Result<Outcome, kube::Error> {
        let around = Arc::clone(&self.around);
        let _permit = around.permits.acquire().await;
        metrics::COMMANDS.with_label_values(&[command.body.kind()]).inc();
        let sequence = delivery.message.sequence;
        match &command.body {
            ClusterCommand::CreatePod { manifest } => self.create_pod(delivery, command, manifest).await,
            ClusterCommand::StopPod { name } => {
                self.ended.insert(name.clone(), sequence);
                if !self.delete(&self.pods(command), name).await? {
                    // Nobody else would say so of a pod that never was.
                    let pod = PodSummary {
                        node_id: command.node_id.clone(),
                        name: name.clone(),
                        deleted: true,
                        ..PodSummary::default()
                    };
                    let body = Observed::PodChanged { pod: Box::new(pod) };
                    self.report(command, format!("{}:absent:{sequence}", command.workflow_uid), body).await;
                }
                Ok(Outcome::Done)
            }
            ClusterCommand::DeletePod { name } => {
                self.ended.insert(name.clone(), sequence);
                self.delete(&self.pods(command), name).await?;
                Ok(Outcome::Done)
            }
            ClusterCommand::LabelPodCompleted { name } => {
                let patch = json!({"metadata": {"labels": {labels::COMPLETED: "true"}}});
                match self.pods(command).patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                    Err(error) if api::answer(&error) != api::Answer::NotFound => Err(error),
                    Ok(_) | Err(_) => Ok(Outcome::Done),
                }
            }
            ClusterCommand::CreateObject { manifest } => self.create_object(command, manifest).await,
            ClusterCommand::SaveCacheEntry { config_map, key, entry } => {
                self.save_cache_entry(command, config_map, key, entry).await
            }
            ClusterCommand::DeleteObject { api_version, resource_kind, name } => {
                let objects = self.objects(command, api_version, resource_kind);
                self.delete(&objects, name).await?;
                Ok(Outcome::Done)
            }
        }
    }

    async fn create_pod(
        &self,
        delivery: &Delivery,
        command: &CommandMessage,
        manifest: &Manifest,
    ) -> Result<Outcome, kube::Error> {
        let name = manifest.pod_name();
        let is_ended = self.ended.get(name).is_some_and(|ended| *ended > delivery.message.sequence);
        // A fresh wish holds. A repeat may be as old as a crash, and one that waited for an owner of the shard may be as old
        // as that: its pod may have come, ended and been deleted, or its workflow been terminated.
        let age = self.around.host.clock.now().duration_since(command.at);
        let is_fresh = delivery.message.deliveries <= 1 && age < FRESH;
        if is_ended || (!is_fresh && self.is_over(command).await?) {
            metrics::STALE.inc();
            return Ok(Outcome::Done);
        }
        let mut manifest = manifest.to_value();
        let shard = self.around.host.shard_of(&command.workflow_uid).to_string();
        let marks = [
            (labels::WORKFLOW_UID, &command.workflow_uid),
            (labels::SHARD, &shard),
            (labels::WORKFLOW, &command.workflow),
        ];
        for (label, value) in marks {
            manifest["metadata"]["labels"][label] = json!(value);
        }
        let pods = self.pods(command);
        match self.create(&pods, &manifest).await {
            Ok(()) => Ok(Outcome::Done),
            Err(error) if api::answer(&error) == api::Answer::AlreadyExists => {
                self.exists(&pods, delivery, command, name, error).await
            }
            Err(error) => Err(error),
        }
    }

    /// A pod of that name exists: ours, another's, or one about to go.
    async fn exists(
        &self,
        pods: &Api<DynamicObject>,
        delivery: &Delivery,
        command: &CommandMessage,
        name: &str,
        error: kube::Error,
    ) -> Result<Outcome, kube::Error> {
        let Some(pod) = pods.get_opt(name).await? else {
            return Ok(Outcome::Later);
        };
        let is_ours =
            pod.metadata.labels.as_ref().and_then(|all| all.get(labels::WORKFLOW_UID)) == Some(&command.workflow_uid);
        if pod.metadata.deletion_timestamp.is_some() {
            return Ok(Outcome::Later);
        }
        if !is_ours {
            return Err(error);
        }
        // Whoever wishes for it anew may not know how far it is: a lost bus forgets what was reported before.
        if let Ok(pod) = pod.try_parse::<Pod>()
            && let Some((key, _)) = key_of(&pod)
        {
            let why = format!("exists:{}", delivery.message.sequence);
            // Stopped: the shard's next owner lists all pods.
            _ = self.observers.send(&key, Sight::Asked { pod: Box::new(pod), why }).await;
        }
        Ok(Outcome::Done)
    }

    /// Whether the node has ended, or its workflow is gone.
    async fn is_over(&self, command: &CommandMessage) -> Result<bool, kube::Error> {
        let workflows = api::workflows(&self.around.client, &command.namespace);
        let Some(workflow) = workflows.get_opt(&command.workflow).await? else {
            return Ok(true);
        };
        if workflow.metadata.uid.as_deref() != Some(&command.workflow_uid) {
            return Ok(true);
        }
        let Ok(workflow) = api::to_workflow(&workflow) else {
            return Ok(false);
        };
        Ok(workflow.status.nodes.get(&command.node_id).is_some_and(|node| node.phase.is_fulfilled()))
    }

    async fn create_object(&self, command: &CommandMessage, manifest: &Value) -> Result<Outcome, kube::Error> {
        let text = |key: &str| manifest[key].as_str().unwrap_or_default();
        let objects = self.objects(command, text("apiVersion"), text("kind"));
        match self.create(&objects, manifest).await {
            Err(error) if api::answer(&error) != api::Answer::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(Outcome::Done),
        }
    }

    async fn save_cache_entry(
        &self,
        command: &CommandMessage,
        config_map: &str,
        key: &str,
        entry: &str,
    ) -> Result<Outcome, kube::Error> {
        let maps = self.objects(command, "v1", "ConfigMap");
        let data = json!({"data": {key: entry}});
        match maps.patch(config_map, &PatchParams::default(), &Patch::Merge(&data)).await {
            Ok(_) => return Ok(Outcome::Done),
            Err(error) if api::answer(&error) == api::Answer::NotFound => {}
            Err(error) => return Err(error),
        }
        let metadata = json!({"name": config_map, "labels": {labels::CONFIG_MAP_TYPE: "Cache"}});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: entry}});
        match self.create(&maps, &map).await {
            Ok(()) => Ok(Outcome::Done),
            // Someone else was quicker: ours goes on top.
            Err(error) if api::answer(&error) == api::Answer::AlreadyExists => Ok(Outcome::Later),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, objects: &Api<DynamicObject>, manifest: &Value) -> Result<(), kube::Error> {
        let body = serde_json::to_vec(manifest).map_err(kube::Error::SerdeError)?;
        let request = Request::new(objects.resource_url()).create(&PostParams::default(), body);
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA));
        self.around.client.request::<IgnoredAny>(request).await.map(|_| ())
    }

    /// False when there was none.
    async fn delete(&self, objects: &Api<DynamicObject>, name: &str) -> Result<bool, kube::Error> {
        match objects.delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(true),
            Err(error) if api::answer(&error) == api::Answer::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn pods(&self, command: &CommandMessage) -> Api<DynamicObject> {
        self.objects(command, "v1", "Pod")
    }

    fn objects(&self, command: &CommandMessage, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.around.client.clone(), &command.namespace, &resource)
    }

    /// The API refuses, for good.
    async fn rejected(&self, delivery: &Delivery, command: &CommandMessage, message: String) -> Result<(), Failure> {
        metrics::REJECTED.inc();
        tracing::warn!(
            workflow.uid = command.workflow_uid,
            node.id = command.node_id,
            kind = command.body.kind(),
            message,
            "command rejected"
        );
        if let ClusterCommand::CreatePod { .. } | ClusterCommand::CreateObject { .. } = command.body {
            let body = Observed::PodRejected { node_id: command.node_id.clone(), message };
            self.report(command, format!("{}:rejected:{}", command.workflow_uid, delivery.message.sequence), body)
                .await;
        }
        Ok(())
    }

    async fn report(&self, command: &CommandMessage, id: String, body: Observed) {
        let host = &self.around.host;
        let workflow = WorkflowKey {
            uid: command.workflow_uid.clone(),
            namespace: command.namespace.clone(),
            name: command.workflow.clone(),
        };
        let message = ObservedMessage { schema: SCHEMA, at: host.clock.now(), body };
        let payload = serde_json::to_vec(&message).expect("messages have string keys only");
        if let Err(error) = host.publish(vec![host.observed(&workflow, id, payload)]).await {
            metrics::POISON.inc();
            tracing::error!(
                workflow.uid = workflow.uid,
                error = &error as &dyn std::error::Error,
                "report refused by the bus"
            );
        }
    }
}
