//! Which API server a command talks to.

use std::path::{Path, PathBuf};

use anyhow::Context;
use argosy_client::{
    Connection,
    connect::{Error, Options, Source},
};
use argosy_private as private;
use clap::Args;

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

impl Connect {
    /// As [`open`](Self::open), for commands about workflows that are there: to the `argosy run` of a workflow among `names`,
    /// which lives as long as its workflows, and where no `argosy dev` runs, to the only `argosy run` that goes on.
    pub async fn open_running(&self, names: &[String]) -> Result<Connection, Failure> {
        if self.kubeconfig.is_some() || std::env::var_os("KUBECONFIG").is_some() {
            return self.open().await;
        }
        let runs = reach::running().await.context("find running workflows")?;
        let of_name: Vec<Running> = runs.iter().filter(|run| names.contains(&run.workflow)).cloned().collect();
        let is_of_dev = match of_dev()? {
            Some((_, text)) => reach::is_live(&text).await,
            None => false,
        };
        let path = match (runs.as_slice(), of_name.as_slice()) {
            (_, [one]) => one.path.clone(),
            (_, []) if is_of_dev => return self.open().await,
            ([], _) => return self.open().await,
            ([one], _) => one.path.clone(),
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

    /// Whether it comes to an `argosy dev` of this machine, as far as can be told without asking.
    pub fn is_local(&self) -> bool {
        let is_named = self.kubeconfig.is_some() || std::env::var_os("KUBECONFIG").is_some();
        !is_named && state::dev_kubeconfig().is_some_and(|path| path.exists())
    }

    /// Connects as the flags, the environment and the state folder say.
    pub async fn open(&self) -> Result<Connection, Failure> {
        let options = Options {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
            namespace: self.namespace.clone(),
        };
        Ok(Connection::open(self.source()?, &options).await.map_err(advised)?)
    }

    /// Where the kubeconfig is that is meant.
    fn source(&self) -> Result<Source, Failure> {
        if let Some(path) = &self.kubeconfig {
            return if path.exists() { Ok(Source::File(path.clone())) } else { Err(missing("--kubeconfig", path)) };
        }
        if std::env::var_os("KUBECONFIG").is_none()
            && let Some((path, text)) = of_dev()?
        {
            return Ok(Source::Text { path, text });
        }
        of_environment()
    }
}

const ADVICE: &str = "no API server: start one with `argosy dev`, or name one with --kubeconfig or $KUBECONFIG";

/// The error, with what to do where nothing was named.
fn advised(error: Error) -> anyhow::Error {
    let is_unnamed = matches!(error, Error::Environment(_));
    let error = anyhow::Error::from(error);
    if is_unnamed { error.context(ADVICE) } else { error }
}

/// What `$KUBECONFIG` or the user's own kubeconfig says.
fn of_environment() -> Result<Source, Failure> {
    let named = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty());
    let paths: Vec<PathBuf> = named.iter().flat_map(std::env::split_paths).collect();
    if let Some(path) = paths.first().filter(|_| !paths.iter().any(|path| path.exists())) {
        return Err(missing("$KUBECONFIG", path));
    }
    let own = std::env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config"));
    if paths.is_empty() && !own.is_some_and(|path| path.exists()) {
        return Err(Failure::Other(anyhow::anyhow!(ADVICE)));
    }
    Ok(Source::Environment)
}

/// A kubeconfig that somebody named is not there.
fn missing(flag: &str, path: &Path) -> Failure {
    let advice = "a running `argosy dev` is found without it, and says where its own is";
    Failure::Usage(format!("{flag}: there is no file {}; {advice}", path.display()))
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
