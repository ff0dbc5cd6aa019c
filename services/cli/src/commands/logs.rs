//! `argosy logs`.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use argosy_api::v1alpha1::Workflow;
use clap::Args;
use futures::TryStreamExt;
use jiff::Timestamp;
use regex::Regex;
use tokio::{sync::mpsc, task::JoinSet};

use super::select::Selectors;
use crate::{
    channel,
    connect::{Connect, Connection},
    duration,
    failure::Outcome,
    merged::Merged,
    objects,
    ordered::{Ordered, timed},
    output,
    pods::{self, LogOf, LogRequest, PodOf},
};

/// Print the logs of a workflow's steps, by time
///
/// On a terminal, control characters other than those of colours are made visible; a pipe or file gets what was written.
#[derive(Args, Debug)]
pub struct Logs {
    /// The workflow; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    workflow: Option<String>,
    /// Only this pod, or the pod of this step
    #[arg(value_name = "POD")]
    pod: Option<String>,
    /// Go on until the workflow has ended
    #[arg(short, long)]
    follow: bool,
    /// Container of the pods [default: main, or all of a container set]
    #[arg(short, long)]
    container: Option<String>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    grep: Option<Regex>,
    /// Lines younger than this: 5s, 2m, 3h
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, conflicts_with = "since_time")]
    since: Option<Duration>,
    /// Lines after this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since_time: Option<Timestamp>,
    /// At most this many lines of each pod, from the end
    #[arg(long, value_name = "LINES")]
    tail: Option<i64>,
    /// With times
    #[arg(long)]
    timestamps: bool,
    /// Of containers before their last restart
    #[arg(short, long)]
    previous: bool,
    #[command(flatten)]
    selectors: Selectors,
    /// No names of steps in front
    #[arg(long)]
    no_prefix: bool,
}

/// Pause between looks for new pods.
const POLL: Duration = Duration::from_millis(500);
/// Pause between looks for lines that have waited for earlier ones.
const FLUSH: Duration = Duration::from_millis(100);
/// Lines that may wait to be read.
const LINES_MAX: usize = 1024;

impl Logs {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let given: Vec<String> = self.workflow.iter().cloned().collect();
        let connection = connect.open_running(&given).await?;
        let names = self.selectors.names(&connection.client, &connection.namespace, &given).await?;
        if self.follow {
            return self.follow(&connection, &names).await;
        }
        let mut logs = Vec::new();
        for name in &names {
            let workflow = objects::readable(&objects::get(&connection.client, &connection.namespace, name).await?)?;
            logs.extend(self.logs(&workflow));
        }
        let mut merged = Merged::new(&connection, logs, self.request());
        while let Some((log, line)) = merged.next().await? {
            self.print(&log.prefix, &line);
            if !channel::is_read() {
                break;
            }
        }
        Ok(())
    }

    /// The logs that are meant, of pods that have started, in the order of their start.
    fn logs(&self, workflow: &Workflow) -> Vec<LogOf> {
        let wanted = |pod: &PodOf| pod.has_started() && self.pod.as_ref().is_none_or(|wanted| pod.is(wanted));
        pods::of(workflow)
            .iter()
            .filter(|pod| wanted(pod))
            .flat_map(|pod| pod.logs(self.container.as_deref()))
            .collect()
    }

    async fn follow(&self, connection: &Connection, names: &[String]) -> Outcome {
        let (sender, mut lines) = mpsc::channel::<(String, String)>(LINES_MAX);
        let (mut ordered, mut flush) = (Ordered::default(), tokio::time::interval(FLUSH));
        let mut readers = JoinSet::new();
        let mut followed = HashSet::new();
        let mut poll = tokio::time::interval(POLL);
        let mut ended = false;
        loop {
            tokio::select! {
                Some((prefix, line)) = lines.recv() => {
                    let at = timed(&line).map_or_else(Timestamp::now, |(at, _)| at);
                    ordered.push(at, (prefix, line), Instant::now());
                }
                _ = flush.tick() => self.print_timed(ordered.ready(Instant::now())),
                Some(_) = readers.join_next() => {}
                _ = poll.tick(), if !ended => {
                    ended = true;
                    for name in names {
                        let object = match objects::get_opt(&connection.client, &connection.namespace, name).await? {
                            Some(object) => object,
                            None if followed.is_empty() => return Err(objects::not_found(name)),
                            None => continue,
                        };
                        let workflow = objects::readable(&object)?;
                        ended &= workflow.status.phase.is_completed();
                        for log in self.logs(&workflow) {
                            if followed.insert((log.pod.clone(), log.container.clone())) {
                                readers.spawn(read(connection, log, LogRequest { timestamps: true, ..self.request() }, sender.clone()));
                            }
                        }
                    }
                }
            }
            let is_all = ended && readers.is_empty() && lines.is_empty();
            if is_all || !channel::is_read() {
                break;
            }
        }
        self.print_timed(ordered.all());
        Ok(())
    }

    fn request(&self) -> LogRequest {
        LogRequest {
            follow: self.follow,
            previous: self.previous,
            timestamps: self.timestamps,
            since_seconds: self.since.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX).max(1)),
            since_time: self.since_time,
            tail: self.tail,
        }
    }

    /// Prints lines that have their times in front, with or without.
    fn print_timed(&self, lines: Vec<(String, String)>) {
        for (prefix, line) in lines {
            let text =
                if self.timestamps { line.as_str() } else { timed(&line).map_or(line.as_str(), |(_, text)| text) };
            self.print(&prefix, text);
        }
    }

    fn print(&self, prefix: &str, line: &str) {
        if self.grep.as_ref().is_none_or(|grep| grep.is_match(line)) {
            let prefix = if self.no_prefix { String::new() } else { format!("{prefix}: ") };
            output::print_log(&prefix, line);
        }
    }
}

/// Sends the lines of one log as they come.
fn read(
    connection: &Connection,
    log: LogOf,
    request: LogRequest,
    sender: mpsc::Sender<(String, String)>,
) -> impl Future<Output = ()> + Send + use<> {
    let (client, namespace) = (connection.client.clone(), connection.namespace.clone());
    async move {
        let mut lines = match pods::lines(&client, &namespace, &log, &request).await {
            Ok(lines) => lines,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, pod = log.pod, "read logs");
                return;
            }
        };
        while let Ok(Some(line)) = lines.try_next().await {
            if sender.send((log.prefix.clone(), line)).await.is_err() {
                return;
            }
        }
    }
}
