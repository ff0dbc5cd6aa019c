//! Ends a workflow that cannot be run: its owner sees why, and no other workflow notices.

use std::collections::BTreeMap;

use argosy_actor::{Failure, keep};
use argosy_api::digest::Position;
use argosy_api::labels;
use argosy_api::message::{SCHEMA, StatusChanged, WorkflowDelta};
use argosy_api::v1alpha1::{Time, WorkflowPhase};
use argosy_bus::{Publish, Quarantined, Stream};
use argosy_engine::Command;
use argosy_objects::marks;
use argosy_workflows::{HEADER_JUDGED, WorkflowKey};
use kube::api::DynamicObject;
use serde_json::json;

use crate::context::Shard;
use crate::metrics;
use crate::stamp::{Cause, Outgoing};

/// Publishes that the workflow has ended with Error, for `reason`, past everything that its log holds: none of that is stepped
/// again, unless somebody takes the workflow back into service. Its log stays where it is.
pub(crate) async fn give_up(
    shard: &Shard,
    key: &WorkflowKey,
    object: &DynamicObject,
    reason: &str,
) -> Result<(), Failure> {
    let host = &shard.context.host;
    let written = marks::watermark(object).unwrap_or_default().position();
    let newest = host.bus.last_sequence(Stream::Observed, &host.observed_subject(&key.uid)).await?;
    let at = host.clock.now();
    let (time, phase) = (Time::new(at), WorkflowPhase::Error.to_string());
    let mut status = json!({"phase": phase, "message": reason, "finishedAt": time.to_string()});
    if object.data.pointer("/status/startedAt").is_none() {
        status["startedAt"] = json!(time.to_string());
    }
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, Option<String>> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
    };
    let change = StatusChanged {
        schema: SCHEMA,
        at,
        namespace: key.namespace.clone(),
        workflow: key.name.clone(),
        workflow_uid: key.uid.clone(),
        observed_sequence: newest.max(written.sequence),
        last: true,
        workflow_status: Some(WorkflowDelta {
            status,
            labels: texts(&[(labels::PHASE, &phase), (labels::COMPLETED, "true"), (labels::QUARANTINED, "true")]),
            annotations: texts(&[(labels::QUARANTINE_REASON, reason)]),
            completed: true,
            ..WorkflowDelta::default()
        }),
        ..StatusChanged::default()
    };
    // One that was taken back into service has a newer event, and may be given up again.
    let id = format!("quarantine.{}.{newest}", shard.epoch);
    let cause = Cause { workflow: key, shard: shard.number, epoch: shard.epoch, sequence: newest, id, at };
    let mut out = Outgoing::default();
    // It names none before it: it must get through though something before it never did.
    let mut published = if newest > written.sequence { Position::default() } else { written };
    out.add(&cause, vec![Command::Publish(Box::new(change))], &mut published);
    if let Some(version) = &object.metadata.resource_version {
        let judged = |message: &mut Publish| message.headers.insert(HEADER_JUDGED.to_owned(), version.clone());
        out.messages.iter_mut().for_each(|message| _ = judged(message));
    }
    shard.timers.forget(key);
    keep_for_operator(shard, key, reason).await;
    shard.outbox.publish(out.messages).await?;
    metrics::QUARANTINED.inc();
    tracing::error!(
        workflow.uid = key.uid,
        workflow.name = key.name,
        workflow.namespace = key.namespace,
        reason,
        "workflow put out of service"
    );
    Ok(())
}

/// Keeps the workflow in the quarantine of the bus, and the event that it could not step if there is one.
async fn keep_for_operator(shard: &Shard, key: &WorkflowKey, reason: &str) {
    let host = &shard.context.host;
    let entry = Quarantined::workflow(&*key.uid, reason, host.clock.now()).named(&*key.namespace, &*key.name);
    if let Some(sequence) = shard.in_hand.take(&key.uid) {
        let log = host.observed_subject(&key.uid);
        match host.bus.read(Stream::Observed, &log, sequence.saturating_sub(1), 1).await {
            Ok(page) => {
                for message in page.iter().filter(|message| message.sequence == sequence) {
                    keep(host, entry.clone().message(message)).await;
                }
            }
            Err(error) => tracing::warn!(
                workflow.uid = key.uid,
                event.seq = sequence,
                error = &error as &dyn std::error::Error,
                "the event that could not be stepped is not read, it stays in the log"
            ),
        }
    }
    keep(host, entry).await;
}
