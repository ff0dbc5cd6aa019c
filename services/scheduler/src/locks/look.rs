//! Looks at the world for locks, and reports what is there to their log.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Backoff, Failure, HEADER_ORIGIN};
use argosy_api::labels;
use argosy_api::message::{LockFact, LockHolder, LockLimit, LockOwner, LookupKey, LookupKind, is_locks_uid};
use argosy_api::v1alpha1::SynchronizationStatus;
use argosy_objects::{api, marks};
use argosy_workflows::{WorkflowKey, WorkflowLog as _, read};
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, PartialObjectMeta};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::entity::{id_on, payload_of};
use crate::context::Context;
use crate::facts::LocksQuestion;
use crate::lookups;
use crate::metrics;

/// Looks under way at once, for a shard.
const CONCURRENT: usize = 8;
/// Workflows listed at once.
const PAGE: u32 = 500;
/// Of the place of what a workflow tells of locks, the bits within a step; see the engine's `since`.
const WITHIN_STEP_BITS: u32 = 10;

pub(super) struct Looks {
    context: Arc<Context>,
    stop: CancellationToken,
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
    /// From here on nobody who owned the shard before, or a status service of before the loss of a bus, can still write.
    sole_owner_at: Instant,
}

impl Looks {
    pub fn new(context: Arc<Context>, lease: Duration, stop: CancellationToken) -> Self {
        let (tasks, permits) = (TaskTracker::new(), Arc::new(Semaphore::new(CONCURRENT)));
        Self { context, stop, tasks, permits, sole_owner_at: Instant::now() + lease }
    }

    /// Looks, and reports under the message id `id` to the bus that began at `origin`. A crash before the report is mended by the locks asking again.
    pub fn look(&self, key: WorkflowKey, id: String, origin: u64, question: LocksQuestion) {
        let (context, stop, permits) = (Arc::clone(&self.context), self.stop.clone(), Arc::clone(&self.permits));
        let sole_owner_at = self.sole_owner_at;
        self.tasks.spawn(async move {
            let look = async {
                let _permit = permits.acquire().await;
                let log = Log { key: &key, origin };
                if let Err(error) = answer(&context, &log, id, question, sole_owner_at).await {
                    metrics::POISON.inc();
                    tracing::error!(locks.namespace = key.namespace, error, "look for locks not reported");
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = look => {}
            }
        });
    }
}

/// The log of the locks that ask, on the bus that began at `origin`.
struct Log<'a> {
    key: &'a WorkflowKey,
    origin: u64,
}

async fn answer(
    context: &Context,
    log: &Log<'_>,
    id: String,
    question: LocksQuestion,
    sole_owner_at: Instant,
) -> Result<(), Failure> {
    match question {
        LocksQuestion::Limits { locks, up_to } => {
            let mut limits = Vec::with_capacity(locks.len());
            for lock in locks {
                let limit = limit(context, &lock).await;
                limits.push(LockLimit { lock, limit });
            }
            tell(context, log, id, LockFact::LimitsRead { limits, up_to }).await
        }
        LocksQuestion::Holders => {
            let holders = holders(context, log, sole_owner_at).await?;
            tell(context, log, id, LockFact::HoldersRead { holders }).await
        }
        LocksQuestion::Look { limits, workflows, up_to } => {
            let mut changed = Vec::new();
            for (lock, known) in limits {
                let limit = limit(context, &lock).await;
                if limit != Some(known) {
                    changed.push(LockLimit { lock, limit });
                }
            }
            changed.retain(|limit| limit.limit.is_some());
            if !changed.is_empty() {
                tell(context, log, format!("{id}.limits"), LockFact::LimitsRead { limits: changed, up_to: 0 }).await?;
            }
            for LockOwner { uid, namespace, name } in workflows {
                let workflow = WorkflowKey { uid, namespace, name };
                let metadata = read::get_metadata(&context.client, &workflow).await?;
                if metadata.as_ref().is_none_or(has_ended) {
                    let fact = LockFact::WorkflowGone { uid: workflow.uid.clone(), up_to };
                    tell(context, log, format!("{id}.gone.{}", workflow.uid), fact).await?;
                }
            }
            Ok(())
        }
    }
}

async fn tell(context: &Context, log: &Log<'_>, id: String, fact: LockFact) -> Result<(), Failure> {
    debug_assert!(is_locks_uid(&log.key.uid), "only locks are told of locks");
    let host = &context.host;
    let message = host.observed(log.key, id_on(log.origin, &id), payload_of(host.clock.now(), fact)).urgent();
    let message = message.header(HEADER_ORIGIN, log.origin.to_string());
    host.publish(vec![message]).await?;
    Ok(())
}

fn has_ended(metadata: &ObjectMeta) -> bool {
    let completed = metadata.labels.as_ref().and_then(|all| all.get(labels::COMPLETED));
    completed.is_some_and(|text| text == "true")
}

