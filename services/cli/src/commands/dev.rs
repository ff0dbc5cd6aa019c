//! `argosy dev`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use argosy_client::objects;
use argosy_private as private;
use argosy_standalone::{FrontError, Handle};
use clap::Args;

use crate::{
    channel::say,
    ending::Ending,
    failure::{Failure, Outcome},
    output,
    reach::{self, Kind, Listed},
    run::{Extent, RuntimeFlags, start, unfinished},
    state, terminal,
};

/// Run the whole system here until Ctrl-C: a Kubernetes API for kubectl and the other commands, and what runs workflows
///
/// The API listens on the loopback address only, and answers who holds the token of the kubeconfig that is printed: this
/// user. The other commands find it by themselves; kubectl needs that kubeconfig. With --data-dir everything survives a
/// restart, also an unclean one, and the kubeconfig stays good.
#[derive(Args, Debug)]
pub struct Dev {
    /// Port of the API; 0 takes any that is free
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Port of Argo's REST API, for `argo`, Hera and others; 0 takes any that is free
    /// [default: 2746, or any that is free where that is taken]
    #[arg(long, value_name = "PORT")]
    server_port: Option<u16>,
    /// Port of the metrics, for Prometheus, without a token; without this they are nowhere
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<u16>,
    /// Only the API and what runs pods; run `argosy all-in-one`, or each service, beside it
    #[arg(long, conflicts_with = "nats")]
    without_services: bool,
    #[command(flatten)]
    runtime: RuntimeFlags,
}

