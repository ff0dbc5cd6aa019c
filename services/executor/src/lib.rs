//! The executor: what surrounds the user's containers of a pod. `init` stages inputs, `main` wraps the user's command,
//! `wait` gathers outputs and reports them.
//!
//! They run inside the local node ([`Embedded`]), without processes of their own. The three meet in the volume
//! `var-run-argo`, see [`layout::Layout`].
//! Source: Argo Workflows v4.1.2 `workflow/executor`, `cmd/argoexec/commands/emissary.go`.

pub mod data;
mod embedded;
mod error;
mod init;
pub mod layout;
mod limits;
mod outputs;
mod report;
pub mod resource;
mod work;
mod wrapper;

pub use embedded::Embedded;
pub use error::Error;
pub(crate) use error::refused;
pub use init::{Inputs, stage};
pub use limits::{BadLimit, Limits};
pub use outputs::{Gathered, Gatherer};
pub use wrapper::{Wrapped, wrap};

/// Runs the parts of the executor and of the local node that are processes of their own. Call it first in `main`, before
/// threads exist: `None` means that the arguments are for the caller.
pub fn dispatch() -> Option<std::process::ExitCode> {
    match std::env::args_os().nth(1)?.to_str()? {
        resource::FILTER_COMMAND => Some(resource::filter_main()),
        _ => argosy_cluster::node::dispatch(),
    }
}

/// Exit code of a container whose executor failed, as opposed to the user's command.
pub const FAILED: i32 = 64;
