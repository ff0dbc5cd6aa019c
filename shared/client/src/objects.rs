//! Objects of the API: the kinds that people handle, and the requests for them.

pub use argosy_objects::names::is_name;

use argosy_api::v1alpha1::API_VERSION;
use argosy_objects::names::find;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;

use crate::Error;

/// Stands for the workflow that was created last.
pub const LATEST: &str = "@latest";

/// How many workflows are looked at for one that may be meant by a name that none has.
const LOOKED_AT_MAX: u32 = 500;

/// The kinds that people create for their workflows.
const KINDS: [(&str, &str, &str); 8] = [
    ("Workflow", "workflows", API_VERSION),
    ("WorkflowTemplate", "workflowtemplates", API_VERSION),
    ("ClusterWorkflowTemplate", "clusterworkflowtemplates", API_VERSION),
    ("CronWorkflow", "cronworkflows", API_VERSION),
    ("ConfigMap", "configmaps", "v1"),
    ("Secret", "secrets", "v1"),
    ("ServiceAccount", "serviceaccounts", "v1"),
    ("PersistentVolumeClaim", "persistentvolumeclaims", "v1"),
];

/// True for a kind that [`api`] knows.
pub fn is_known(kind: &str) -> bool {
    KINDS.iter().any(|(known, _, _)| *known == kind)
}

/// The API of `kind`, which must be [known](is_known), in `namespace` (none for cluster-wide kinds and for all).
pub fn api(client: &Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (kind, plural, version) = KINDS.iter().find(|(known, _, _)| *known == kind).copied().unwrap_or(KINDS[0]);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    match namespace {
        Some(namespace) if kind != "ClusterWorkflowTemplate" => {
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
        Some(_) | None => Api::all_with(client.clone(), &resource),
    }
}

/// The name, where an object may have it.
///
/// Errors: none may.
pub fn checked(name: &str) -> Result<&str, Error> {
    if is_name(name) { Ok(name) } else { Err(Error::BadName(name.to_owned())) }
}

/// The API of workflows in `namespace`.
pub fn workflows(client: &Client, namespace: &str) -> Api<DynamicObject> {
    api(client, "Workflow", Some(namespace))
}

/// Reads one workflow; `@latest` is the one created last. Errors: there is none.
pub async fn get(client: &Client, namespace: &str, name: &str) -> Result<DynamicObject, Error> {
    match get_opt(client, namespace, name).await? {
        Some(object) => Ok(object),
        None => Err(missing(client, namespace, name).await),
    }
}

/// That there is no workflow `name`, and which is meant: of those whose names begin so, the one created last.
async fn missing(client: &Client, namespace: &str, name: &str) -> Error {
    let params = ListParams::default().limit(LOOKED_AT_MAX);
    let other = match workflows(client, namespace).list(&params).await {
        _ if name.is_empty() || name == LATEST => None,
        Ok(all) => {
            let names =
                all.items.into_iter().filter_map(|one| Some((one.metadata.creation_timestamp?.0, one.metadata.name?)));
            let begin_so = names.filter(|(_, other)| other.starts_with(name));
            begin_so.max().map(|(_, other)| other)
        }
        Err(_) => None,
    };
    let other = if name == "latest" { Some(LATEST.to_owned()) } else { other };
    match other {
        Some(other) => Error::NotFoundBut { name: name.to_owned(), other },
        None => not_found(name),
    }
}

/// That there is no workflow `name`, which may be `@latest`.
pub fn not_found(name: &str) -> Error {
    if name == LATEST { Error::NoWorkflow } else { Error::NotFound(name.to_owned()) }
}

/// As [`get`]; `None` where there is none.
pub async fn get_opt(client: &Client, namespace: &str, name: &str) -> Result<Option<DynamicObject>, Error> {
    let api = workflows(client, namespace);
    if name != LATEST {
        // Nothing has a name that is none.
        return Ok(find(&api, name).await?);
    }
    let all = api.list(&ListParams::default()).await?.items;
    Ok(all.into_iter().max_by_key(|object| {
        (object.metadata.creation_timestamp.as_ref().map(|time| time.0), object.metadata.name.clone())
    }))
}

/// `@latest` to the name it stands for.
pub async fn name(client: &Client, namespace: &str, name: &str) -> Result<String, Error> {
    if name != LATEST {
        return Ok(name.to_owned());
    }
    Ok(get(client, namespace, name).await?.metadata.name.unwrap_or_default())
}

/// Creates `value`, or replaces what has its name.
pub async fn apply(client: &Client, namespace: &str, kind: &str, value: Value) -> Result<DynamicObject, Error> {
    let object: DynamicObject = serde_json::from_value(value)?;
    let api = api(client, kind, Some(object.metadata.namespace.as_deref().unwrap_or(namespace)));
    match api.create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let name = object.metadata.name.clone().unwrap_or_default();
            let mut next = object;
            next.metadata.resource_version = api.get(&name).await?.metadata.resource_version;
            Ok(api.replace(&name, &PostParams::default(), &next).await?)
        }
        other => Ok(other?),
    }
}

/// Creates `value` as it is.
pub async fn create(
    client: &Client,
    namespace: &str,
    kind: &str,
    value: Value,
    dry_run: bool,
) -> Result<DynamicObject, Error> {
    let object: DynamicObject = serde_json::from_value(value)?;
    let api = api(client, kind, Some(object.metadata.namespace.as_deref().unwrap_or(namespace)));
    Ok(api.create(&PostParams { dry_run, ..PostParams::default() }, &object).await?)
}
