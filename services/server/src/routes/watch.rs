//! Changes as they happen: of workflows, and Kubernetes Events.

use std::sync::Arc;

use argosy_client::objects;
use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DynamicObject, WatchEvent, WatchParams};
use kube::core::Resource;
use serde_json::{Value, json};

use super::workflows::shown;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::{Failure, Result};
use crate::fields::Fields;
use crate::place::Place;
use crate::query::Query;
use crate::stream::{self, Form, Sender, send};

/// What a field selector may say for the workflow that was created last. Source: Argo's `server/workflow`.
const LATEST: &str = "metadata.name=@latest";

pub async fn workflows(
    caller: Caller,
    place: Place,
    query: Query,
    headers: HeaderMap,
    State(app): State<Arc<App>>,
) -> Result<Response> {
    let mut params = query.watch_params()?;
    if params.field_selector.as_deref() == Some(LATEST) {
        let name = objects::name(&caller.client, place.one_namespace()?, "@latest").await?;
        params.field_selector = Some(format!("metadata.name={name}"));
    }
    let namespace = (!place.namespace.is_empty()).then_some(place.namespace.as_str());
    let api = objects::api(&caller.client, "Workflow", namespace);
    // The specification speaks of `result.object`, some clients of what is in it.
    let fields = Fields::parse(query.get("fields"));
    let fields = [fields.beneath(&["result", "object"]), fields.beneath(&["object"]), fields]
        .into_iter()
        .find(|fields| !fields.is_empty())
        .unwrap_or_default();
    let version = query.version();
    let event =
        move |kind: &str, object: &DynamicObject| Ok(json!({ "type": kind, "object": fields.apply(shown(object)?) }));
    Ok(stream::answer(Form::of(&headers), app.closing.clone(), |sender| async move {
        changes(&api, &params, version, event, &sender).await
    }))
}

pub async fn events(
    caller: Caller,
    place: Place,
    query: Query,
    headers: HeaderMap,
    State(app): State<Arc<App>>,
) -> Result<Response> {
    let api: Api<Event> = match place.namespace.as_str() {
        "" => Api::all(caller.client),
        namespace => Api::namespaced(caller.client, namespace),
    };
    let (params, version) = (query.watch_params()?, query.version());
    let event =
        |kind: &str, event: &Event| Ok(if kind == "DELETED" { Value::Null } else { serde_json::to_value(event)? });
    Ok(stream::answer(Form::of(&headers), app.closing.clone(), |sender| async move {
        changes(&api, &params, version, event, &sender).await
    }))
}

/// Sends the changes that `piece` makes something of, across the ends of the watches at the Kubernetes API.
///
/// Errors: the API does not answer, or no longer has what was between two watches.
async fn changes<K>(
    api: &Api<K>,
    params: &WatchParams,
    mut version: String,
    piece: impl Fn(&str, &K) -> Result<Value>,
    sender: &Sender,
) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    loop {
        let mut watch = api.watch(params, &version).await?.boxed();
        while let Some(event) = watch.try_next().await? {
            let (kind, object) = match event {
                WatchEvent::Added(object) => ("ADDED", object),
                WatchEvent::Modified(object) => ("MODIFIED", object),
                WatchEvent::Deleted(object) => ("DELETED", object),
                WatchEvent::Bookmark(bookmark) => {
                    version = bookmark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(status) => return Err(Failure::from(kube::Error::Api(status))),
            };
            if let Some(seen) = &object.meta().resource_version {
                version.clone_from(seen);
            }
            match piece(kind, &object)? {
                Value::Null => {}
                piece => send(sender, piece).await?,
            }
        }
    }
}