/// What the ConfigMap of the semaphore `<namespace>/ConfigMap/<name>/<key>` says.
async fn limit(context: &Context, lock: &str) -> Option<u32> {
    let parts: Vec<&str> = lock.splitn(4, '/').collect();
    let [namespace, _, name, data_key] = parts[..] else { return None };
    let key = LookupKey {
        kind: LookupKind::ConfigMap,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        data_key: Some(data_key.to_owned()),
    };
    let map = lookups::get(&context.client, &key).await.ok()??;
    map.get("data")?.get(data_key)?.as_str().and_then(argosy_locks::limit_of)
}

/// Who holds locks of the namespace, as the objects say. If the bus was lost since one of them was written, this waits until
/// nobody can write any more what only the lost bus knew, and looks again.
async fn holders(context: &Context, log: &Log<'_>, sole_owner_at: Instant) -> Result<Vec<LockHolder>, Failure> {
    let Log { key, origin } = *log;
    loop {
        let mut found = Vec::new();
        let mut is_lost = false;
        let mut workflows = users(context, &key.namespace).await?;
        // A list may be older than what the watch has seen.
        let listed: HashSet<String> = workflows.iter().map(|workflow| workflow.uid.clone()).collect();
        let seen = context.unfinished.lock_users(&key.namespace);
        workflows.extend(seen.into_iter().filter(|workflow| !listed.contains(&workflow.uid)));
        for workflow in workflows {
            let Some(object) = read::get(&context.client, &workflow).await? else { continue };
            let sequence = marks::watermark(&object).map_or(0, |mark| mark.position().sequence);
            is_lost |= (1..=origin).contains(&sequence);
            found.extend(held_by(&workflow, &object, &key.namespace, sequence));
        }
        if !is_lost || Instant::now() >= sole_owner_at {
            return Ok(found);
        }
        metrics::LOCKS_BUS_LOSS.inc();
        tracing::warn!(locks.namespace = key.namespace, "the bus was lost, who holds locks is read from the workflows");
        tokio::time::sleep_until(sole_owner_at).await;
    }
}

/// Unfinished workflows that have wanted locks of the namespace.
async fn users(context: &Context, namespace: &str) -> Result<Vec<WorkflowKey>, Failure> {
    let kind = api::argo_kind("Workflow");
    let workflows: Api<PartialObjectMeta<DynamicObject>> = match &context.namespace {
        Some(own) => Api::namespaced_with(context.client.clone(), own, &kind),
        None => Api::all_with(context.client.clone(), &kind),
    };
    let selector = format!("{}!=true", labels::COMPLETED);
    let (mut found, mut from, mut backoff) = (Vec::new(), None::<String>, Backoff::short());
    loop {
        let mut params = ListParams::default().labels(&selector).limit(PAGE);
        params.continue_token.clone_from(&from);
        match workflows.list_metadata(&params).await {
            Ok(page) => {
                found.extend(page.items.iter().filter_map(|object| user(&object.metadata, namespace)));
                from = page.metadata.continue_.filter(|token| !token.is_empty());
                if from.is_none() {
                    return Ok(found);
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "workflows with locks not listed, trying again"
                );
                // A list that has expired begins anew.
                (from, found) = (None, Vec::new());
                backoff.wait().await;
            }
        }
    }
}

fn user(metadata: &ObjectMeta, namespace: &str) -> Option<WorkflowKey> {
    let namespaces = metadata.annotations.as_ref()?.get(labels::LOCKS)?;
    namespaces.split(',').find(|one| *one == namespace)?;
    Some(WorkflowKey {
        uid: metadata.uid.clone()?,
        namespace: metadata.namespace.clone()?,
        name: metadata.name.clone()?,
    })
}

fn held_by(workflow: &WorkflowKey, object: &DynamicObject, namespace: &str, sequence: u64) -> Vec<LockHolder> {
    let status = object.data.pointer("/status/synchronization").cloned().unwrap_or_default();
    // What is no such status, somebody has edited; it holds nothing then.
    let status: SynchronizationStatus = serde_json::from_value(status).unwrap_or_default();
    let mutexes = status.mutex.into_iter().flat_map(|m| m.holding).map(|held| (held.mutex, vec![held.holder]));
    let semaphores = status.semaphore.into_iter().flat_map(|s| s.holding).map(|held| (held.semaphore, held.holders));
    let mut found: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for (lock, holders) in semaphores.chain(mutexes) {
        if lock.split('/').next() == Some(namespace) {
            holders.into_iter().for_each(|holder| found.entry(holder).or_default().push(lock.clone()));
        }
    }
    let WorkflowKey { uid, namespace, name } = workflow.clone();
    let owner = LockOwner { uid, namespace, name };
    let of =
        |(holder, locks)| LockHolder { workflow: owner.clone(), holder, locks, since: sequence << WITHIN_STEP_BITS };
    found.into_iter().map(of).collect()
}
