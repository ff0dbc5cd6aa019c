//! Nodes that are kept outside of an object which does not name them: the workflow is gone, or a writer stopped between two
//! writes.

use std::time::Duration;

use argosy_actor::{Failure, Host};
use argosy_objects::api;
use argosy_workflows::{
    offload::{Offload as _, Stored},
    read,
};

use crate::metrics;

/// How long nodes are kept that no object names: they are stored a moment before the object names them.
pub(crate) const KEPT: Duration = Duration::from_secs(3600);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1800);

/// Removes those of a shard from time to time; for ever.
pub(crate) async fn remove(host: &Host, client: &kube::Client, shard: u16) {
    loop {
        tokio::time::sleep(PAUSE).await;
        if let Err(error) = once(host, client, shard).await {
            tracing::warn!(
                shard,
                error = &*error as &dyn std::error::Error,
                "orphaned nodes not removed, trying again"
            );
        }
    }
}

async fn once(host: &Host, client: &kube::Client, shard: u16) -> Result<(), Failure> {
    for Stored { key, uid, version } in host.older_than(shard, KEPT).await? {
        let Some(key) = key else {
            tracing::error!(workflow.uid = uid, version, "nodes that do not say of which workflow they are");
            continue;
        };
        let object = read::get(client, &key).await?;
        if object.as_ref().and_then(api::offloaded_version) != Some(&version) {
            host.remove(&uid, &version).await?;
            metrics::ORPHANED_NODES.inc();
        }
    }
    Ok(())
}
