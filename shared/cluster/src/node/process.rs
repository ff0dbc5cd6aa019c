//! Shims as the node sees them: started, or found alive after the node itself was restarted.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use jiff::Timestamp;
use nix::sys::signal::{SigmaskHow, Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;

use super::shim;
use super::spec::{self, EXIT, Exit, LOCK, SPEC, STARTED, ShimSpec, Started};

/// One run of a command in a container.
pub struct Process {
    dir: PathBuf,
    life: Life,
}

enum Life {
    /// Our own child. Dropping the lifeline ends it, unless it is to outlive the node.
    Child { child: Box<Child>, _lifeline: Option<ChildStdin> },
    /// Started by an earlier life of this node; the channel closes when it dies.
    Adopted { pid: i32, gone: oneshot::Receiver<()> },
    /// Over before we looked.
    Finished,
}

impl Process {
    /// Starts the run of `spec`, or takes over what an earlier life of the node left of it, so that no run happens
    /// twice. The directory `spec.dir` is this run's identity.
    /// Errors: the files or the process cannot be made.
    pub async fn start(executable: &Path, spec: &ShimSpec) -> io::Result<Self> {
        std::fs::create_dir_all(&spec.dir)?;
        if spec.outlive_node
            && let Some(life) = found(&spec.dir)?
        {
            return Ok(Self { dir: spec.dir.clone(), life });
        }
        spec::write_json(&spec.dir.join(SPEC), spec)?;
        let mut command = Command::new(executable);
        command.arg(shim::COMMAND).arg(spec.dir.join(SPEC)).stdout(Stdio::null()).stderr(Stdio::inherit());
        if spec.outlive_node {
            // the lock belongs to the open file, which the shim inherits: no moment without it
            let lock = lock_file(&spec.dir)?;
            lock.lock()?;
            command.stdin(Stdio::from(lock));
        } else {
            command.stdin(Stdio::piped());
        }
        // the mask is inherited: signals to the shim wait until it can take them
        let mask = shim::awaited().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let child = command.spawn();
        mask.thread_set_mask()?;
        let mut child = child?;
        let lifeline = child.stdin.take();
        Ok(Self { dir: spec.dir.clone(), life: Life::Child { child: Box::new(child), _lifeline: lifeline } })
    }

    /// Waits for the end. Cancel safe.
    /// Errors: what the shim wrote cannot be read.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        match &mut self.life {
            Life::Child { child, .. } => drop(child.wait().await?),
            // the sender is dropped at the end: an error is the sign
            Life::Adopted { gone, .. } => drop(gone.await),
            Life::Finished => {}
        }
        self.life = Life::Finished;
        Ok(spec::read_json(&self.dir.join(EXIT))?.unwrap_or_else(lost))
    }

    /// Sends SIGTERM to the command's process group.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Kills all processes of the run.
    pub fn kill(&self) {
        self.signal(Signal::SIGUSR1);
    }

    fn signal(&self, signal: Signal) {
        let pid = match &self.life {
            Life::Child { child, .. } => child.id().and_then(|id| i32::try_from(id).ok()),
            Life::Adopted { pid, .. } => Some(*pid),
            Life::Finished => None,
        };
        if let Some(pid) = pid {
            // it may be gone already, which is what we want
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

fn lock_file(dir: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(dir.join(LOCK))
}

/// What an earlier life of the node left of a run; `None` when it never began.
fn found(dir: &Path) -> io::Result<Option<Life>> {
    if dir.join(EXIT).exists() {
        return Ok(Some(Life::Finished));
    }
    if !dir.join(LOCK).exists() {
        return Ok(None);
    }
    let lock = lock_file(dir)?;
    match lock.try_lock() {
        // dead without a word: with a start it is lost, without one it never ran
        Ok(()) => Ok(dir.join(STARTED).exists().then_some(Life::Finished)),
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
            Ok(Some(if pid == 0 {
                Life::Adopted { pid: wait_for_pid(dir)?, gone }
            } else {
                Life::Adopted { pid, gone }
            }))
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
