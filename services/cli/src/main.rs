//! The `argosy` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Helpers of the local node start this same program; they must not start threads.
    if let Some(code) = argosy_cluster::node::dispatch() {
        return code;
    }
    argosy_cli::main()
}
