//! Logs that are read while their pods run.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};

use crate::{
    ordered::{Ordered, timed},
    pods::{self, LogOf, LogRequest},
};

/// Lines that may wait to be taken; the logs' readers wait beyond that.
const LINES_MAX: usize = 1024;

/// A line of a log.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// What stands before the lines of its log.
    pub prefix: String,
    /// The line, with its time in front where it has one.
    pub timed: String,
}

impl Line {
    /// The line without its time.
    pub fn text(&self) -> &str {
        timed(&self.timed).map_or(&self.timed, |(_, text)| text)
    }
}

/// Logs that do not end, and of which nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the end of {logs} log(s) does not come")]
pub struct Stuck {
    /// How many.
    pub logs: usize,
}

/// A log whose reading broke off after it had begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What stands before its lines.
    pub prefix: String,
    /// Why.
    pub error: String,
}

/// Logs whose breaking off is remembered until it is told; of more, the first.
const CUT_MAX: usize = 100;

/// A pod and a container.
type Key = (String, String);

/// A line as a reader passes it on.
struct Read {
    of: Key,
    at: Timestamp,
    line: Line,
}

/// Readers, one a log, and the lines that have come.
pub struct LiveLogs {
    client: Client,
    request: LogRequest,
    readers: JoinSet<Option<Cut>>,
    sender: mpsc::Sender<Read>,
    lines: mpsc::Receiver<Read>,
    /// The time of the last line of each log.
    last: HashMap<Key, Timestamp>,
    /// Lines that wait for earlier ones of other logs.
    ordered: Ordered<Line>,
    /// Logs whose reading broke off, until they are told.
    cut: Vec<Cut>,
}

impl LiveLogs {
    /// No logs yet. Those that are read come as `request` says, each until its container ends.
    pub fn new(client: Client, request: LogRequest) -> Self {
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let request = LogRequest { follow: true, timestamps: true, ..request };
        let (readers, last, ordered) = (JoinSet::new(), HashMap::new(), Ordered::default());
        Self { client, request, readers, sender, lines, last, ordered, cut: Vec::new() }
    }

