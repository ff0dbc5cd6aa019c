//! The server and what it is made of.

use std::sync::Arc;

use axum::Router;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::handler::{Api, BODY_BYTES_MAX};
use super::logs::LogSource;
use super::signals::Signals;
use super::sources::{Clock, Faults, RandomUids, SystemClock, UidSource};
use super::store::{State, Store};
use super::write::ensure_namespace;

/// Events kept for watches that reconnect.
const HISTORY_EVENTS_MAX: usize = 8192;

/// How a server behaves.
pub struct Options {
    /// The time of creations and deletions.
    pub clock: Arc<dyn Clock>,
    /// Uids, and the random end of generated names.
    pub uids: Arc<dyn UidSource>,
    /// Planned faults, for tests.
    pub faults: Option<Arc<dyn Faults>>,
    /// Events kept for watches; a watch from further back is answered 410 Gone.
    pub history_events_max: usize,
    /// Largest request body, in bytes; larger ones are answered 413.
    pub body_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: Arc::new(SystemClock),
            uids: Arc::new(RandomUids),
            faults: None,
            history_events_max: HISTORY_EVENTS_MAX,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }
}

/// A Kubernetes API server in this process. Clones share it.
#[derive(Clone)]
pub struct Server {
    api: Arc<Api>,
}

impl Server {
    /// A server in memory, holding only the namespaces `default` and `argo`.
    pub fn new(options: Options) -> Self {
        let signals = Arc::new(Signals::new());
        let store = Store::new(
            State::new(),
            signals,
            options.clock,
            options.uids,
            options.history_events_max,
            None,
        );
        for namespace in ["default", "argo"] {
            store
                .write(false, |txn| ensure_namespace(txn, namespace))
                .expect("the name is valid, and nothing else is checked");
        }
        Server {
            api: Arc::new(Api {
                store: Arc::new(store),
                logs: RwLock::new(None),
                faults: options.faults,
                body_bytes_max: options.body_bytes_max,
            }),
        }
    }

    /// The service itself: give it to `kube::Client::new` or to a listener.
    pub fn router(&self) -> Router {
        self.router_until(CancellationToken::new())
    }

    fn router_until(&self, closing: CancellationToken) -> Router {
        let api = Arc::clone(&self.api);
        Router::new().fallback(move |request| Arc::clone(&api).serve(closing.clone(), request))
    }

    /// A client without a socket. Must be called inside a tokio runtime.
    pub fn client(&self, namespace: impl Into<String>) -> kube::Client {
        kube::Client::new(self.router(), namespace)
    }

    /// Says who gives the logs of pods.
    pub fn set_log_source(&self, source: Arc<dyn LogSource>) {
        *self.api.logs.write() = Some(source);
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.api.store.revision()
    }

    /// Forgets the watch history: watches that reconnect from before are answered 410 Gone.
    pub fn compact_history(&self) {
        self.api.store.compact();
    }
}
