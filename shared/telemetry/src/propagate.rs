//! Trace context over the bus: W3C `traceparent` in the headers of messages.

use std::collections::BTreeMap;

use opentelemetry::global;
use opentelemetry::propagation::{Extractor, Injector};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

struct Out<'a>(&'a mut BTreeMap<String, String>);

impl Injector for Out<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value);
        }
    }
}

struct In<'a>(&'a BTreeMap<String, String>);

impl Extractor for In<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Writes the current span's context into the headers of a message. Nothing without a collector.
pub fn inject(headers: &mut BTreeMap<String, String>) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Out(headers)));
}

/// Makes `span` a child of the context that a message carries.
pub fn adopt(span: &Span, headers: &BTreeMap<String, String>) {
    if !headers.contains_key("traceparent") {
        return;
    }
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&In(headers)));
    // Fails when no collector is set up: then there is no trace to continue.
    let _ = span.set_parent(context);
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_trace_goes_on_behind_a_message() {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let mut headers = BTreeMap::new();
        let sender = tracing::info_span!("sender");
        sender.in_scope(|| inject(&mut headers));
        let receiver = tracing::info_span!("receiver");
        adopt(&receiver, &headers);
        let id = |span: &Span| span.context().span().span_context().trace_id();
        assert!(headers["traceparent"].contains(&id(&sender).to_string()), "{headers:?}");
        assert_eq!(id(&sender), id(&receiver));
    }
}
