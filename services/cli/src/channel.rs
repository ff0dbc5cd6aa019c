//! Standard output and standard error.
//!
//! A reader that went away (`argosy run FILE | head`) changes nothing: no more is written, and the work and the exit code
//! stay what they are. Commands that only print may look at [`is_read`] and end early.

use std::{
    io::{self, ErrorKind, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The reader of standard output went away.
static OUT_CLOSED: AtomicBool = AtomicBool::new(false);
/// Why something that standard output should have got was lost, other than that nobody reads it: a full disk.
static OUT_LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes to standard output.
pub fn out(text: &str) {
    if !is_read() {
        return;
    }
    let mut out = io::stdout().lock();
    let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else { return };
    OUT_CLOSED.store(true, Ordering::Relaxed);
    if error.kind() != ErrorKind::BrokenPipe {
        lost_slot().get_or_insert(error);
    }
}

/// Writes to standard error, of which nobody need read a word.
pub fn err(text: &str) {
    _ = io::stderr().lock().write_all(text.as_bytes());
}

/// False once standard output can no longer be written.
pub fn is_read() -> bool {
    !OUT_CLOSED.load(Ordering::Relaxed)
}

/// Why standard output lost something that somebody would have read.
pub fn lost() -> Option<io::Error> {
    lost_slot().take()
}

fn lost_slot() -> std::sync::MutexGuard<'static, Option<io::Error>> {
    OUT_LOST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line to standard error. Unlike `eprintln!`, it does not end the program where nobody reads it.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::channel::err(&format!("{}\n", format_args!($($words)*)))
    };
}
pub(crate) use say;
