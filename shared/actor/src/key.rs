//! What an owner of a log is named by.

use std::fmt::Debug;

use argosy_bus::Message;

/// Names who has a log of its own: the uid tells it from others, the rest is where to find it.
pub trait EntityKey: Clone + Debug + Ord + Send + Sync + 'static {
    /// The uid. It is a token of the subject of the log.
    fn uid(&self) -> &str;

    /// Namespace and name, for people; empty for what has none.
    fn named(&self) -> (&str, &str);

    /// Of whom a message of a log speaks; `None` when it does not say.
    fn of_log(message: &Message) -> Option<Self>;
}
