//! The finished workflows, as the API tells of them: their metadata alone.

use std::time::Duration;

use argosy_actor::Backoff;
use argosy_api::labels;
use argosy_objects::api;
use futures::{Stream, StreamExt as _};
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};

use crate::metrics;

type Meta = PartialObjectMeta<DynamicObject>;

/// Finished workflows come and go; for ever. One that is retried goes.
pub(crate) fn finished(
    client: kube::Client,
    namespace: Option<&str>,
    instance_id: &str,
) -> impl Stream<Item = Event<Meta>> + use<> {
    let kind = api::argo_kind("Workflow");
    let workflows: Api<Meta> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    };
    let selector = format!("{}=true,{}", labels::COMPLETED, api::of_instance(instance_id));
    let config = watcher::Config::default().labels(&selector);
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let events = Box::pin(watcher::watcher(workflows, config));
    futures::stream::unfold((events, backoff), |(mut events, mut backoff)| async move {
        loop {
            match events.next().await? {
                Ok(event) => {
                    backoff.reset();
                    return Some((event, (events, backoff)));
                }
                Err(error) => {
                    metrics::WATCH_ERRORS.inc();
                    tracing::warn!(error = &error as &dyn std::error::Error, "a watch broke off, watching again");
                    backoff.wait().await;
                }
            }
        }
    })
}
