//! `argosy logs`.

use std::{collections::HashSet, time::Duration};

use argosy_api::v1alpha1::NodePhase;
use clap::Args;
use futures::TryStreamExt;
use jiff::Timestamp;
use regex::Regex;
use tokio::{sync::mpsc, task::JoinSet};

use super::select::Selectors;
use crate::{
    connect::{Connect, Connection},
    duration,
    failure::{Failure, Outcome},
    objects, output,
    pods::{self, LogRequest},
};

/// Print the logs of a workflow's pods
#[derive(Args, Debug)]
pub struct Logs {
    /// The workflow; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    workflow: Option<String>,
    /// Only this pod
    #[arg(value_name = "POD")]
    pod: Option<String>,
    /// Go on until the workflow has ended
    #[arg(short, long)]
    follow: bool,
    /// Container of the pods
    #[arg(short, long, default_value = "main")]
    container: String,
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
    /// No names of pods in front
    #[arg(long)]
    no_prefix: bool,
}

/// Pause between looks for new pods.
const POLL: Duration = Duration::from_millis(500);
/// Lines that may wait to be printed.
const LINES_MAX: usize = 1024;

impl Logs {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        let given: Vec<String> = self.workflow.iter().cloned().collect();
        let names = self.selectors.names(&connection.client, &connection.namespace, &given).await?;
        if self.follow {
            return self.follow(&connection, &names).await;
        }
        for name in &names {
            let workflow = objects::workflow(&objects::get(&connection.client, &connection.namespace, name).await?)?;
            for pod in pods::of(&workflow) {
                let started = !matches!(pod.phase, NodePhase::Pending | NodePhase::Unknown);
                if !started || self.pod.as_ref().is_some_and(|wanted| *wanted != pod.name && *wanted != pod.display) {
                    continue;
                }
                let prefix = self.prefix(&pod.name);
                match pods::lines(&connection.client, &connection.namespace, &pod.name, &self.request()).await {
                    Ok(mut lines) => {
                        while let Some(line) = lines.try_next().await.map_err(anyhow::Error::from)? {
                            self.print(&prefix, &line);
                        }
                    }
                    // Its pod was collected.
                    Err(kube::Error::Api(status)) if status.code == 404 => {
                        eprintln!("warning: the logs of {} are gone", pod.name);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    async fn follow(&self, connection: &Connection, names: &[String]) -> Outcome {
        let (sender, mut lines) = mpsc::channel::<(String, String)>(LINES_MAX);
        let mut readers = JoinSet::new();
        let mut followed = HashSet::new();
        let mut poll = tokio::time::interval(POLL);
        let mut ended = false;
        loop {
            tokio::select! {
                Some((prefix, line)) = lines.recv() => self.print(&prefix, &line),
                Some(_) = readers.join_next() => {}
                _ = poll.tick(), if !ended => {
                    ended = true;
                    for name in names {
                        let object = match objects::get(&connection.client, &connection.namespace, name).await {
                            Err(Failure::Other(_)) if !followed.is_empty() => continue,
                            other => other?,
                        };
                        let workflow = objects::workflow(&object)?;
                        ended &= workflow.status.phase.is_completed();
                        for pod in pods::of(&workflow) {
                            let started = !matches!(pod.phase, NodePhase::Pending | NodePhase::Unknown);
                            let wanted = self.pod.as_ref().is_none_or(|wanted| *wanted == pod.name || *wanted == pod.display);
                            if !started || !wanted || !followed.insert(pod.name.clone()) {
                                continue;
                            }
                            let request = LogRequest { follow: true, ..self.request() };
                            let (prefix, sender) = (self.prefix(&pod.name), sender.clone());
                            let (client, namespace) = (connection.client.clone(), connection.namespace.clone());
                            readers.spawn(async move {
                                match pods::lines(&client, &namespace, &pod.name, &request).await {
                                    Ok(mut lines) => {
                                        while let Ok(Some(line)) = lines.try_next().await {
                                            if sender.send((prefix.clone(), line)).await.is_err() {
                                                return;
                                            }
                                        }
                                    }
                                    Err(error) => {
                                        tracing::warn!(error = &error as &dyn std::error::Error, pod = pod.name, "read logs");
                                    }
                                }
                            });
                        }
                    }
                }
                else => break,
            }
            if ended && readers.is_empty() && lines.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn request(&self) -> LogRequest {
        LogRequest {
            follow: false,
            container: Some(self.container.clone()),
            previous: self.previous,
            timestamps: self.timestamps,
            since_seconds: self.since.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX).max(1)),
            since_time: self.since_time,
            tail: self.tail,
        }
    }

    fn prefix(&self, pod: &str) -> String {
        if self.no_prefix { String::new() } else { format!("{pod}: ") }
    }

    fn print(&self, prefix: &str, line: &str) {
        if self.grep.as_ref().is_none_or(|grep| grep.is_match(line)) {
            output::print(&format!("{prefix}{line}\n"));
        }
    }
}
