//! The logs of containers: written by their shims in the kubelet's CRI format, read here.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::Shared;
use super::state::Snapshot;
use crate::api::{LogError, LogOptions, LogSource};

/// Opens the file to append, and makes it when there is none.
fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// Appends a line of the node's own.
pub fn append(path: &Path, text: &str) {
    let line: String = text.lines().map(|line| format!("{:.9} stderr F {line}\n", Timestamp::now())).collect();
    let written = open(path).and_then(|mut f| f.write_all(line.as_bytes()));
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "cannot write a log");
    }
}

/// One line of the file, as (time, stream, whether a newline follows, text).
fn parse(line: &[u8]) -> Option<(&str, &[u8], bool, &[u8])> {
    let mut parts = line.splitn(4, |b| *b == b' ');
    let (time, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
    Some((std::str::from_utf8(time).ok()?, stream, tag == b"F", parts.next().unwrap_or_default()))
}

fn text(path: &Path, only_stdout: bool) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let file = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(out),
        file => file?,
    };
    for (_, stream, whole, text) in file.split(|b| *b == b'\n').filter_map(parse) {
        if !only_stdout || stream == b"stdout" {
            out.extend_from_slice(text);
            if whole {
                out.push(b'\n');
            }
        }
    }
    Ok(out)
}

/// The last `limit` bytes of stdout.
/// Errors: those of the file system.
pub fn stdout(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut out = text(path, true)?;
    out.drain(..out.len().saturating_sub(limit));
    Ok(out)
}

/// Both streams in order.
/// Errors: those of the file system.
pub fn combined(path: &Path) -> io::Result<Vec<u8>> {
    text(path, false)
}

/// The last lines of both streams.
/// Errors: those of the file system.
pub fn tail(path: &Path, bytes_max: usize, lines_max: usize) -> io::Result<String> {
    let all = text(path, false)?;
    let all = String::from_utf8_lossy(&all);
    let lines: Vec<_> = all.lines().collect();
    let last = lines[lines.len().saturating_sub(lines_max)..].join("\n");
    let from = (last.len().saturating_sub(bytes_max)..=last.len()).find(|n| last.is_char_boundary(*n));
    Ok(last[from.unwrap_or(0)..].to_owned())
}

/// The logs of the pods of a node.
pub struct NodeLogs {
    pub(super) node: Weak<Shared>,
}

#[async_trait]
impl LogSource for NodeLogs {
    async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, LogError> {
        let missing = || LogError::NotReady { pod: pod.to_owned(), container: container.to_owned() };
        let failed = |source| LogError::Read { pod: pod.to_owned(), source };
        let node = self.node.upgrade().ok_or_else(missing)?;
        let run = node.find(namespace, pod).ok_or_else(missing)?;
        let path = run.log_file(container);
        let states = run.states.subscribe();
        if options.previous || !states.borrow().started(container) {
            return Err(missing());
        }
        // so that it can be followed before the first line
        open(&path).map_err(failed)?;
        let reader = Reader::open(&path, container, states, options).map_err(failed)?;
        Ok(stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) }).boxed())
    }
}

/// Reads a log piece by piece.
struct Reader {
    file: File,
    path: PathBuf,
    container: String,
    states: watch::Receiver<Snapshot>,
    options: LogOptions,
    since: Option<Timestamp>,
    /// Read but not yet ended by a newline of the file.
    rest: Vec<u8>,
    /// Whether the next text begins a line.
    at_line_start: bool,
    left: Option<u64>,
    tail_done: bool,
    watch: Option<Watch>,
    finished: bool,
}

impl Reader {
    fn open(path: &Path, container: &str, states: watch::Receiver<Snapshot>, options: LogOptions) -> io::Result<Self> {
        let ago = options.since_seconds.and_then(|n| i64::try_from(n).ok()).map(SignedDuration::from_secs);
        let since = options.since_time.or(ago.and_then(|d| Timestamp::now().checked_sub(d).ok()));
        Ok(Self {
            file: File::open(path)?,
            path: path.to_owned(),
            container: container.to_owned(),
            states,
            since,
            left: options.limit_bytes,
            tail_done: options.tail_lines.is_none(),
            options,
            rest: Vec::new(),
            at_line_start: true,
            watch: None,
            finished: false,
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        while !self.finished {
            if self.options.follow && self.watch.is_none() {
                // before reading, so that no change is missed
                self.watch = Watch::on(&self.path).ok();
            }
            let over = self.states.has_changed().is_err() || self.states.borrow().ended(&self.container).is_some();
            let piece = self.read();
            if !piece.is_empty() {
                return Some(piece);
            }
            if !self.options.follow || over || self.left == Some(0) {
                self.finished = true;
                break;
            }
            let changed = async {
                match &self.watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                _ = self.states.changed() => {}
            }
        }
        None
    }

    /// What is new in the file, as the caller wants it.
    fn read(&mut self) -> Bytes {
        let mut new = Vec::new();
        if let Err(error) = self.file.read_to_end(&mut new) {
            tracing::warn!(%error, path = %self.path.display(), "cannot read a log");
            self.finished = true;
        }
        self.rest.extend_from_slice(&new);
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else {
            return Bytes::new();
        };
        let ready: Vec<u8> = self.rest.drain(..=end).collect();
        let mut pieces = VecDeque::new();
        for (time, _, whole, text) in ready.split(|b| *b == b'\n').filter_map(parse) {
            let stamp: Option<Timestamp> = time.parse().ok();
            if self.since.is_some_and(|since| stamp.is_some_and(|at| at < since)) {
                continue;
            }
            let mut piece = Vec::with_capacity(text.len() + 1);
            if self.at_line_start && self.options.timestamps {
                piece.extend_from_slice(time.as_bytes());
                piece.push(b' ');
            }
            piece.extend_from_slice(text);
            if whole {
                piece.push(b'\n');
            }
            self.at_line_start = whole;
            pieces.push_back(piece);
        }
        if let (false, Some(lines)) = (self.tail_done, self.options.tail_lines) {
            let mut seen = 0;
            let keep = pieces.iter().rev().take_while(|piece| {
                seen += u64::from(piece.ends_with(b"\n"));
                seen <= lines
            });
            let keep = keep.count();
            pieces.drain(..pieces.len() - keep);
        }
        self.tail_done = true;
        let mut out: Vec<u8> = pieces.into_iter().flatten().collect();
        if let Some(left) = &mut self.left {
            out.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= out.len() as u64;
        }
        Bytes::from(out)
    }
}

/// Tells when a file was written to.
struct Watch {
    events: pipe::Receiver,
}

impl Watch {
    fn on(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(path, AddWatchFlags::IN_MODIFY)?;
        // like a pipe, it is read without blocking; what the events say does not matter
        let events = pipe::Receiver::from_owned_fd_unchecked(inotify.as_fd().try_clone_to_owned()?)?;
        Ok(Self { events })
    }

    async fn changed(&self) {
        if self.events.readable().await.is_ok() {
            let mut bytes = [0; 4096];
            while matches!(self.events.try_read(&mut bytes), Ok(1..)) {}
        }
    }
}

/// The logs of `node`, which may end while they are used.
pub(super) fn source(node: &Arc<Shared>) -> Arc<dyn LogSource> {
    Arc::new(NodeLogs { node: Arc::downgrade(node) })
}
