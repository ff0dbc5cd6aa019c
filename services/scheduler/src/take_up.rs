//! What a new owner of a shard does first: it takes up the workflows that live there. Their events may all be dealt with
//! already, so that no message would wake them, while a timer of theirs died with the former owner. The logs of those that
//! have ended it purges, where the former owner did not come to it.

use std::collections::BTreeSet;

use argosy_actor::{Backoff, Failure, Host, Router, WorkflowKey, api};
use argosy_api::labels;
use argosy_bus::{Stream, subject};
use kube::api::ListParams;

use crate::actor::Actors;
use crate::shard::{Surroundings, key_of};

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

/// Builds an actor for each workflow of `shard` that has a log and no actor: one that has ended purges its log when it
/// leaves, and the log of one that is gone is purged at once.
///
/// Errors: the router was stopped; the bus refuses.
pub(crate) async fn sweep(host: &Host, shard: u16, router: &Router<Actors>) -> Result<(), Failure> {
    let subjects = host.bus.subjects(Stream::Observed, &subject::Observed::of_shard(shard)).await?;
    let live: BTreeSet<String> = router.keys().into_iter().map(|key| host.observed_subject(&key.uid)).collect();
    for subject in subjects.into_iter().filter(|subject| !live.contains(subject)) {
        let head = host.bus.read(Stream::Observed, &subject, 0, 1).await?;
        if let Some(message) = head.first()
            && let Some(key) = key_of(host, message).await?
        {
            router.touch(&key)?;
        }
    }
    Ok(())
}
