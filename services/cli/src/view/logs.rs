//! The logs of a workflow's pods while it runs.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use argosy_api::v1alpha1::Workflow;
use futures::TryStreamExt;
use jiff::Timestamp;
use kube::Client;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    ordered::{Ordered, timed},
    pods::{self, LogOf, LogRequest},
};

/// Lines that may wait to be shown; the pods' readers wait beyond that.
const LINES_MAX: usize = 1024;
/// How long the last lines may take once all has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// Readers of logs, one a pod.
pub struct Tails {
    client: Client,
    followed: HashSet<String>,
    readers: JoinSet<()>,
    sender: mpsc::Sender<(Timestamp, String)>,
    lines: mpsc::Receiver<(Timestamp, String)>,
    /// Lines that wait for earlier ones of other logs.
    ordered: Ordered<String>,
    /// No more will come.
    is_drained: bool,
}

impl Tails {
    pub fn new(client: Client) -> Self {
        let (sender, lines) = mpsc::channel(LINES_MAX);
        Self {
            client,
            followed: HashSet::new(),
            readers: JoinSet::new(),
            sender,
            lines,
            ordered: Ordered::default(),
            is_drained: false,
        }
    }

    /// Reads the logs of pods that have started since the last call.
    pub fn follow(&mut self, workflows: &[Workflow]) {
        for workflow in workflows {
            for pod in pods::of(workflow) {
                if !pod.has_started() || !self.followed.insert(pod.name.clone()) {
                    continue;
                }
                pod.logs(None).into_iter().for_each(|log| self.read(&workflow.metadata.namespace, log));
            }
        }
        while self.readers.try_join_next().is_some() {}
    }

    fn read(&mut self, namespace: &str, log: LogOf) {
        let request = LogRequest { follow: true, timestamps: true, ..LogRequest::default() };
        let (client, sender, namespace) = (self.client.clone(), self.sender.clone(), namespace.to_owned());
        self.readers.spawn(async move {
            let mut lines = match pods::lines(&client, &namespace, &log, &request).await {
                Ok(lines) => lines,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, pod = log.pod, "read logs");
                    return;
                }
            };
            while let Ok(Some(line)) = lines.try_next().await {
                let (at, text) = timed(&line).unwrap_or_else(|| (Timestamp::now(), &line));
                if sender.send((at, format!("{}: {text}", log.prefix))).await.is_err() {
                    return;
                }
            }
        });
    }

    /// The lines that have come, by time.
    pub fn take(&mut self) -> Vec<String> {
        let now = Instant::now();
        while let Ok((at, line)) = self.lines.try_recv() {
            self.ordered.push(at, line, now);
        }
        if self.is_drained { self.ordered.all() } else { self.ordered.ready(now) }
    }

    /// Waits for the readers to reach the end.
    pub async fn drain(&mut self) {
        let deadline = tokio::time::sleep(DRAIN);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                Some((at, line)) = self.lines.recv() => self.ordered.push(at, line, Instant::now()),
                ended = self.readers.join_next() => if ended.is_none() { break },
                () = &mut deadline => break,
            }
        }
        self.is_drained = true;
    }
}
