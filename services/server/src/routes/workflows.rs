//! Reading and deleting workflows.

use std::str::FromStr;

use argosy_api::v1alpha1::Workflow;
use argosy_client::{Error, Warning, objects, read, select};
use axum::Json;
use jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, Preconditions, PropagationPolicy};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::failure::{Failure, Result};
use crate::fields::Fields;
use crate::place::Place;
use crate::query::Query;

/// Workflows that are asked of the Kubernetes API at once.
const CHUNK: u32 = 500;

/// Nodes that cannot be read are left out, and said so.
pub fn warn(warning: Warning<'_>) {
    let error = warning.without_nodes as &dyn std::error::Error;
    tracing::warn!(error, workflow = warning.workflow, "a workflow is shown without its nodes");
}

/// How `nameFilter` compares. Source: Argo's `server/utils/list_options.go`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NameFilter {
    Exact,
    Contains,
    Prefix,
    NotEquals,
}

impl FromStr for NameFilter {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text {
            "Exact" => Ok(Self::Exact),
            "Contains" => Ok(Self::Contains),
            "Prefix" => Ok(Self::Prefix),
            "NotEquals" => Ok(Self::NotEquals),
            _ => Err("not Exact, Contains, Prefix or NotEquals"),
        }
    }
}

/// Which names are wanted: the Kubernetes API knows equality only, so that this is looked at here.
struct Names {
    filter: NameFilter,
    name: String,
}

impl Names {
    /// Of the query, and what is left of its field selector.
    fn of(query: &Query) -> Result<(Option<Self>, Option<String>)> {
        let filter = query.read("nameFilter")?.unwrap_or(NameFilter::Exact);
        let Some(selector) = query.fields() else { return Ok((None, None)) };
        if filter == NameFilter::Exact {
            return Ok((None, Some(selector)));
        }
        let is_name = |part: &&str| part.starts_with("metadata.name=");
        let name = selector.split(',').find(is_name).map(|part| part["metadata.name=".len()..].trim_start_matches('='));
        let rest: Vec<&str> = selector.split(',').filter(|part| !is_name(part)).collect();
        let rest = (!rest.is_empty()).then(|| rest.join(","));
        Ok((name.map(|name| Self { filter, name: name.to_owned() }), rest))
    }

    fn has(&self, name: &str) -> bool {
        match self.filter {
            NameFilter::Exact => name == self.name,
            NameFilter::Contains => name.contains(&self.name),
            NameFilter::Prefix => name.starts_with(&self.name),
            NameFilter::NotEquals => name != self.name,
        }
    }
}

pub async fn list(caller: Caller, place: Place, query: Query) -> Result<Json<Value>> {
    let (names, fields) = Names::of(&query)?;
    let (created_after, finished_before) = (query.time("createdAfter")?, query.time("finishedBefore")?);
    let (limit, offset) = (query.read::<usize>("listOptions.limit")?.unwrap_or(0), offset(&query)?);
    let selectors = select::Selectors { labels: query.labels(), fields };
    let namespace = (!place.namespace.is_empty()).then_some(place.namespace.as_str());
    let found = select::fetch(&caller.client, namespace, &selectors, Some(CHUNK), &warn).await?;
    let is_wanted = |workflow: &Workflow| {
        names.as_ref().is_none_or(|names| names.has(&workflow.metadata.name))
            && created_after.is_none_or(|at| workflow.metadata.creation_timestamp.is_some_and(|created| created.0 > at))
            && finished_before.is_none_or(|at| workflow.status.finished_at.is_some_and(|finished| finished.0 < at))
    };
    let wanted: Vec<Value> =
        found.into_iter().filter(|(workflow, _)| is_wanted(workflow)).map(|(_, value)| value).collect();
    let total = wanted.len();
    let count = if limit == 0 { usize::MAX } else { limit };
    let items: Vec<Value> = wanted.into_iter().skip(offset).take(count).collect();
    let end = offset.saturating_add(items.len());
    let mut metadata = json!({});
    if end < total {
        metadata = json!({ "continue": end.to_string(), "remainingItemCount": total - end });
    }
    let fields = Fields::parse(query.get("fields"));
    Ok(Json(fields.apply(json!({ "metadata": metadata, "items": items }))))
}

/// Where a page of a list begins.
fn offset(query: &Query) -> Result<usize> {
    Ok(query.read("listOptions.continue")?.unwrap_or(0))
}

/// One that is there. Errors: none of the name, or with another uid.
pub async fn found(caller: &Caller, place: &Place, uid: Option<&str>) -> Result<DynamicObject> {
    let object = objects::get(&caller.client, place.one_namespace()?, &place.name).await?;
    match uid {
        Some(uid) if object.metadata.uid.as_deref() != Some(uid) => Err(Error::NotFound(place.name.clone()).into()),
        _ => Ok(object),
    }
}

/// As callers see it.
pub fn shown(object: &DynamicObject) -> Result<Value> {
    Ok(read::shown(object, &warn)?)
}

pub async fn get(caller: Caller, place: Place, query: Query) -> Result<Json<Value>> {
    let object = found(&caller, &place, query.get("uid")).await?;
    Ok(Json(Fields::parse(query.get("fields")).apply(shown(&object)?)))
}

/// With `force`, also one whose finalizers nobody takes away.
pub async fn delete(caller: Caller, place: Place, query: Query) -> Result<Json<Value>> {
    let namespace = place.one_namespace()?;
    let name = objects::name(&caller.client, namespace, &place.name).await?;
    let api = objects::workflows(&caller.client, namespace);
    if query.flag("force")? {
        let nobody = json!({ "metadata": { "finalizers": null } });
        api.patch(&name, &Default::default(), &kube::api::Patch::Merge(nobody)).await?;
    }
    api.delete(&name, &delete_params(&query)?).await?;
    Ok(Json(json!({})))
}

fn delete_params(query: &Query) -> Result<DeleteParams> {
    let policy = match query.get("deleteOptions.propagationPolicy") {
        None => None,
        Some("Orphan") => Some(PropagationPolicy::Orphan),
        Some("Background") => Some(PropagationPolicy::Background),
        Some("Foreground") => Some(PropagationPolicy::Foreground),
        Some(other) => return Err(Failure::invalid(format!("{other} is no propagation policy"))),
    };
    let uid = query.get("deleteOptions.preconditions.uid").map(str::to_owned);
    let resource_version = query.get("deleteOptions.preconditions.resourceVersion").map(str::to_owned);
    let preconditions = Preconditions { uid, resource_version };
    Ok(DeleteParams {
        dry_run: query.get("deleteOptions.dryRun") == Some("All"),
        grace_period_seconds: query.read("deleteOptions.gracePeriodSeconds")?,
        propagation_policy: policy,
        preconditions: (preconditions.uid.is_some() || preconditions.resource_version.is_some())
            .then_some(preconditions),
    })
}

/// The time of a change.
pub fn now() -> Timestamp {
    Timestamp::now()
}
