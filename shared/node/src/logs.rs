//! The logs of containers: written by their shims in the kubelet's CRI format, read here.
//!
//! A log has several files, see [`shim::log`](super::shim::log). They are read in small pieces, so that memory does not grow
//! with them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Weak;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use kube::api::LogParams;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::shared::Shared;
use super::shim::log::{self, FILES_MAX, Log, STDOUT_END_MAX};
use super::state::Snapshot;

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;
/// A longer line is none of ours: it is cut there. Bytes.
const LINE_MAX: usize = 64 * 1024;

/// Opens the log to append, and makes it when there is none.
fn open(path: &Path) -> io::Result<Log> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    Log::open(path)
}

/// Appends lines of the node's own.
pub fn append(path: &Path, text: &str) {
    let written = open(path).and_then(|mut log| {
        text.lines().try_for_each(|line| log::write_line(&mut log, "stderr", Timestamp::now(), line.as_bytes(), true))
    });
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "cannot write a log");
    }
}

/// One line of the file, as (time, stream, whether a newline follows, text).
fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut parts = line.splitn(4, |b| *b == b' ');
    let (time, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
    let time = std::str::from_utf8(time).ok()?;
    Some(Line { time, is_stdout: stream == b"stdout", is_whole: tag == b"F", text: parts.next().unwrap_or_default() })
}

/// One line of a log's file.
struct Line<'a> {
    time: &'a str,
    is_stdout: bool,
    /// Whether a newline follows.
    is_whole: bool,
    text: &'a [u8],
}

impl Line<'_> {
    fn is_before(&self, since: Option<Timestamp>) -> bool {
        since.is_some_and(|since| self.time.parse::<Timestamp>().is_ok_and(|at| at < since))
    }
}

/// The files of a log, read from the oldest to the newest, also while they are written and set aside.
struct Files {
    path: PathBuf,
    now: File,
    next: VecDeque<File>,
    /// Read but not yet ended by a newline of the file.
    rest: Vec<u8>,
}

impl Files {
    /// Errors: there is no log; those of the file system.
    fn open(path: &Path) -> io::Result<Self> {
        let mut next = found(path)?;
        let now = next.pop_front().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { path: path.to_owned(), now, next, rest: Vec::new() })
    }

    /// Reads on, and hands over the whole lines of it. False when there is nothing new.
    fn read(&mut self, mut each: impl FnMut(Line<'_>)) -> io::Result<bool> {
        let mut piece = vec![0; PIECE];
        let bytes = self.piece(&mut piece)?;
        if bytes == 0 {
            return Ok(false);
        }
        self.rest.extend_from_slice(&piece[..bytes]);
        let end = self.rest.iter().rposition(|b| *b == b'\n').map(|end| end + 1);
        let end = end.or_else(|| (self.rest.len() > LINE_MAX).then_some(self.rest.len())).unwrap_or(0);
        self.rest[..end].split(|b| *b == b'\n').filter_map(parse).for_each(&mut each);
        self.rest.drain(..end);
        Ok(true)
    }

    fn piece(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        loop {
            // asked before reading: what is set aside is no longer written
            let is_aside = !self.next.is_empty() || self.is_aside();
            let bytes = self.now.read(piece)?;
            if bytes > 0 || !is_aside {
                return Ok(bytes);
            }
            if self.next.is_empty() {
                let ours = self.now.metadata()?.ino();
                let all = found(&self.path)?;
                let at = all.iter().position(|file| file.metadata().is_ok_and(|meta| meta.ino() == ours));
                self.next = all.into_iter().skip(at.map_or(0, |at| at + 1)).collect();
            }
            match self.next.pop_front() {
                Some(next) => self.now = next,
                None => return Ok(0),
            }
        }
    }

    fn is_aside(&self) -> bool {
        let current = std::fs::metadata(&self.path).map(|meta| meta.ino());
        current.is_ok_and(|current| self.now.metadata().is_ok_and(|now| now.ino() != current))
    }

    /// Reads all that is there for the number of its lines, of which the last may have no newline, and goes back to the
    /// beginning.
    fn count(&mut self, since: Option<Timestamp>) -> io::Result<u64> {
        let mut lines = 0;
        let copies: io::Result<Vec<File>> = std::iter::once(&self.now).chain(&self.next).map(File::try_clone).collect();
        let mut copies = copies?;
        let mut reading = Self { path: PathBuf::new(), now: copies.remove(0), next: copies.into(), rest: Vec::new() };
        let mut is_open = false;
        while reading.read(|line| {
            let counts = !line.is_before(since);
            lines += u64::from(line.is_whole && counts);
            is_open = counts && !line.is_whole;
        })? {}
        lines += u64::from(is_open);
        // clones share where they are
        self.now.rewind()?;
        self.next.iter_mut().try_for_each(|file| file.rewind())?;
        Ok(lines)
    }
}

