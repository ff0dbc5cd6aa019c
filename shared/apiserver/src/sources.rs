//! What the server takes from outside: the time, unique ids, and planned faults.

use http::{HeaderMap, Uri};
use jiff::Timestamp;
use uuid::Uuid;

/// The server's clock: creation and deletion times.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Where unique ids come from: object uids, and the random end of generated names.
pub trait UidSource: Send + Sync {
    /// The next id, never given before.
    fn next_uid(&self) -> Uuid;
}

/// Random version 4 ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomUids;

impl UidSource for RandomUids {
    fn next_uid(&self) -> Uuid {
        Uuid::new_v4()
    }
}

impl<F: Fn() -> Uuid + Send + Sync> UidSource for F {
    fn next_uid(&self) -> Uuid {
        self()
    }
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Refused with 409 before anything is done.
    ConflictOnce,
    /// Done, then answered with 500.
    LostAnswer,
    /// A pod that is created is refused with 409 before anything is done, as where several quotas' counts are written at
    /// once; other requests are not affected.
    QuotaConflict,
    /// Refused with 503 before anything is done.
    Refuse503,
    /// Refused with 403 before anything is done, as where a right is missing.
    Forbid,
    /// A watch that ends right after it began; other verbs are not affected.
    DropWatch,
}

/// Plans faults, for tests.
pub trait Faults: Send + Sync {
    /// A request as it came, before its fault is asked for. `verb` is as in [`Faults::on_request`].
    fn on_arrival(&self, verb: &str, uri: &Uri, headers: &HeaderMap) {
        let _ = (verb, uri, headers);
    }

    /// The fault of a request. `verb` is the Kubernetes verb, such as `list` or `patch`.
    fn on_request(&self, verb: &str, path: &str) -> Fault {
        let _ = (verb, path);
        Fault::None
    }

    /// Whether the next list shows an older state, as one served from a lagging cache would.
    fn stale_list(&self) -> bool {
        false
    }
}
