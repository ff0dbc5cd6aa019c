//! The outer half of the shim: session, namespaces, log, exit status.
//!
//! One thread only: after `unshare(CLONE_NEWPID)` the kernel refuses new ones.
//! The channel brings the length of the [`ShimSpec`] (four bytes, the lowest first), its JSON, and then single bytes:
//! [`TERMINATE`] and [`KILL`]. Its end means that the node is gone. Back goes the [`Exit`] as JSON.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fork::{Fork, fork};
use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getgid, getuid, setsid};

use super::super::spec::{self, EXIT, Exit, Isolation, STARTED, ShimSpec, StartError, Started};
use super::awaited::{BROKEN, awaited};
use super::inner;
use super::log::{Log, Stream};

/// Word of the node: SIGTERM for the command's process group.
pub const TERMINATE: u8 = b't';
/// Word of the node: kill all of the run now.
pub const KILL: u8 = b'k';

/// What a shim starts with.
pub struct Order {
    /// To and from the node.
    pub channel: UnixStream,
    /// An open file that is locked; the lock goes when the shim does.
    pub lock: Option<OwnedFd>,
}

/// How long to wait for output that is still in the pipes when the command has ended. In namespaces every writer is
/// dead by then; a plain process may have left children that keep the pipe open.
const DRAIN_MAX: Duration = Duration::from_millis(200);

/// Runs what the channel says. Returns in both halves, with what each has to exit with.
pub fn main(order: Order) -> ExitCode {
    match run(order) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("shim: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn run(Order { mut channel, lock }: Order) -> io::Result<ExitCode> {
    let _ = setsid();
    let Some(spec) = read_spec(&mut channel)? else {
        // Nothing has begun, and nobody is there who would hear of it.
        return Ok(ExitCode::from(BROKEN));
    };
    let mut log = Log::open(&spec.log)?;
    if let Some(dir) = &spec.dir {
        spec::write_json(&dir.join(STARTED), &Started { pid: std::process::id() as i32, at: Timestamp::now() })?;
    }
    let (control, their_control) = io::pipe()?;
    let (stdout, their_stdout) = io::pipe()?;
    let (stderr, their_stderr) = io::pipe()?;
    let exit = match enter(spec.isolation).and_then(|()| fork()) {
        Ok(Fork::Child) => {
            // what is open in process 1 can be opened by all of the container
            drop((channel, lock, log, control, stdout, stderr));
            return Ok(inner::main(&spec, their_control, their_stdout, their_stderr));
        }
        Ok(Fork::Parent(pid)) => {
            drop((their_control, their_stdout, their_stderr));
            // What comes at the same time is read in this order: who writes lines and then why it fails is logged so.
            let pipes = vec![
                (stdout, Sink::Log(Stream::new("stdout"))),
                (stderr, Sink::Log(Stream::new("stderr"))),
                (control, Sink::Control),
            ];
            follow(&spec, Pid::from_raw(pid), &mut channel, pipes, &mut log)?
        }
        Err(error) => Exit {
            code: 128,
            start_error: Some(StartError::Sandbox(format!("create the sandbox: {error}"))),
            at: Timestamp::now(),
        },
    };
    if let Some(dir) = &spec.dir {
        spec::write_json(&dir.join(EXIT), &exit)?;
    }
    // the node may be gone
    let _ = serde_json::to_writer(&channel, &exit);
    Ok(ExitCode::SUCCESS)
}

/// What is to be run; `None` where the node ended before it had said so.
fn read_spec(channel: &mut UnixStream) -> io::Result<Option<ShimSpec>> {
    let mut length = [0; 4];
    match channel.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut body = Vec::new();
    let length = u64::from(u32::from_le_bytes(length));
    channel.take(length).read_to_end(&mut body)?;
    if (body.len() as u64) < length {
        return Ok(None);
    }
    serde_json::from_slice(&body).map(Some).map_err(io::Error::other)
}

/// Leaves the host's namespaces for new ones.
fn enter(isolation: Isolation) -> io::Result<()> {
    let own = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
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

/// Keeps the log, passes on what the node and signals say, and waits for the inner half.
fn follow(
    spec: &ShimSpec,
    pid: Pid,
    channel: &mut UnixStream,
    mut pipes: Vec<(PipeReader, Sink)>,
    log: &mut Log,
) -> io::Result<Exit> {
    let signals = SignalFd::with_flags(&awaited(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let mut inner = Inner { pid, isolation: spec.isolation, said: Vec::new(), early: Vec::new(), ended: None };
    let mut node_lives = true;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let left = match inner.ended {
            Some((code, at)) => {
                let left = DRAIN_MAX.saturating_sub(at.elapsed());
                if pipes.is_empty() || left.is_zero() {
                    pipes.iter_mut().try_for_each(|(_, sink)| sink.finish(log))?;
                    log.finish()?;
                    return Ok(inner.exit(code));
                }
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            }
            None => PollTimeout::NONE,
        };
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(pipes.iter().map(|(source, _)| PollFd::new(source.as_fd(), PollFlags::POLLIN)));
        if node_lives {
            fds.push(PollFd::new(channel.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, left) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        let count = pipes.len();
        if node_lives && ready[1 + count] {
            match channel.read(&mut buffer) {
                Ok(words @ 1..) => buffer[..words].iter().for_each(|word| inner.obey(*word)),
                Ok(0) | Err(_) => {
                    node_lives = false;
                    if !spec.outlive_node {
                        inner.kill();
                    }
                }
            }
        }
        let mut read = ready[1..=count].iter();
        pipes.retain_mut(|(source, sink)| {
            if read.next() != Some(&true) {
                return true;
            }
            match (source.read(&mut buffer), &mut *sink) {
                (Ok(bytes @ 1..), Sink::Control) => inner.hear(&buffer[..bytes]),
                (Ok(bytes @ 1..), Sink::Log(stream)) => {
                    // a full disk loses log lines, not the run
                    let _ = stream.feed(&buffer[..bytes], log);
                }
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                (Ok(0) | Err(_), sink) => {
                    let _ = sink.finish(log);
                    return false;
                }
            }
            true
        });
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
    fn finish(&mut self, log: &mut Log) -> io::Result<()> {
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

    fn obey(&mut self, word: u8) {
        match word {
            TERMINATE => self.signal(Signal::SIGTERM),
            KILL => self.kill(),
            _ => {}
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
