//! What every look at a CronWorkflow needs, and why one comes to nothing.

use argosy_actor::Host;
use jiff::tz::TimeZone;

/// What every look needs.
pub(crate) struct Context {
    pub host: Host,
    pub client: kube::Client,
    pub local: TimeZone,
}

/// A look came to nothing, and is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("read or write a CronWorkflow or its workflows")]
    Api(#[from] kube::Error),
    #[error("the workflow of a moment was not created")]
    NotCreated(#[source] kube::Error),
    #[error("somebody else changed the CronWorkflow")]
    Conflict,
    #[error("another replica acts now")]
    Left,
}
