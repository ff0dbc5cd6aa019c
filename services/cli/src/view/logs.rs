//! The logs of a workflow's pods while it runs.

use std::{collections::HashSet, time::Duration};

use argosy_api::v1alpha1::Workflow;
use argosy_client::{
    Line, LiveLogs,
    pods::{self, LogRequest},
};
use kube::Client;

use crate::{channel::say, terminal};

/// How long nothing may come of logs that have not ended, once all else has: as long as a step that is stopped may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The logs of all pods that have started.
pub struct Tails {
    logs: LiveLogs,
    /// The pods.
    followed: HashSet<String>,
}

impl Tails {
    pub fn new(client: Client) -> Self {
        Self { logs: LiveLogs::new(client, LogRequest::default()), followed: HashSet::new() }
    }

    /// Reads the logs of pods that have started since the last call.
    pub fn follow(&mut self, workflows: &[Workflow]) {
        for workflow in workflows {
            for pod in pods::of(workflow) {
                if !pod.has_started() || !self.followed.insert(pod.name.clone()) {
                    continue;
                }
                pod.logs(None).into_iter().for_each(|log| self.logs.read(&workflow.metadata.namespace, log));
            }
        }
    }

    /// The lines that have come, by time.
    pub fn take(&mut self) -> Vec<String> {
        self.logs.take().iter().map(shown).collect()
    }

    /// Some of the lines that come until the logs have ended; none once they have. Where lines are missing, says so on
    /// standard error.
    pub async fn last(&mut self) -> Vec<String> {
        let lines = match self.logs.last(PATIENCE).await {
            Ok(lines) => lines,
            Err(stuck) => {
                say!("warning: {stuck}; `argosy logs` shows what there is");
                self.logs.rest()
            }
        };
        for cut in self.logs.take_cut() {
            say!("warning: the log of {} broke off: {}", terminal::line(&cut.prefix), terminal::line(&cut.error));
        }
        lines.iter().map(shown).collect()
    }
}

fn shown(line: &Line) -> String {
    format!("{}: {}", line.prefix, line.text())
}
