//! What a new owner of a shard does first: it takes up the workflows that live there. Their events may all be dealt with
//! already, so that no message would wake them, while a timer of theirs died with the former owner.

use argosy_actor::{Backoff, Failure, Router, WorkflowKey, api};
use argosy_api::labels;
use kube::api::ListParams;

use crate::actor::Actors;
use crate::shard::Surroundings;

/// Workflows listed at once.
const PAGE: u32 = 500;

/// Builds an actor for each unfinished workflow of `shard`.
///
/// Errors: the router was stopped.
pub(crate) async fn take_up(around: &Surroundings, shard: u16, router: &Router<Actors>) -> Result<(), Failure> {
    let workflows = api::all_workflows(&around.client);
    let mut parameters = ListParams::default().labels(&format!("{}!=true", labels::COMPLETED)).limit(PAGE);
    let mut backoff = Backoff::short();
    loop {
        let page = match workflows.list(&parameters).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(shard, error = &error as &dyn std::error::Error, "workflows not listed, trying again");
                // The list may have expired half way: from its start. To take one up twice does no harm.
                parameters.continue_token = None;
                backoff.wait().await;
                continue;
            }
        };
        for object in page.items {
            let metadata = object.metadata;
            let (Some(uid), Some(namespace), Some(name)) = (metadata.uid, metadata.namespace, metadata.name) else {
                continue;
            };
            if around.host.shard_of(&uid) == shard {
                router.touch(&WorkflowKey { uid, namespace, name })?;
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}
