//! The process that shims are forked from (`argosy __shim --nursery`).
//!
//! To start this large program anew costs milliseconds, to fork it once it runs a fraction of one. It has one thread, so
//! that a fork is whole, and an empty environment, and it never reads what it is to start: the shim reads that from its own
//! channel. So no container can find another's secrets in the memory of its process 1.
//! Standard input is a socket; each byte from it brings the channel of a shim and perhaps the lock that it is to hold.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use fork::{Fork, fork};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stdin, setsid};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::awaited::{BROKEN, awaited};
use super::outer::{self, Order};

/// Forks shims until the node closes the socket. Shims that outlive the node then belong to the system's first process.
pub fn main() -> ExitCode {
    match serve() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(order)) => outer::main(order),
        Err(error) => {
            eprintln!("shims cannot be started: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

/// Serves the socket. Returns in the nursery with nothing when the node is gone, and in each shim with its order.
fn serve() -> io::Result<Option<Order>> {
    awaited().thread_block()?;
    // not fatal: a process-group leader is already apart
    let _ = setsid();
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    let signals = SignalFd::with_flags(&awaited(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    loop {
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Ok(Some(info)) = signals.read_signal() {
            // the others mean the node's process group, which ends the nursery by ending the node
            if Signal::try_from(info.ssi_signo as i32) == Ok(Signal::SIGCHLD) {
                reap();
            }
        }
        loop {
            match receive(&socket)? {
                Received::Nothing => break,
                Received::End => return Ok(None),
                // the node sees the channel closed
                Received::Garbage => {}
                Received::Order(order) => match fork() {
                    Ok(Fork::Child) => return Ok(Some(order)),
                    Ok(Fork::Parent(_)) => {}
                    Err(error) => eprintln!("a shim cannot be started: {error}"),
                },
            }
        }
    }
}

fn reap() {
    let any = Pid::from_raw(-1);
    while !matches!(waitpid(any, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(_)) {}
}

enum Received {
    Order(Order),
    Garbage,
    Nothing,
    End,
}

fn receive(socket: &OwnedFd) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    match recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags) {
        Ok(message) if message.bytes == 0 => return Ok(Received::End),
        Ok(_) => {}
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(Received::Nothing),
        Err(rustix::io::Errno::CONNRESET) => return Ok(Received::End),
        Err(error) => return Err(error.into()),
    }
    let mut files = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => files.collect(),
        _ => Vec::new(),
    });
    Ok(match files.next() {
        Some(channel) => Received::Order(Order { channel: channel.into(), lock: files.next() }),
        None => Received::Garbage,
    })
}
