//! Watch: the history from a revision on, as a stream of lines.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::Stream;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::{Failure, Result};
use super::kinds::Kind;
use super::object::Object;
use super::render::Renderer;
use super::request::{Params, Target};
use super::selector::Selector;
use super::signals::Wake;
use super::state::{Change, Event};
use super::store::Store;

/// Events sent in one piece of the body.
const BATCH_EVENTS_MAX: usize = 128;
/// How often a quiet watch tells its revision, when it was asked to.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch may last when the client does not say.
const WATCH_SECS_MAX: u64 = 1800;
/// A revision as small as an ancient one is taken as "any".
const ANY_REVISION: u64 = 0;

struct Watch {
    store: Arc<Store>,
    kind: &'static Kind,
    namespace: Option<String>,
    selector: Selector,
    renderer: Renderer,
    revision: u64,
    wake: Wake,
    initial: VecDeque<Arc<Object>>,
    /// The bookmark that ends the initial events is still owed.
    initial_bookmark: bool,
    next_bookmark: Option<Instant>,
    deadline: Instant,
    closing: CancellationToken,
    ended: bool,
}

/// Starts a watch. The body's stream ends at its deadline, at `closing`, or after an error event.
pub(crate) fn watch(
    store: &Arc<Store>,
    target: &Target,
    params: &Params,
    renderer: Renderer,
    closing: CancellationToken,
) -> Result<impl Stream<Item = std::result::Result<Bytes, Infallible>> + Send + use<>> {
    let kind = target.kind;
    let selector =
        Selector::parse(kind, params.get("labelSelector"), params.get("fieldSelector"))?.named(target.name.as_deref());
    let asked = params.number("resourceVersion")?;
    let bookmarks = params.flag("allowWatchBookmarks");
    let send_initial = params.flag("sendInitialEvents");
    if send_initial && params.get("resourceVersionMatch") != Some("NotOlderThan") {
        return Err(Failure::bad_request("sendInitialEvents is set but resourceVersionMatch is not NotOlderThan"));
    }
    // Subscribe before reading, so that nothing falls in between.
    let wake = store.subscribe(kind);
    let mut initial = VecDeque::new();
    let mut revision = asked.unwrap_or(ANY_REVISION);
    let from_now = params.get("sendInitialEvents").is_none() && revision == ANY_REVISION;
    if send_initial || from_now {
        let list =
            store.list(kind, target.namespace.as_deref(), Some(store.visible()), None, usize::MAX, &|object| {
                selector.matches(object)
            })?;
        revision = list.revision;
        initial = list.objects.into();
    } else if revision == ANY_REVISION {
        revision = store.visible();
    }
    let timeout = params.number("timeoutSeconds")?.filter(|secs| *secs > 0).unwrap_or(WATCH_SECS_MAX);
    let now = Instant::now();
    let watch = Watch {
        store: Arc::clone(store),
        kind,
        namespace: target.namespace.clone(),
        selector,
        renderer,
        revision,
        wake,
        initial,
        initial_bookmark: send_initial && bookmarks,
        next_bookmark: bookmarks.then(|| now + BOOKMARK_EVERY),
        deadline: now + Duration::from_secs(timeout),
        closing,
        ended: false,
    };
    Ok(futures::stream::unfold(watch, |mut watch| async move { watch.next().await.map(|bytes| (Ok(bytes), watch)) }))
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        loop {
            if self.ended {
                return None;
            }
            self.wake.see();
            self.collect(&mut out);
            if !out.is_empty() {
                return Some(out.freeze());
            }
            let next_bookmark = self.next_bookmark;
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return None,
                () = self.wake.changed() => {}
                () = tokio::time::sleep_until(self.deadline) => return None,
                () = sleep_until(next_bookmark) => {
                    self.next_bookmark = Some(Instant::now() + BOOKMARK_EVERY);
                    self.bookmark(&mut out, false);
                    return Some(out.freeze());
                }
            }
        }
    }

    /// Writes what there is to say now.
    fn collect(&mut self, out: &mut BytesMut) {
        for _ in 0..BATCH_EVENTS_MAX {
            let Some(object) = self.initial.pop_front() else {
                break;
            };
            self.line(out, "ADDED", &object);
        }
        if !self.initial.is_empty() {
            return;
        }
        if self.initial_bookmark {
            self.initial_bookmark = false;
            self.bookmark(out, true);
        }
        loop {
            match self.store.events(self.kind, self.revision, BATCH_EVENTS_MAX) {
                Ok((events, upto)) => {
                    for event in &events {
                        self.event(out, event);
                    }
                    self.revision = upto;
                    // A full batch of unwanted events says nothing; look at the next one.
                    if !out.is_empty() || events.len() < BATCH_EVENTS_MAX {
                        return;
                    }
                }
                Err(failure) => {
                    let line = json!({"type": "ERROR", "object": failure.body()});
                    out.put_slice(line.to_string().as_bytes());
                    out.put_u8(b'\n');
                    self.ended = true;
                    return;
                }
            }
        }
    }

    fn event(&mut self, out: &mut BytesMut, event: &Event) {
        let object = &event.object;
        if self.namespace.as_deref().is_some_and(|ns| ns != object.namespace()) {
            return;
        }
        if self.selector.is_empty() {
            let word = match event.change {
                Change::Added => "ADDED",
                Change::Modified => "MODIFIED",
                Change::Deleted => "DELETED",
            };
            return self.line(out, word, object);
        }
        let before = event.previous.as_ref().is_some_and(|previous| self.selector.matches(previous));
        let after = event.change != Change::Deleted && self.selector.matches(object);
        match (before, after) {
            (false, false) => {}
            (false, true) => self.line(out, "ADDED", object),
            (true, true) => self.line(out, "MODIFIED", object),
            (true, false) => {
                // What left the selection is shown as it last was in it, at the new revision.
                let left = match &event.previous {
                    Some(previous) if event.change != Change::Deleted => {
                        let mut tree = previous.tree.clone();
                        tree.copy_from(&object.tree, &["metadata", "resourceVersion"]);
                        &Arc::new(Object::new(object.kind, object.revision, tree))
                    }
                    _ => object,
                };
                self.line(out, "DELETED", left);
            }
        }
    }

    fn line(&mut self, out: &mut BytesMut, word: &str, object: &Arc<Object>) {
        let body = self.renderer.watched(&self.store, object);
        out.reserve(body.len() + 40);
        out.put_slice(b"{\"type\":\"");
        out.put_slice(word.as_bytes());
        out.put_slice(b"\",\"object\":");
        out.put_slice(&body);
        out.put_slice(b"}\n");
    }

    fn bookmark(&self, out: &mut BytesMut, initial_end: bool) {
        let mut metadata = json!({
            "resourceVersion": self.revision.to_string(),
            "creationTimestamp": null,
        });
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = self.renderer.bookmark(self.kind, metadata);
        let line = json!({"type": "BOOKMARK", "object": object});
        out.put_slice(line.to_string().as_bytes());
        out.put_u8(b'\n');
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
