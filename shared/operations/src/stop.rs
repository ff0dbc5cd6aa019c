//! Stopping a workflow.

use argosy_api::labels;
use argosy_api::v1alpha1::{NodePhase, Shutdown, Workflow};
use argosy_client::{Warn, edit};
use argosy_engine::ops::suspend;
use argosy_engine::ops::user::User;
use jiff::Timestamp;

/// Stops or terminates the workflow `name`. A stop with a `selector` only fails the suspended nodes that it matches. A
/// `message` is that of the suspended nodes that this ends,
/// and is noted on the workflow where it is stopped whole.
///
/// Errors: it has ended; nothing is selected; it cannot be read or written.
pub async fn stop(
    client: &kube::Client,
    namespace: &str,
    name: &str,
    how: Shutdown,
    (selector, message): (&str, &str),
    user: Option<&User>,
    warn: Warn<'_>,
) -> Result<(), edit::Error<suspend::Error>> {
    edit::edit(client, namespace, name, warn, |workflow| {
        if !message.is_empty() && selector.is_empty() {
            end_waiting(workflow, message)?;
            // Steps in pods end with messages of their own, as Argo has them.
            workflow.metadata.annotations.insert(labels::STOP_MESSAGE.to_owned(), message.to_owned());
        }
        suspend::shut_down(workflow, how, selector, message, user, Timestamp::now())
    })
    .await
}

/// Ends the steps that wait for somebody with `message`: the engine, which ends all others, knows of none.
fn end_waiting(workflow: &mut Workflow, message: &str) -> Result<(), suspend::Error> {
    let phase = Some(NodePhase::Failed);
    let values = suspend::NodeValues { phase, message: message.to_owned(), ..suspend::NodeValues::default() };
    match suspend::set(workflow, "phase=Running", &values, Timestamp::now()) {
        Err(suspend::Error::NothingSelected { .. }) => Ok(()),
        other => other,
    }
}
