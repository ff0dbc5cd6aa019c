//! The node's side of the [`shim::nursery`](super::shim): asks for shims, and starts the nursery when there is none.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::SigmaskHow;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::shim;

/// Starts shims. The nursery itself starts with the first of them, and ends with this.
pub struct Nursery {
    executable: PathBuf,
    running: Mutex<Option<Running>>,
}

struct Running {
    socket: UnixStream,
    /// Reaped by the runtime once it is dropped.
    _child: Child,
}

impl Nursery {
    /// With `executable` as the program that has the shim in it.
    pub fn new(executable: PathBuf) -> Self {
        Self { executable, running: Mutex::default() }
    }

    /// Starts a shim that has `files`: its channel, then perhaps a lock.
    /// Errors: the nursery cannot be started.
    pub async fn order(&self, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut running = self.running.lock().await;
        if let Some(nursery) = &*running {
            match nursery.send(files).await {
                // it died: nothing was started
                Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {}
                sent => return sent,
            }
        }
        running.insert(Running::start(&self.executable)?).send(files).await
    }
}

impl Running {
    fn start(executable: &Path) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(executable);
        command
            .args([shim::COMMAND, "--nursery"])
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        // the mask is inherited: signals wait until they can be taken
        let mask = shim::awaited().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let child = command.spawn();
        mask.thread_set_mask()?;
        Ok(Self { socket: UnixStream::from_std(ours)?, _child: child? })
    }

    async fn send(&self, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(files)) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            // one byte, so that each message is read by itself
            sendmsg(&self.socket, &[IoSlice::new(b"+")], &mut control, SendFlags::NOSIGNAL)?;
            Ok(())
        };
        self.socket.async_io(Interest::WRITABLE, send).await
    }
}
