//! All roles in one process: bus, Kubernetes API, node and services. What `argosy run` and `argosy dev` start, and each
//! service as a role of its own.

mod engine;
mod role;
mod standalone;

pub use engine::{BadBytes, Bytes, EngineOptions, Restrictions};
pub use role::{AllInOne, Connect, NatsOptions, Role, ServiceOptions, run_all, run_role};
pub use standalone::{Error, Handle, Options, Standalone, is_data_dir};
