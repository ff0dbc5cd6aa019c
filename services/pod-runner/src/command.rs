//! Carries out commands, those of one node in order.
//!
//! A command is acknowledged after its effect and after what has to be told of it. A pod is created only for a wish that is
//! delivered for the first time: one that is delivered again may be as old as a crash, its pod may have come, ended and been
//! deleted, or its workflow been terminated. It goes back to the log, which knows.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Actor, Backoff, Factory, Failure, Next, Offer, Router};
use argosy_api::message::{ClusterCommand, Collection, CommandMessage, Manifest, NotCreated, Observed};
use argosy_bus::{Delivery, Stream};
use argosy_objects::api;
use argosy_workflows::{WorkflowKey, WorkflowLog as _};
use async_trait::async_trait;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Preconditions;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::context::{Shard, Urgency};
use crate::identity::key_of;
use crate::known::PodKey;
use crate::objects::Objects;
use crate::observer::{Observation, Observers, Question};
use crate::{collect, marks, metrics, report};

/// An actor without commands leaves memory after this.
const IDLE: Duration = Duration::from_secs(30);
/// A command that cannot be carried out yet keeps its delivery alive this often.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// Tries after which a wish for a pod goes back to its workflow, which says why it waits and wishes again later.
const CREATE_TRIES: u32 = 6;
/// An older wish may have been followed by its opposite already. Much less than a lease lasts, so that a younger one is of
/// the scheduler that owns the shard.
const FRESH: SignedDuration = SignedDuration::from_secs(1);
/// A wish that waited longer may have its opposite waiting behind it.
const WAITED: SignedDuration = SignedDuration::from_millis(100);
/// Commands of one node read at once.
const PAGE: usize = 16;

/// A command and its delivery.
pub(crate) struct Inbound {
    pub delivery: Delivery,
    pub command: CommandMessage,
}

impl argosy_actor::Inbound for Inbound {
    fn sequence(&self) -> Option<u64> {
        Some(self.delivery.message.sequence)
    }

    fn into_delivery(self) -> Option<Delivery> {
        Some(self.delivery)
    }
}

/// Names a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeKey {
    pub workflow_uid: String,
    pub node_id: String,
}

/// Builds the actors of nodes.
pub(crate) struct Commands {
    pub shard: Arc<Shard>,
    pub observers: Router<Observers>,
}

#[async_trait]
impl Factory for Commands {
    type Key = NodeKey;
    type Actor = NodeActor;

    async fn build(&self, _key: &NodeKey) -> Result<Option<NodeActor>, Failure> {
        let (shard, observers) = (Arc::clone(&self.shard), self.observers.clone());
        Ok(Some(NodeActor { shard, observers, idle_at: Instant::now() + IDLE }))
    }

    async fn refuse(&self, _key: &NodeKey, _batch: Vec<Box<Inbound>>) -> Result<(), Failure> {
        Ok(()) // Never: `build` always builds.
    }

