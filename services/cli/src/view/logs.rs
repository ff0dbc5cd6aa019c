//! The logs of a workflow's pods while it runs.

use std::{collections::HashSet, time::Duration};

use argosy_api::v1alpha1::Workflow;
use argosy_client::{
    Line, LiveLogs,
    pods::{self, LogRequest},
};
use kube::Client;

/// How long the last lines may take once all has ended.
const DRAIN: Duration = Duration::from_secs(5);

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

    /// The lines that come until the logs have ended.
    pub async fn drain(&mut self) -> Vec<String> {
        self.logs.drain(DRAIN).await.iter().map(shown).collect()
    }
}

fn shown(line: &Line) -> String {
    format!("{}: {}", line.prefix, line.text())
}
