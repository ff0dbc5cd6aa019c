//! The thread that writes: group commit, and snapshots when the log has grown.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::error::OpenError;
use super::files::{failed, log_path, numbered, snapshot_path};
use super::frame;
use crate::signals::Signals;
use crate::state::Objects;
use argosy_private::FILE_MODE;

/// Objects of all kinds at one revision.
type AllObjects = Vec<Objects>;

/// Bytes of a snapshot gathered before each write.
const SNAPSHOT_BUFFER_BYTES: usize = 1 << 20;

/// Appends changes and tells when they are on disk. Dropping it writes out what is pending.
pub(crate) struct Log {
    shared: Arc<Shared>,
    written: watch::Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

/// How far the log is written, or why it cannot go on.
#[derive(Clone, Debug, Default)]
struct Outcome {
    revision: u64,
    failed: Option<Arc<io::Error>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    revision: u64,
    touched: u64,
    /// The writer asked for the objects, to write a snapshot.
    snapshot_wanted: bool,
    snapshot: Option<(u64, AllObjects)>,
    /// Bytes of `bytes` that belong to the log before the snapshot.
    snapshot_at: usize,
    closed: bool,
}

impl Log {
    /// Starts on a directory just read: a fresh snapshot, and an empty log after it.
    pub(super) fn start(
        dir: &Path,
        lock: File,
        revision: u64,
        objects: AllObjects,
        signals: Arc<Signals>,
        log_bytes_max: u64,
    ) -> Result<Log, OpenError> {
        let size =
            write_snapshot(dir, revision, &objects).map_err(|source| failed("write the snapshot in", dir, source))?;
        let file = open_log(dir, revision).map_err(|source| failed("open a log in", dir, source))?;
        remove_older(dir, revision)?;
        let shared = Arc::new(Shared { queue: Mutex::new(Queue::default()), wake: Condvar::new() });
        let (sender, written) = watch::channel(Outcome { revision, failed: None });
        let mut writer = Writer {
            dir: dir.to_owned(),
            _lock: lock,
            file,
            log_bytes: 0,
            log_bytes_max,
            snapshot_bytes: size,
            shared: Arc::clone(&shared),
            written: sender,
            signals,
        };
        let thread = std::thread::Builder::new()
            .name("cluster-log".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| failed("start the writer of", dir, source))?;
        Ok(Log { shared, written, thread: Some(thread) })
    }

    /// Queues records; called under the store's lock, so in the order of revisions.
    /// `objects` gives the state at `revision`, and is called only when a snapshot is due.
    pub fn append(&self, records: Vec<u8>, revision: u64, touched: u64, objects: impl FnOnce() -> AllObjects) {
        let mut queue = self.shared.queue.lock();
        if queue.bytes.is_empty() {
            queue.bytes = records;
        } else {
            queue.bytes.extend_from_slice(&records);
        }
        queue.revision = revision;
        queue.touched |= touched;
        if queue.snapshot_wanted {
            queue.snapshot_wanted = false;
            queue.snapshot = Some((revision, objects()));
            queue.snapshot_at = queue.bytes.len();
        }
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Whether writing has failed for good: what is changed from now on would be lost.
    pub fn has_failed(&self) -> bool {
        self.written.borrow().failed.is_some()
    }

    /// Waits until `revision` is on disk. Errors: what stopped the writer.
    pub async fn settled(&self, revision: u64) -> Result<(), io::Error> {
        let mut written = self.written.clone();
        let outcome = written
            .wait_for(|o| o.revision >= revision || o.failed.is_some())
            .await
            .map_err(|_| io::Error::other("the writer has ended"))?;
        match &outcome.failed {
            Some(error) if outcome.revision < revision => Err(io::Error::new(error.kind(), error.to_string())),
            _ => Ok(()),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the cluster log panicked");
        }
    }
}

struct Writer {
    dir: PathBuf,
    _lock: File,
    file: File,
    log_bytes: u64,
    /// The log is cut back when it is larger than this and than the snapshot it follows.
    log_bytes_max: u64,
    snapshot_bytes: u64,
    shared: Arc<Shared>,
    written: watch::Sender<Outcome>,
    signals: Arc<Signals>,
}

impl Writer {
    fn run(&mut self) {
        while let Some(batch) = self.next_batch() {
            let (revision, touched) = (batch.revision, batch.touched);
            match self.write(batch) {
                Ok(()) => {
                    self.written.send_modify(|o| o.revision = revision);
                    self.signals.publish(revision, touched);
                }
                Err(error) => {
                    // After a failed sync nothing is known of what is on disk: refuse all that follows.
                    tracing::error!(%error, "the cluster log cannot be written");
                    self.written.send_modify(|o| o.failed = Some(Arc::new(error)));
                    return;
                }
            }
        }
    }

    fn next_batch(&self) -> Option<Queue> {
        let mut queue = self.shared.queue.lock();
        while queue.bytes.is_empty() {
            if queue.closed {
                return None;
            }
            self.shared.wake.wait(&mut queue);
        }
        let wanted = self.log_bytes > self.log_bytes_max.max(self.snapshot_bytes) && queue.snapshot.is_none();
        let fresh = Queue { snapshot_wanted: wanted, closed: queue.closed, ..Queue::default() };
        Some(std::mem::replace(&mut queue, fresh))
    }

    fn write(&mut self, batch: Queue) -> io::Result<()> {
        let Some((revision, objects)) = batch.snapshot else {
            return self.append(&batch.bytes);
        };
        let (before, after) = batch.bytes.split_at(batch.snapshot_at);
        self.append(before)?;
        self.snapshot_bytes = write_snapshot(&self.dir, revision, &objects)?;
        self.file = open_log(&self.dir, revision)?;
        self.log_bytes = 0;
        self.append(after)?;
        remove_older(&self.dir, revision).map_err(io::Error::other)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_all(bytes)?;
        self.log_bytes += bytes.len() as u64;
        self.file.sync_data()
    }
}

fn open_log(dir: &Path, revision: u64) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(log_path(dir, revision))?;
    sync_dir(dir)?;
    Ok(file)
}

/// Writes a snapshot under another name and moves it into place when it is complete.
fn write_snapshot(dir: &Path, revision: u64, objects: &AllObjects) -> io::Result<u64> {
    let unfinished = dir.join("unfinished-snapshot");
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(FILE_MODE).open(&unfinished)?;
    let mut out = BufWriter::with_capacity(SNAPSHOT_BUFFER_BYTES, file);
    let mut size = 0;
    let mut record = Vec::new();
    for object in objects.iter().flat_map(|objects| objects.values()) {
        record.clear();
        frame::record_put(&mut record, None, object);
        out.write_all(&record)?;
        size += record.len() as u64;
    }
    record.clear();
    frame::record_end(&mut record, revision);
    out.write_all(&record)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&unfinished, snapshot_path(dir, revision))?;
    sync_dir(dir)?;
    Ok(size)
}

fn remove_older(dir: &Path, revision: u64) -> Result<(), OpenError> {
    for prefix in ["snapshot-", "log-"] {
        for (number, path) in numbered(dir, prefix)? {
            if number < revision {
                fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
            }
        }
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