impl Dev {
    pub async fn run(self) -> Outcome {
        let extent = Extent {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))),
            records_events: true,
            runs_crons: true,
            without_services: self.without_services,
        };
        let shared = state::dev_kubeconfig();
        if shared.is_none() && self.runtime.data_dir.is_none() {
            let text = "there is no place for the kubeconfig: set HOME or XDG_STATE_HOME, or use --data-dir";
            return Err(Failure::Usage(text.to_owned()));
        }
        if let Some(dir) = state::dir() {
            private::dir(&dir).context("keep the kubeconfig")?;
        }
        let before = reach::of_kind(Kind::Dev).await.context("find what runs")?;
        let mut ending = Ending::listen()?;
        let system = start(&self.runtime, extent).await?;
        let kubeconfig = system.kubeconfig().context("the API does not listen")?;
        let address = system.address().context("the API does not listen")?;
        let listed = Listed::new(Kind::Dev, &address.port().to_string(), &kubeconfig);
        let kept = match &self.runtime.data_dir {
            // A folder may be left, and a kubeconfig is used from another.
            Some(dir) => Some(std::path::absolute(dir).context("find the data directory")?.join("kubeconfig")),
            None => None,
        };
        for path in kept.iter().chain(&shared) {
            private::write(path, &kubeconfig).context("keep the kubeconfig")?;
        }
        // What all share is the last one's.
        let alone = listed.as_ref().filter(|_| !before.is_empty()).map(|listed| listed.path().to_owned());
        let own = kept.or(alone).or_else(|| shared.clone()).context("there is no place for the kubeconfig")?;
        let server = self.serve_argo(&system).await?;
        output::print(&format!("API:         https://{address}\n"));
        output::print(&format!("Argo's API:  https://{server}, for who shows the token of the kubeconfig\n"));
        output::print(&format!("kubeconfig:  {}\n", own.display()));
        if let Some(sandbox) = system.sandbox() {
            output::print(&format!("containers:  {sandbox}\n"));
        }
        if let Some(other) = before.first() {
            let text = format!(
                "beside it:   {}; what is submitted now comes here, where workflows are is found by their names\n",
                other.description()
            );
            output::print(&text);
        }
        output::print(&format!(
            "Try:         argosy submit FILE --watch   or   kubectl --kubeconfig {} get workflows\n",
            terminal::word(&own.to_string_lossy())
        ));
        output::print("Ctrl-C ends it.\n");
        let ended = system.ended();
        let mut unserved = None;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => self.say_what_goes_on(&system).await,
            _ = ending.come() => self.say_what_goes_on(&system).await,
            () = ended.cancelled() => {}
            failure = self.serve_metrics() => unserved = Some(failure),
        }
        drop(listed);
        if let Some(shared) = shared {
            leave(&shared, &kubeconfig).await;
        }
        system.shutdown().await.context("the system ended by itself").map_err(Failure::Other)?;
        unserved.map_or(Ok(()), Err)
    }

    /// Serves metrics as long as that goes well; gives what went wrong.
    async fn serve_metrics(&self) -> Failure {
        let Some(port) = self.metrics_port else { return std::future::pending().await };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match argosy_telemetry::serve(address, argosy_telemetry::Health::default(), std::future::pending()).await {
            Err(error) => {
                Failure::Other(anyhow::Error::from(error).context("serve metrics; choose another --metrics-port"))
            }
            Ok(()) => Failure::Other(anyhow::anyhow!("metrics are no longer served")),
        }
    }

    /// Where Argo's REST API is: at its usual port, unless that is taken or another was asked for.
    async fn serve_argo(&self, system: &Handle) -> Result<SocketAddr, Failure> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let served = match (system.serve_argo(at(self.server_port.unwrap_or(SERVER_PORT))).await, self.server_port) {
            (Err(FrontError::Listen { .. }), None) => system.serve_argo(at(0)).await,
            (served, _) => served,
        };
        served.map_err(|error| match error {
            FrontError::Listen { address, source } => Failure::Usage(format!(
                "listen on {address}: {source}; choose another with --server-port, 0 takes any that is free"
            )),
            error => Failure::Other(error.into()),
        })
    }

    /// Says what becomes of workflows that have not ended.
    async fn say_what_goes_on(&self, system: &Handle) {
        let (client, unfinished) = (system.client("default"), unfinished());
        let workflows = objects::api(&client, "Workflow", None);
        let going = workflows.list(&unfinished);
        // Whoever ends it does not wait for this.
        let Ok(Ok(going)) = tokio::time::timeout(COUNT, going).await else { return };
        let is_one = going.items.len() == 1;
        let subject = if is_one { "1 workflow".to_owned() } else { format!("{} workflows", going.items.len()) };
        match &self.runtime.data_dir {
            _ if going.items.is_empty() => {}
            Some(dir) => {
                let port = if self.port == PORT { String::new() } else { format!(" --port {}", self.port) };
                let (dir, verb) = (terminal::word(&dir.to_string_lossy()), if is_one { "goes" } else { "go" });
                say!("{subject} {verb} on at the next start: argosy dev --data-dir {dir}{port}");
            }
            None => {
                let (lost, goes) = if is_one { ("is", "it goes") } else { ("are", "they go") };
                say!("{subject} that had not ended {lost} lost; with --data-dir {goes} on at the next start");
            }
        }
    }
}

/// Where the API is looked for first.
const PORT: u16 = 26443;
/// That of Argo's server.
const SERVER_PORT: u16 = 2746;
/// How long counting workflows may take at the end.
const COUNT: Duration = Duration::from_secs(2);

/// Takes `kubeconfig` away from the file where all commands look, unless a later `dev` has written its own; another one that
/// runs takes its place.
async fn leave(shared: &Path, kubeconfig: &str) {
    if !private::read(shared).is_ok_and(|text| text.is_some_and(|text| text == kubeconfig)) {
        return;
    }
    let others = reach::of_kind(Kind::Dev).await.unwrap_or_default();
    let left = match others.first() {
        Some(other) => private::write(shared, &other.kubeconfig).map_err(anyhow::Error::from),
        None => std::fs::remove_file(shared).map_err(anyhow::Error::from),
    };
    if let Err(error) = left {
        say!("warning: leave {}: {error}", shared.display());
    }
}
