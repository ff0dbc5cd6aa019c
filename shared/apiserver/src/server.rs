//! The server and what it is made of.

use std::io;
use std::path::Path;
use std::sync::Arc;

use argosy_listen::Listener;
use axum::Router;
use axum::body::Body;
use http::Request;
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::call::Api;
use super::discovery;
use super::durable::{self, Log, OpenError};
use super::guard::Guard;
use super::handler::BODY_BYTES_MAX;
use super::json::Json;
use super::kinds;
use super::logs::LogSource;
use super::object::key;
use super::render::failure_response;
use super::signals::Signals;
use super::sources::{Clock, Faults, RandomUids, SystemClock, UidSource};
use super::state::State;
use super::store::{Limits, Store};
use super::write::{ensure_namespace, insert};

/// Events kept for watches that reconnect.
const HISTORY_EVENTS_MAX: usize = 8192;

/// Largest object. Source: etcd's default for a request (`--max-request-bytes`), 1.5 MiB.
const OBJECT_BYTES_MAX: usize = 3 << 19;

/// Log that may grow before it is replaced by a snapshot.
const LOG_BYTES_MAX: u64 = 64 << 20;

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
    /// Largest object, in bytes as JSON; larger ones are refused as etcd does. `None`: no limit.
    pub object_bytes_max: Option<usize>,
    /// With a data directory: a log larger than this, in bytes, and than the state itself is cut back.
    pub log_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: Arc::new(SystemClock),
            uids: Arc::new(RandomUids),
            faults: None,
            history_events_max: HISTORY_EVENTS_MAX,
            body_bytes_max: BODY_BYTES_MAX,
            object_bytes_max: Some(OBJECT_BYTES_MAX),
            log_bytes_max: LOG_BYTES_MAX,
        }
    }
}

/// A Kubernetes API server in this process. Clones share it.
#[derive(Clone)]
pub struct Server {
    api: Arc<Api>,
}

impl Server {
    /// A server in memory, holding the namespaces `default` and `argo` and the definitions of Argo's resources.
    pub fn new(options: Options) -> Self {
        Self::start(options, State::new(), Arc::new(Signals::new()), None)
    }

    /// A server whose objects are kept in `data_dir`: a write that was answered survives the process.
    /// Reads the directory and starts one thread; call it outside of async code or at start only.
    /// Errors: the directory is in use, not accessible, or damaged elsewhere than at its torn end.
    pub fn open(options: Options, data_dir: &Path) -> Result<Self, OpenError> {
        let signals = Arc::new(Signals::new());
        let (state, log) = durable::open(data_dir, &signals, options.log_bytes_max)?;
        Ok(Self::start(options, state, signals, Some(log)))
    }

    fn start(options: Options, state: State, signals: Arc<Signals>, log: Option<Log>) -> Self {
        let store = Store::new(
            state,
            signals,
            options.clock,
            options.uids,
            Limits { history_events_max: options.history_events_max, object_bytes_max: options.object_bytes_max },
            log,
        );
        bootstrap(&store).expect("the names are valid, and nothing else is checked");
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

    /// Serves TCP clients, such as `kubectl`, until `shutdown` resolves; open watches are ended then.
    ///
    /// Answered is who shows the token of `access`, to a Host that is this address or a name of loopback with its port, and
    /// from no page of a browser; everybody else is refused before anything is read or done, but for being told that the
    /// server lives. The port takes TLS, with the certificate of `access`, and plain HTTP.
    pub async fn serve(
        &self,
        listener: TcpListener,
        access: Arc<Access>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let closing = CancellationToken::new();
        let guard = Arc::new(Guard::new(Arc::clone(&access), listener.local_addr()?));
        let (api, ends) = (Arc::clone(&self.api), closing.clone());
        let router = Router::new().fallback(move |request: Request<Body>| {
            let (api, ends, refused) = (Arc::clone(&api), ends.clone(), guard.check(&request));
            async move {
                match refused {
                    Ok(()) => api.serve(ends, request).await,
                    Err(failure) => failure_response(&failure),
                }
            }
        });
        axum::serve(Listener::new(listener, access.tls())?, router)
            .with_graceful_shutdown(async move {
                shutdown.await;
                closing.cancel();
            })
            .await
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

/// What is there from the start: two namespaces and the definitions of the Argo resources.
fn bootstrap(store: &Store) -> super::failure::Result<()> {
    store.write(false, |txn| {
        for namespace in ["default", "argo"] {
            ensure_namespace(txn, namespace)?;
        }
        let kind = kinds::find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
            .expect("definitions are in the table of kinds");
        for definition in discovery::definitions() {
            let definition = Json::from(definition);
            let name = definition.str_at(&["metadata", "name"]).unwrap_or("");
            if txn.get(kind, &key("", name)).is_none() {
                insert(txn, kind, None, definition)?;
            }
        }
        Ok(())
    })?;
    Ok(())
}
