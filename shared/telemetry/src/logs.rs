//! Log lines on stderr, and spans to a collector.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::Error;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object.
    Json,
    /// For people.
    #[default]
    Pretty,
}

/// What is logged, how, and where spans go.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Which log lines are written: `info`, `argosy_scheduler=debug,warn`, …
    #[arg(long, env = "ARGOSY_LOG", default_value = "info", global = true)]
    pub log: String,
    /// How a log line looks.
    #[arg(long, env = "ARGOSY_LOG_FORMAT", value_enum, default_value_t, global = true)]
    pub log_format: Format,
    /// Where spans go: the address of an OTLP gRPC collector, such as `http://localhost:4317`. Without it, nowhere.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", global = true)]
    pub otlp_endpoint: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { log: "info".to_owned(), log_format: Format::default(), otlp_endpoint: None }
    }
}

/// Sends what spans are left when dropped.
#[derive(Debug, Default)]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.provider.take().map(|provider| provider.shutdown()) {
            tracing::warn!(error = &error as &dyn std::error::Error, "last spans not exported");
        }
    }
}

/// Sets up logging for the process, and tracing where `options` name a collector. Within a runtime, as the exporter
/// needs one. Keep the guard until the end.
///
/// Errors: a bad filter or endpoint; a second call.
pub fn init(service: &'static str, options: &Options) -> Result<Guard, Error> {
    let filter =
        EnvFilter::try_new(&options.log).map_err(|source| Error::Filter { filter: options.log.clone(), source })?;
    // It would say on standard error that standard error cannot be written, and end the thread.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let lines = match options.log_format {
        Format::Json => lines.json().boxed(),
        Format::Pretty => lines.compact().boxed(),
    };
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = options.otlp_endpoint.as_deref().map(|endpoint| exporter(service, endpoint)).transpose()?;
    let spans = provider.as_ref().map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer(service)));
    tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init().map_err(Error::Twice)?;
    Ok(Guard { provider })
}

fn exporter(service: &'static str, endpoint: &str) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|source| Error::Exporter { endpoint: endpoint.to_owned(), source })?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
