//! Why work failed, and whether the same work may go well later.

use std::error::Error;

use argosy_bus::Class;

use crate::aside::Ended;

/// Why an actor or a shard's work gave up; it is logged, counted and started again.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The router has been stopped.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the actors have been stopped")]
pub struct Stopped;

/// Whether the failure may pass by itself: the bus did not answer, the actors were stopped, or `known` says so of one of its
/// causes, as it says of an API that did not answer. All else is a fault of what was worked at, and counts towards putting it
/// out of service.
pub(crate) fn passes(error: &(dyn Error + 'static), known: impl Fn(&(dyn Error + 'static)) -> Option<bool>) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<argosy_bus::Error>() {
            return error.class() == Class::Transient || error.is_fenced();
        }
        if let Some(passes) = known(error) {
            return passes;
        }
        if error.is::<Stopped>() || error.is::<Ended>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// The error's text with all its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
