//! Which API server is meant, and the way to it.

use std::path::PathBuf;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

/// Where the kubeconfig is.
#[derive(Clone, Debug)]
pub enum Source {
    /// In this file.
    File(PathBuf),
    /// This is it, read from a file.
    Text { path: PathBuf, text: String },
    /// Where the environment and the user's home say.
    Environment,
}

/// What is chosen from a kubeconfig; its own choice where nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The context.
    pub context: Option<String>,
    /// The cluster.
    pub cluster: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The namespace that is meant when none is named.
    pub namespace: Option<String>,
}

/// There is no way to the API server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read as a kubeconfig.
    #[error("read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: KubeconfigError,
    },
    /// The file has no such context, cluster or user, or what it says of them cannot be used.
    #[error("use {path}")]
    Use {
        /// Which.
        path: PathBuf,
        /// Why.
        source: KubeconfigError,
    },
    /// The environment and the user's home have no kubeconfig that can be used.
    #[error(transparent)]
    Environment(KubeconfigError),
    /// A client cannot be made.
    #[error("connect to the API server")]
    Connect(#[source] kube::Error),
}

/// A client and the namespace that is meant when none is named.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

impl Connection {
    /// Makes the client; nothing is sent yet.
    ///
    /// Errors: see [`Error`].
    pub async fn open(source: Source, options: &Options) -> Result<Self, Error> {
        let chosen = KubeConfigOptions {
            context: options.context.clone(),
            cluster: options.cluster.clone(),
            user: options.user.clone(),
        };
        let config = match source {
            Source::File(path) => {
                let kubeconfig = Kubeconfig::read_from(&path);
                used(kubeconfig, path, &chosen).await?
            }
            Source::Text { path, text } => used(Kubeconfig::from_yaml(&text), path, &chosen).await?,
            Source::Environment => Config::from_kubeconfig(&chosen).await.map_err(Error::Environment)?,
        };
        let namespace = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(Error::Connect)?;
        Ok(Self { client, namespace })
    }
}

async fn used(
    kubeconfig: Result<Kubeconfig, KubeconfigError>,
    path: PathBuf,
    options: &KubeConfigOptions,
) -> Result<Config, Error> {
    match kubeconfig {
        Ok(kubeconfig) => {
            let config = Config::from_custom_kubeconfig(kubeconfig, options).await;
            config.map_err(|source| Error::Use { path, source })
        }
        Err(source) => Err(Error::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain;

    #[tokio::test]
    async fn an_error_names_the_file_and_what_was_done_with_it() {
        let text = "{current-context: a, contexts: [{name: a, context: {cluster: gone}}], clusters: [], users: []}";
        for (text, beginning) in [("clusters: 7", "read /k: "), (text, "use /k: ")] {
            let source = Source::Text { path: "/k".into(), text: text.to_owned() };
            let Err(error) = Connection::open(source, &Options::default()).await else { panic!("{text} can be used") };
            assert!(chain(&error).starts_with(beginning), "{}", chain(&error));
        }
        let Err(error) = Connection::open(Source::File("/no/such/file".into()), &Options::default()).await else {
            panic!("a file that is not there is read")
        };
        assert!(chain(&error).starts_with("read /no/such/file: "), "{}", chain(&error));
    }
}
