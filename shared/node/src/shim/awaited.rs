//! How the parts of the shim, which are processes, are told things: the signals that they wait for, and the code of a failure.

use nix::sys::signal::{SigSet, Signal};

/// The signals that a shim waits for instead of dying of them. The node starts it with these blocked, so that it does not
/// die of one that comes early.
pub fn awaited() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        set.add(signal);
    }
    set
}

/// An exit code for `std::process::exit`, of an error that has been told elsewhere.
pub const BROKEN: u8 = 125;
