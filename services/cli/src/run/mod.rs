//! `argosy run`: workflows from files, in this process, to their end.

mod embedded;
mod input;
mod kept;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use argosy_client::objects;
use clap::{Args, ValueEnum};
pub use embedded::{Extent, RuntimeFlags, start};
pub use kept::unfinished;
use serde_json::Value;

use crate::{
    channel::say,
    connect::Connect,
    duration,
    ending::Ending,
    failure::{Failure, Outcome},
    follow::{self, Interrupt},
    output::{self, Output},
    overrides::Overrides,
    reach::{self, Kind, Listed},
    render::tree::Filter,
    tails::{self, Tails},
    view::{Call, Show},
};

/// Run workflows of files here, without a cluster, until they end.
///
/// ConfigMaps, Secrets, ServiceAccounts, volume claims and templates of the files are created first. Exit code 0 when
/// all workflows succeeded, 1 when one did not, 2 when the input is wrong (with -o json or yaml, a workflow that a
/// controller would have taken up and failed is printed as it would have left it). Ctrl-C stops the workflows (their steps
/// get SIGTERM and their grace period, exit handlers run), a second one terminates them, a third one leaves at once (exit code 130), as SIGTERM (143) and SIGHUP (129)
/// do. With --data-dir, what had not ended then goes on when the same is run again.
#[derive(Args, Debug)]
pub struct Run {
    /// Files to run; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// Terminate the workflows after this time: 90s, 5m, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// Print the finished workflow in this form; standard output then carries nothing else
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
    /// Print the logs of all steps as they come
    #[arg(long)]
    log: bool,
    /// As `submit` has it; a run waits anyway
    #[arg(short, long, hide = true)]
    wait: bool,
    /// As `submit` has it; a run is shown anyway
    #[arg(long, hide = true)]
    watch: bool,
    #[command(flatten)]
    runtime: RuntimeFlags,
}

/// What runs containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// Processes of this machine
    #[default]
    Process,
    /// Containers of Docker, through the docker command
    Docker,
    /// Containers of Podman, through the podman command
    Podman,
}

impl Run {
    /// Runs the command.
    pub async fn run(self, connect: &Connect) -> Outcome {
        let options = self.overrides.options()?;
        let for_objects = matches!(self.output, Some(Output::Json | Output::Yaml));
        let plan = match input::plan(&self.files, &options, connect.namespace.as_deref(), for_objects) {
            Ok(plan) => plan,
            Err(refused) => {
                // Who reads the finished workflow reads why it would have failed; everyone else the mistakes only.
                if for_objects && !refused.workflows.is_empty() {
                    output::objects(&refused.workflows, self.output, output::style(connect, self.output))?;
                }
                return Err(refused.failure);
            }
        };
        let mut ending = Ending::listen()?;
        // Other commands of this user reach it while it runs.
        let extent = Extent {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            records_events: false,
            runs_crons: false,
            without_services: false,
        };
        let system = start(&self.runtime, extent).await?;
        let result = ending
            .or(self.in_system(connect, &system, plan))
            .await
            .unwrap_or_else(|ended| Err(Failure::Ended { ended, told: self.runtime.fate() }));
        let ended = system.shutdown().await;
        let (finals, tails) = result?;
        if let Err(error) = ended {
            tracing::debug!(error = &error as &dyn std::error::Error, "the system did not end well");
        }
        let style = output::style(connect, self.output);
        let mut lines = output::report(&finals, self.output, style)?;
        lines += tails.iter().map(|tails| tails.print(self.is_for_objects())).sum::<usize>();
        if !self.is_for_objects() {
            output::remind(&finals, lines, style)?;
            if let Some(hint) = self.runtime.hint(&finals) {
                say!("{hint}");
            }
        }
        let succeeded = |value: &Value| value.pointer("/status/phase").and_then(Value::as_str) == Some("Succeeded");
        if finals.iter().all(succeeded) { Ok(()) } else { Err(Failure::Workflow) }
    }

    async fn in_system(
        &self,
        connect: &Connect,
        system: &argosy_standalone::Handle,
        plan: input::Plan,
    ) -> Result<(Vec<Value>, Vec<Tails>), Failure> {
        let client = system.client(&plan.namespace);
        for (kind, value) in plan.supports {
            objects::apply(&client, &plan.namespace, &kind, value).await?;
        }
        let mut created = Vec::new();
        let data_dir = self.runtime.data_dir.as_deref();
        for value in plan.workflows {
            created.push(kept::create(&client, &plan.namespace, value, data_dir).await?);
        }
        if data_dir.is_some() {
            kept::tell_others(&client, &created).await?;
        }
        let first = created.first().and_then(|object| object.metadata.name.as_deref()).unwrap_or_default();
        let listed =
            system.kubeconfig_of(&plan.namespace).and_then(|kubeconfig| Listed::new(Kind::Run, first, &kubeconfig));
        let options = follow::Options {
            call: call(connect, first, listed.as_ref(), system.address().is_some()).await,
            to_stderr: self.is_for_objects(),
            show: if self.log { Show::ProgressAndLogs } else { Show::Progress },
            filter: Filter::default(),
            timeout: self.timeout,
            no_color: connect.no_color,
            interrupt: Interrupt::Stop,
        };
        let finals = follow::follow(&client, created, &options, system.ended()).await?;
        let tails =
            if self.log { Vec::new() } else { tails::of(&client, &finals, |_| "--log shows all".to_owned()).await };
        Ok((finals, tails))
    }
}

/// How others call the command line so that it comes to this run, whose API listens or not.
async fn call(connect: &Connect, first: &str, listed: Option<&Listed>, listens: bool) -> Call {
    let Some(listed) = listed else {
        return Err(match listens {
            true => "there is no place for its address, as neither XDG_STATE_HOME nor HOME is a folder of this user",
            false => "its API could listen nowhere",
        });
    };
    // Its name is enough, unless another system has the same.
    let is_found = std::env::var_os("KUBECONFIG").is_none()
        && reach::of_kind(Kind::Run).await.is_ok_and(|runs| runs.iter().filter(|run| run.name == first).count() == 1);
    let kubeconfig = (!is_found).then(|| listed.path().to_owned());
    Ok(Connect { kubeconfig, no_color: connect.no_color, ..Connect::default() }.command())
}

impl Run {
    /// True where standard output is for the finished workflows only.
    fn is_for_objects(&self) -> bool {
        matches!(self.output, Some(Output::Json | Output::Yaml | Output::Name))
    }
}
