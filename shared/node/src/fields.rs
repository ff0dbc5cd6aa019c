//! Values that a pod may ask for about itself: `fieldRef`, and ConfigMaps and Secrets.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::{Api, Client};

use super::status::POD_IP;

/// A piece of configuration that a container cannot start without.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is not there (yet).
    #[error("{kind} \"{name}\" not found")]
    Missing {
        /// `configmap`, `secret` or `persistentvolumeclaim`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The object has no such key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Namespace of the pod.
        namespace: String,
        /// Its name.
        name: String,
        /// The key asked for.
        key: String,
    },
    /// The path of a `fieldRef` is none that Kubernetes knows.
    #[error("unsupported fieldPath: {path}")]
    Field {
        /// The path.
        path: String,
    },
    /// The API server did not answer.
    #[error("read {kind} \"{name}\"")]
    Api {
        /// `configmap`, `secret` or `persistentvolumeclaim`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What it said.
        #[source]
        source: Box<kube::Error>,
    },
}

/// The data of a ConfigMap or Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// The kinds of objects that hold configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    fn lower(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }
}

/// Reads a ConfigMap or Secret; `None` when it is missing and may be.
/// Errors: `Missing`, `Api`.
pub async fn data(
    client: &Client,
    kind: Kind,
    namespace: &str,
    name: &str,
    optional: bool,
) -> Result<Option<Data>, Error> {
    let failed = |source| Error::Api { kind: kind.lower(), name: name.to_owned(), source: Box::new(source) };
    let found = match kind {
        Kind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            api.get_opt(name).await.map_err(failed)?.map(|map| {
                let text = map.data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.into_bytes()));
                text.chain(map.binary_data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0))).collect()
            })
        }
        Kind::Secret => {
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            api.get_opt(name).await.map_err(failed)?.map(|secret| {
                let text = secret.string_data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.into_bytes()));
                secret.data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0)).chain(text).collect()
            })
        }
    };
    match found {
        None if !optional => Err(Error::Missing { kind: kind.lower(), name: name.to_owned() }),
        found => Ok(found),
    }
}

/// One key of a ConfigMap or Secret; `None` when it is missing and may be.
/// Errors: as [`data`], and `NoKey`.
pub async fn key(
    client: &Client,
    kind: Kind,
    namespace: &str,
    name: &str,
    key: &str,
    optional: bool,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(mut data) = data(client, kind, namespace, name, optional).await? else {
        return Ok(None);
    };
    match data.remove(key) {
        None if !optional => Err(Error::NoKey {
            kind: match kind {
                Kind::ConfigMap => "ConfigMap",
                Kind::Secret => "Secret",
            },
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
        }),
        value => Ok(value),
    }
}

/// The value of a `fieldRef`.
/// Errors: `Field`.
/// Source: Kubernetes `pkg/fieldpath`.
pub fn field(pod: &Pod, node: &str, path: &str) -> Result<String, Error> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let all = |map: &Option<BTreeMap<String, String>>| {
        let lines: Vec<_> = map.iter().flatten().map(|(k, v)| format!("{k}={v:?}")).collect();
        lines.join("\n")
    };
    let one = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref().and_then(|map| map.get(key)).cloned().unwrap_or_default()
    };
    if let Some((head, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        return match head {
            "metadata.labels" => Ok(one(&meta.labels, key)),
            "metadata.annotations" => Ok(one(&meta.annotations, key)),
            _ => Err(Error::Field { path: path.to_owned() }),
        };
    }
    Ok(match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "metadata.labels" => all(&meta.labels),
        "metadata.annotations" => all(&meta.annotations),
        "spec.nodeName" => node.to_owned(),
        "spec.serviceAccountName" => {
            spec.and_then(|s| s.service_account_name.clone()).unwrap_or_else(|| "default".into())
        }
        "status.podIP" | "status.hostIP" | "status.podIPs" | "status.hostIPs" => POD_IP.into(),
        _ => {
            return Err(Error::Field { path: path.to_owned() });
        }
    })
}
