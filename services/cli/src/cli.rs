//! The commands and how the program starts.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};

use crate::{
    absent,
    channel::{self, say},
    colors,
    commands::{
        cluster_template, completion, cron, delete, dev, doctor, get, lint, list, logs, node, quarantine, resubmit,
        retry,
        roles::{self, Roles},
        stop, submit, suspend, template, version, wait, watch, why,
    },
    connect::Connect,
    failure::{Failure, Outcome},
    run::Run,
    terminal,
};

/// Argo Workflows, event-driven: run them here, on a laptop's own API server, or on a cluster.
#[derive(Debug, Parser)]
#[command(
    name = "argosy",
    version,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "Services, for a cluster: argosy watcher|scheduler|pod-runner|status|recorder|cron-runner|gc|server|all-in-one; each has its own --help."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<Run>),
    Dev(dev::Dev),
    Doctor(doctor::Doctor),
    Submit(Box<submit::Submit>),
    List(list::List),
    Get(get::Get),
    Logs(logs::Logs),
    Watch(watch::Watch),
    Why(why::Why),
    Wait(wait::Wait),
    Delete(delete::Delete),
    Stop(stop::Stop),
    Terminate(stop::Terminate),
    Suspend(suspend::Suspend),
    Resume(suspend::Resume),
    Quarantine(quarantine::Quarantine),
    Retry(retry::Retry),
    Resubmit(resubmit::Resubmit),
    Lint(lint::Lint),
    Node(node::Node),
    Template(template::Template),
    ClusterTemplate(cluster_template::ClusterTemplate),
    Cron(cron::Cron),
    Completion(completion::Completion),
    Version(version::Version),
}

enum Parsed {
    Role(Box<Roles>),
    Command(Box<Cli>),
}

/// Reads the arguments, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        say!("warning: a TLS provider is installed already");
    }
    // A role's flags are its service's own and need not agree with those of the other commands.
    let role = std::env::args().nth(1).filter(|first| roles::NAMES.contains(&first.as_str()));
    let parsed =
        if role.is_some() { Parsed::Role(Box::new(Roles::parse())) } else { Parsed::Command(Box::new(read())) };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say!("error: start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match parsed {
            Parsed::Role(roles) => roles.run().await,
            Parsed::Command(cli) => cli.run().await,
        }
    });
    // A thread that still waits for standard input does not hold the program.
    runtime.shutdown_background();
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => Failure::report(failure),
    };
    match channel::lost() {
        Some(error) => {
            say!("error: write to standard output: {error}");
            if code == ExitCode::SUCCESS { ExitCode::FAILURE } else { code }
        }
        None => code,
    }
}

/// Reads the arguments of a command; ends the program where they are none.
fn read() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        if matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument)
            && let Some(words) = absent::told(&std::env::args().collect::<Vec<_>>())
        {
            say!("{}", terminal::line(&words));
            std::process::exit(2);
        }
        error.exit()
    })
}

impl Cli {
    async fn run(self) -> Outcome {
        let connect = &self.connect;
        if connect.no_color {
            colors::forbid();
        }
        let _logging = quiet_logs();
        match self.command {
            Command::Run(command) => command.run(connect).await,
            Command::Dev(command) => command.run().await,
            Command::Doctor(command) => command.run(connect).await,
            Command::Submit(command) => command.run(connect).await,
            Command::List(command) => command.run(connect).await,
            Command::Get(command) => command.run(connect).await,
            Command::Logs(command) => command.run(connect).await,
            Command::Watch(command) => command.run(connect).await,
            Command::Why(command) => command.run(connect).await,
            Command::Wait(command) => command.run(connect).await,
            Command::Delete(command) => command.run(connect).await,
            Command::Stop(command) => command.run(connect).await,
            Command::Terminate(command) => command.run(connect).await,
            Command::Suspend(command) => command.run(connect).await,
            Command::Resume(command) => command.run(connect).await,
            Command::Quarantine(command) => command.run(connect).await,
            Command::Retry(command) => command.run(connect).await,
            Command::Resubmit(command) => command.run(connect).await,
            Command::Lint(command) => command.run(connect).await,
            Command::Node(command) => command.run(connect).await,
            Command::Template(command) => command.run(connect).await,
            Command::ClusterTemplate(command) => command.run(connect).await,
            Command::Cron(command) => command.run(connect).await,
            Command::Completion(command) => command.run(Cli::command()),
            Command::Version(command) => command.run(),
        }
    }
}

/// Only errors unless `ARGOSY_LOG` asks for more: a command's own output is for the user, and so are its failures.
fn quiet_logs() -> Option<argosy_telemetry::Guard> {
    let log = std::env::var("ARGOSY_LOG").unwrap_or_else(|_| "error,kube_client=off".to_owned());
    let options = argosy_telemetry::Options { log, ..argosy_telemetry::Options::default() };
    argosy_telemetry::init("argosy", &options).map_err(|error| say!("warning: logs: {error}")).ok()
}
