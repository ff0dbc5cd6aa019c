//! Which API server a command talks to.

use std::path::{Path, PathBuf};

use anyhow::Context;
use argosy_client::{
    Connection,
    connect::{Error, Options, Source},
    objects,
};
use argosy_private as private;
use clap::Args;

use crate::{
    channel::say,
    failure::Failure,
    reach::{self, Kind, System},
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
    #[arg(short, long, global = true, value_name = "NAME", value_parser = namespace, help_heading = HEADING)]
    pub namespace: Option<String>,
    /// No colours, whatever the output is
    #[arg(long, global = true)]
    pub no_color: bool,
}

impl Connect {
    /// To a system of this machine.
    pub async fn at(&self, system: &System) -> Result<Connection, Failure> {
        let source = Source::Text { path: system.path.clone(), text: system.kubeconfig.clone() };
        Ok(Connection::open(source, &self.options()).await.map_err(anyhow::Error::from)?)
    }

    /// Whether the user says where the API server is.
    pub fn is_named(&self) -> bool {
        self.kubeconfig.is_some() || std::env::var_os("KUBECONFIG").is_some()
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
        !self.is_named() && state::dev_kubeconfig().is_some_and(|path| path.exists())
    }

    /// Connects as the flags, the environment and the state folder say; where several `argosy dev` are meant, says which it
    /// is.
    pub async fn open(&self) -> Result<Connection, Failure> {
        let connection = self.open_quietly().await?;
        if !self.is_named()
            && let [first, second, ..] = reach::of_kind(Kind::Dev).await.context(DOING)?.as_slice()
        {
            say!(
                "note: several `argosy dev` are running; this is for the one on port {}, the last started (another: --kubeconfig {})",
                first.name,
                terminal::word(&second.path.to_string_lossy())
            );
        }
        Ok(connection)
    }

    /// As [`open`](Self::open), without a word.
    pub async fn open_quietly(&self) -> Result<Connection, Failure> {
        Ok(Connection::open(self.source().await?, &self.options()).await.map_err(advised)?)
    }

    fn options(&self) -> Options {
        Options {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
            namespace: self.namespace.clone(),
        }
    }

    /// Where the kubeconfig is that is meant.
    async fn source(&self) -> Result<Source, Failure> {
        if let Some(path) = &self.kubeconfig {
            return if path.exists() { Ok(Source::File(path.clone())) } else { Err(missing("--kubeconfig", path)) };
        }
        if std::env::var_os("KUBECONFIG").is_none()
            && let Some((path, text)) = of_dev().await?
        {
            return Ok(Source::Text { path, text });
        }
        of_environment()
    }
}

/// A name that a namespace may have.
fn namespace(text: &str) -> Result<String, String> {
    if objects::is_name(text) && !text.contains('.') && text.len() <= 63 {
        return Ok(text.to_owned());
    }
    Err("no namespace can have this name: use lower-case letters, digits and `-`".to_owned())
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

/// What is being done where the state folder cannot be used.
const DOING: &str = "use the kubeconfig of `argosy dev`";

/// The kubeconfig of the `argosy dev` that was started last, and of those that run; else what one has left.
///
/// Errors: it, or its folder, belongs to somebody else, or others may write to it: a kubeconfig can run programs.
async fn of_dev() -> Result<Option<(PathBuf, String)>, Failure> {
    let (Some(dir), Some(path)) = (state::dir(), state::dev_kubeconfig()) else { return Ok(None) };
    if !dir.exists() {
        return Ok(None);
    }
    private::dir(&dir).context(DOING)?;
    let devs = reach::of_kind(Kind::Dev).await.context(DOING)?;
    if let Some(first) = devs.into_iter().next() {
        return Ok(Some((first.path, first.kubeconfig)));
    }
    let text = private::read(&path).context(DOING)?;
    Ok(text.map(|text| (path, text)))
}
