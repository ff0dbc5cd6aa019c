//! Running a failed workflow again.

use argosy_api::v1alpha1::Workflow;
use argosy_client::{Warn, edit, objects, read};
use argosy_engine::ops::retry::{self, Retry};
use argosy_engine::ops::user::User;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};

/// Retries the workflow `name`, which has ended: deletes the pods of what runs again, as their names come back, and then
/// writes the workflow.
///
/// Errors: its state says that it cannot be; it cannot be read or written, or its pods not be deleted.
pub async fn retry(
    client: &kube::Client,
    namespace: &str,
    name: &str,
    options: &Retry,
    user: Option<&User>,
    warn: Warn<'_>,
) -> Result<(), edit::Error<retry::Error>> {
    let object = objects::get(client, namespace, name).await?;
    let mut planned = read::workflow(&object)?;
    let gone = retry::retry(&mut planned, options, user, Timestamp::now()).map_err(edit::Error::Refused)?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in gone {
        match pods.delete(&pod, &DeleteParams::default().grace_period(0)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => _ = other.map_err(argosy_client::Error::Api)?,
        }
    }
    let again = |workflow: &mut Workflow| retry::retry(workflow, options, user, Timestamp::now());
    edit::edit(client, namespace, name, warn, again).await?;
    Ok(())
}
