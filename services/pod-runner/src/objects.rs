//! Requests for the objects of one namespace.

use argosy_api::labels;
use argosy_objects::api;
use argosy_objects::names::is_name;
use http::HeaderValue;
use http::header::ACCEPT;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{GroupVersionKind, Request};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::metrics;

/// Asks for an answer without the object: nobody here reads it.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// The objects of a namespace.
pub(crate) struct Objects {
    client: kube::Client,
    namespace: String,
}

impl Objects {
    pub fn new(client: &kube::Client, namespace: &str) -> Self {
        Self { client: client.clone(), namespace: namespace.to_owned() }
    }

    pub fn pods(&self) -> Api<DynamicObject> {
        self.of_kind("v1", "Pod")
    }

    pub fn of_kind(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    pub async fn create(&self, objects: &Api<DynamicObject>, manifest: &Value) -> Result<(), kube::Error> {
        let body = serde_json::to_vec(manifest).map_err(kube::Error::SerdeError)?;
        let request = Request::new(objects.resource_url()).create(&PostParams::default(), body);
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA));
        self.client.request::<IgnoredAny>(request).await.map(|_| ())
    }

    /// Creates the object, unless there is one of its name.
    pub async fn create_if_absent(&self, manifest: &Value) -> Result<(), kube::Error> {
        let text = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default();
        let objects = self.of_kind(text("apiVersion"), text("kind"));
        match self.create(&objects, manifest).await {
            Err(error) if api::answer(&error) != api::Answer::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Deletes the object if it belongs to this workflow: somebody else may have made one of its name.
    pub async fn delete_of(
        &self,
        objects: &Api<DynamicObject>,
        name: &str,
        workflow_uid: &str,
    ) -> Result<(), kube::Error> {
        let Some(found) = objects.get_metadata_opt(name).await? else { return Ok(()) };
        let mut owners = found.metadata.owner_references.iter().flatten();
        if !owners.any(|owner| owner.uid == workflow_uid) {
            metrics::FOREIGN_OBJECTS.inc();
            tracing::warn!(
                workflow.uid = workflow_uid,
                name,
                "an object of the workflow's name is another's, and stays"
            );
            return Ok(());
        }
        let seen = Preconditions { uid: found.metadata.uid, resource_version: None };
        match self.delete_as_seen(objects, name, seen).await {
            Err(error) if !matches!(api::answer(&error), api::Answer::Conflict | api::Answer::NotFound) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Deletes the object if it is still as it was seen.
    pub async fn delete_as_seen(
        &self,
        objects: &Api<DynamicObject>,
        name: &str,
        seen: Preconditions,
    ) -> Result<(), kube::Error> {
        let parameters = DeleteParams { preconditions: Some(seen), ..DeleteParams::default() };
        objects.delete(name, &parameters).await.map(|_| ())
    }

    /// Deletes this very pod. It may be gone, and another have come of a later wish.
    pub async fn delete_pod(&self, name: &str, uid: Option<String>) -> Result<(), kube::Error> {
        self.delete_pod_in(name, uid, None).await
    }

    /// The same, which gets so many seconds of grace.
    pub async fn delete_pod_in(&self, name: &str, uid: Option<String>, grace: Option<u32>) -> Result<(), kube::Error> {
        let preconditions = Some(Preconditions { uid, resource_version: None });
        let parameters = DeleteParams { preconditions, grace_period_seconds: grace, ..DeleteParams::default() };
        match self.pods().delete(name, &parameters).await.map(|_| ()) {
            Err(error) if !matches!(api::answer(&error), api::Answer::Conflict | api::Answer::NotFound) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Marks this very pod, which has ended, as dealt with. It may be gone, and another have come of a later wish.
    pub async fn label_completed(&self, name: &str, uid: &str) -> Result<(), kube::Error> {
        let patch = json!({"metadata": {"uid": uid, "labels": {labels::COMPLETED: "true"}}});
        match self.pods().patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            // That the uid is another's is a conflict or an invalid change, by the version of Kubernetes.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts an entry into a cache, which is made when there is none. False when another is making it: to be tried again.
    pub async fn save_cache_entry(&self, config_map: &str, key: &str, entry: &str) -> Result<bool, kube::Error> {
        let maps = self.of_kind("v1", "ConfigMap");
        let data = json!({"data": {key: entry}});
        // What none can be called is left to the API to refuse, in its words: in a path it would be another request.
        if is_name(config_map) {
            match maps.patch(config_map, &PatchParams::default(), &Patch::Merge(&data)).await {
                Ok(_) => return Ok(true),
                Err(error) if api::answer(&error) == api::Answer::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let metadata = json!({"name": config_map, "labels": {labels::CONFIG_MAP_TYPE: labels::TYPE_CACHE}});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: entry}});
        match self.create(&maps, &map).await {
            Ok(()) => Ok(true),
            Err(error) if api::answer(&error) == api::Answer::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }
}
