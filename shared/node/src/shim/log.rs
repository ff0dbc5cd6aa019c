//! The log of a container, in the kubelet's CRI format: `TIME stdout|stderr F|P TEXT`, in files of limited size.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// A longer line is split, and all pieces but the last are tagged `P`. Bytes; containerd's figure.
const LINE_MAX: usize = 16 * 1024;
/// A file of a log is set aside before it is larger. Bytes; the kubelet's default of `containerLogMaxSize`.
pub const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Files of a log, the current one included; the oldest is removed. The kubelet's default of `containerLogMaxFiles`.
pub const FILES_MAX: usize = 5;
/// Of stdout so much of the end is kept apart once a log was too large: what a script gives is the end of it. Bytes.
pub const STDOUT_END_MAX: usize = 256 * 1024;

/// Where the `n`-th file of a log is; 0 is the current one, higher ones are older.
pub fn file(log: &Path, n: usize) -> PathBuf {
    match n {
        0 => log.to_owned(),
        n => with_suffix(log, &n.to_string()),
    }
}

/// Where the end of stdout is kept of a log that was too large.
pub fn stdout_end(log: &Path) -> PathBuf {
    with_suffix(log, "stdout")
}

fn with_suffix(log: &Path, suffix: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The log of a container, open to be written.
pub struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    /// Whether something was set aside or removed.
    is_cut: bool,
    /// The end of stdout.
    stdout: VecDeque<u8>,
}

impl Log {
    /// Opens the log to append, and makes it when there is none.
    /// Errors: those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, FILE_BYTES_MAX)
    }

    fn with_limit(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        let is_cut = self::file(path, 1).exists();
        Ok(Self { path: path.to_owned(), file, bytes, bytes_max, is_cut, stdout: VecDeque::new() })
    }

    /// Forgets all that was written.
    /// Errors: those of the file system.
    pub fn clear(&mut self) -> io::Result<()> {
        for n in 1..FILES_MAX {
            remove(&file(&self.path, n))?;
        }
        remove(&stdout_end(&self.path))?;
        self.file.set_len(0)?;
        (self.bytes, self.is_cut) = (0, false);
        self.stdout.clear();
        Ok(())
    }

    /// Writes whole lines of the file.
    fn write(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let room = usize::try_from(self.bytes_max.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
            if lines.len() <= room {
                self.bytes += lines.len() as u64;
                return self.file.write_all(lines);
            }
            // a line is not torn; one that is larger than a file has a file of its own
            let fitting = lines[..room].iter().rposition(|b| *b == b'\n').map(|end| end + 1);
            let whole = lines.iter().position(|b| *b == b'\n').map_or(lines.len(), |end| end + 1);
            let now = fitting.unwrap_or(if self.bytes == 0 { whole } else { 0 });
            self.file.write_all(&lines[..now])?;
            lines = &lines[now..];
            self.turn()?;
        }
        Ok(())
    }

    /// Sets the current file aside, and begins another.
    fn turn(&mut self) -> io::Result<()> {
        for n in (1..FILES_MAX).rev() {
            match fs::rename(file(&self.path, n - 1), file(&self.path, n)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = append_to(&self.path)?;
        (self.bytes, self.is_cut) = (0, true);
        Ok(())
    }

    fn keep_stdout(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(STDOUT_END_MAX)..];
        let excess = (self.stdout.len() + bytes.len()).saturating_sub(STDOUT_END_MAX);
        self.stdout.drain(..excess);
        self.stdout.extend(bytes);
    }

    /// Leaves the end of stdout beside a log that was too large.
    /// Errors: those of the file system.
    pub fn finish(&mut self) -> io::Result<()> {
        if !self.is_cut {
            return Ok(());
        }
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(stdout_end(&self.path))?;
        let (one, two) = self.stdout.as_slices();
        file.write_all(one)?;
        file.write_all(two)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// One stream of the container on its way to the log.
pub struct Stream {
    name: &'static str,
    pending: Vec<u8>,
    out: Vec<u8>,
}

impl Stream {
    pub fn new(name: &'static str) -> Self {
        Self { name, pending: Vec::new(), out: Vec::new() }
    }

    /// Writes the lines that `bytes` completes.
    /// Errors: the log cannot be written; the lines are lost.
    pub fn feed(&mut self, bytes: &[u8], log: &mut Log) -> io::Result<()> {
        let stamp = self.stamp();
        if self.name == "stdout" {
            log.keep_stdout(bytes);
        }
        self.pending.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(end) = self.pending[from..].iter().position(|b| *b == b'\n') {
            append(&mut self.out, &stamp, &self.pending[from..from + end], true);
            from += end + 1;
        }
        self.pending.drain(..from);
        while self.pending.len() >= LINE_MAX {
            append(&mut self.out, &stamp, &self.pending[..LINE_MAX], false);
            self.pending.drain(..LINE_MAX);
        }
        self.flush(log)
    }

    /// Writes what came after the last newline, tagged `P`, as no newline ended it.
    /// Errors: the log cannot be written.
    pub fn finish(&mut self, log: &mut Log) -> io::Result<()> {
        let (stamp, pending) = (self.stamp(), std::mem::take(&mut self.pending));
        if !pending.is_empty() {
            append(&mut self.out, &stamp, &pending, false);
        }
        self.flush(log)
    }

    fn stamp(&self) -> String {
        format!("{:.9} {} ", Timestamp::now(), self.name)
    }

    fn flush(&mut self, log: &mut Log) -> io::Result<()> {
        let written = log.write(&self.out);
        self.out.clear();
        written
    }
}

/// Writes one line, or the beginning of one, that a stream wrote at `at`.
/// Errors: the log cannot be written.
pub fn write_line(log: &mut Log, stream: &str, at: Timestamp, line: &[u8], whole: bool) -> io::Result<()> {
    if stream == "stdout" {
        log.keep_stdout(line);
        if whole {
            log.keep_stdout(b"\n");
        }
    }
    let mut out = Vec::new();
    append(&mut out, &format!("{at:.9} {stream} "), line, whole);
    log.write(&out)
}

fn append(out: &mut Vec<u8>, stamp: &str, mut line: &[u8], whole: bool) {
    while line.len() > LINE_MAX {
        let (piece, rest) = line.split_at(LINE_MAX);
        append(out, stamp, piece, false);
        line = rest;
    }
    out.extend_from_slice(stamp.as_bytes());
    out.extend_from_slice(if whole { b"F " } else { b"P " });
    out.extend_from_slice(line);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_so_many_files_of_such_a_size() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut log = Log::with_limit(&path, 1_000).expect("open");
        let (mut out, mut err) = (Stream::new("stdout"), Stream::new("stderr"));
        for n in 0..1_000 {
            out.feed(format!("out {n}\n").as_bytes(), &mut log).expect("fed");
            err.feed(b"noise\n", &mut log).expect("fed");
        }
        out.feed(b"the end", &mut log).expect("fed");
        out.finish(&mut log).expect("finished");
        log.finish().expect("finished");
        let files: Vec<_> = (0..FILES_MAX).map(|n| fs::read(file(&path, n)).expect("a file")).collect();
        assert!(files.iter().all(|file| file.len() <= 1_000 && file.ends_with(b"\n") && file.starts_with(b"20")));
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), FILES_MAX + 1);
        let end = fs::read_to_string(stdout_end(&path)).expect("the end of stdout");
        assert!(
            end.starts_with("out 0\n") && end.ends_with("out 999\nthe end"),
            "all of stdout is less than the limit"
        );
        log.clear().expect("cleared");
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
    }
}
