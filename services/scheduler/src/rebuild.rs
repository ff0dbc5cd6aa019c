//! Builds a workflow from its object and the tail of its log.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::Arc;

use argosy_actor::Failure;
use argosy_api::digest::Position;
use argosy_api::labels;
use argosy_api::message::{ClusterCommand, CommandMessage, Observed};
use argosy_api::v1alpha1::{NodePhase, WorkflowPhase};
use argosy_bus::{Publish, Stream};
use argosy_engine::Workflow;
use argosy_objects::{api, marks};
use argosy_workflows::{WorkflowKey, read, workflow_changed};
use kube::api::DynamicObject;
use tokio::time::Instant;

use crate::actor::WorkflowActor;
use crate::context::Shard;
use crate::stamp::{Cause, Outgoing};
use crate::{metrics, quarantine, timers};

/// Timers may arm others that are due as well; those of later rounds fire as all do.
const DUE_ROUNDS: usize = 8;

/// Builds the workflow from its object, read from the API and never from a cache, steps what the log holds behind the
/// object's watermark, and asks again for what may have been lost. `None`: the workflow is gone or out of service.
pub(crate) async fn rebuild(
    shard: &Arc<Shard>,
    key: &WorkflowKey,
    object: DynamicObject,
) -> Result<Option<WorkflowActor>, Failure> {
    let Some(object) = settled(shard, key, object).await? else {
        return Ok(None);
    };
    if marks::is_quarantined(&object) {
        return Ok(None);
    }
    metrics::REBUILDS.inc();
    let (store, client) = (&shard.context.host, &shard.context.client);
    let outside = api::offloaded_version(&object).is_some().then(|| object.clone());
    let found = match (read::resolve(store, client, key, object).await, outside) {
        (Ok(Some(found)), _) => found,
        (Ok(None), _) => return Ok(None),
        (Err(error), Some(object)) if error.is::<api::Unreadable>() => {
            quarantine::give_up(shard, key, &object, &error.to_string()).await?;
            return Ok(None);
        }
        (Err(error), _) => return Err(error),
    };
    let object = found.object.clone();
    let watermark = marks::watermark(&object).unwrap_or_default().position();
    let typed = match read::read_workflow(found).await {
        Ok(typed) => typed,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            quarantine::give_up(shard, key, &object, &format!("{error}{cause}")).await?;
            return Ok(None);
        }
    };
    let is_new = watermark == Position::default() && typed.status.phase == WorkflowPhase::Unknown;
    let is_ending = !typed.spec.shutdown.is_empty();
    let taken_back = object.metadata.annotations.as_ref().and_then(|all| all.get(labels::TAKEN_BACK));
    let mut actor = WorkflowActor {
        shard: Arc::clone(shard),
        key: key.clone(),
        workflow: Workflow::new(Arc::clone(&shard.context.config), typed, watermark.sequence),
        last: watermark.sequence,
        published: watermark,
        stepped: BTreeSet::new(),
        unpurged: 0,
        life: taken_back.map(|version| format!(".t{version}")).unwrap_or_default(),
        is_out_of_service: false,
        is_slow: false,
        check_at: Instant::now(),
    };
    let mut out = Outgoing::default();
    if !is_new {
        resume(&mut actor, &mut out);
    }
    let knows_object = replay(&mut actor, &mut out).await?;
    let mut written = Some(watermark.sequence);
    // A shutdown is carried out when the object comes, so let it come again: the stop of a pod may have got lost.
    let is_cut_off = watermark.sequence <= shard.base_sequence;
    if (is_cut_off || is_ending) && !knows_object && !actor.workflow.is_completed() {
        let is_foreign = marks::is_foreign(&object);
        let report = workflow_changed(&shard.context.host, key, object, is_foreign);
        tell(&actor, &mut written, vec![report]).await?;
        replay(&mut actor, &mut out).await?;
    }
    tell_due(&mut actor, &mut written, &mut out).await?;
    // All that is known has been stepped: what was wished for meanwhile and taken back need not be carried out.
    let messages = std::mem::take(&mut out.messages);
    out.messages = messages.into_iter().filter_map(|message| still_wished(&actor.workflow, message)).collect();
    actor.send(out).await?;
    actor.check_at = actor.next_check();
    Ok(Some(actor))
}

/// The object as its status service left it. When the bus was lost since, one of the service's owners from before may still
/// write something that it alone remembers; what is decided from then on must know that.
async fn settled(shard: &Shard, key: &WorkflowKey, object: DynamicObject) -> Result<Option<DynamicObject>, Failure> {
    let written = marks::watermark(&object).map_or(0, |watermark| watermark.sequence);
    if (1..=shard.base_sequence).contains(&written) && Instant::now() < shard.sole_owner_at {
        tracing::warn!(workflow.uid = key.uid, workflow.name = key.name, "the bus was lost, going on from the object");
        metrics::BUS_LOSS.inc();
        tokio::time::sleep_until(shard.sole_owner_at).await;
        return read::get(&shard.context.client, key).await;
    }
    Ok(Some(object))
}

