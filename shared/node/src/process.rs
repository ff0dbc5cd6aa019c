//! Shims as the node sees them: started, or found alive after the node itself was restarted.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::nursery::Nursery;
use super::shim;
use super::spec::{self, EXIT, Exit, LOCK, STARTED, ShimSpec, Started};

/// One run of a command in a container.
pub struct Process {
    life: Life,
}

enum Life {
    /// Started by us. Dropping the channel ends it, unless it is to outlive the node.
    Own { channel: UnixStream, said: Vec<u8> },
    /// Started by an earlier life of this node; `gone` closes when it dies.
    Adopted { dir: PathBuf, pid: i32, gone: oneshot::Receiver<()> },
    /// Over before we looked.
    Finished { dir: PathBuf },
}

impl Process {
    /// Starts the run of `spec`, or takes over what an earlier life of the node left of it, so that no run happens
    /// twice. The directory `spec.dir` is this run's identity.
    /// Errors: the files or the process cannot be made.
    pub async fn start(nursery: &Nursery, spec: &ShimSpec) -> io::Result<Self> {
        let mut lock = None;
        if let Some(dir) = &spec.dir {
            std::fs::create_dir_all(dir)?;
            if spec.outlive_node {
                if let Some(life) = found(dir)? {
                    return Ok(Self { life });
                }
                // the lock belongs to the open file, which the shim shares: no moment without it
                let file = lock_file(dir)?;
                file.lock()?;
                lock = Some(file);
            }
        }
        // a pair of tokio's would have the shim's end non-blocking, too
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut channel = UnixStream::from_std(ours)?;
        let files = [theirs.as_fd()].into_iter().chain(lock.as_ref().map(File::as_fd));
        nursery.order(&files.collect::<Vec<_>>()).await?;
        drop(theirs);
        let body = serde_json::to_vec(spec).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        channel.write_all(&length.to_le_bytes()).await?;
        channel.write_all(&body).await?;
        Ok(Self { life: Life::Own { channel, said: Vec::new() } })
    }

    /// Waits for the end. Cancel safe.
    /// Errors: what the shim left cannot be read.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        let dir = match &mut self.life {
            Life::Own { channel, said } => {
                hear(channel, said).await?;
                return Ok(serde_json::from_slice(said).unwrap_or_else(|_| lost()));
            }
            Life::Adopted { dir, gone, .. } => {
                // the sender is dropped at the end: an error is the sign
                drop(gone.await);
                std::mem::take(dir)
            }
            Life::Finished { dir } => std::mem::take(dir),
        };
        let exit = spec::read_json(&dir.join(EXIT))?.unwrap_or_else(lost);
        self.life = Life::Finished { dir };
        Ok(exit)
    }

    /// Sends SIGTERM to the command's process group.
    pub fn terminate(&self) {
        self.signal(shim::TERMINATE, Signal::SIGTERM);
    }

    /// Kills all processes of the run.
    pub fn kill(&self) {
        self.signal(shim::KILL, Signal::SIGUSR1);
    }

    /// It may be gone already, which is what we want.
    fn signal(&self, word: u8, signal: Signal) {
        match &self.life {
            Life::Own { channel, .. } => _ = channel.try_write(&[word]),
            Life::Adopted { pid, .. } => _ = kill(Pid::from_raw(*pid), signal),
            Life::Finished { .. } => {}
        }
    }
}

/// Reads all that a shim says until it is gone. Cancel safe.
async fn hear(channel: &UnixStream, said: &mut Vec<u8>) -> io::Result<()> {
    loop {
        channel.readable().await?;
        match channel.try_read_buf(said) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // it ended with something of ours unread
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn lock_file(dir: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(dir.join(LOCK))
}

/// What an earlier life of the node left of a run; `None` when it never began.
fn found(dir: &Path) -> io::Result<Option<Life>> {
    if dir.join(EXIT).exists() {
        return Ok(Some(Life::Finished { dir: dir.to_owned() }));
    }
    if !dir.join(LOCK).exists() {
        return Ok(None);
    }
    let lock = lock_file(dir)?;
    match lock.try_lock() {
        // dead without a word: with a start it is lost, without one it never ran
        Ok(()) => Ok(dir.join(STARTED).exists().then(|| Life::Finished { dir: dir.to_owned() })),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            let (sender, gone) = oneshot::channel::<()>();
            // A thread, as a lock can only be waited for by blocking. It ends with the shim.
            std::thread::Builder::new().name("adopted-shim".into()).spawn(move || {
                let _ = lock.lock();
                drop(sender);
            })?;
            let pid = match spec::read_json::<Started>(&dir.join(STARTED))? {
                Some(started) => started.pid,
                // it holds the lock but has not written yet: it is about to
                None => 0,
            };
            let pid = if pid == 0 { wait_for_pid(dir)? } else { pid };
            Ok(Some(Life::Adopted { dir: dir.to_owned(), pid, gone }))
        }
    }
}

/// The pid of a shim that was started a moment before the node died.
fn wait_for_pid(dir: &Path) -> io::Result<i32> {
    for _ in 0..100 {
        if let Some(started) = spec::read_json::<Started>(&dir.join(STARTED))? {
            return Ok(started.pid);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "a running shim does not tell its process id"))
}

/// The end of a run that nobody could write down, as the kubelet reports it.
fn lost() -> Exit {
    Exit { code: 137, start_error: None, at: Timestamp::now() }
}
