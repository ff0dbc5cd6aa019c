//! The `argosy` program.

use std::process::ExitCode;

/// A third of the time of the whole system in one process went into allocating, with the system's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Helpers of the local node start this same program; they must not start threads.
    if let Some(code) = argosy_standalone::dispatch() {
        return code;
    }
    argosy_cli::main()
}
