//! Logs that are read while their pods run.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use jiff::Timestamp;
use kube::Client;
use tokio::{sync::mpsc, task::JoinSet};

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

/// Readers, one a log, and the lines that have come.
pub struct LiveLogs {
    client: Client,
    request: LogRequest,
    readers: JoinSet<()>,
    sender: mpsc::Sender<(Timestamp, Line)>,
    lines: mpsc::Receiver<(Timestamp, Line)>,
    /// Lines that wait for earlier ones of other logs.
    ordered: Ordered<Line>,
}

impl LiveLogs {
    /// No logs yet. Those that are read come as `request` says, each until its container ends.
    pub fn new(client: Client, request: LogRequest) -> Self {
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let request = LogRequest { follow: true, timestamps: true, ..request };
        Self { client, request, readers: JoinSet::new(), sender, lines, ordered: Ordered::default() }
    }

    /// Reads a log as well. One that cannot be read has no lines.
    pub fn read(&mut self, namespace: &str, log: LogOf) {
        let (client, sender, namespace) = (self.client.clone(), self.sender.clone(), namespace.to_owned());
        let request = self.request.clone();
        self.readers.spawn(async move {
            let mut lines = match pods::lines(&client, &namespace, &log, &request).await {
                Ok(lines) => lines,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, pod = log.pod, "read logs");
                    return;
                }
            };
            while let Ok(Some(line)) = lines.try_next().await {
                let at = timed(&line).map_or_else(Timestamp::now, |(at, _)| at);
                if sender.send((at, Line { prefix: log.prefix.clone(), timed: line })).await.is_err() {
                    return;
                }
            }
        });
        while self.readers.try_join_next().is_some() {}
    }

    /// Waits until a line has come or a log has ended. May be given up at any time.
    pub async fn wait(&mut self) {
        tokio::select! {
            Some((at, line)) = self.lines.recv() => self.ordered.push(at, line, Instant::now()),
            Some(_) = self.readers.join_next() => {}
            else => std::future::pending::<()>().await,
        }
    }

    /// The lines that have come and waited long enough for earlier ones, by time. What the readers add meanwhile is for
    /// the next call.
    pub fn take(&mut self) -> Vec<Line> {
        let now = Instant::now();
        for _ in 0..LINES_MAX {
            let Ok((at, line)) = self.lines.try_recv() else { break };
            self.ordered.push(at, line, now);
        }
        self.ordered.ready(now)
    }

    /// True when all logs that are read have ended, and all their lines have come.
    pub fn is_drained(&self) -> bool {
        self.readers.is_empty() && self.lines.is_empty()
    }

    /// Waits for the logs to end, at most so long; then no line waits for another.
    pub async fn drain(&mut self, within: Duration) -> Vec<Line> {
        let ended = async {
            while !self.is_drained() {
                self.wait().await;
            }
        };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::debug!("the last lines of the logs take too long");
        }
        self.rest()
    }

    /// All lines that have come, by time.
    pub fn rest(&mut self) -> Vec<Line> {
        let mut lines = self.take();
        lines.extend(self.ordered.all());
        lines
    }
}
