//! The executor in pods: `argosy executor init|wait`, and the wrapper of the user's commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    argosy_executor::dispatch().unwrap_or_else(argosy_executor::pod::main)
}
