//! `argosy dev`.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use argosy_private as private;
use clap::Args;

use crate::{
    channel::say,
    ending::Ending,
    failure::{Failure, Outcome},
    output,
    run::{Extent, RuntimeFlags, start},
    state,
};

/// Run the whole system here until Ctrl-C: a Kubernetes API for kubectl and the other commands, and what runs workflows
///
/// The API listens on the loopback address only, and answers who holds the token of the kubeconfig that is printed: this
/// user. The other commands find it by themselves; kubectl needs that kubeconfig. With --data-dir everything survives a
/// restart, also an unclean one, and the kubeconfig stays good.
#[derive(Args, Debug)]
pub struct Dev {
    /// Port of the API; 0 takes any that is free
    #[arg(long, default_value_t = 26443)]
    port: u16,
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
        let mut ending = Ending::listen()?;
        let system = start(&self.runtime, extent).await?;
        let kubeconfig = system.kubeconfig().context("the API does not listen")?;
        let kept = self.runtime.data_dir.as_ref().map(|dir| dir.join("kubeconfig"));
        for path in kept.iter().chain(&shared) {
            private::write(path, &kubeconfig).context("keep the kubeconfig")?;
        }
        let own = kept.or_else(|| shared.clone()).context("there is no place for the kubeconfig")?;
        if let Some(address) = system.address() {
            output::print(&format!("API:         https://{address}\n"));
        }
        output::print(&format!("kubeconfig:  {}\n", own.display()));
        if let Some(sandbox) = system.sandbox() {
            output::print(&format!("containers:  {sandbox}\n"));
        }
        output::print(&format!(
            "Try:         argosy submit FILE --watch   or   kubectl --kubeconfig {} get workflows\n",
            own.display()
        ));
        output::print("Ctrl-C ends it.\n");
        let ended = system.ended();
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = ending.come() => {}
            () = ended.cancelled() => {}
        }
        // A later `dev` may have written its own.
        if let Some(shared) = shared
            && private::read(&shared).is_ok_and(|text| text.is_some_and(|text| text == kubeconfig))
            && let Err(error) = std::fs::remove_file(&shared)
        {
            say!("warning: remove {}: {error}", shared.display());
        }
        system.shutdown().await.context("the system ended by itself").map_err(Failure::Other)
    }
}
