//! Which resource a kind of a manifest, or a word of a command line, means: asked of the API server.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResource, APIResourceList};
use kube::Client;
use kube::core::ApiResource;
use serde::{Deserialize, Serialize};

use super::error::Error;

/// A resource of the API server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub namespaced: bool,
}

impl Found {
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    pub fn resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.clone(),
            version: self.version.clone(),
            api_version: self.api_version(),
            kind: self.kind.clone(),
            plural: self.plural.clone(),
        }
    }
}

/// The resource of a manifest; `None` when the server does not have it.
/// Errors: `Refused`.
pub(super) async fn by_kind(client: &Client, api_version: &str, kind: &str) -> Result<Option<Found>, Error> {
    let Some(list) = resources(client, api_version).await? else { return Ok(None) };
    Ok(found(&list, api_version, |resource| resource.kind == kind))
}

/// The resource that a word such as `pod`, `wf` or `deployments.apps` means; the core group goes first.
/// Errors: `NoType`, `Refused`.
pub(super) async fn by_word(client: &Client, word: &str) -> Result<Found, Error> {
    let lower = word.to_lowercase();
    let (name, group) = lower.split_once('.').map_or((lower.as_str(), None), |(name, group)| (name, Some(group)));
    let groups = client.list_api_groups().await.map_err(Error::refused(""))?;
    let mut versions = vec!["v1".to_owned()];
    for group in groups.groups {
        let preferred = group.preferred_version.or_else(|| group.versions.first().cloned());
        versions.extend(preferred.map(|version| version.group_version));
    }
    for version in versions {
        let here = version.split_once('/').map_or("", |(group, _)| group);
        let reversed = version.split_once('/').map(|(group, version)| format!("{version}.{group}"));
        if group.is_some_and(|group| group != here && Some(group) != reversed.as_deref()) {
            continue;
        }
        let Some(list) = resources(client, &version).await? else { continue };
        let means = |resource: &k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource| {
            let short = resource.short_names.iter().flatten().any(|short| short == name);
            resource.name == name || resource.singular_name == name || resource.kind.to_lowercase() == name || short
        };
        if let Some(found) = found(&list, &version, means) {
            return Ok(found);
        }
    }
    Err(Error::NoType { word: word.to_owned() })
}

async fn resources(client: &Client, api_version: &str) -> Result<Option<APIResourceList>, Error> {
    let list = match api_version.contains('/') {
        true => client.list_api_group_resources(api_version).await,
        false => client.list_core_api_resources(api_version).await,
    };
    match list {
        Ok(list) => Ok(Some(list)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(Error::refused("")(error)),
    }
}

fn found(list: &APIResourceList, api_version: &str, is_it: impl Fn(&APIResource) -> bool) -> Option<Found> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = list.resources.iter().find(|resource| !resource.name.contains('/') && is_it(resource))?;
    Some(Found {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: resource.kind.clone(),
        plural: resource.name.clone(),
        namespaced: resource.namespaced,
    })
}
