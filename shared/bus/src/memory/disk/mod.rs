//! The log of a durable in-process bus.
//!
//! One thread writes. Whatever gathered while it wrote goes into its next write, so many publishers share one fsync. Records
//! that nobody waits for (settled messages) ride along, or go by themselves after [`LAZY_WAIT`].

mod files;
mod record;
#[cfg(test)]
mod sample;
mod segment;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

pub(super) use files::{Files, Replay};
pub(super) use record::{Record, Writer};

use super::store::Entry;
use crate::{Error, Stream};

/// How long a record that nobody waits for may stay unwritten.
const LAZY_WAIT: Duration = Duration::from_millis(20);
/// Gathered bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;
/// The log is written anew when it has this many bytes, and twice what is alive.
const COMPACT_BYTES_MIN: u64 = 16 << 20;

/// When a written record counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// When it is on the disk: survives a loss of power.
    Always,
    /// When the operating system has it, which survives the death of the process; on the disk at least this often.
    Interval(Duration),
}

/// The way into the log.
pub(super) struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    buffer: Vec<u8>,
    /// Newest sequence of each stream in the buffer or before it.
    marks: [u64; Stream::COUNT],
    waiters: Vec<oneshot::Sender<Result<(), Error>>>,
    snapshot: Option<Snapshot>,
    closed: bool,
    failed: Option<Arc<io::Error>>,
    /// Bytes of the log, and how many are to be there before it is written anew.
    written: u64,
    compact_at: u64,
}

/// The whole state of the bus: the log may start anew from it.
#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) entries: Vec<(Stream, u64, Arc<Entry>)>,
    /// Everything else; comes behind the entries.
    pub(super) records: Vec<Record>,
}

impl Snapshot {
    fn encode(&self) -> Vec<u8> {
        let mut content = Vec::new();
        for (stream, sequence, entry) in &self.entries {
            segment::frame(&mut content, |body| stored(body, *stream, *sequence, entry));
        }
        for record in &self.records {
            segment::frame(&mut content, |body| Writer(body).record(record));
        }
        content
    }
}

fn stored(body: &mut Vec<u8>, stream: Stream, sequence: u64, entry: &Entry) {
    Writer(body).stored(stream, sequence, &entry.subject, &entry.id, &entry.headers, &entry.payload);
}

impl Journal {
    /// Starts the writing thread. `committed` is told the newest stored sequence of each stream.
    pub(super) fn start(
        files: Files,
        sync: Sync,
        committed: impl Fn([u64; Stream::COUNT]) + Send + 'static,
    ) -> Result<Self, Error> {
        let dir = files.dir().to_owned();
        let queue = Queue { written: files.bytes(), compact_at: COMPACT_BYTES_MIN, ..Queue::default() };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), wake: Condvar::new() });
        let thread = thread::Builder::new().name("argosy-bus-log".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.write_until_closed(files, sync, &committed)
        });
        let thread = thread.map_err(|source| Error::Storage { doing: "start the writer of", path: dir, source })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn stored(&self, stream: Stream, sequence: u64, entry: &Entry) {
        self.push(|queue| {
            queue.marks[stream.index()] = sequence;
            segment::frame(&mut queue.buffer, |body| stored(body, stream, sequence, entry));
        });
    }

    /// Messages that are read back together or not at all.
    pub(super) fn stored_batch(&self, stream: Stream, entries: &[(u64, Arc<Entry>)]) {
        match entries {
            [] => {}
            [(sequence, entry)] => self.stored(stream, *sequence, entry),
            [.., (last, _)] => self.push(|queue| {
                queue.marks[stream.index()] = *last;
                segment::frame(&mut queue.buffer, |body| {
                    let mut writer = Writer(body);
                    writer.batch(stream, entries.len());
                    for (sequence, entry) in entries {
                        writer.part(|Writer(body)| stored(body, stream, *sequence, entry));
                    }
                });
            }),
        }
    }

    pub(super) fn settled(&self, stream: Stream, consumer: &str, sequence: u64) {
        self.push(|queue| segment::frame(&mut queue.buffer, |body| Writer(body).settled(stream, consumer, sequence)));
    }

    pub(super) fn record(&self, record: &Record) {
        self.push(|queue| segment::frame(&mut queue.buffer, |body| Writer(body).record(record)));
    }

    fn push(&self, write: impl FnOnce(&mut Queue)) {
        let mut queue = self.shared.queue.lock();
        if queue.failed.is_some() || queue.closed {
            return;
        }
        let before = queue.buffer.len();
        write(&mut queue);
        queue.written += (queue.buffer.len() - before) as u64;
        if before == 0 {
            self.shared.wake.notify_one();
        }
    }

    /// Waits until everything pushed so far is stored.
    pub(super) async fn barrier(&self) -> Result<(), Error> {
        let answer = {
            let mut queue = self.shared.queue.lock();
            if let Some(failed) = &queue.failed {
                return Err(failure(failed));
            }
            if queue.closed {
                return Err(Error::Unavailable { doing: "write the log", source: Some("the bus is closed".into()) });
            }
            let (sender, answer) = oneshot::channel();
            queue.waiters.push(sender);
            self.shared.wake.notify_one();
            answer
        };
        answer.await.unwrap_or(Err(Error::Unavailable { doing: "write the log", source: None }))
    }

    /// Whether the log has grown so that its size should be compared with what is alive.
    pub(super) fn has_grown(&self) -> bool {
        let queue = self.shared.queue.lock();
        queue.written > queue.compact_at && queue.snapshot.is_none() && !queue.closed
    }

    /// Given the bytes alive: whether to write the log anew.
    pub(super) fn wants_snapshot(&self, alive: u64) -> bool {
        let mut queue = self.shared.queue.lock();
        queue.compact_at = COMPACT_BYTES_MIN.max(2 * alive);
        queue.written > queue.compact_at && queue.snapshot.is_none() && !queue.closed
    }

    /// Replaces the log by a snapshot of the present state, which holds all that was pushed so far.
    pub(super) fn replace(&self, snapshot: Snapshot, alive: u64) {
        let mut queue = self.shared.queue.lock();
        queue.buffer.clear();
        queue.snapshot = Some(snapshot);
        queue.written = alive;
        self.shared.wake.notify_one();
    }

    /// Lets the thread write what is left and end. Dropping the bus does the same without waiting.
    pub(super) fn close(&self) -> Option<thread::JoinHandle<()>> {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_one();
        self.thread.lock().take()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // The thread goes on by itself until all is written; joining here would block a runtime.
        drop(self.close());
    }
}

