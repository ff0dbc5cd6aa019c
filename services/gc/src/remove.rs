//! Looks at one workflow, and deletes it.

use std::time::Duration;

use argosy_api::labels;
use argosy_api::v1alpha1::TTLStrategy;
use argosy_objects::api;
use jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, ObjectMeta, Preconditions, PropagationPolicy};

use crate::expiries::{Task, Why};
use crate::{metrics, ttl};

/// A workflow that is not in the archive yet is looked at again after this.
const ARCHIVING: Duration = Duration::from_secs(10);

/// Does what is to be done with the workflow. Gives when it expires, if it does and is still there.
///
/// Errors: the API does not answer, or the workflow changed meanwhile; it is to be tried again.
pub(crate) async fn carry_out(
    client: &kube::Client,
    task: &Task,
    default: Option<&TTLStrategy>,
    now: Timestamp,
) -> Result<Option<Timestamp>, kube::Error> {
    let workflows = api::workflows(client, &task.key.namespace);
    if task.why != Why::Look {
        let Some(object) = workflows.get_metadata_opt(&task.key.name).await? else { return Ok(None) };
        if !is_meant(&object.metadata, task) {
            return Ok(None);
        }
        let is_edited = object.metadata.resource_version != task.version;
        if !is_edited || task.why == Why::TooMany {
            if is_being_archived(&object.metadata) {
                return Ok(now.checked_add(ARCHIVING).ok());
            }
            return delete(client, task, &object.metadata).await.map(|()| None);
        }
    }
    let object: Option<DynamicObject> = workflows.get_opt(&task.key.name).await?;
    Ok(object.filter(|object| is_meant(&object.metadata, task)).and_then(|object| ttl::expiry(&object, default)))
}

async fn delete(client: &kube::Client, task: &Task, seen: &ObjectMeta) -> Result<(), kube::Error> {
    let why = match task.why {
        Why::TooMany => "retention",
        Why::Look | Why::Expired => "ttl",
    };
    let preconditions = Preconditions { uid: seen.uid.clone(), resource_version: seen.resource_version.clone() };
    let parameters = DeleteParams {
        preconditions: Some(preconditions),
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    match api::workflows(client, &task.key.namespace).delete(&task.key.name, &parameters).await {
        Ok(_) => {
            metrics::DELETED.with_label_values(&[why]).inc();
            tracing::info!(
                workflow.name = task.key.name,
                workflow.namespace = task.key.namespace,
                why,
                "workflow deleted"
            );
            Ok(())
        }
        Err(error) if api::answer(&error) == api::Answer::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The workflow of this task, which has ended and was not retried since.
fn is_meant(object: &ObjectMeta, task: &Task) -> bool {
    let has = |label: &str, value: &str| {
        object.labels.as_ref().and_then(|all| all.get(label)).is_some_and(|text| text == value)
    };
    object.uid.as_ref() == Some(&task.uid) && object.deletion_timestamp.is_none() && has(labels::COMPLETED, "true")
}

fn is_being_archived(object: &ObjectMeta) -> bool {
    object.labels.as_ref().and_then(|all| all.get(labels::ARCHIVING_STATUS)).is_some_and(|text| text == "Pending")
}
