//! WorkflowEventBindings.

use argosy_objects::api::argo_kind;
use axum::Json;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::failure::Result;
use crate::place::Place;
use crate::query::Query;

pub async fn list(caller: Caller, place: Place, query: Query) -> Result<Json<Value>> {
    let kind = argo_kind("WorkflowEventBinding");
    let api: Api<DynamicObject> = match place.namespace.as_str() {
        "" => Api::all_with(caller.client, &kind),
        namespace => Api::namespaced_with(caller.client, namespace, &kind),
    };
    let listed = api.list(&query.list_params()?).await?;
    Ok(Json(json!({ "metadata": listed.metadata, "items": listed.items })))
}
