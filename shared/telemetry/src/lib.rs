//! Logs, traces and metrics: set up once per process, the same names everywhere.

pub mod attr;
mod health;
mod http;
mod logs;
pub mod metrics;
pub mod propagate;

pub use health::{HANGS_AFTER, Health, Part};
pub use http::serve;
pub use logs::{Format, Guard, Options, init};

/// Setting up failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The filter of log lines cannot be read.
    #[error("log filter `{filter}`")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The exporter of traces cannot be built.
    #[error("trace exporter for `{endpoint}`")]
    Exporter {
        /// As given.
        endpoint: String,
        /// Why.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Logging was set up before.
    #[error("logging is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// The endpoint of metrics cannot listen.
    #[error("listen on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
