//! Argo's REST API: beside the API of this process, or as a role for a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use argosy_apiserver::Access;
use argosy_listen::Hosts;
use argosy_server::{Mode, Options};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The server did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrontError {
    /// The address is taken, or not ours.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The API of this process does not listen itself, so that nobody can be served as a caller of it.
    #[error("the API of this process does not listen")]
    NoApi,
    /// The configuration of the API cannot be used.
    #[error("use the configuration of the API")]
    Config(#[from] kube::config::KubeconfigError),
    /// Neither a kubeconfig nor a pod's service account.
    #[error("no cluster: set $KUBECONFIG")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// There is no certificate.
    #[error("make a certificate")]
    Certificate(#[from] argosy_apiserver::AccessError),
    /// The certificate that was named cannot be used.
    #[error("use the certificate in {path}")]
    Given {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It no longer listens.
    #[error("the server no longer listens")]
    Ended(#[source] std::io::Error),
}

/// Settings of the server as a role.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerOptions {
    /// Where it listens, for HTTP and, with a certificate, HTTPS on the same port
    #[arg(long, env = "ARGOSY_SERVER_LISTEN", default_value = "0.0.0.0:2746")]
    pub listen: SocketAddr,
    /// How callers are known: `client` by their token of the Kubernetes API, `server` not at all (repeatable)
    #[arg(long = "auth-mode", env = "ARGOSY_AUTH_MODE", value_delimiter = ',', default_value = "client")]
    pub modes: Vec<Mode>,
    /// Certificate, PEM; without one it makes its own
    #[arg(long = "tls-cert", env = "ARGOSY_TLS_CERT", value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long = "tls-key", env = "ARGOSY_TLS_KEY", value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// The only namespace that it is for
    #[arg(long, env = "ARGOSY_MANAGED_NAMESPACE", value_name = "NAME", default_value = "")]
    pub managed_namespace: String,
}

/// Serves Argo's API for the cluster of the current kubeconfig or service account, until `shutdown`.
///
/// Errors: see [`FrontError`].
pub async fn run(options: ServerOptions, shutdown: CancellationToken) -> Result<(), FrontError> {
    let config = Config::infer().await?;
    let tls = match (&options.certificate, &options.key) {
        (Some(certificate), Some(key)) => given(certificate, key)?,
        (_, _) => Access::new()?.tls(),
    };
    let listener = bind(options.listen).await?;
    let server = Options { modes: options.modes, hosts: Hosts::any(), managed_namespace: options.managed_namespace };
    tracing::info!(address = %options.listen, "listening");
    argosy_server::serve(listener, tls, &config, server, shutdown).await.map_err(FrontError::Ended)
}

fn given(certificate: &PathBuf, key: &PathBuf) -> Result<Arc<rustls::ServerConfig>, FrontError> {
    let wrong = |path: &PathBuf, source: Box<dyn std::error::Error + Send + Sync>| FrontError::Given {
        path: path.clone(),
        source,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, error.into()))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.into()))?;
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, secret);
    Ok(Arc::new(config.map_err(|error| wrong(certificate, error.into()))?))
}

/// Serves Argo's API at `address` for the API whose kubeconfig this is, with the certificate of `access`. Answers where it
/// listens; it ends with `stop`, and `stop` with it.
///
/// Errors: see [`FrontError`].
pub(crate) async fn beside(
    address: SocketAddr,
    kubeconfig: &str,
    access: &Access,
    stop: &CancellationToken,
) -> Result<SocketAddr, FrontError> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let listener = bind(address).await?;
    let bound = listener.local_addr().map_err(|source| FrontError::Listen { address, source })?;
    let options = Options { modes: vec![Mode::Client], hosts: Hosts::new(bound), managed_namespace: String::new() };
    let (tls, stop) = (access.tls(), stop.clone());
    _ = tokio::spawn(async move {
        if let Err(error) = argosy_server::serve(listener, tls, &config, options, stop.clone()).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the server no longer listens");
            stop.cancel();
        }
    });
    Ok(bound)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, FrontError> {
    TcpListener::bind(address).await.map_err(|source| FrontError::Listen { address, source })
}
