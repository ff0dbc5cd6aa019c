//! The log of a container, in the kubelet's CRI format: `TIME stdout|stderr F|P TEXT`.

use std::fs::File;
use std::io::{self, Write};

use jiff::Timestamp;

/// A longer line is split, and all pieces but the last are tagged `P`. Bytes; containerd's figure.
const LINE_MAX: usize = 16 * 1024;

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
    pub fn feed(&mut self, bytes: &[u8], log: &mut File) -> io::Result<()> {
        let stamp = self.stamp();
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
    pub fn finish(&mut self, log: &mut File) -> io::Result<()> {
        let (stamp, pending) = (self.stamp(), std::mem::take(&mut self.pending));
        if !pending.is_empty() {
            append(&mut self.out, &stamp, &pending, false);
        }
        self.flush(log)
    }

    fn stamp(&self) -> String {
        format!("{:.9} {} ", Timestamp::now(), self.name)
    }

    fn flush(&mut self, log: &mut File) -> io::Result<()> {
        let written = log.write_all(&self.out);
        self.out.clear();
        written
    }
}

/// Writes one line, or the beginning of one, that a stream wrote at `at`.
/// Errors: the log cannot be written.
pub fn write_line(log: &mut File, stream: &str, at: Timestamp, line: &[u8], whole: bool) -> io::Result<()> {
    let mut out = Vec::new();
    append(&mut out, &format!("{at:.9} {stream} "), line, whole);
    log.write_all(&out)
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
