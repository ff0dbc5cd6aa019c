//! One look at a CronWorkflow, and what follows from it.
//!
//! The object and its workflows are read anew each time: nothing decides from a cache. What is done may be done again, whoever
//! dies in between: a run's name is that of its moment, an order to terminate stays the same, and the object is only written as
//! it was read.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::Owned;
use argosy_api::labels;
use argosy_api::v1alpha1::{self as v1, CronWorkflow};
use argosy_cron::{Around, Child, Due, Look, Verdict, Why};
use argosy_engine::validate::Templates;
use argosy_objects::{api, merge_patch};
use argosy_operations::{ENDLESS, checked};
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PartialObjectMeta, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use crate::context::{Context, Error};
use crate::metrics;
use crate::run::{self, Outcome};
use crate::watch::Key;

/// What is to be remembered.
#[derive(Debug)]
pub(crate) struct Tended {
    /// Moments up to this are decided.
    pub decided: Option<Timestamp>,
    /// When to look again, if nothing changes.
    pub wake: Option<Timestamp>,
    /// The version of the object as it was written.
    pub written: Option<String>,
}

/// Looks, acts, and writes what there is to note. `None`: the object is gone.
///
/// Errors: those that a later look may not meet.
pub(crate) async fn tend(
    context: &Arc<Context>,
    key: &Key,
    decided: Option<Timestamp>,
    owned: &Owned,
) -> Result<Option<Tended>, Error> {
    let crons = crons(&context.client, &key.namespace);
    let Some(object) = crons.get_opt(&key.name).await? else { return Ok(None) };
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let value = with_kind(&object);
    let mut cron: CronWorkflow = match v1::from_value(value.clone()) {
        Ok(cron) => cron,
        Err(error) => {
            tracing::warn!(cron = key.name, namespace = key.namespace, %error, "a CronWorkflow that cannot be read");
            return Ok(Some(Tended { decided, wake: None, written: None }));
        }
    };
    let children = children(&context.client, &cron).await?;
    let problem = problem(&context.client, &cron).await?;
    let now = context.host.clock.now();
    let around = Around { now, local: &context.local, decided, children: &children, problem: problem.as_deref() };
    let look = argosy_cron::look(&mut cron, around);
    tell(key, &look);
    if let Some((due, verdict)) = &look.tick {
        act(context, &mut cron, &value, *due, verdict, owned).await?;
    }
    let written = write(&crons, &value, &cron).await?;
    delete(&context.client, key, &children, &look.surplus, owned).await?;
    Ok(Some(Tended { decided: Some(look.decided), wake: look.wake, written }))
}

/// What is wrong with a CronWorkflow, if something is: the first mistake.
///
/// Errors: the API does not answer.
async fn problem(client: &kube::Client, cron: &CronWorkflow) -> Result<Option<String>, kube::Error> {
    let check = |templates: &dyn Templates| argosy_cron::problems(cron, templates, &Default::default());
    let Some(problems) = checked(client, &cron.metadata.namespace, check).await? else {
        return Ok(Some(ENDLESS.to_owned()));
    };
    Ok(problems.into_iter().next().map(|problem| problem.message))
}

/// Says what is worth saying.
fn tell(key: &Key, look: &Look) {
    let (cron, namespace) = (&key.name, &key.namespace);
    if look.missed > 0 {
        metrics::MISSED.inc_by(look.missed as u64);
        tracing::info!(cron, namespace, missed = look.missed, "moments that nobody was there for are passed over");
    }
    if look.is_ahead {
        tracing::warn!(cron, namespace, "its last run is noted for a time far ahead, which does not count");
    }
    if let Some(error) = &look.stop_error {
        tracing::warn!(
            cron,
            namespace,
            error = error as &dyn std::error::Error,
            "its stopStrategy cannot be evaluated"
        );
    }
}