/// The files of a log, the oldest first, each once.
fn found(path: &Path) -> io::Result<VecDeque<File>> {
    let mut files: VecDeque<(u64, File)> = VecDeque::new();
    for n in (0..FILES_MAX).rev() {
        match File::open(log::file(path, n)) {
            Ok(file) => {
                let inode = file.metadata()?.ino();
                // it may be set aside between two looks
                files.retain(|(other, _)| *other != inode);
                files.push_back((inode, file));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// Hands over the lines of a log; of one that is not there, none.
fn lines(path: &Path, mut each: impl FnMut(Line<'_>)) -> io::Result<()> {
    let mut files = match Files::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    while files.read(&mut each)? {}
    Ok(())
}

/// The end of what it was given.
struct End {
    bytes: VecDeque<u8>,
    max: usize,
}

impl End {
    fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.max)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.max);
        self.bytes.drain(..excess);
        self.bytes.extend(bytes);
    }

    fn push_line(&mut self, line: &Line<'_>) {
        self.push(line.text);
        if line.is_whole {
            self.push(b"\n");
        }
    }
}

/// The last `limit` bytes of stdout, at most [`STDOUT_END_MAX`] of a log that was too large to be kept. It blocks.
/// Errors: those of the file system.
pub fn stdout(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut end = End { bytes: VecDeque::new(), max: limit };
    match File::open(log::stdout_end(path)) {
        Ok(file) => {
            let mut kept = Vec::new();
            file.take(STDOUT_END_MAX as u64).read_to_end(&mut kept)?;
            end.push(&kept);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => lines(path, |line| {
            if line.is_stdout {
                end.push_line(&line);
            }
        })?,
        Err(error) => return Err(error),
    }
    Ok(end.bytes.into())
}

/// Writes both streams in order, as far as they are kept. It blocks.
/// Errors: those of the file system.
pub fn combined(path: &Path, to: &mut impl Write) -> io::Result<()> {
    let mut written = Ok(());
    lines(path, |line| {
        if written.is_ok() {
            written = to.write_all(line.text).and_then(|()| if line.is_whole { to.write_all(b"\n") } else { Ok(()) });
        }
    })?;
    written
}

/// The last lines of both streams. It blocks.
/// Errors: those of the file system.
pub fn tail(path: &Path, bytes_max: usize, lines_max: usize) -> io::Result<String> {
    // a character may be torn at the beginning
    let mut end = End { bytes: VecDeque::new(), max: bytes_max + 4 };
    lines(path, |line| end.push_line(&line))?;
    let all = Vec::from(end.bytes);
    let all = String::from_utf8_lossy(&all);
    let lines: Vec<_> = all.lines().collect();
    let last = lines[lines.len().saturating_sub(lines_max)..].join("\n");
    let from = (last.len().saturating_sub(bytes_max)..=last.len()).find(|n| last.is_char_boundary(*n));
    Ok(last.get(from.unwrap_or(0)..).unwrap_or_default().to_owned())
}

/// The logs of the pods of a node, which may end while they are used.
#[derive(Clone)]
pub struct Logs {
    pub(super) node: Weak<Shared>,
}

impl Logs {
    /// The log of the container that `params` names, as raw bytes, lines ended by `\n`; `None` while there is nothing to
    /// read and nothing to follow.
    /// Errors: the log cannot be read.
    pub async fn open(
        &self,
        namespace: &str,
        pod: &str,
        params: LogParams,
    ) -> io::Result<Option<BoxStream<'static, Bytes>>> {
        let Some(run) = self.node.upgrade().and_then(|node| node.find(namespace, pod)) else { return Ok(None) };
        let container = params.container.clone().unwrap_or_default();
        let path = run.log_file(&container);
        let states = run.states.subscribe();
        if params.previous || !states.borrow().started(&container) {
            return Ok(None);
        }
        // so that it can be followed before the first line
        open(&path)?;
        let opened = tokio::task::spawn_blocking(move || Reader::open(&path, &container, states, params)).await;
        let reader = opened.map_err(io::Error::other)??;
        Ok(Some(stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) }).boxed()))
    }
}

