//! Which API server a command talks to.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::failure::Failure;

/// Connection flags that all client commands share.
#[derive(Args, Clone, Debug, Default)]
pub struct Connect {
    /// Kubeconfig file [default: $KUBECONFIG, then that of a running `argosy dev`, then ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// User of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// Namespace [default: that of the object or context, else "default"]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// No colours, whatever the output is
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// A client and the namespace that commands mean when none is named.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

impl Connect {
    /// Connects as the flags, the environment and the state folder say.
    pub async fn open(&self) -> Result<Connection, Failure> {
        let options =
            KubeConfigOptions { context: self.context.clone(), cluster: self.cluster.clone(), user: self.user.clone() };
        let dev = dev_kubeconfig();
        let config = if let Some(path) = &self.kubeconfig {
            from_file(path, &options).await?
        } else if std::env::var_os("KUBECONFIG").is_none() && dev.exists() {
            from_file(&dev, &options).await?
        } else {
            Config::from_kubeconfig(&options)
                .await
                .context("no API server: start one with `argosy dev`, or name one with --kubeconfig or $KUBECONFIG")?
        };
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).context("connect to the API server")?;
        Ok(Connection { client, namespace })
    }
}

async fn from_file(path: &std::path::Path, options: &KubeConfigOptions) -> Result<Config, Failure> {
    let kubeconfig = Kubeconfig::read_from(path).with_context(|| format!("read {}", path.display()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, options).await;
    Ok(config.with_context(|| format!("use {}", path.display()))?)
}

/// Where Argosy keeps small things between runs: `$XDG_STATE_HOME/argosy`, else `~/.local/state/argosy`.
pub fn state_dir() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from).or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("argosy")
}

/// The kubeconfig that a running `argosy dev` leaves for the other commands.
pub fn dev_kubeconfig() -> PathBuf {
    state_dir().join("kubeconfig")
}
