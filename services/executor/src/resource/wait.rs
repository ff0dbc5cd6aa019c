//! Waiting for the conditions, by watching the object.

use std::pin::pin;

use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};

use super::action::Target;
use super::condition::Conditions;
use super::error::Error;
use super::job::Job;

/// Waits until the object fulfills the conditions. Without a success condition it is done at the first look.
/// Errors: `Failed`, `Deleted`, `Watch` when the API server refuses.
pub(super) async fn until(job: &Job<'_>, target: &Target, conditions: &Conditions) -> Result<(), Error> {
    let mut seen = pin!(watch_object(target.api(job), &target.name).default_backoff());
    while let Some(now) = seen.next().await {
        match now {
            Ok(Some(object)) => {
                let value = serde_json::to_value(&object).map_err(|source| Error::Encode { source })?;
                if conditions.judge(&value)? {
                    (job.log)(&format!("{}: conditions matched", target.shown()));
                    return Ok(());
                }
            }
            Ok(None) => return Err(Error::Deleted),
            Err(error) if is_refusal(&error) => {
                return Err(Error::Watch { name: target.shown(), source: Box::new(error) });
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "watch again"),
        }
    }
    Err(Error::Deleted)
}

/// Whether trying again cannot help.
fn is_refusal(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status,
        _ => return false,
    };
    matches!(status.code, 400 | 401 | 403 | 405)
}