/// Reads a log piece by piece.
struct Reader {
    files: Files,
    container: String,
    states: watch::Receiver<Snapshot>,
    params: LogParams,
    since: Option<Timestamp>,
    /// Whole lines that are not shown, as only the last are.
    skip: u64,
    /// Whether the next text begins a line.
    at_line_start: bool,
    left: Option<u64>,
    watch: Option<Watch>,
    finished: bool,
}

impl Reader {
    /// It blocks.
    fn open(path: &Path, container: &str, states: watch::Receiver<Snapshot>, params: LogParams) -> io::Result<Self> {
        let amount = |n: i64| u64::try_from(n).unwrap_or_default();
        let ago = params.since_seconds.map(SignedDuration::from_secs);
        let since = params.since_time.or(ago.and_then(|d| Timestamp::now().checked_sub(d).ok()));
        let mut files = Files::open(path)?;
        let skip = match params.tail_lines {
            Some(wanted) => files.count(since)?.saturating_sub(amount(wanted)),
            None => 0,
        };
        Ok(Self {
            files,
            container: container.to_owned(),
            states,
            since,
            skip,
            left: params.limit_bytes.map(amount),
            params,
            at_line_start: true,
            watch: None,
            finished: false,
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        while !self.finished {
            if self.params.follow && self.watch.as_ref().is_none_or(|watch| !watch.is_on(&self.files.now)) {
                // before reading, so that no change is missed
                self.watch = Watch::on(&self.files.path).ok();
            }
            let over = self.states.has_changed().is_err() || self.states.borrow().ended(&self.container).is_some();
            match self.read() {
                Ok(Some(piece)) if !piece.is_empty() => return Some(piece),
                // nothing in it for the caller: others may have a turn before the next piece
                Ok(Some(_)) if self.left != Some(0) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, path = %self.files.path.display(), "cannot read a log");
                    self.finished = true;
                    break;
                }
            }
            if !self.params.follow || over || self.left == Some(0) {
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

    /// What the next piece of the file has for the caller; `None` when there is nothing new.
    fn read(&mut self) -> io::Result<Option<Bytes>> {
        let mut out = Vec::new();
        let (since, stamps) = (self.since, self.params.timestamps);
        let (skip, at_line_start) = (&mut self.skip, &mut self.at_line_start);
        let is_new = self.files.read(|line| {
            if line.is_before(since) {
                return;
            }
            if *skip > 0 {
                *skip -= u64::from(line.is_whole);
                return;
            }
            if *at_line_start && stamps {
                out.extend_from_slice(line.time.as_bytes());
                out.push(b' ');
            }
            out.extend_from_slice(line.text);
            if line.is_whole {
                out.push(b'\n');
            }
            *at_line_start = line.is_whole;
        })?;
        if let Some(left) = &mut self.left {
            out.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= out.len() as u64;
        }
        Ok(is_new.then(|| Bytes::from(out)))
    }
}

/// Tells when a file was written to.
struct Watch {
    events: pipe::Receiver,
    /// Which file.
    inode: u64,
}

impl Watch {
    fn on(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(path, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVE_SELF)?;
        let inode = std::fs::metadata(path)?.ino();
        // like a pipe, it is read without blocking; what the events say does not matter
        let events = pipe::Receiver::from_owned_fd_unchecked(inotify.as_fd().try_clone_to_owned()?)?;
        Ok(Self { events, inode })
    }

    fn is_on(&self, file: &File) -> bool {
        file.metadata().is_ok_and(|meta| meta.ino() == self.inode)
    }

    async fn changed(&self) {
        if self.events.readable().await.is_ok() {
            let mut bytes = [0; 4096];
            while matches!(self.events.try_read(&mut bytes), Ok(1..)) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shim::log::{FILE_BYTES_MAX, Stream};
    use super::*;

    fn log(lines: usize, line: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let (mut log, mut out) = (open(&path).expect("a log"), Stream::new("stdout"));
        let many = format!("{line}\n").repeat(1_000);
        for _ in 0..lines / 1_000 {
            out.feed(many.as_bytes(), &mut log).expect("fed");
        }
        Stream::new("stderr").feed(b"last of all\n", &mut log).expect("fed");
        log.finish().expect("finished");
        (dir, path)
    }

    fn reader(path: &Path, options: LogParams) -> Reader {
        let (_, states) = watch::channel(Snapshot::default());
        Reader::open(path, "main", states, options).expect("a reader")
    }

    #[tokio::test]
    async fn a_flood_stays_within_its_files_and_its_end_is_read() {
        // more than all files of a log take
        let (dir, path) = log(700_000, &"y".repeat(60));
        let size: u64 = std::fs::read_dir(dir.path())
            .expect("list")
            .map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len())
            .sum();
        assert!(size <= FILES_MAX as u64 * FILE_BYTES_MAX + STDOUT_END_MAX as u64, "{size}");
        let result = stdout(&path, STDOUT_END_MAX).expect("stdout");
        assert_eq!(result.len(), STDOUT_END_MAX);
        assert!(result.ends_with(b"yy\n") && !result.contains(&b'l'));
        assert!(tail(&path, 100, 2).expect("a tail").ends_with("yy\nlast of all"));
        let mut kept = Vec::new();
        combined(&path, &mut kept).expect("combined");
        assert!(kept.len() > 20 * 1024 * 1024 && kept.ends_with(b"y\nlast of all\n"));
        let mut reader = reader(&path, LogParams { tail_lines: Some(3), ..LogParams::default() });
        let mut shown = Vec::new();
        while let Some(piece) = reader.next().await {
            assert!(piece.len() <= 2 * PIECE, "a piece at a time");
            shown.extend_from_slice(&piece);
        }
        let line = "y".repeat(60);
        assert_eq!(String::from_utf8_lossy(&shown), format!("{line}\n{line}\nlast of all\n"));
    }

    #[tokio::test]
    async fn a_log_is_followed_from_file_to_file() {
        let (_dir, path) = log(1_000, "x");
        let (state, states) = watch::channel(Snapshot::default());
        let options = LogParams { follow: true, ..LogParams::default() };
        let mut reader = Reader::open(&path, "main", states, options).expect("a reader");
        let writer = tokio::task::spawn_blocking(move || {
            let (mut log, mut out) = (open(&path).expect("a log"), Stream::new("stdout"));
            for n in 0..40 {
                out.feed(format!("{n}{}\n", "z".repeat(15_000)).repeat(20).as_bytes(), &mut log).expect("fed");
                // the reader is not to be left behind by all the files
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            drop(state);
        });
        let mut lines = 0;
        let mut last = Vec::new();
        while let Some(piece) = reader.next().await {
            lines += piece.iter().filter(|b| **b == b'\n').count();
            last = piece.to_vec();
        }
        writer.await.expect("written");
        assert_eq!(lines, 1_000 + 1 + 40 * 20);
        assert!(last.ends_with(b"zz\n"));
    }
}
