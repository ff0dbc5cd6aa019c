//! The services, each as a process of its own: `argosy scheduler`, …

use anyhow::Context;
use argosy_standalone as standalone;
use clap::{Args, Parser, Subcommand};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Outcome};

/// Names of the roles, to be told from the other commands.
pub const NAMES: [&str; 9] =
    ["watcher", "scheduler", "pod-runner", "status", "recorder", "cron-runner", "gc", "server", "all-in-one"];

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
    /// Record what happens as Kubernetes Events, for `kubectl describe`
    Recorder(Service<argosy_recorder::Options>),
    /// Start the workflows of CronWorkflows
    CronRunner(Service<argosy_cron_runner::Options>),
    /// Delete finished workflows whose time is up
    Gc(Service<argosy_gc::Options>),
    /// Answer Argo's REST API; needs no NATS server
    Server(standalone::ServerOptions),
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
        let (name, connect, roles) = match self.role {
            Role::Server(options) => {
                let _logging = argosy_telemetry::init("argosy-server", &self.telemetry).context("set up logs")?;
                let (shutdown, signals) = until_told()?;
                let served = standalone::run_server(options, shutdown).await;
                signals.abort();
                return served.map_err(|error| Failure::Other(error.into()));
            }
            Role::Watcher(service) => {
                ("argosy-watcher", service.connect, vec![standalone::Role::Watcher(service.options)])
            }
            Role::Scheduler(scheduler) => {
                engine = scheduler.engine;
                let Service { connect, options } = scheduler.service;
                ("argosy-scheduler", connect, vec![standalone::Role::Scheduler(options)])
            }
            Role::PodRunner(service) => {
                ("argosy-pod-runner", service.connect, vec![standalone::Role::PodRunner(service.options)])
            }
            Role::Status(service) => {
                ("argosy-status", service.connect, vec![standalone::Role::Status(service.options)])
            }
            Role::Recorder(service) => {
                ("argosy-recorder", service.connect, vec![standalone::Role::Recorder(service.options)])
            }
            Role::CronRunner(service) => {
                ("argosy-cron-runner", service.connect, vec![standalone::Role::CronRunner(service.options)])
            }
            Role::Gc(service) => ("argosy-gc", service.connect, vec![standalone::Role::Gc(service.options)]),
            Role::AllInOne(all) => {
                engine = all.engine;
                let recorder = standalone::Role::Recorder(all.recorder);
                let cron = standalone::Role::CronRunner(all.cron_runner);
                let gc = standalone::Role::Gc(all.gc);
                ("argosy", all.connect, vec![standalone::Role::All(Box::new(all.services)), recorder, cron, gc])
            }
        };
        let _logging = argosy_telemetry::init(name, &self.telemetry).context("set up logs")?;
        let (shutdown, signals) = until_told()?;
        let result = standalone::run_roles(roles, &connect, &engine, shutdown).await;
        signals.abort();
        result.map_err(|error| Failure::Other(anyhow::anyhow!(error)))
    }
}

/// Cancelled by Ctrl-C or a termination signal, and the task that waits for them.
fn until_told() -> anyhow::Result<(CancellationToken, JoinHandle<()>)> {
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
    Ok((shutdown, signals))
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
