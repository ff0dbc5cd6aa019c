//! The outer half of the shim: session, namespaces, log, exit status.
//!
//! One thread only: after `unshare(CLONE_NEWPID)` the kernel refuses new ones.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
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
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&spec.log)?;
    let part = spec.dir.join("exit.part");
    let result = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(part)?;
    spec::write_json(
        &spec.dir.join(STARTED),
        &Started {
            pid: std::process::id() as i32,
            at: Timestamp::now(),
        },
    )?;

    let exit = match enter(spec.isolation).and_then(|()| start(file, &result)) {
        Ok(child) => follow(&spec, child, &mut log, &result)?,
        Err(error) => Exit {
            code: 128,
            start_error: Some(StartError::Sandbox(format!("create the sandbox: {error}"))),
            at: Timestamp::now(),
        },
    };
    // The container's root has been pivoted since: the host's paths are gone, only open descriptors are left.
    write_result(&result, &exit)?;
    renameat(dir.as_fd(), "exit.part", dir.as_fd(), EXIT)?;
    Ok(())
}

/// Leaves the host's namespaces for new ones.
fn enter(isolation: Isolation) -> io::Result<()> {
    let own = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
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

fn start(file: &Path, result: &File) -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .args([COMMAND.as_ref(), "--inner".as_ref(), file.as_os_str()])
        .env_clear()
        .stdin(Stdio::from(result.try_clone()?))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Keeps the log, passes signals on and waits for the inner half.
fn follow(spec: &ShimSpec, mut child: Child, log: &mut File, result: &File) -> io::Result<Exit> {
    let inner = Pid::from_raw(child.id() as i32);
    let signals = SignalFd::with_flags(&awaited(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let mut outputs: Vec<(Box<dyn Source>, Stream)> = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        outputs.push((Box::new(stdout), Stream::new("stdout")));
    }
    if let Some(stderr) = child.stderr.take() {
        outputs.push((Box::new(stderr), Stream::new("stderr")));
    }
    // the lifeline: standard input is a pipe from the node, and its end means that the node is gone
    let stdin = io::stdin();
    let mut lifeline = !spec.outlive_node;
    let mut buffer = vec![0; 64 * 1024];
    let mut ended: Option<(i32, Instant)> = None;
    loop {
        let left = match ended {
            Some((code, at)) => {
                let left = DRAIN_MAX.saturating_sub(at.elapsed());
                if outputs.is_empty() || left.is_zero() {
                    for (_, stream) in &mut outputs {
                        stream.finish(log)?;
                    }
                    return Ok(read_result(result).unwrap_or(Exit {
                        code,
                        start_error: None,
                        at: Timestamp::now(),
                    }));
                }
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            }
            None => PollTimeout::NONE,
        };
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            outputs
                .iter()
                .map(|(source, _)| PollFd::new(source.fd(), PollFlags::POLLIN)),
        );
        if lifeline {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, left) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(fds);
        let count = outputs.len();
        if lifeline && ready[1 + count] && !matches!(stdin.lock().read(&mut buffer), Ok(1..)) {
            lifeline = false;
            stop(spec, inner);
        }
        for n in (0..count).rev().filter(|n| ready[1 + n]) {
            let (source, stream) = &mut outputs[n];
            match source.read(&mut buffer) {
                Ok(bytes @ 1..) => {
                    // a full disk loses log lines, not the run
                    let _ = stream.feed(&buffer[..bytes], log);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    let _ = stream.finish(log);
                    outputs.remove(n);
                }
            }
        }
        while let Ok(Some(info)) = signals.read_signal() {
            let Ok(signal) = Signal::try_from(info.ssi_signo as i32) else {
                continue;
            };
            match signal {
                Signal::SIGCHLD => {
                    ended = match waitpid(inner, Some(WaitPidFlag::WNOHANG)) {
                        Ok(WaitStatus::Exited(_, code)) => Some((code, Instant::now())),
                        Ok(WaitStatus::Signaled(_, signal, _)) => {
                            Some((128 + signal as i32, Instant::now()))
                        }
                        _ => ended,
                    }
                }
                Signal::SIGUSR1 => stop(spec, inner),
                other => {
                    let _ = kill(inner, other);
                }
            }
        }
    }
}

/// Kills the container now.
fn stop(spec: &ShimSpec, inner: Pid) {
    let signal = match spec.isolation {
        // its inner half kills the command's group
        Isolation::Plain => Signal::SIGUSR1,
        // the kernel kills all of a pid namespace with its process 1
        Isolation::Namespaces | Isolation::UserNamespaces => Signal::SIGKILL,
    };
    let _ = kill(inner, signal);
}

trait Source: Read {
    fn fd(&self) -> BorrowedFd<'_>;
}

impl<T: Read + AsFd> Source for T {
    fn fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

fn read_result(mut file: &File) -> Option<Exit> {
    let mut text = String::new();
    io::Seek::rewind(&mut file).ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_result(mut file: &File, exit: &Exit) -> io::Result<()> {
    file.set_len(0)?;
    io::Seek::rewind(&mut file)?;
    serde_json::to_writer(file, exit).map_err(io::Error::other)
}