fn failure(error: &Arc<io::Error>) -> Error {
    let source = io::Error::new(error.kind(), Arc::clone(error));
    Error::Storage { doing: "write the log in", path: "the bus's directory".into(), source }
}

impl Shared {
    fn write_until_closed(&self, mut files: Files, sync: Sync, committed: &dyn Fn([u64; Stream::COUNT])) {
        let mut unsynced_since: Option<Instant> = None;
        loop {
            let sync_in = match sync {
                Sync::Always => None,
                Sync::Interval(interval) => unsynced_since.map(|since| interval.saturating_sub(since.elapsed())),
            };
            let (snapshot, buffer, waiters, marks, closed) = self.gather(sync_in);
            let sync_now = match sync {
                Sync::Always => closed || !waiters.is_empty(),
                Sync::Interval(interval) => closed || unsynced_since.is_some_and(|since| since.elapsed() >= interval),
            };
            let wrote = files.write(snapshot.map(|snapshot| snapshot.encode()), &buffer, sync_now);
            unsynced_since = files.is_dirty().then(|| unsynced_since.unwrap_or_else(Instant::now));
            let result = wrote.map_err(Arc::new);
            match &result {
                Ok(()) => committed(marks),
                Err(error) => {
                    tracing::error!(%error, "the bus's log cannot be written, nothing more is stored");
                    self.queue.lock().failed = Some(Arc::clone(error));
                }
            }
            for waiter in waiters {
                // Who no longer waits needs no answer.
                let _ = waiter.send(match &result {
                    Ok(()) => Ok(()),
                    Err(error) => Err(failure(error)),
                });
            }
            if closed || result.is_err() {
                let late = std::mem::take(&mut self.queue.lock().waiters);
                drop(late);
                return;
            }
        }
    }

    /// Waits for something to write.
    #[expect(clippy::type_complexity, reason = "taken apart at once by the only caller")]
    fn gather(
        &self,
        sync_in: Option<Duration>,
    ) -> (Option<Snapshot>, Vec<u8>, Vec<oneshot::Sender<Result<(), Error>>>, [u64; Stream::COUNT], bool) {
        let mut queue = self.queue.lock();
        loop {
            let urgent = !queue.waiters.is_empty() || queue.snapshot.is_some() || queue.buffer.len() > BUFFER_BYTES;
            if urgent || queue.closed {
                break;
            }
            let limit = if queue.buffer.is_empty() { sync_in } else { Some(LAZY_WAIT) };
            match limit {
                None => self.wake.wait(&mut queue),
                Some(limit) => {
                    if self.wake.wait_for(&mut queue, limit).timed_out() {
                        break;
                    }
                }
            }
        }
        let queue = &mut *queue;
        let (snapshot, buffer) = (queue.snapshot.take(), std::mem::take(&mut queue.buffer));
        (snapshot, buffer, std::mem::take(&mut queue.waiters), queue.marks, queue.closed)
    }
}
