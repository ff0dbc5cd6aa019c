//! The services, each as a process of its own: `argosy scheduler`, …

use anyhow::Context;
use argosy_standalone as standalone;
use clap::{Args, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Outcome};

/// Names of the roles, to be told from the other commands.
pub const NAMES: [&str; 5] = ["watcher", "scheduler", "pod-runner", "status", "all-in-one"];

/// A service against the cluster of the current kubeconfig or service account, and a NATS server.
#[derive(Debug, Parser)]
#[command(name = "argosy", version, max_term_width = 110)]
pub struct Roles {
    #[command(flatten)]
    telemetry: argosy_telemetry::Options,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Report changes of Workflow objects
    Watcher(Service<argosy_watcher::Options>),
    /// Decide what runs next
    Scheduler(Scheduler),
    /// Create and watch pods
    PodRunner(Service<argosy_pod_runner::Options>),
    /// Write the status of Workflow objects
    Status(Service<argosy_status::Options>),
    /// All services in one process
    AllInOne(Box<standalone::AllInOne>),
}

#[derive(Args, Debug)]
struct Scheduler {
    #[command(flatten)]
    service: Service<argosy_scheduler::Options>,
    #[command(flatten)]
    engine: standalone::EngineOptions,
}

#[derive(Args, Debug)]
struct Service<Options: Args> {
    #[command(flatten)]
    connect: standalone::Connect,
    #[command(flatten)]
    options: Options,
}

impl Roles {
    /// Runs the role until Ctrl-C or a termination signal.
    pub async fn run(self) -> Outcome {
        let mut engine = standalone::EngineOptions::default();
        let (name, connect, role) = match self.role {
            Role::Watcher(service) => ("argosy-watcher", service.connect, standalone::Role::Watcher(service.options)),
            Role::Scheduler(scheduler) => {
                engine = scheduler.engine;
                let Service { connect, options } = scheduler.service;
                ("argosy-scheduler", connect, standalone::Role::Scheduler(options))
            }
            Role::PodRunner(service) => {
                ("argosy-pod-runner", service.connect, standalone::Role::PodRunner(service.options))
            }
            Role::Status(service) => ("argosy-status", service.connect, standalone::Role::Status(service.options)),
            Role::AllInOne(all) => {
                engine = all.engine;
                ("argosy", all.connect, standalone::Role::All(Box::new(all.services)))
            }
        };
        let _logging = argosy_telemetry::init(name, &self.telemetry).context("set up logs")?;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).context("listen for signals")?;
        let signals = tokio::spawn(async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            stop.cancel();
        });
        let result = standalone::run_role(role, &connect, &engine, shutdown).await;
        signals.abort();
        result.map_err(|error| Failure::Other(anyhow::anyhow!(error)))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_role_has_flags_of_its_own() {
        Roles::command().debug_assert();
    }
}
