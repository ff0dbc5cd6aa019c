//! The output of containers on its way to the node's logs.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::Instant;

use super::super::shim::log::{Log, Stream, write_line};

/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Of standard error so much of the end is kept: an engine that cannot start a container says why there. Bytes.
const TAIL_MAX: usize = 4096;
/// Of a line that does not end so much is held back. Bytes.
const PENDING_MAX: usize = 1024 * 1024;
/// How long to wait for output that is still in the pipes when the call has ended.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// How a call ended whose output went to a log.
pub struct Ended {
    pub status: ExitStatus,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

/// Where the pieces of a stream go.
trait Sink {
    fn feed(&mut self, bytes: &[u8], log: &mut Log) -> io::Result<()>;
    fn finish(&mut self, log: &mut Log) -> io::Result<()>;
}

impl Sink for Stream {
    fn feed(&mut self, bytes: &[u8], log: &mut Log) -> io::Result<()> {
        Self::feed(self, bytes, log)
    }

    fn finish(&mut self, log: &mut Log) -> io::Result<()> {
        Self::finish(self, log)
    }
}

/// Writes what an attached call prints, as it comes, and waits for its end.
/// Errors: it cannot be waited for. Lines that cannot be written are lost.
pub async fn attached(child: Child, log: &mut Log) -> io::Result<Ended> {
    pump(child, [&mut Stream::new("stdout"), &mut Stream::new("stderr")], log).await
}

/// What of a container's log is in the node's already. Bytes as the engine prints them, with time stamps.
#[derive(Default)]
pub struct Seen {
    stdout: usize,
    stderr: usize,
}

/// Writes what a call of `logs --timestamps` prints beyond what was seen. The last line may lack its end, and is
/// written when `is_whole`, as then nothing is to come.
/// Errors: see [`attached`].
pub async fn replayed(child: Child, seen: &mut Seen, is_whole: bool, log: &mut Log) -> io::Result<Ended> {
    let mut stdout = Replay::new("stdout", seen.stdout, is_whole);
    let mut stderr = Replay::new("stderr", seen.stderr, is_whole);
    let ended = pump(child, [&mut stdout, &mut stderr], log).await;
    *seen = Seen { stdout: stdout.seen, stderr: stderr.seen };
    ended
}

async fn pump<S: Sink>(mut child: Child, sinks: [&mut S; 2], log: &mut Log) -> io::Result<Ended> {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let [out, err] = sinks;
    let (mut out_buffer, mut err_buffer) = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut tail = Vec::new();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    while ended.is_none() || stdout.is_some() || stderr.is_some() {
        let deadline = ended.map(|(_, at)| at + DRAIN_MAX);
        tokio::select! {
            piece = read(&mut stdout, &mut out_buffer), if stdout.is_some() => {
                // a full disk loses log lines, not the run
                let _ = out.feed(&out_buffer[..piece], log);
            }
            piece = read(&mut stderr, &mut err_buffer), if stderr.is_some() => {
                let piece = &err_buffer[..piece];
                let _ = err.feed(piece, log);
                tail.extend_from_slice(piece);
                tail.drain(..tail.len().saturating_sub(TAIL_MAX));
            }
            status = child.wait(), if ended.is_none() => ended = Some((status?, Instant::now())),
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => break,
        }
    }
    let _ = out.finish(log);
    let _ = err.finish(log);
    if let Err(error) = log.finish() {
        tracing::warn!(%error, "cannot keep the end of a container's output");
    }
    match ended {
        Some((status, _)) => Ok(Ended { status, stderr: tail }),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads a piece. At the end, and when it cannot be read, the pipe is dropped and the piece is empty.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let read = match pipe {
        Some(open) => open.read(buffer).await.unwrap_or(0),
        None => 0,
    };
    if read == 0 {
        *pipe = None;
    }
    read
}

/// One stream of what `logs --timestamps` prints.
struct Replay {
    name: &'static str,
    /// Still to be skipped.
    skip: usize,
    seen: usize,
    is_whole: bool,
    pending: Vec<u8>,
}

impl Replay {
    fn new(name: &'static str, seen: usize, is_whole: bool) -> Self {
        Self { name, skip: seen, seen, is_whole, pending: Vec::new() }
    }

    /// A line is `TIME TEXT`.
    fn write(&mut self, line: &[u8], has_end: bool, log: &mut Log) -> io::Result<()> {
        self.seen += line.len() + usize::from(has_end);
        let space = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
        let stamp = std::str::from_utf8(&line[..space]).ok().and_then(|text| text.parse::<Timestamp>().ok());
        let text = if stamp.is_some() { line.get(space + 1..).unwrap_or_default() } else { line };
        write_line(log, self.name, stamp.unwrap_or_else(Timestamp::now), text, has_end)
    }
}

impl Sink for Replay {
    fn feed(&mut self, bytes: &[u8], log: &mut Log) -> io::Result<()> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.pending.extend_from_slice(&bytes[skipped..]);
        while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.write(&line[..end], true, log)?;
        }
        if self.pending.len() > PENDING_MAX {
            let piece = std::mem::take(&mut self.pending);
            self.write(&piece, false, log)?;
        }
        Ok(())
    }

    fn finish(&mut self, log: &mut Log) -> io::Result<()> {
        let rest = std::mem::take(&mut self.pending);
        if self.is_whole && !rest.is_empty() { self.write(&rest, false, log) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_not_held_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = Log::open(&dir.path().join("log")).expect("a log");
        let mut replay = Replay::new("stdout", 0, false);
        for _ in 0..64 {
            replay.feed(&[b'x'; BUFFER], &mut log).expect("fed");
            assert!(replay.pending.len() <= PENDING_MAX + BUFFER);
        }
        assert!(replay.seen >= 3 * PENDING_MAX);
    }

    #[test]
    fn a_log_is_read_again_where_it_was_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = Log::open(&dir.path().join("log")).expect("a log");
        let (one, two) = ("2026-01-01T00:00:00.5Z a b\n", "2026-01-01T01:00:01+01:00 c");
        let mut first = Replay::new("stdout", 0, false);
        first.feed(&one.as_bytes()[..7], &mut log).expect("fed");
        first.feed(&[&one.as_bytes()[7..], two.as_bytes()].concat(), &mut log).expect("fed");
        first.finish(&mut log).expect("finished");
        assert_eq!(first.seen, one.len());
        let mut second = Replay::new("stdout", first.seen, true);
        second.feed([one, two].concat().as_bytes(), &mut log).expect("fed");
        second.finish(&mut log).expect("finished");
        assert_eq!(second.seen, one.len() + two.len());
        let text = std::fs::read_to_string(dir.path().join("log")).expect("text");
        assert_eq!(text, "2026-01-01T00:00:00.500000000Z stdout F a b\n2026-01-01T00:00:01.000000000Z stdout P c\n");
    }
}