/// Carries out what is decided for a moment, and notes it.
async fn act(
    context: &Arc<Context>,
    cron: &mut CronWorkflow,
    value: &Value,
    due: Due,
    verdict: &Verdict,
    owned: &Owned,
) -> Result<(), Error> {
    let outcome = match verdict {
        Verdict::Skip(why) => match why {
            Why::Suspended => "suspended",
            Why::Stopped => "stopped",
            Why::When => "when",
            Why::Active => "active",
        },
        Verdict::Wrong => "wrong",
        Verdict::Run(run) => match run::start(context, cron, value, run, owned).await? {
            Outcome::Started(child) => {
                argosy_cron::started(cron, run.at, &child);
                let delay = context.host.clock.now().duration_since(run.at);
                metrics::TRIGGERED.with_label_values(&[&cron.metadata.name, &cron.metadata.namespace]).inc();
                metrics::DELAY.observe(Duration::try_from(delay).unwrap_or_default().as_secs_f64());
                "started"
            }
            Outcome::There(child) => {
                argosy_cron::started(cron, run.at, &child);
                "there"
            }
            Outcome::Refused(why) => {
                argosy_cron::refused(cron, due, why);
                "refused"
            }
        },
    };
    // What is late is looked at again and again.
    if !due.is_late || matches!(verdict, Verdict::Run(_)) {
        metrics::MOMENTS.with_label_values(&[outcome]).inc();
        if let Verdict::Skip(Why::Active) = verdict {
            metrics::policy_triggered(&cron.metadata.name, &cron.metadata.namespace, "Forbid");
        }
    }
    tracing::debug!(cron = cron.metadata.name, at = %due.at, outcome, late = due.is_late, "a moment of a schedule");
    Ok(())
}

/// Writes what has changed, unless the object has changed meanwhile; gives its new version.
async fn write(crons: &Api<DynamicObject>, before: &Value, after: &CronWorkflow) -> Result<Option<String>, Error> {
    let (metadata, nothing) = (&before["metadata"], json!({}));
    let or_nothing = |value: &Value| if value.is_null() { nothing.clone() } else { value.clone() };
    let (labels, annotations) = (or_nothing(&metadata["labels"]), or_nothing(&metadata["annotations"]));
    let old = json!({
        "metadata": {"labels": labels, "annotations": annotations}, "status": or_nothing(&before["status"]),
    });
    let (labels, annotations) = (&after.metadata.labels, &after.metadata.annotations);
    let new = json!({"metadata": {"labels": labels, "annotations": annotations}, "status": after.status});
    let Some(mut patch) = merge_patch::diff(&old, &new) else { return Ok(None) };
    patch["metadata"]["resourceVersion"] = metadata["resourceVersion"].clone();
    patch["metadata"]["uid"] = metadata["uid"].clone();
    match crons.patch(&after.metadata.name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(written) => Ok(written.metadata.resource_version),
        Err(error) if api::answer(&error) == api::Answer::Conflict => {
            metrics::CONFLICTS.inc();
            Err(Error::Conflict)
        }
        Err(error) => Err(error.into()),
    }
}

/// Deletes ended workflows; those that others have deleted are gone as well.
async fn delete(
    client: &kube::Client,
    key: &Key,
    children: &[Child],
    names: &[String],
    owned: &Owned,
) -> Result<(), Error> {
    let workflows = api::workflows(client, &key.namespace);
    for child in children.iter().filter(|child| names.contains(&child.name)) {
        if !owned.holds() {
            return Err(Error::Left);
        }
        let uid = Some(child.uid.clone());
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid, ..Preconditions::default() }),
            ..DeleteParams::background()
        };
        match workflows.delete(&child.name, &params).await {
            Ok(_) => metrics::DELETED.inc(),
            Err(error) if matches!(api::answer(&error), api::Answer::NotFound | api::Answer::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The workflows with the object's label, and of those that may have to go, when they ended.
async fn children(client: &kube::Client, cron: &CronWorkflow) -> Result<Vec<Child>, kube::Error> {
    let namespace = &cron.metadata.namespace;
    let workflows = api::workflows(client, namespace);
    let selector = format!("{}={}", labels::CRON_WORKFLOW, cron.metadata.name);
    let listed = workflows.list_metadata(&ListParams::default().labels(&selector)).await?;
    let read = |object: &PartialObjectMeta<DynamicObject>| Child::of(&json!({"metadata": object.metadata}));
    let mut children: Vec<Child> = listed.items.iter().map(read).collect();
    let unknown: Vec<String> =
        argosy_cron::unknown_times(&cron.spec, &children).into_iter().map(str::to_owned).collect();
    for name in unknown {
        let Some(whole) = workflows.get_opt(&name).await? else { continue };
        let finished = whole.data.pointer("/status/finishedAt").and_then(Value::as_str);
        let finished = finished.and_then(|text| text.parse().ok());
        children.iter_mut().filter(|child| child.name == name).for_each(|child| child.finished_at = finished);
    }
    Ok(children)
}

/// CronWorkflows of one namespace.
fn crons(client: &kube::Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &api::argo_kind("CronWorkflow"))
}

fn with_kind(object: &DynamicObject) -> Value {
    let mut value = api::to_json(object).unwrap_or_default();
    value["apiVersion"] = json!(v1::API_VERSION);
    value["kind"] = json!("CronWorkflow");
    value
}
