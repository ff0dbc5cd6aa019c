//! All roles in one process: bus, Kubernetes API, node and services. What `argosy run` and `argosy dev` start, and each
//! service as a role of its own.

mod argo_config;
mod config_source;
mod embedded;
mod engine;
mod front;
mod process;
mod role;
mod standalone;
mod temporary;

pub use embedded::Embedded;
pub use engine::{BadBytes, Bytes, EngineOptions, Restrictions};
pub use front::{FrontError, ServerOptions, run as run_server};
pub use process::run_roles;
pub use role::{AllInOne, Connect, NatsOptions, Role, ServiceOptions, run_all};
pub use standalone::{Error, Handle, Options, Standalone, is_data_dir};

/// Runs the parts of the executor and of the local node that are processes of their own. Call it first in `main`, before
/// threads exist: `None` means that the arguments are for the caller.
pub fn dispatch() -> Option<std::process::ExitCode> {
    argosy_executor::dispatch().or_else(argosy_node::dispatch)
}
