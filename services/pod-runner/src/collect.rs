//! Pods that are dealt with: they get their label, or go by the `podGC` of their workflow, which waits for its time and for the
//! object to hold what the pod had to tell. Nothing waits for either, so whatever makes something run goes first.
//!
//! Nothing of this is kept on the bus. Whoever owns the shard next sees such a pod in its list, has the log told of it again,
//! and is wished for the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use argosy_actor::Failure;
use argosy_api::digest::Position;
use argosy_api::labels;
use argosy_api::message::{Collection, CommandMessage};
use argosy_objects::{api, marks as object_marks};
use argosy_workflows::WorkflowKey;
use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::api::ListParams;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use crate::bin::{Entry, Of};
use crate::context::{Shard, Urgency};
use crate::known::PodKey;
use crate::objects::Objects;
use crate::{marks, metrics};

/// Workflows whose pods go at the same time.
const AT_ONCE_MAX: usize = 8;
/// Pods of a list that are read at once.
const PAGE: u32 = 500;

/// Lets pods go for ever.
pub(crate) async fn run(shard: &Arc<Shard>) -> Result<(), Failure> {
    let clock = shard.context.host.clock;
    loop {
        let more = shard.bin.more();
        let by_clock = async {
            match shard.bin.next() {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = by_clock => {}
            () = more => continue,
        }
        let due = futures::stream::iter(shard.bin.take(clock.now()));
        due.for_each_concurrent(AT_ONCE_MAX, |(workflow, of)| async move {
            let left = collect(shard, &workflow, of).await;
            shard.bin.put_back(workflow, left, clock.now());
        })
        .await;
    }
}

/// Lets the pods of one workflow go; gives those that cannot go yet.
async fn collect(shard: &Shard, workflow: &WorkflowKey, of: Of) -> Of {
    let context = &shard.context;
    let written = if of.pods.values().any(|entry| entry.deletes) {
        let _permit = context.turn(Urgency::Last, &workflow.uid).await;
        match api::workflows(&context.client, &workflow.namespace).get_metadata_opt(&workflow.name).await {
            // A workflow that is gone has nothing left to remember.
            Ok(object) => {
                let object = object.filter(|object| object.metadata.uid.as_deref() == Some(&workflow.uid));
                object.and_then(|object| written(&object.metadata))
            }
            Err(error) => {
                tracing::warn!(
                    workflow.uid = workflow.uid,
                    error = &error as &dyn std::error::Error,
                    "pods stay until their workflow can be read"
                );
                return of;
            }
        }
    } else {
        None
    };
    let is_told = |entry: &Entry| !entry.deletes || written.is_none_or(|written| written >= entry.published);
    let objects = Objects::new(&context.client, &workflow.namespace);
    let (pods, mut left) = of.empty();
    for (name, entry) in pods {
        if !shard.owned.holds() {
            // Whoever owns the shard now sees to them.
            return left.empty().1;
        }
        if !is_told(&entry) {
            left.pods.insert(name, entry);
            continue;
        }
        let _permit = context.turn(Urgency::Last, &workflow.uid).await;
        let key = PodKey { workflow: workflow.clone(), pod: name.clone() };
        if let Err(error) = let_go(shard, &objects, &key, &entry).await {
            let error_dyn = &error as &dyn std::error::Error;
            if matches!(api::answer(&error), api::Answer::Rejected) {
                metrics::REJECTED.inc();
                tracing::error!(workflow.uid = workflow.uid, pod = name, error = error_dyn, "pod cannot be collected");
            } else {
                tracing::warn!(workflow.uid = workflow.uid, pod = name, error = error_dyn, "pod not collected yet");
                left.pods.insert(name, entry);
            }
        }
    }
    left
}

async fn let_go(shard: &Shard, objects: &Objects, key: &PodKey, entry: &Entry) -> Result<(), kube::Error> {
    let name = key.pod.as_str();
    let known = if entry.selector.is_none() { shard.known.find(key) } else { None };
    let (uid, is_selected) = match known {
        Some(known) if known.wished_at.is_none_or(|at| at <= entry.wished) => (known.uid, true),
        Some(_) => return Ok(()),
        None => {
            let Some(pod) = objects.pods().get_metadata_opt(name).await? else { return Ok(()) };
            if !is_meant(&pod.metadata, entry) {
                return Ok(());
            }
            let is_selected = is_selected(&pod.metadata, entry.selector.as_ref());
            (pod.metadata.uid.unwrap_or_default(), is_selected)
        }
    };
    if !entry.deletes || !is_selected {
        return objects.label_completed(name, &uid).await;
    }
    shard.bin.note_collected(&uid, true);
    metrics::COLLECTED.inc();
    match objects.delete_pod_in(name, Some(uid.clone()), shard.context.options.pod_gc_grace_secs).await {
        Ok(()) => Ok(()),
        Err(error) => {
            shard.bin.note_collected(&uid, false);
            Err(error)
        }
    }
}

/// How far the object was brought; `None` when there is nothing to wait for: the workflow has ended, and whoever took that mark
/// off its object will not bring it any further.
fn written(object: &ObjectMeta) -> Option<Position> {
    let has_ended =
        object.labels.as_ref().is_some_and(|all| all.get(labels::COMPLETED).is_some_and(|text| text == "true"));
    let written = object_marks::watermark_of(object).map(|mark| mark.position());
    if has_ended { written } else { Some(written.unwrap_or_default()) }
}

/// Puts all pods of the command's workflow into the bin that are not dealt with yet.
pub(crate) async fn put_all(
    shard: &Shard,
    objects: &Objects,
    command: &CommandMessage,
    (deletes, terms): (bool, &Collection),
) -> Result<(), kube::Error> {
    let ours =
        format!("{}={},{}!=true,!{}", labels::WORKFLOW_UID, command.workflow_uid, labels::COMPLETED, labels::COMPONENT);
    let mut page = ListParams::default().labels(&ours).limit(PAGE);
    loop {
        let list = objects.pods().list_metadata(&page).await?;
        for pod in list.items {
            let Some(name) = pod.metadata.name else { continue };
            let workflow = WorkflowKey {
                uid: command.workflow_uid.clone(),
                namespace: command.namespace.clone(),
                name: command.workflow.clone(),
            };
            shard.bin.put(PodKey { workflow, pod: name }, command, deletes, terms);
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// A node of a workflow that was retried has another pod of the same name.
fn is_meant(pod: &ObjectMeta, entry: &Entry) -> bool {
    marks::wished_at(pod).is_none_or(|at| at <= entry.wished)
}

/// A selector that cannot be read selects nothing.
fn is_selected(pod: &ObjectMeta, selector: Option<&Value>) -> bool {
    let Some(selector) = selector else { return true };
    let selector = serde_json::from_value::<LabelSelector>(selector.clone()).ok();
    let selector = selector.and_then(|selector| Selector::try_from(selector).ok());
    selector.is_some_and(|selector| selector.matches(pod.labels.as_ref().unwrap_or(&BTreeMap::new())))
}
