//! The outer half of the shim: session, namespaces, log, exit status.
//!
//! One thread only: after `unshare(CLONE_NEWPID)` the kernel refuses new ones.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::fcntl::renameat;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getgid, getuid, setsid};

use super::super::spec::{self, EXIT, Exit, Isolation, STARTED, ShimSpec, StartError, Started};
use super::log::Stream;
use super::{BROKEN, COMMAND, awaited};

/// How long to wait for output that is still in the pipes when the command has ended. In namespaces every writer is
/// dead by then; a plain process may have left children that keep the pipe open.
const DRAIN_MAX: Duration = Duration::from_millis(200);

pub fn main(file: &Path) -> ExitCode {
    match run(file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shim {}: {error}", file.display());
            ExitCode::from(BROKEN)
        }
    }
}

fn run(file: &Path) -> io::Result<()> {
    let spec: ShimSpec = spec::read_json(file)?.ok_or(io::ErrorKind::NotFound)?;
    awaited().thread_block()?;
    // not fatal: a process-group leader is already apart
    let _ = setsid();
    let dir = File::open(&spec.dir)?;
    let mut log = OpenOptions::new().create(true).append(true).open(&spec.log)?;
    let part = File::create(spec.dir.join("exit.part"))?;
    spec::write_json(&spec.dir.join(STARTED), &Started { pid: std::process::id() as i32, at: Timestamp::now() })?;

    let exit = match enter(spec.isolation).and_then(|()| start(file)) {
        Ok((child, control)) => follow(&spec, child, control, &mut log)?,
        Err(error) => Exit {
            code: 128,
            start_error: Some(StartError::Sandbox(format!("create the sandbox: {error}"))),
            at: Timestamp::now(),
        },
    };
    // The container's root has been pivoted since: the host's paths are gone, only open descriptors are left.
    serde_json::to_writer(&part, &exit).map_err(io::Error::other)?;
    renameat(dir.as_fd(), "exit.part", dir.as_fd(), EXIT)?;
    Ok(())
}

/// Leaves the host's namespaces for new ones.
fn enter(isolation: Isolation) -> io::Result<()> {
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    match isolation {
        Isolation::Plain => Ok(()),
        Isolation::Namespaces => Ok(unshare(own)?),
        Isolation::UserNamespaces => {
            let (uid, gid) = (getuid(), getgid());
            unshare(CloneFlags::CLONE_NEWUSER | own)?;
            std::fs::write("/proc/self/setgroups", "deny")?;
            std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
            std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
        }
    }
}

/// Starts the inner half. What it has to say comes through the pipe: a newline once the command runs, then how it
/// ended.
fn start(file: &Path) -> io::Result<(Child, PipeReader)> {
    let (control, theirs) = io::pipe()?;
    let child = Command::new("/proc/self/exe")
        .args([COMMAND.as_ref(), "--inner".as_ref(), file.as_os_str()])
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((child, control))
}

/// Keeps the log, passes signals on and waits for the inner half.
fn follow(spec: &ShimSpec, mut child: Child, control: PipeReader, log: &mut File) -> io::Result<Exit> {
    let signals = SignalFd::with_flags(&awaited(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let mut inner = Inner {
        pid: Pid::from_raw(child.id() as i32),
        isolation: spec.isolation,
        said: Vec::new(),
        early: Vec::new(),
        ended: None,
    };
    let mut pipes: Vec<(Box<dyn Source>, Sink)> = vec![(Box::new(control), Sink::Control)];
    if let Some(stdout) = child.stdout.take() {
        pipes.push((Box::new(stdout), Sink::Log(Stream::new("stdout"))));
    }
    if let Some(stderr) = child.stderr.take() {
        pipes.push((Box::new(stderr), Sink::Log(Stream::new("stderr"))));
    }
    // the lifeline: standard input is a pipe from the node, and its end means that the node is gone
    let stdin = io::stdin();
    let mut lifeline = !spec.outlive_node;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let left = match inner.ended {
            Some((code, at)) => {
                let left = DRAIN_MAX.saturating_sub(at.elapsed());
                if pipes.is_empty() || left.is_zero() {
                    pipes.iter_mut().try_for_each(|(_, sink)| sink.finish(log))?;
                    return Ok(inner.exit(code));
                }
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            }
            None => PollTimeout::NONE,
        };
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(pipes.iter().map(|(source, _)| PollFd::new(source.fd(), PollFlags::POLLIN)));
        if lifeline {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, left) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        let count = pipes.len();
        if lifeline && ready[1 + count] && !matches!(stdin.lock().read(&mut buffer), Ok(1..)) {
            lifeline = false;
            inner.kill();
        }
        for n in (0..count).rev().filter(|n| ready[1 + n]) {
            let (source, sink) = &mut pipes[n];
            match (source.read(&mut buffer), &mut *sink) {
                (Ok(bytes @ 1..), Sink::Control) => inner.hear(&buffer[..bytes]),
                (Ok(bytes @ 1..), Sink::Log(stream)) => {
                    // a full disk loses log lines, not the run
                    let _ = stream.feed(&buffer[..bytes], log);
                }
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                (Ok(0) | Err(_), sink) => {
                    let _ = sink.finish(log);
                    pipes.remove(n);
                }
            }
        }
        while let Ok(Some(info)) = signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGCHLD) => inner.collect(),
                Ok(Signal::SIGUSR1) => inner.kill(),
                Ok(other) => inner.signal(other),
                Err(_) => {}
            }
        }
    }
}

/// What comes out of a pipe.
enum Sink {
    Control,
    Log(Stream),
}

impl Sink {
    fn finish(&mut self, log: &mut File) -> io::Result<()> {
        match self {
            Self::Control => Ok(()),
            Self::Log(stream) => stream.finish(log),
        }
    }
}

/// The inner half, as the outer sees it.
struct Inner {
    pid: Pid,
    isolation: Isolation,
    /// What came through the control pipe.
    said: Vec<u8>,
    /// Signals to pass on once the command runs: while it is started they would be lost.
    early: Vec<Signal>,
    ended: Option<(i32, Instant)>,
}

impl Inner {
    fn runs(&self) -> bool {
        self.said.contains(&b'\n')
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        if self.runs() {
            for signal in std::mem::take(&mut self.early) {
                self.signal(signal);
            }
        }
    }

    fn signal(&mut self, signal: Signal) {
        if self.runs() {
            // it may be gone already
            let _ = kill(self.pid, signal);
        } else {
            self.early.push(signal);
        }
    }

    /// Kills the container now.
    fn kill(&mut self) {
        match self.isolation {
            // its inner half kills the command's group
            Isolation::Plain => self.signal(Signal::SIGUSR1),
            // the kernel kills all of a pid namespace with its process 1
            Isolation::Namespaces | Isolation::UserNamespaces => {
                let _ = kill(self.pid, Signal::SIGKILL);
            }
        }
    }

    fn collect(&mut self) {
        let code = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => code,
            Ok(WaitStatus::Signaled(_, signal, _)) => 128 + signal as i32,
            _ => return,
        };
        self.ended = Some((code, Instant::now()));
    }

    /// What it said about the end, else what the kernel says.
    fn exit(&self, code: i32) -> Exit {
        let told = serde_json::from_slice(self.said.trim_ascii()).ok();
        told.unwrap_or(Exit { code, start_error: None, at: Timestamp::now() })
    }
}

trait Source: Read {
    fn fd(&self) -> BorrowedFd<'_>;
}

impl<T: Read + AsFd> Source for T {
    fn fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}
