//! Workflows as the host stores and reads them: the Kubernetes object, and the reports in the log.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Host};
use argosy_api::digest::Position;
use argosy_api::labels;
use argosy_api::message::{LookupKey, Observed, ObservedMessage, SCHEMA};
use argosy_api::v1alpha1::WorkflowPhase;
use argosy_bus::{Message, Publish};
use argosy_engine::Workflow;
use argosy_host::{Cause, Doing, Marks, Reading};
use argosy_objects::{api, marks};
use argosy_workflows::{WorkflowKey, WorkflowLog as _, read, workflow_changed};
use kube::api::{DynamicObject, ObjectMeta};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::context::Context;
use crate::entity::WorkflowEntity;
use crate::facts::Fact;
use crate::last_words::last_words;
use crate::lookups::Lookups;

/// In the id of what is told because a check asked: all of it was told before.
const CHECK_MARK: &str = ":check:";

/// What became of loading a workflow, see [`argosy_host::Loaded`].
pub(crate) enum Found {
    Workflow { entity: Box<WorkflowEntity>, stored: DynamicObject, life: String },
    Gone,
    Broken { stored: DynamicObject, reason: String },
}

/// The workflows of a shard.
pub(crate) struct Workflows {
    context: Arc<Context>,
    lookups: Lookups,
}

impl Workflows {
    /// Lookups end with `stop`.
    pub fn new(context: Arc<Context>, stop: CancellationToken) -> Self {
        let lookups = Lookups::new(context.host.clone(), context.client.clone(), stop);
        Self { context, lookups }
    }
}

impl Workflows {
    pub fn span(&self, key: &WorkflowKey, doing: Doing<'_, Fact>) -> Span {
        match doing {
            Doing::Step { sequence, fact } => tracing::debug_span!(
                "step",
                workflow.uid = key.uid,
                workflow.name = key.name,
                workflow.namespace = key.namespace,
                event.kind = match fact {
                    Fact::Workflow(fact) => kind_of(fact),
                    Fact::Locks(_) => "locks",
                },
                event.seq = sequence
            ),
            Doing::Publish(messages) => tracing::debug_span!("publish", workflow.uid = key.uid, messages),
            Doing::Tell => tracing::error_span!(
                "workflow",
                workflow.uid = key.uid,
                workflow.name = key.name,
                workflow.namespace = key.namespace
            ),
        }
    }

    pub async fn listed(&self) {
        self.context.unfinished.listed().await;
    }

    pub fn unfinished(&self, age: Duration) -> Vec<WorkflowKey> {
        self.context.unfinished.older_than(age)
    }

    pub fn find(&self, uid: &str) -> Option<WorkflowKey> {
        self.context.unfinished.find(uid)
    }

    pub async fn fetch(&self, key: &WorkflowKey) -> Result<Option<DynamicObject>, Failure> {
        read::get(&self.context.client, key).await
    }

    pub async fn look(&self, key: &WorkflowKey) -> Result<Option<Marks<Position>>, Failure> {
        Ok(read::get_metadata(&self.context.client, key).await?.map(|metadata| marks_of(&metadata)))
    }

    pub fn marks(&self, stored: &DynamicObject) -> Marks<Position> {
        marks_of(&stored.metadata)
    }

    pub async fn load(&self, key: &WorkflowKey, object: DynamicObject) -> Result<Found, Failure> {
        let (store, client) = (&self.context.host, &self.context.client);
        let outside = api::offloaded_version(&object).is_some().then(|| object.clone());
        let found = match (read::resolve(store, client, key, object).await, outside) {
            (Ok(Some(found)), _) => found,
            (Ok(None), _) => return Ok(Found::Gone),
            (Err(error), Some(stored)) if error.is::<api::Unreadable>() => {
                return Ok(Found::Broken { stored, reason: error.to_string() });
            }
            (Err(error), _) => return Err(error),
        };
        let stored = found.object.clone();
        let typed = match read::read_workflow(found).await {
            Ok(typed) => typed,
            Err(error) => {
                return Ok(Found::Broken { stored, reason: with_cause(&error) });
            }
        };
        let published = marks_of(&stored.metadata).position;
        let taken_back = stored.metadata.annotations.as_ref().and_then(|all| all.get(labels::TAKEN_BACK));
        let life = taken_back.map(|version| format!(".t{version}")).unwrap_or_default();
        let entity = WorkflowEntity {
            key: key.clone(),
            published,
            is_new: published == Position::default() && typed.status.phase == WorkflowPhase::Unknown,
            is_ending: !typed.spec.shutdown.is_empty(),
            knows_object: false,
            shards: self.context.host.shards,
            workflow: Workflow::new(Arc::clone(&self.context.config), typed, published.sequence),
        };
        Ok(Found::Workflow { entity: Box::new(entity), stored, life })
    }