/// Has the engine take up a workflow that was begun, and ask for all that its nodes still wait for.
fn resume(actor: &mut WorkflowActor, out: &mut Outgoing) {
    let at = actor.shard.context.host.clock.now();
    let commands = actor.workflow.resume(at);
    actor.tell_bugs();
    // Each owner asks anew: what its predecessor asked for may have got lost since.
    let id = format!("r{}.{}.{}", actor.shard.epoch, actor.last, at.as_second());
    let (shard, epoch, sequence) = (actor.shard.number, actor.shard.epoch, actor.last);
    let cause = Cause { workflow: &actor.key, shard, epoch, sequence, id, at };
    out.add(&cause, commands, &mut actor.published);
}

/// Steps what the log holds behind the watermark. Says whether the object was in there.
async fn replay(actor: &mut WorkflowActor, out: &mut Outgoing) -> Result<bool, Failure> {
    let mut knows_object = false;
    let seen = |body: &Observed, out: &mut Outgoing| {
        metrics::REPLAYED.inc();
        match body {
            Observed::TimerFired { key } => _ = out.timers.remove(key),
            Observed::LookedUp { key, .. } => _ = out.lookups.remove(key),
            Observed::WorkflowChanged { .. } => knows_object = true,
            Observed::WorkflowReferenced { .. }
            | Observed::WorkflowUnreadable { .. }
            | Observed::WorkflowDeleted
            | Observed::PodChanged { .. }
            | Observed::PodRejected { .. }
            | Observed::PodNotCreated { .. } => {}
        }
    };
    actor.step_log(0, out, seen).await?;
    Ok(knows_object)
}

/// Timers that came due while nobody was there are told, and what follows from them is stepped, before anything is wished
/// for: a deadline that has passed takes back the pods that would be asked for again.
async fn tell_due(actor: &mut WorkflowActor, written: &mut Option<u64>, out: &mut Outgoing) -> Result<(), Failure> {
    let host = actor.shard.context.host.clone();
    for _ in 0..DUE_ROUNDS {
        let now = host.clock.now();
        let due = out.timers.iter().filter(|(_, due)| **due <= now);
        let reports: Vec<_> = due.map(|(key, due)| timers::report(&host, &actor.key, key, *due, actor.last)).collect();
        if reports.is_empty() {
            break;
        }
        tell(actor, written, reports).await?;
        replay(actor, out).await?;
    }
    Ok(())
}

/// Tells the log. All logs together may be full, and wait for their owners to make room: so what is written to the object goes
/// first, once.
async fn tell(
    actor: &WorkflowActor,
    written: &mut Option<u64>,
    reports: Vec<Publish>,
) -> Result<(), argosy_bus::Error> {
    if let Some(written) = written.take() {
        actor.purge(written).await?;
    }
    actor.shard.context.host.publish(reports).await.map(|_| ())
}

/// A repeated wish for a pod whose node has begun, or ended, since was carried out long ago. The bus knows its id only for
/// a while, and the pod may be gone: it must not come back. How the pod of one that runs is, is asked instead, as the report of
/// its beginning may be all that the log has.
fn still_wished(workflow: &Workflow, message: Publish) -> Option<Publish> {
    if message.stream != Stream::Commands {
        return Some(message);
    }
    let Ok(command) = serde_json::from_slice::<CommandMessage>(&message.payload) else {
        return Some(message);
    };
    match &command.body {
        ClusterCommand::CreatePod { manifest, .. } => {
            let node = workflow.object().status.nodes.get(&command.node_id)?;
            if node.phase == NodePhase::Pending {
                return Some(message);
            }
            if node.phase.is_fulfilled() {
                return None;
            }
            let body = ClusterCommand::ConfirmPod { name: manifest.pod_name().to_owned(), is_check: false };
            let payload =
                serde_json::to_vec(&CommandMessage { body, ..command }).expect("messages have string keys only");
            Some(Publish { id: format!("{}.confirm", message.id), payload: payload.into(), ..message })
        }
        ClusterCommand::ConfirmPod { .. }
        | ClusterCommand::StopPod { .. }
        | ClusterCommand::DeletePod { .. }
        | ClusterCommand::LabelPodCompleted { .. }
        | ClusterCommand::CreateObject { .. }
        | ClusterCommand::SaveCacheEntry { .. }
        | ClusterCommand::DeleteObject { .. } => Some(message),
    }
}
