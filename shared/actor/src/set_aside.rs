//! Keeps for an operator what nobody could deal with: in the quarantine of the bus, before it is given up.

use std::time::Duration;

use argosy_bus::{Delivery, Message, Publish, Quarantined, Stream, subject};
use serde_json::Value;

use crate::{HEADER_NAME, HEADER_NAMESPACE, Host, metrics};

/// How long the quarantine is waited for. What could not be kept by then is in the log only, and counted.
const KEEP_MAX: Duration = Duration::from_secs(5);
/// Stands for the owner of a message that names none.
const NOBODY: &str = "UNKNOWN";

/// Puts a message aside that can never be dealt with: it is kept, and does not come again. `who` says in metrics for what
/// kind of actor it was.
pub async fn poison(host: &Host, who: &'static str, delivery: Delivery, why: &str) {
    let message = &delivery.message;
    metrics::POISON.with_label_values(&[who]).inc();
    tracing::error!(
        subject = message.subject,
        event.seq = message.sequence,
        id = message.id,
        why,
        "message cannot be dealt with and is put aside"
    );
    keep(host, entry(host, message, why)).await;
    if let Err(error) = delivery.term().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "delivery not answered, it comes again");
    }
}

/// Keeps a message that the bus did not take. Its content is kept as far as it is not too large for that, too.
pub async fn keep_unsent(host: &Host, publish: &Publish, why: &str) {
    let message = Message {
        stream: publish.stream,
        subject: publish.subject.clone(),
        // It has none.
        sequence: 0,
        id: publish.id.clone(),
        headers: publish.headers.clone(),
        payload: publish.payload.clone(),
        deliveries: 0,
    };
    keep(host, entry(host, &message, why)).await;
}

/// Stores an entry of the quarantine. That this fails is logged and counted, and stops nobody.
pub async fn keep(host: &Host, entry: Quarantined) {
    let key = entry.key();
    let error = match tokio::time::timeout(KEEP_MAX, host.bus.quarantine().put(entry)).await {
        Ok(Ok(_)) => return metrics::KEPT.inc(),
        Ok(Err(error)) => crate::failure::chain(&error),
        Err(_) => format!("no answer within {} s", KEEP_MAX.as_secs()),
    };
    metrics::NOT_KEPT.inc();
    tracing::error!(key, error, "not kept in the quarantine");
}

/// The entry of a message, named as far as the message names whose it is.
fn entry(host: &Host, message: &Message, why: &str) -> Quarantined {
    let owner = owner(message);
    Quarantined::workflow(owner.uid, why, host.clock.now()).named(owner.namespace, owner.name).message(message)
}

/// Whose a message is.
#[derive(Default)]
struct Owner {
    uid: String,
    namespace: String,
    name: String,
}

fn owner(message: &Message) -> Owner {
    let of_headers = |uid: String| match (message.headers.get(HEADER_NAMESPACE), message.headers.get(HEADER_NAME)) {
        (Some(namespace), Some(name)) => Owner { uid, namespace: namespace.clone(), name: name.clone() },
        (None, _) | (_, None) => Owner { uid, ..Owner::default() },
    };
    let owner = match message.stream {
        Stream::Observed => message.subject.parse::<subject::Observed>().ok().map(|subject| of_headers(subject.uid)),
        Stream::Commands => message.subject.parse::<subject::Command>().ok().map(|subject| {
            // A command names its owner in its content, if that can be read.
            let content: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
            let text = |name: &str| content[name].as_str().unwrap_or_default().to_owned();
            Owner { uid: subject.uid, namespace: text("namespace"), name: text("workflow") }
        }),
        Stream::Events => message.subject.parse::<subject::Event>().ok().map(|subject| Owner {
            uid: subject.uid,
            namespace: subject.namespace,
            ..Owner::default()
        }),
        // Nobody consumes it.
        Stream::Nodes => None,
    };
    let nobody = || Owner { uid: NOBODY.to_owned(), ..Owner::default() };
    owner.filter(|owner| !owner.uid.is_empty()).unwrap_or_else(nobody)
}
