//! `argosy logs`.

use std::time::Duration;

use argosy_api::v1alpha1::{NodeStatus, Workflow};
use argosy_client::{
    Connection, FollowedLogs, Merged, Next, named, objects,
    pods::{self, LogOf, LogRequest, PodOf},
    read,
};
use clap::Args;
use jiff::Timestamp;
use regex::Regex;

use super::{
    each::{object_of, one_of},
    select::Selectors,
};
use crate::{
    channel::{self, say},
    connect::Connect,
    duration,
    failure::{Failure, Outcome, warn},
    output,
    running::{Named, Running},
    silence::Silence,
    suggest, terminal,
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

impl Logs {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let given: Vec<String> = self.workflow.iter().cloned().collect();
        self.selectors.check(&given)?;
        let running = Running::find(connect).await?;
        let (connection, names) = match &self.workflow {
            // What is selected besides is looked for beside it.
            Some(name) => {
                let (Named { connection, name, .. }, _) = one_of(&running, name, object_of).await?;
                (connection, vec![name])
            }
            None => (running.first()?.1.clone(), Vec::new()),
        };
        let names = [names, self.selectors.selected(&connection).await?].concat();
        if self.follow {
            return self.follow(connection, names).await;
        }
        let mut logs = Vec::new();
        for name in &names {
            let object = objects::get(&connection.client, &connection.namespace, name).await?;
            let workflow = read::readable(&object, &warn)?;
            self.tell_missing(&workflow)?;
            logs.extend(self.logs(&workflow));
        }
        let mut merged = Merged::new(&connection, logs, self.request());
        while let Some(next) = merged.next().await? {
            match next {
                Next::Line(log, line) => self.print(&log.prefix, &line),
                Next::Gone(log) => say!("warning: the logs of {} are gone", terminal::line(&log.pod)),
            }
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

    /// Says why the step that was asked for has no log yet.
    ///
    /// Errors: the workflow has no such step.
    fn tell_missing(&self, workflow: &Workflow) -> Result<(), Failure> {
        let Some(wanted) = &self.pod else { return Ok(()) };
        let pods = pods::of(workflow);
        let name = terminal::line(&workflow.metadata.name);
        let mut meant = pods.iter().filter(|pod| pod.is(wanted)).peekable();
        if meant.peek().is_some() {
            if !meant.any(PodOf::has_started) {
                say!("{} of {name} has not started, so that it has no log yet", terminal::line(wanted));
            }
            return Ok(());
        }
        let named = |node: &&NodeStatus| node.display_name == wanted.as_str() || named::step(workflow, node) == *wanted;
        if let Some(node) = workflow.status.nodes.values().find(named) {
            let kind = node.r#type.as_str();
            say!("{} of {name} has no log: it is of type {kind}, and {}", terminal::line(wanted), node.phase.as_str());
            return Ok(());
        }
        let steps = || pods.iter().flat_map(|pod| [pod.step.as_str(), pod.display.as_str(), pod.name.as_str()]);
        let help = match suggest::closest(wanted, steps()) {
            Some(best) => suggest::question(best),
            None if workflow.status.phase.is_completed() => format!("`argosy get {name}` shows its steps"),
            None => "it may be still to come: `--follow` waits for it".to_owned(),
        };
        Err(Failure::Usage(format!("{name} has no step `{wanted}`; {help}")))
    }

    async fn follow(&self, connection: Connection, names: Vec<String>) -> Outcome {
        for name in &names {
            let object = objects::get(&connection.client, &connection.namespace, name).await?;
            let workflow = read::readable(&object, &warn)?;
            if workflow.status.phase.is_completed() {
                self.tell_missing(&workflow)?;
            }
        }
        let mut logs = FollowedLogs::new(connection, names, self.request(), |workflow| self.logs(workflow));
        let mut silence = Silence::default();
        while let Some(lines) = logs.next(&warn).await? {
            if let Some(words) = silence.told(logs.is_silent()) {
                say!("{words}");
            }
            for line in lines {
                self.print(&line.prefix, if self.timestamps { &line.timed } else { line.text() });
            }
            if !channel::is_read() {
                break;
            }
        }
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

    fn print(&self, prefix: &str, line: &str) {
        if self.grep.as_ref().is_none_or(|grep| grep.is_match(line)) {
            let prefix = if self.no_prefix { String::new() } else { format!("{prefix}: ") };
            output::print_log(&prefix, line);
        }
    }
}