    /// Reads a log as well. One that cannot be read has no lines. One that was read before goes on behind its last line.
    pub fn read(&mut self, namespace: &str, log: LogOf) {
        let (client, sender, namespace) = (self.client.clone(), self.sender.clone(), namespace.to_owned());
        let of = (log.pod.clone(), log.container.clone());
        let after = self.last.get(&of).copied();
        let mut request = self.request.clone();
        if after.is_some() {
            request = LogRequest { since_time: after, since_seconds: None, tail: None, ..request };
        }
        self.readers.spawn(async move {
            let mut lines = match pods::lines(&client, &namespace, &log, &request).await {
                Ok(lines) => lines,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, pod = log.pod, "read logs");
                    return None;
                }
            };
            loop {
                let line = match lines.try_next().await {
                    Ok(Some(line)) => line,
                    Ok(None) => return None,
                    Err(error) => return Some(Cut { prefix: log.prefix, error: error.to_string() }),
                };
                let at = timed(&line).map_or_else(Timestamp::now, |(at, _)| at);
                // The API counts in seconds.
                if after.is_some_and(|after| at <= after) {
                    continue;
                }
                let line = Line { prefix: log.prefix.clone(), timed: line };
                if sender.send(Read { of: of.clone(), at, line }).await.is_err() {
                    return None;
                }
            }
        });
        while let Some(ended) = self.readers.try_join_next() {
            self.note(ended);
        }
    }

    fn note(&mut self, ended: Result<Option<Cut>, JoinError>) {
        if let Ok(Some(cut)) = ended
            && self.cut.len() < CUT_MAX
        {
            self.cut.push(cut);
        }
    }

    /// The logs whose reading broke off since the last call.
    pub fn take_cut(&mut self) -> Vec<Cut> {
        std::mem::take(&mut self.cut)
    }

    /// Reads no log any more; what has come stays to be taken.
    pub fn stop(&mut self) {
        self.readers.abort_all();
    }

    fn push(&mut self, read: Read, now: Instant) {
        self.last.insert(read.of, read.at);
        self.ordered.push(read.at, read.line, now);
    }

    /// Waits until a line has come or a log has ended. May be given up at any time.
    pub async fn wait(&mut self) {
        tokio::select! {
            Some(read) = self.lines.recv() => self.push(read, Instant::now()),
            Some(ended) = self.readers.join_next() => self.note(ended),
            else => std::future::pending::<()>().await,
        }
    }

    /// The lines that have come and waited long enough for earlier ones, by time. What the readers add meanwhile is for
    /// the next call.
    pub fn take(&mut self) -> Vec<Line> {
        let now = Instant::now();
        for _ in 0..LINES_MAX {
            let Ok(read) = self.lines.try_recv() else { break };
            self.push(read, now);
        }
        self.ordered.ready(now)
    }

    /// True when all logs that are read have ended, and all their lines have come.
    pub fn is_drained(&self) -> bool {
        self.readers.is_empty() && self.lines.is_empty()
    }

    /// Some of the lines that still come when nothing new is read, by time; none once all have come. However many there are,
    /// they are waited for as long as they come.
    ///
    /// Errors: for `patience` no line came and no log ended; nothing is read any more, and [`rest`](Self::rest) has what came.
    pub async fn last(&mut self, patience: Duration) -> Result<Vec<Line>, Stuck> {
        while !self.is_drained() {
            if tokio::time::timeout(patience, self.wait()).await.is_err() {
                self.stop();
                return Err(Stuck { logs: self.readers.len() });
            }
            let lines = self.take();
            if !lines.is_empty() {
                return Ok(lines);
            }
        }
        Ok(self.rest())
    }

    /// All lines that have come, by time.
    pub fn rest(&mut self) -> Vec<Line> {
        let mut lines = self.take();
        lines.extend(self.ordered.all());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(pod: &str) -> LogOf {
        LogOf { pod: pod.to_owned(), container: "main".to_owned(), prefix: "s".to_owned(), since: None }
    }

    #[tokio::test]
    async fn a_log_that_is_read_again_goes_on_behind_its_last_line() {
        let serve = |request: axum::extract::Request| async move {
            let is_second = request.uri().query().is_some_and(|query| query.contains("sinceTime"));
            let line = |second: u32| format!("2026-01-01T00:00:{second:02}.5Z line {second}\n");
            // The API counts in seconds, so that what was read before comes again.
            let seconds = if is_second { 2..=3 } else { 1..=2 };
            seconds.map(line).collect::<String>()
        };
        let client = Client::new(axum::Router::new().fallback(serve), "argo");
        let mut logs = LiveLogs::new(client, LogRequest::default());
        let mut texts = Vec::new();
        for _ in 0..2 {
            logs.read("argo", log("p"));
            texts.extend(all(&mut logs).await.iter().map(|line| line.text().to_owned()));
        }
        assert_eq!(texts, ["line 1", "line 2", "line 3"]);
    }

    /// The lines until the logs have ended.
    async fn all(logs: &mut LiveLogs) -> Vec<Line> {
        let mut all = Vec::new();
        loop {
            let lines = logs.last(Duration::from_secs(60)).await.expect("lines come");
            if lines.is_empty() {
                return all;
            }
            all.extend(lines);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_waited_for_as_long_as_lines_come() {
        // A minute of lines, each after a pause that is shorter than the patience; then nothing, and no end either.
        let serve = || async {
            let lines = futures::stream::unfold(0, |count| async move {
                tokio::time::sleep(if count < 60 { Duration::from_secs(1) } else { Duration::MAX / 8 }).await;
                Some((Ok::<_, std::io::Error>(format!("2026-01-01T00:00:{count:02}Z line {count}\n")), count + 1))
            });
            axum::body::Body::from_stream(lines)
        };
        let mut logs = LiveLogs::new(Client::new(axum::Router::new().fallback(serve), "argo"), LogRequest::default());
        logs.read("argo", log("p"));
        let mut count = 0;
        let stuck = loop {
            match logs.last(Duration::from_secs(5)).await {
                Ok(lines) => count += lines.len(),
                Err(stuck) => break stuck,
            }
        };
        assert_eq!((count + logs.rest().len(), stuck), (60, Stuck { logs: 1 }));
    }

    #[tokio::test]
    async fn a_log_that_breaks_off_is_told() {
        let serve = || async {
            let parts = [Ok("2026-01-01T00:00:01Z line 1\n"), Err(std::io::Error::other("gone"))];
            axum::body::Body::from_stream(futures::stream::iter(parts))
        };
        let mut logs = LiveLogs::new(Client::new(axum::Router::new().fallback(serve), "argo"), LogRequest::default());
        logs.read("argo", log("p"));
        assert_eq!(all(&mut logs).await.len(), 1);
        let cut = logs.take_cut();
        assert_eq!(cut.iter().map(|cut| cut.prefix.as_str()).collect::<Vec<_>>(), ["s"]);
        assert!(logs.take_cut().is_empty());
    }
}
