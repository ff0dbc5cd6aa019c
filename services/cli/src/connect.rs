//! Which API server a command talks to.

use std::path::{Path, PathBuf};

use anyhow::Context;
use argosy_cluster::private;
use clap::Args;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{
    failure::Failure,
    reach::{self, Running},
    state, terminal,
};

/// Where help shows the flags below.
const HEADING: &str = "Connection";

/// Connection flags that all client commands share.
#[derive(Args, Clone, Debug, Default)]
pub struct Connect {
    /// Kubeconfig file [default: $KUBECONFIG, then that of a running `argosy dev` (commands for workflows that are there:
    /// or `argosy run`), then ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = HEADING)]
    pub context: Option<String>,
    /// Cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = HEADING)]
    pub cluster: Option<String>,
    /// User of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = HEADING)]
    pub user: Option<String>,
    /// Namespace [default: that of the object or context, else "default"]
    #[arg(short, long, global = true, value_name = "NAME", help_heading = HEADING)]
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
    /// As [`open`](Self::open), for commands about workflows that are there: where no `argosy dev` runs, also to an
    /// `argosy run`, which lives as long as its workflows. Of several runs it is that of a workflow among `names`.
    pub async fn open_running(&self, names: &[String]) -> Result<Connection, Failure> {
        if self.kubeconfig.is_some() || std::env::var_os("KUBECONFIG").is_some() {
            return self.open().await;
        }
        if let Some((_, text)) = of_dev()?
            && reach::is_live(&text).await
        {
            return self.open().await;
        }
        let runs = reach::running().await.context("find running workflows")?;
        let of_name: Vec<Running> = runs.iter().filter(|run| names.contains(&run.workflow)).cloned().collect();
        let path = match (runs.as_slice(), of_name.as_slice()) {
            ([], _) => return self.open().await,
            ([one], _) | (_, [one]) => one.path.clone(),
            _ => {
                let each = |run: &Running| format!("\n  --kubeconfig {}", run.path.display());
                let all: String = runs.iter().map(each).collect();
                return Err(Failure::Usage(format!("several `argosy run` are going on; say which one is meant:{all}")));
            }
        };
        Self { kubeconfig: Some(path), ..self.clone() }.open().await
    }

    /// How a user calls the command line so that it comes to the same server and namespace.
    pub fn command(&self) -> String {
        let kubeconfig = self.kubeconfig.as_ref().map(|path| path.to_string_lossy().into_owned());
        let flags = [
            ("--kubeconfig", &kubeconfig),
            ("--context", &self.context),
            ("--cluster", &self.cluster),
            ("--user", &self.user),
            ("-n", &self.namespace),
        ];
        let given =
            flags.iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", terminal::word(value.as_ref()?))));
        format!("argosy{}", given.collect::<String>())
    }

    /// Connects as the flags, the environment and the state folder say.
    pub async fn open(&self) -> Result<Connection, Failure> {
        let options =
            KubeConfigOptions { context: self.context.clone(), cluster: self.cluster.clone(), user: self.user.clone() };
        let dev = if self.kubeconfig.is_none() && std::env::var_os("KUBECONFIG").is_none() { of_dev()? } else { None };
        let config = match (&self.kubeconfig, dev) {
            (Some(path), _) => {
                if !path.exists() {
                    return Err(missing("--kubeconfig", path));
                }
                let kubeconfig = Kubeconfig::read_from(path).with_context(|| format!("read {}", path.display()))?;
                used(kubeconfig, path, &options).await?
            }
            (None, Some((path, text))) => {
                let kubeconfig = Kubeconfig::from_yaml(&text).with_context(|| format!("read {}", path.display()))?;
                used(kubeconfig, &path, &options).await?
            }
            (None, None) => of_environment(&options).await?,
        };
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).context("connect to the API server")?;
        Ok(Connection { client, namespace })
    }
}

/// What `$KUBECONFIG` or the user's own kubeconfig says.
async fn of_environment(options: &KubeConfigOptions) -> Result<Config, Failure> {
    const ADVICE: &str = "no API server: start one with `argosy dev`, or name one with --kubeconfig or $KUBECONFIG";
    let named = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty());
    let paths: Vec<PathBuf> = named.iter().flat_map(std::env::split_paths).collect();
    if let Some(path) = paths.first().filter(|_| !paths.iter().any(|path| path.exists())) {
        return Err(missing("$KUBECONFIG", path));
    }
    let own = std::env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config"));
    if paths.is_empty() && !own.is_some_and(|path| path.exists()) {
        return Err(Failure::Other(anyhow::anyhow!(ADVICE)));
    }
    Ok(Config::from_kubeconfig(options).await.context(ADVICE)?)
}

/// A kubeconfig that somebody named is not there.
fn missing(flag: &str, path: &Path) -> Failure {
    let advice = "a running `argosy dev` is found without it, and says where its own is";
    Failure::Usage(format!("{flag}: there is no file {}; {advice}", path.display()))
}

async fn used(kubeconfig: Kubeconfig, path: &Path, options: &KubeConfigOptions) -> Result<Config, Failure> {
    let config = Config::from_custom_kubeconfig(kubeconfig, options).await;
    Ok(config.with_context(|| format!("use {}", path.display()))?)
}

/// The kubeconfig that a running `argosy dev` has left.
///
/// Errors: it, or its folder, belongs to somebody else, or others may write to it: a kubeconfig can run programs.
fn of_dev() -> Result<Option<(PathBuf, String)>, Failure> {
    let (Some(dir), Some(path)) = (state::dir(), state::dev_kubeconfig()) else { return Ok(None) };
    if !path.exists() {
        return Ok(None);
    }
    private::dir(&dir).context("use the kubeconfig of `argosy dev`")?;
    let text = private::read(&path).context("use the kubeconfig of `argosy dev`")?;
    Ok(text.map(|text| (path, text)))
}
