//! Answers that go on: watches and logs, as server-sent events for those who ask for them, else as lines of JSON.
//!
//! Each piece is `{"result": …}`; a stream that breaks says `{"error": …}` last. Source: the gateway of gRPC, and Argo's
//! clients, which read lines that begin with `data: `.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Result};

/// Pieces that may wait for a slow client.
const WAITING_MAX: usize = 64;
/// A comment now and then keeps proxies from ending a stream that is silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
const EVENTS: &str = "text/event-stream";

/// Takes the pieces of a stream; it is closed when the client has gone.
pub type Sender = mpsc::Sender<Result<Value>>;

/// Which form a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Events,
    Lines,
}

impl Form {
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let wants = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains(EVENTS));
        if accepted.into_iter().any(wants) { Self::Events } else { Self::Lines }
    }

    fn line(self, piece: &Result<Value>) -> Bytes {
        let value = match piece {
            Ok(result) => json!({ "result": result }),
            Err(failure) => json!({ "error": failure.to_json() }),
        };
        match self {
            Self::Events => format!("data: {value}\n\n").into(),
            Self::Lines => format!("{value}\n").into(),
        }
    }
}

/// The answer whose pieces `produce` sends, until it returns, the client goes or the server ends.
pub fn answer<F>(form: Form, closing: CancellationToken, produce: impl FnOnce(Sender) -> F) -> Response
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let last = sender.clone();
    let producing = produce(sender);
    _ = tokio::spawn(async move {
        let ended = tokio::select! {
            ended = producing => ended,
            () = last.closed() => Ok(()),
            () = closing.cancelled() => Ok(()),
        };
        if let Err(failure) = ended {
            _ = last.send(Err(failure)).await;
        }
    });
    let kind = if form == Form::Events { EVENTS } else { "application/json" };
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache"), (header::CONNECTION, "keep-alive")];
    (headers, Body::from_stream(lines(form, receiver))).into_response()
}

fn lines(form: Form, receiver: mpsc::Receiver<Result<Value>>) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::unfold(receiver, move |mut receiver| async move {
        loop {
            let line = match tokio::time::timeout(HEARTBEAT, receiver.recv()).await {
                Ok(Some(piece)) => form.line(&piece),
                Ok(None) => return None,
                Err(_) if form == Form::Events => Bytes::from_static(b":\n\n"),
                Err(_) => continue,
            };
            return Some((Ok(line), receiver));
        }
    })
    .boxed()
}

/// Sends a piece. Errors: nobody reads any more.
pub async fn send(sender: &Sender, piece: Value) -> std::result::Result<(), Gone> {
    sender.send(Ok(piece)).await.map_err(|_| Gone)
}

/// The client has gone.
pub struct Gone;

impl From<Gone> for Failure {
    fn from(_: Gone) -> Self {
        Self::new(crate::failure::Code::Unavailable, "the client has gone")
    }
}
