//! A process of the user's: how it starts, what it writes, which signals it gets, how it ends.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};
use tokio::sync::oneshot;

use crate::Error;
use crate::pod::command::{look_up, plain};

/// What was written before the end is read within this time.
const LATE: Duration = Duration::from_millis(500);
/// Exit code of a process that a signal ended, less the signal's number.
const SIGNALLED: i32 = 128;

/// What is kept of what a process writes.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// The end of its standard output.
    pub tail: Option<Mutex<Tail>>,
    /// Both streams.
    pub combined: Option<Mutex<File>>,
    /// Why something of it was not kept.
    failed: Mutex<Option<io::Error>>,
}

/// The last bytes of a stream.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    max: usize,
}

impl Tail {
    /// So many at most.
    pub fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // not at every piece, as the rest has to move
        if self.bytes.len() > 2 * self.max {
            self.bytes.drain(..self.bytes.len() - self.max);
        }
    }

    /// The bytes.
    pub fn get(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(self.max)..]
    }
}

impl Capture {
    /// Why something was not kept, told once.
    pub fn failure(&self) -> Option<io::Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, bytes: &[u8], is_stdout: bool) {
        if let (Some(tail), true) = (&self.tail, is_stdout) {
            tail.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
        if let Some(combined) = &self.combined
            && let Err(error) = combined.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)
        {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    /// Passes on what comes, and keeps it. It blocks.
    fn pass_on(&self, mut from: impl Read, mut to: impl Write, is_stdout: bool) {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(bytes) => {
                    self.keep(&buffer[..bytes], is_stdout);
                    // who reads the log may be gone
                    _ = to.write_all(&buffer[..bytes]).and_then(|()| to.flush());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

/// A process that was started.
pub(super) struct Child {
    pid: Pid,
    has_group: bool,
    ended: oneshot::Receiver<i32>,
    written: Vec<oneshot::Receiver<()>>,
}

/// Starts a command. Its processes are a group of their own, so that signals reach all of them, unless it has a terminal.
/// Errors: `Command`, `Start`.
pub(super) fn start(argv: &[String], capture: &Arc<Capture>) -> Result<Child, Error> {
    let [name, arguments @ ..] = argv else {
        return Err(Error::Command { text: "exec: no command".into() });
    };
    let program = look_up(name)?;
    let mut command = Command::new(&program);
    command.arg0(name).args(arguments);
    let piped = |is_kept| if is_kept { Stdio::piped() } else { Stdio::inherit() };
    command.stdout(piped(capture.tail.is_some() || capture.combined.is_some()));
    command.stderr(piped(capture.combined.is_some()));
    let has_group = !io::stdin().is_terminal();
    if has_group {
        command.process_group(0);
    }
    let refused = |error: &io::Error| refused(&program, error);
    let mut child = command.spawn().map_err(|error| refused(&error))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Error::Start { text: "the process has no id".into() })?;
    let mut written = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        written.push(on_thread(capture, move |capture| capture.pass_on(stdout, io::stdout(), true))?);
    }
    if let Some(stderr) = child.stderr.take() {
        written.push(on_thread(capture, move |capture| capture.pass_on(stderr, io::stderr(), false))?);
    }
    let ended = on_thread(capture, move |_| reap(pid))?;
    Ok(Child { pid, has_group, ended, written })
}

fn refused(program: &Path, error: &io::Error) -> Error {
    Error::Start { text: format!("fork/exec {}: {}", program.display(), plain(error)) }
}

fn on_thread<T: Send + 'static>(
    capture: &Arc<Capture>,
    work: impl FnOnce(&Capture) -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, Error> {
    let (told, result) = oneshot::channel();
    let capture = Arc::clone(capture);
    let work = move || _ = told.send(work(&capture));
    thread::Builder::new().spawn(work).map_err(|error| Error::Start { text: format!("start a thread: {error}") })?;
    Ok(result)
}

/// Waits for a process of ours, and for every other that became one when its parent ended: this may be the first process of
/// the container, and then nobody else does.
fn reap(pid: Pid) -> i32 {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((one, status))) if one == pid => {
                if let Some(code) = code(status) {
                    return code;
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            // it is none of ours any more, which cannot be
            Err(_) => return crate::FAILED,
        }
    }
}

fn code(status: WaitStatus) -> Option<i32> {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| SIGNALLED + signal))
}

impl Child {
    /// Sends a signal to it and its processes.
    pub fn signal(&self, number: i32) {
        let Some(signal) = Signal::from_named_raw(number) else { return };
        // it may have ended
        _ = match self.has_group {
            true => kill_process_group(self.pid, signal),
            false => kill_process(self.pid, signal),
        };
    }

    /// Waits for its end; may be given up and begun again.
    pub async fn ended(&mut self) -> i32 {
        // the thread always answers
        (&mut self.ended).await.unwrap_or(crate::FAILED)
    }

    /// Waits until what it has written before its end is kept.
    pub async fn written(self) {
        let written = futures::future::join_all(self.written);
        // what a process of its own still writes, which it left behind, is not waited for
        _ = tokio::time::timeout(LATE, written).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_stream_the_end_is_kept() {
        let mut tail = Tail::new(4);
        for piece in ["ab", "cdefghijk", "l", ""] {
            tail.push(piece.as_bytes());
        }
        assert_eq!(tail.get(), b"ijkl");
    }
}
