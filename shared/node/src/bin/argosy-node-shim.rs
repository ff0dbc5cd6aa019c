//! The parts of the local node that are processes of their own, and nothing else: what tests give the node to run.

use std::process::ExitCode;

fn main() -> ExitCode {
    argosy_node::dispatch().unwrap_or_else(|| {
        eprintln!("argosy-node-shim is started by a local node");
        ExitCode::from(2)
    })
}
