//! Several logs as one, by the times of their lines.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    pin::Pin,
};

use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use kube::Client;

use crate::{
    connect::Connection,
    error::Error,
    ordered::timed,
    pods::{self, LogOf, LogRequest},
};

type Lines = Pin<Box<dyn Stream<Item = std::io::Result<String>> + Send>>;

/// What comes next of merged logs.
pub enum Next {
    /// A line of a log.
    Line(LogOf, String),
    /// A log is gone, as its pod was collected.
    Gone(LogOf),
}

/// The logs, read as far as their next lines. A log is opened when its turn may have come: as many are open at once as
/// pods ran at once.
pub struct Merged {
    client: Client,
    namespace: String,
    request: LogRequest,
    /// Whether the times are to be shown.
    timestamps: bool,
    waiting: VecDeque<LogOf>,
    open: Vec<(LogOf, Lines)>,
    heads: BinaryHeap<Reverse<(Timestamp, usize, String)>>,
    gone: VecDeque<LogOf>,
}

impl Merged {
    /// Of `logs` in the order of their start.
    pub fn new(connection: &Connection, logs: Vec<LogOf>, request: LogRequest) -> Self {
        Self {
            client: connection.client.clone(),
            namespace: connection.namespace.clone(),
            timestamps: request.timestamps,
            request: LogRequest { timestamps: true, ..request },
            waiting: logs.into(),
            open: Vec::new(),
            heads: BinaryHeap::new(),
            gone: VecDeque::new(),
        }
    }

    /// The next line and whose it is, or that a log is gone.
    ///
    /// Errors: a log cannot be read, though its pod is there.
    pub async fn next(&mut self) -> Result<Option<Next>, Error> {
        let may_be_first = |log: &LogOf, first: &Timestamp| log.since.is_none_or(|since| since <= *first);
        while let Some(log) = self.waiting.front() {
            match self.heads.peek() {
                Some(Reverse((first, _, _))) if !may_be_first(log, first) => break,
                Some(_) | None => self.open_next().await?,
            }
        }
        if let Some(log) = self.gone.pop_front() {
            return Ok(Some(Next::Gone(log)));
        }
        let Some(Reverse((at, index, line))) = self.heads.pop() else {
            return Ok(None);
        };
        self.advance(index, at).await?;
        Ok(Some(Next::Line(self.open[index].0.clone(), line)))
    }

    async fn open_next(&mut self) -> Result<(), Error> {
        let Some(log) = self.waiting.pop_front() else {
            return Ok(());
        };
        match pods::lines(&self.client, &self.namespace, &log, &self.request).await {
            Ok(lines) => {
                let since = log.since.unwrap_or(Timestamp::UNIX_EPOCH);
                self.open.push((log, Box::pin(lines)));
                self.advance(self.open.len() - 1, since).await
            }
            // Its pod was collected.
            Err(kube::Error::Api(status)) if status.code == 404 => {
                self.gone.push_back(log);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the next line of an open log; one without a time stands behind the one before it.
    async fn advance(&mut self, index: usize, before: Timestamp) -> Result<(), Error> {
        let Some(line) = self.open[index].1.try_next().await? else {
            return Ok(());
        };
        let (at, text) = timed(&line).unwrap_or((before, &line));
        let shown = if self.timestamps { line.clone() } else { text.to_owned() };
        self.heads.push(Reverse((at, index, shown)));
        Ok(())
    }
}
