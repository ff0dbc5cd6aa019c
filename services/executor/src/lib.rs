//! The executor: what surrounds the user's containers of a pod. `init` stages inputs, `main` wraps the user's command,
//! `wait` gathers outputs and reports them.
//!
//! This library is what they do, for whatever runs them: it knows neither the node nor the API server of this project. The
//! three meet in the volume `var-run-argo`, see [`layout::Layout`].
//! Source: Argo Workflows v4.1.2 `workflow/executor`, `cmd/argoexec/commands/emissary.go`.

pub mod data;
mod error;
mod init;
pub mod layout;
mod limits;
mod outputs;
pub mod parts;
pub mod pod;
mod progress;
mod report;
pub mod resource;
mod surroundings;
mod work;
mod wrapper;

pub use error::Error;
pub(crate) use error::refused;
use init::{Inputs, stage};
pub use limits::{BadLimit, Limits};
use outputs::Gatherer;
use report::Reporter;
pub use surroundings::Surroundings;
pub use wrapper::{Wrapped, wrap};

/// Runs the parts of the executor that are processes of their own. Call it first in `main`, before threads exist: `None`
/// means that the arguments are for the caller.
pub fn dispatch() -> Option<std::process::ExitCode> {
    match std::env::args_os().nth(1)?.to_str()? {
        resource::FILTER_COMMAND => Some(resource::filter_main()),
        _ => None,
    }
}

pub use argosy_api::executor::FAILED;