    fn passes(&self, cause: &(dyn std::error::Error + 'static)) -> Option<bool> {
        api::passes(cause)
    }
}

/// One node.
pub(crate) struct NodeActor {
    shard: Arc<Shard>,
    observers: Router<Observers>,
    idle_at: Instant,
}

#[async_trait]
impl Actor for NodeActor {
    /// Boxed, as each of many mailboxes has room for hundreds.
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
    /// To be tried again: what stands in the way goes by itself.
    Later(&'static str),
}

/// Why a try failed.
enum Error {
    /// The API said no, or nothing.
    Api(kube::Error),
    /// What is to be told could not be told, or the shard is no longer ours.
    Failed(Failure),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

impl From<Failure> for Error {
    fn from(error: Failure) -> Self {
        Self::Failed(error)
    }
}

impl From<argosy_bus::Error> for Error {
    fn from(error: argosy_bus::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl NodeActor {
    /// Tries until it is done, and says that it is still at it. A wish for a pod goes back after a few tries.
    async fn insist(&self, delivery: &Delivery, command: &CommandMessage) -> Result<(), Failure> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut beat_at = Instant::now() + HEARTBEAT;
        let is_create = matches!(command.body, ClusterCommand::CreatePod { .. });
        for tries in 1_u32.. {
            let why = match self.carry_out(delivery, command, tries > 1).await {
                Ok(Outcome::Done) => return Ok(()),
                Ok(Outcome::Later(why)) => why.to_owned(),
                Err(Error::Failed(error)) => return Err(error),
                Err(Error::Api(error)) => {
                    let (class, why) = (api::answer(&error), api::message(&error));
                    match class {
                        api::Answer::Transient => {}
                        api::Answer::Busy if is_create => {
                            return self.hand_back(delivery, command, NotCreated::Refused { message: why }).await;
                        }
                        api::Answer::Busy => {}
                        api::Answer::NotFound
                        | api::Answer::AlreadyExists
                        | api::Answer::Conflict
                        | api::Answer::Rejected => return self.rejected(delivery, command, why).await,
                    }
                    tracing::warn!(
                        workflow.uid = command.workflow_uid,
                        node.id = command.node_id,
                        error = &error as &dyn std::error::Error,
                        "command not carried out, trying again"
                    );
                    why
                }
            };
            if is_create && tries >= CREATE_TRIES {
                return self.hand_back(delivery, command, NotCreated::Refused { message: why }).await;
            }
            backoff.wait().await;
            if Instant::now() >= beat_at {
                delivery.in_progress().await?;
                beat_at = Instant::now() + HEARTBEAT;
            }
        }
        Ok(())
    }

    async fn carry_out(
        &self,
        delivery: &Delivery,
        command: &CommandMessage,
        is_repeat: bool,
    ) -> Result<Outcome, Error> {
        metrics::COMMANDS.with_label_values(&[command.body.kind()]).inc();
        let objects = self.objects(command);
        let sequence = delivery.message.sequence;
        let _permit = match Urgency::of(&command.body) {
            Some(urgency) => self.shard.context.turn(urgency, &command.workflow_uid).await,
            None => None,
        };
        match &command.body {
            ClusterCommand::CreatePod { manifest, not_before } => {
                return self.create_pod(delivery, command, (manifest, *not_before), is_repeat).await;
            }
            ClusterCommand::ConfirmPod { name, is_check } => {
                self.confirm_pod(command, name, *is_check, sequence).await?;
            }
            ClusterCommand::StopPod { name } => return self.stop_pod(command, name, sequence).await,
            ClusterCommand::DeletePod { name } => return self.delete_pod(command, name).await,
            ClusterCommand::LabelPodCompleted { name } => {
                self.shard.bin.put(pod_key(command, name), command, false, &Collection::default());
            }
            ClusterCommand::CollectPod { name, terms } => {
                self.shard.bin.put(pod_key(command, name), command, true, terms);
            }
            ClusterCommand::CollectPods { deletes, terms } => {
                collect::put_all(&self.shard, &objects, command, (*deletes, terms)).await?;
            }
            ClusterCommand::CreateObject { manifest } => objects.create_if_absent(manifest).await?,
            ClusterCommand::SaveCacheEntry { config_map, key, entry } => {
                if !objects.save_cache_entry(config_map, key, entry).await? {
                    return Ok(Outcome::Later("the cache is being made by another"));
                }
            }
            ClusterCommand::DeleteObject { api_version, resource_kind, name } => {
                objects.delete_of(&objects.of_kind(api_version, resource_kind), name, &command.workflow_uid).await?;
            }
        }
        Ok(Outcome::Done)
    }

    async fn create_pod(
        &self,
        delivery: &Delivery,
        command: &CommandMessage,
        (manifest, not_before): (&Manifest, u64),
        is_repeat: bool,
    ) -> Result<Outcome, Error> {
        let name = manifest.pod_name();
        if delivery.message.deliveries > 1 {
            self.hand_back(delivery, command, NotCreated::Redelivered).await?;
            return Ok(Outcome::Done);
        }
        let age = self.shard.context.host.clock.now().duration_since(command.at);
        if (is_repeat || age >= WAITED) && self.is_taken_back(delivery, name).await? {
            metrics::STALE.inc();
            return Ok(Outcome::Done);
        }
        if age >= FRESH {
            let shard = self.shard.owned.shard;
            if command.epoch < self.shard.schedulers.epoch(&self.shard.context.host, shard).await? {
                // Its scheduler has a successor, whose commands may have been carried out before.
                self.hand_back(delivery, command, NotCreated::Redelivered).await?;
                return Ok(Outcome::Done);
            }
        }
        let mut manifest = manifest.to_value();
        let shard = self.shard.owned.shard.to_string();
        if let Err(field) = marks::put(&mut manifest, command, &shard) {
            self.rejected(delivery, command, format!("the pod's metadata.{field} is no map")).await?;
            return Ok(Outcome::Done);
        }
        match self.shard.context.complete(&mut manifest).await {
            Ok(()) => {}
            Err(error) if error.passes() => {
                self.hand_back(delivery, command, NotCreated::Refused { message: error.to_string() }).await?;
                return Ok(Outcome::Done);
            }
            Err(error) => {
                self.rejected(delivery, command, error.to_string()).await?;
                return Ok(Outcome::Done);
            }
        }
        if !self.shard.owned.holds() {
            // The process was paused. Whoever owns the shard now may have carried out what came after this.
            return Err(Error::Failed(argosy_actor::Stopped.into()));
        }
        let objects = self.objects(command);
        if self.shard.context.options.logs_pods {
            tracing::info!(pod = name, namespace = command.namespace, spec = %manifest["spec"], "pod spec");
        }
        match objects.create(&objects.pods(), &manifest).await {
            Ok(()) => Ok(Outcome::Done),
            Err(error) if api::answer(&error) == api::Answer::AlreadyExists => {
                self.exists(&objects, delivery, command, (name, not_before), error).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the pod, unless it has ended: then it is told how. Whoever wished for its end may not have known.
    async fn stop_pod(&self, command: &CommandMessage, name: &str, sequence: u64) -> Result<Outcome, Error> {
        let (objects, key, why) = (self.objects(command), pod_key(command, name), format!("stop:{sequence}"));
        let Some(object) = objects.pods().get_opt(name).await? else {
            // Nobody else would say so of a pod that never was.
            report::publish_absent(&self.shard.context, &key, command, &why).await?;
            return Ok(Outcome::Done);
        };
        if marks::is_of_later_wish(&object.metadata, command) {
            return Ok(Outcome::Done);
        }
        let seen = Preconditions {
            uid: object.metadata.uid.clone(),
            resource_version: object.metadata.resource_version.clone(),
        };
        let is_deleting = object.metadata.deletion_timestamp.is_some();
        if let Ok(pod) = object.try_parse::<Pod>() {
            if key_of(&self.shard.context.host, &pod).is_none_or(|(its, _)| its != key) {
                // Somebody else's pod by that name.
                report::publish_absent(&self.shard.context, &key, command, &why).await?;
                return Ok(Outcome::Done);
            }
            if marks::has_ended(&pod) {
                self.tell(&key, &pod, &why).await?;
                return Ok(Outcome::Done);
            }
        }
        if is_deleting {
            return Ok(Outcome::Done);
        }
        match objects.delete_as_seen(&objects.pods(), name, seen).await {
            Ok(()) => Ok(Outcome::Done),
            Err(error) if matches!(api::answer(&error), api::Answer::Conflict | api::Answer::NotFound) => {
                Ok(Outcome::Later("the pod changed meanwhile"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the pod, unless it came of a later wish.
    async fn delete_pod(&self, command: &CommandMessage, name: &str) -> Result<Outcome, Error> {
        let objects = self.objects(command);
        let Some(pod) = objects.pods().get_metadata_opt(name).await? else { return Ok(Outcome::Done) };
        if marks::is_of_later_wish(&pod.metadata, command) {
            return Ok(Outcome::Done);
        }
        objects.delete_pod(name, pod.metadata.uid).await?;
        Ok(Outcome::Done)
    }

    /// Whether a later command, which waits behind this one, ends the pod of this name, or is about its end.
    async fn is_taken_back(&self, delivery: &Delivery, pod: &str) -> Result<bool, argosy_bus::Error> {
        let (bus, message) = (&self.shard.context.host.bus, &delivery.message);
        let mut after = message.sequence;
        loop {
            let page = bus.read(Stream::Commands, &message.subject, after, PAGE).await?;
            let Some(newest) = page.last() else { return Ok(false) };
            after = newest.sequence;
            let ends = |body: &ClusterCommand| match body {
                ClusterCommand::StopPod { name }
                | ClusterCommand::DeletePod { name }
                | ClusterCommand::LabelPodCompleted { name }
                | ClusterCommand::CollectPod { name, .. } => name == pod,
                ClusterCommand::CreatePod { .. }
                | ClusterCommand::ConfirmPod { .. }
                | ClusterCommand::CollectPods { .. }
                | ClusterCommand::CreateObject { .. }
                | ClusterCommand::SaveCacheEntry { .. }
                | ClusterCommand::DeleteObject { .. } => false,
            };
            let commands = page.iter().filter_map(|m| serde_json::from_slice::<CommandMessage>(&m.payload).ok());
            if commands.into_iter().any(|command| ends(&command.body)) {
                return Ok(true);
            }
        }
    }

    /// A pod of that name exists: ours, another's, one of before a retry, or one about to go.
    async fn exists(
        &self,
        objects: &Objects,
        delivery: &Delivery,
        command: &CommandMessage,
        (name, not_before): (&str, u64),
        error: kube::Error,
    ) -> Result<Outcome, Error> {
        let Some(pod) = objects.pods().get_opt(name).await? else {
            return Ok(Outcome::Later("a pod of that name has just gone"));
        };
        if pod.metadata.deletion_timestamp.is_some() {
            return Ok(Outcome::Later("a pod of that name is about to go"));
        }
        let (host, key) = (&self.shard.context.host, pod_key(command, name));
        match pod.try_parse::<Pod>() {
            Ok(pod) if key_of(host, &pod).is_none_or(|(its, _)| its != key) => Err(error.into()),
            Ok(pod) if marks::wished_at(&pod.metadata).is_some_and(|at| at < not_before) => {
                objects.delete_pod(name, pod.metadata.uid).await?;
                Ok(Outcome::Later("a pod of before the retry is about to go"))
            }
            Ok(pod) => {
                // Whoever wishes for it anew may not know how far it is: a lost bus forgets what was reported before.
                self.tell(&key, &pod, &format!("exists:{}", delivery.message.sequence)).await?;
                Ok(Outcome::Done)
            }
            Err(_) => Err(error.into()),
        }
    }

    /// Has the log told how the pod is: by its observer, which knows, or by a look of our own.
    async fn confirm_pod(
        &self,
        command: &CommandMessage,
        name: &str,
        is_check: bool,
        sequence: u64,
    ) -> Result<(), Error> {
        let (context, key) = (&self.shard.context, pod_key(command, name));
        let why = if is_check { format!("check:{sequence}") } else { format!("confirm:{sequence}") };
        if self.shard.known.contains(&key) && self.ask_observer(&key, &why).await? {
            return Ok(());
        }
        match self.objects(command).pods().get_opt(name).await?.and_then(|pod| pod.try_parse::<Pod>().ok()) {
            Some(pod) if key_of(&context.host, &pod).is_some_and(|(its, _)| its == key) => {
                self.tell(&key, &pod, &why).await?;
            }
            Some(_) | None => report::publish_absent(context, &key, command, &why).await?,
        }
        Ok(())
    }

    /// False when the pod's observer cannot tell.
    async fn ask_observer(&self, key: &PodKey, why: &str) -> Result<bool, Failure> {
        let (told, answer) = oneshot::channel();
        let question = Question { why: why.to_owned(), told };
        match self.observers.offer(key, Observation::Asked(question))? {
            Offer::Taken | Offer::Known => Ok(answer.await.is_ok()),
            Offer::Full(_) => Ok(false),
        }
    }

    async fn tell(&self, key: &PodKey, pod: &Pod, why: &str) -> Result<(), Failure> {
        let summary = report::summary(&self.shard.context, key, pod).await?;
        report::publish(&self.shard.context, key, pod, summary, Some(why)).await
    }

    fn objects(&self, command: &CommandMessage) -> Objects {
        Objects::new(&self.shard.context.client, &command.namespace)
    }

    /// The log decides what becomes of a wish that was not carried out.
    async fn hand_back(
        &self,
        delivery: &Delivery,
        command: &CommandMessage,
        reason: NotCreated,
    ) -> Result<(), Failure> {
        metrics::HANDED_BACK.inc();
        let id = format!("{}:back:{}", command.workflow_uid, delivery.message.sequence);
        let body = Observed::PodNotCreated { node_id: command.node_id.clone(), reason };
        Ok(self.shard.context.host.report(&workflow_key(command), id, body).await?)
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
            let id = format!("{}:rejected:{}", command.workflow_uid, delivery.message.sequence);
            self.shard.context.host.report(&workflow_key(command), id, body).await?;
        }
        Ok(())
    }
}

fn workflow_key(command: &CommandMessage) -> WorkflowKey {
    WorkflowKey {
        uid: command.workflow_uid.clone(),
        namespace: command.namespace.clone(),
        name: command.workflow.clone(),
    }
}

fn pod_key(command: &CommandMessage, name: &str) -> PodKey {
    PodKey { workflow: workflow_key(command), pod: name.to_owned() }
}
