//! Limits of semaphores, in ConfigMaps.

use argosy_objects::names::is_name;
use axum::Json;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::body::Body;
use crate::caller::Caller;
use crate::failure::{Code, Failure, Result};
use crate::place::Place;
use crate::query::Query;

/// Source: Argo's swagger, `sync.SyncConfigType`; the number stands for the first.
const CONFIG_MAP: [&str; 3] = ["CONFIGMAP", "CONFIG_MAP", "0"];

fn check_type(text: &str) -> Result<()> {
    match text {
        "" => Ok(()),
        text if CONFIG_MAP.contains(&text) => Ok(()),
        "DATABASE" | "1" => Err(Failure::new(Code::Unimplemented, "limits in a database are not supported")),
        _ => Err(Failure::invalid(format!("unsupported sync config type: {text}"))),
    }
}

fn maps(caller: &Caller, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(caller.client.clone(), namespace)
}

fn answer(namespace: &str, map: &str, key: &str, limit: i64) -> Json<Value> {
    Json(json!({ "type": "CONFIGMAP", "namespace": namespace, "cmName": map, "key": key, "limit": limit }))
}

/// The name of a ConfigMap. Errors: none can have it.
fn map_of(name: &str) -> Result<&str> {
    if is_name(name) { Ok(name) } else { Err(Failure::invalid(format!("no ConfigMap is called {name:?} (cmName)"))) }
}

/// Errors: it is no number above 0.
fn limit(body: &Body) -> Result<i64> {
    match body.read("limit")? {
        Some(limit) if limit > 0 => Ok(limit),
        _ => Err(Failure::invalid("limit must be greater than zero")),
    }
}

pub async fn create(caller: Caller, place: Place, body: Body) -> Result<Json<Value>> {
    let namespace = place.one_namespace()?;
    check_type(&body.text("type")?)?;
    let (map, key, limit) = (body.text("cmName")?, body.text("key")?, limit(&body)?);
    if map.is_empty() || key.is_empty() {
        return Err(Failure::invalid("name the ConfigMap (cmName) and its key"));
    }
    let api = maps(&caller, namespace);
    match api.get_opt(map_of(&map)?).await? {
        Some(found) if found.data.as_ref().is_some_and(|data| data.contains_key(&key)) => {
            return Err(Failure::new(Code::AlreadyExists, format!("{map} has a limit for {key}")));
        }
        Some(_) => write(&api, &map, json!({ key.as_str(): limit.to_string() })).await?,
        None => {
            let new = ConfigMap {
                metadata: kube::api::ObjectMeta { name: Some(map.clone()), ..Default::default() },
                data: Some([(key.clone(), limit.to_string())].into()),
                ..ConfigMap::default()
            };
            api.create(&PostParams::default(), &new).await?;
        }
    }
    Ok(answer(namespace, &map, &key, limit))
}

async fn write(api: &Api<ConfigMap>, map: &str, data: Value) -> Result<()> {
    api.patch(map, &PatchParams::default(), &Patch::Merge(json!({ "data": data }))).await?;
    Ok(())
}

/// The limit that is there. Errors: there is none.
async fn there(api: &Api<ConfigMap>, map: &str, key: &str) -> Result<i64> {
    if map.is_empty() {
        return Err(Failure::invalid("name the ConfigMap (cmName)"));
    }
    let found = api.get(map_of(map)?).await?;
    let text = found.data.as_ref().and_then(|data| data.get(key));
    let text = text.ok_or_else(|| Failure::new(Code::NotFound, format!("{map} has no limit for {key}")))?;
    text.trim().parse().map_err(|_| Failure::invalid(format!("the limit of {key} in {map} is no number")))
}

pub async fn get(caller: Caller, place: Place, query: Query) -> Result<Json<Value>> {
    let namespace = place.one_namespace()?;
    check_type(query.get("type").unwrap_or_default())?;
    let map = query.get("cmName").unwrap_or_default();
    let limit = there(&maps(&caller, namespace), map, &place.name).await?;
    Ok(answer(namespace, map, &place.name, limit))
}

pub async fn update(caller: Caller, place: Place, body: Body) -> Result<Json<Value>> {
    let namespace = place.one_namespace()?;
    check_type(&body.text("type")?)?;
    let (map, limit) = (body.text("cmName")?, limit(&body)?);
    let api = maps(&caller, namespace);
    there(&api, &map, &place.name).await?;
    write(&api, &map, json!({ place.name.as_str(): limit.to_string() })).await?;
    Ok(answer(namespace, &map, &place.name, limit))
}

pub async fn delete(caller: Caller, place: Place, query: Query) -> Result<Json<Value>> {
    let namespace = place.one_namespace()?;
    check_type(query.get("type").unwrap_or_default())?;
    let map = query.get("cmName").unwrap_or_default();
    let api = maps(&caller, namespace);
    there(&api, map, &place.name).await?;
    write(&api, map, json!({ place.name.as_str(): null })).await?;
    Ok(Json(json!({})))
}