    pub fn passes(&self, cause: &(dyn Error + 'static)) -> Option<bool> {
        api::passes(cause)
    }

    pub fn read(&self, message: &Message) -> Reading<Fact> {
        match serde_json::from_slice::<ObservedMessage>(&message.payload) {
            Ok(observed) if observed.schema > SCHEMA => Reading::Newer,
            Ok(observed) => Reading::Fact { at: observed.at, fact: Fact::Workflow(observed.body) },
            Err(error) => match serde_json::from_slice::<serde_json::Value>(&message.payload) {
                // An unknown kind of fact is one of a newer process.
                Ok(value) if value["schema"].as_u64().is_some_and(|schema| schema > u64::from(SCHEMA)) => {
                    Reading::Newer
                }
                Ok(_) | Err(_) => Reading::Garbage(format!("not an observation: {error}")),
            },
        }
    }

    /// Reports of the object come from those who have seen it; of the others a pod elsewhere may have caused some.
    pub fn is_of_store(&self, message: &Message) -> bool {
        serde_json::from_slice::<ObservedMessage>(&message.payload).is_ok_and(|observed| {
            matches!(
                observed.body,
                Observed::WorkflowChanged { .. } | Observed::WorkflowReferenced { .. } | Observed::WorkflowDeleted
            )
        })
    }

    /// Puts the object in the place of a reference to it.
    ///
    /// Errors: its nodes cannot be read. Whoever builds the actor anew then says so in its status.
    pub async fn resolve(&self, key: &WorkflowKey, fact: Observed) -> Result<Observed, Failure> {
        let Observed::WorkflowReferenced { status_edited, .. } = fact else { return Ok(fact) };
        let (store, client) = (&self.context.host, &self.context.client);
        let found = match read::get(client, key).await? {
            Some(object) => read::resolve(store, client, key, object).await?,
            None => None,
        };
        let Some(found) = found else { return Ok(Observed::WorkflowDeleted) };
        match read::read_workflow(found).await {
            Ok(workflow) => Ok(Observed::WorkflowChanged { object: Box::new(workflow), status_edited }),
            // A mistake in an edit: the workflow goes on by what it was.
            Err(error @ read::Error::Unreadable(api::Unreadable::Json(_))) => {
                Ok(Observed::WorkflowUnreadable { error: with_cause(&error) })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub fn says_out_of_service(&self, fact: &Observed) -> bool {
        match fact {
            Observed::WorkflowChanged { object, .. } => {
                object.metadata.labels.get(labels::QUARANTINED).is_some_and(|text| text == "true")
            }
            _ => false,
        }
    }

    pub fn answers_check(&self, message: &Message) -> Option<&'static str> {
        message.id.contains(CHECK_MARK).then_some("pod")
    }

    pub fn fired(&self, host: &Host, key: &WorkflowKey, id: String, timer: &str) -> Publish {
        host.fact(key, id, Observed::TimerFired { key: timer.to_owned() })
    }

    /// The object, where the log has lost it. A shutdown is carried out when the object comes, so let it come again: the stop
    /// of a pod may have got lost.
    pub fn lacking(
        &self,
        host: &Host,
        entity: &WorkflowEntity,
        stored: DynamicObject,
        is_cut_off: bool,
    ) -> Option<Publish> {
        if !(is_cut_off || entity.is_ending) || entity.knows_object || entity.workflow.is_completed() {
            return None;
        }
        let is_foreign = marks::is_foreign(&stored);
        Some(workflow_changed(host, &entity.key, stored, is_foreign))
    }

    pub fn ask(&self, key: &WorkflowKey, id: String, question: LookupKey) {
        self.lookups.look(key.clone(), id, question);
    }

    pub fn last_words(&self, cause: &Cause<'_, WorkflowKey>, stored: &DynamicObject, reason: &str) -> Vec<Publish> {
        last_words(cause, stored, reason)
    }
}

fn marks_of(metadata: &ObjectMeta) -> Marks<Position> {
    let position = marks::watermark_of(metadata).unwrap_or_default().position();
    Marks { position, sequence: position.sequence, is_out_of_service: marks::is_out_of_service(metadata) }
}

/// The error with what caused it.
fn with_cause(error: &dyn Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn kind_of(body: &Observed) -> &'static str {
    match body {
        Observed::WorkflowChanged { .. } => "workflowChanged",
        Observed::WorkflowReferenced { .. } => "workflowReferenced",
        Observed::WorkflowUnreadable { .. } => "workflowUnreadable",
        Observed::WorkflowDeleted => "workflowDeleted",
        Observed::PodChanged { .. } => "podChanged",
        Observed::PodRejected { .. } => "podRejected",
        Observed::PodNotCreated { .. } => "podNotCreated",
        Observed::TimerFired { .. } => "timerFired",
        Observed::LookedUp { .. } => "lookedUp",
        Observed::LocksAnswered { .. } => "locksAnswered",
    }
}
