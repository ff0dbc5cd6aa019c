//! `argosy dev`.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use clap::Args;

use crate::{
    connect::{dev_kubeconfig, state_dir},
    ending::Ending,
    failure::{Failure, Outcome},
    output,
    run::{Extent, RuntimeFlags, start},
};

/// Run the whole system here until Ctrl-C: a Kubernetes API for kubectl and the other commands, and what runs workflows
///
/// The API listens on the loopback address only, without authentication. The other commands find it by themselves;
/// kubectl needs the kubeconfig that is printed. With --data-dir everything survives a restart, also an unclean one.
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
            without_services: self.without_services,
        };
        let mut ending = Ending::listen()?;
        let system = start(&self.runtime, extent).await?;
        let kubeconfig = system.kubeconfig().context("the API does not listen")?;
        let shared = dev_kubeconfig();
        std::fs::create_dir_all(state_dir())
            .and_then(|()| std::fs::write(&shared, &kubeconfig))
            .with_context(|| format!("write {}", shared.display()))?;
        let own = match &self.runtime.data_dir {
            Some(dir) => {
                let path = dir.join("kubeconfig");
                std::fs::write(&path, &kubeconfig).with_context(|| format!("write {}", path.display()))?;
                path
            }
            None => shared.clone(),
        };
        if let Some(address) = system.address() {
            output::print(&format!("API:         http://{address}\n"));
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
        if std::fs::read_to_string(&shared).is_ok_and(|text| text == kubeconfig)
            && let Err(error) = std::fs::remove_file(&shared)
        {
            eprintln!("warning: remove {}: {error}", shared.display());
        }
        system.shutdown().await.context("the system ended by itself").map_err(Failure::Other)
    }
}
