//! The volumes of a pod as directories of the host.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, DownwardAPIVolumeFile, KeyToPath, PersistentVolumeClaim, Pod, Volume};
use kube::{Api, Client};

use argosy_beneath::Dir;

use super::env::expand;
use super::fields::{self, Data, Kind};
use super::names::{BadName, Name};
use super::paths;
use super::spec::Bind;

/// Why a volume cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What it shows is missing.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
    Source {
        /// Name of the volume.
        volume: String,
        /// What is missing.
        source: fields::Error,
    },
    /// The host refuses.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
    Host {
        /// Name of the volume.
        volume: String,
        /// What it says.
        source: io::Error,
    },
    /// A name that may not become a part of a path.
    #[error("{source}")]
    Name {
        /// What is wrong with it.
        source: BadName,
    },
    /// The kind is not one the node has.
    #[error("volume \"{volume}\" is of a kind that the local node does not have")]
    Kind {
        /// Name of the volume.
        volume: String,
    },
    /// A container mounts a volume that the pod lacks, or a path outside of it.
    #[error("container \"{container}\": volume mount \"{volume}\": {problem}")]
    Mount {
        /// Name of the container.
        container: String,
        /// Name of the volume.
        volume: String,
        /// What is wrong.
        problem: String,
    },
}

/// A volume on the host.
#[derive(Clone, Debug)]
pub struct Prepared {
    path: PathBuf,
    read_only: bool,
}

/// What volumes are made from.
pub struct Maker<'a> {
    /// To read ConfigMaps and Secrets.
    pub client: &'a Client,
    /// The pod.
    pub pod: &'a Pod,
    /// Name of the node.
    pub node: &'a str,
    /// Directory of this pod's own volumes.
    pub own: &'a Path,
    /// Directory of all claims; one directory per namespace and claim below it.
    pub claims: &'a Path,
}

/// The volumes of a pod that hold what the node wrote: configuration and secrets, which nobody needs once the pod has
/// ended.
pub fn written_by_the_node(pod: &Pod) -> Vec<Name> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let written = volumes.filter(|volume| {
        volume.secret.is_some()
            || volume.config_map.is_some()
            || volume.projected.is_some()
            || volume.downward_api.is_some()
    });
    written.filter_map(|volume| Name::label("volume", &volume.name).ok()).collect()
}

impl Maker<'_> {
    /// Makes every volume of the pod.
    /// Errors: see [`Error`]; to be tried again, as what is missing may come.
    pub async fn all(&self) -> Result<BTreeMap<String, Prepared>, Error> {
        let mut made = BTreeMap::new();
        for volume in self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            made.insert(volume.name.clone(), self.one(volume).await?);
        }
        Ok(made)
    }

    async fn one(&self, volume: &Volume) -> Result<Prepared, Error> {
        let host = |source| Error::Host { volume: volume.name.clone(), source };
        let missing = |source| Error::Source { volume: volume.name.clone(), source };
        // before it is a part of a path
        let name = Name::label("volume", &volume.name).map_err(|source| Error::Name { source })?;
        let own = self.own.join(&name);
        let parent = || Dir::open_private(self.own);
        let make = |mode| parent()?.make_dir(name.as_ref(), mode);
        let write = |items, mode| write(&make(0o755)?, items, mode);
        let mut read_only = true;
        if volume.empty_dir.is_some() {
            make(0o777).map_err(host)?;
            read_only = false;
        } else if let Some(map) = &volume.config_map {
            let items = self.object(Kind::ConfigMap, &map.name, map.optional, map.items.as_deref()).await;
            write(items.map_err(missing)?, map.default_mode).map_err(host)?;
        } else if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            let items = self.object(Kind::Secret, name, secret.optional, secret.items.as_deref()).await;
            write(items.map_err(missing)?, secret.default_mode).map_err(host)?;
        } else if let Some(downward) = &volume.downward_api {
            let items = self.downward(downward.items.as_deref()).map_err(missing)?;
            write(items, downward.default_mode).map_err(host)?;
        } else if let Some(projected) = &volume.projected {
            for source in projected.sources.iter().flatten() {
                let items = if let Some(map) = &source.config_map {
                    self.object(Kind::ConfigMap, &map.name, map.optional, map.items.as_deref()).await
                } else if let Some(secret) = &source.secret {
                    self.object(Kind::Secret, &secret.name, secret.optional, secret.items.as_deref()).await
                } else if let Some(downward) = &source.downward_api {
                    self.downward(downward.items.as_deref())
                } else {
                    // tokens: there is no service account to speak for
                    Ok(vec![])
                };
                write(items.map_err(missing)?, projected.default_mode).map_err(host)?;
            }
        } else if let Some(claim) = &volume.persistent_volume_claim {
            let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
            self.is_there(namespace, &claim.claim_name).await.map_err(missing)?;
            return self.claim(namespace, &claim.claim_name, claim.read_only.unwrap_or(false)).map_err(host);
        } else if volume.ephemeral.is_some() {
            make(0o777).map_err(host)?;
            read_only = false;
        } else if let Some(path) = &volume.host_path {
            let source = PathBuf::from(&path.path);
            match path.type_.as_deref() {
                Some("DirectoryOrCreate") => fs::create_dir_all(&source).map_err(host)?,
                Some("FileOrCreate") if !source.exists() => fs::write(&source, "").map_err(host)?,
                _ => {}
            }
            // links on the way are followed once, here
            let path = source.canonicalize().unwrap_or(source);
            return Ok(Prepared { path, read_only: false });
        } else {
            return Err(Error::Kind { volume: volume.name.clone() });
        }
        Ok(Prepared { path: own, read_only })
    }

    /// Errors: there is no such claim (yet).
    async fn is_there(&self, namespace: &str, name: &str) -> Result<(), fields::Error> {
        let kind = "persistentvolumeclaim";
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), namespace);
        let found = claims.get_metadata_opt(name).await;
        let found = found.map_err(|e| fields::Error::Api { kind, name: name.to_owned(), source: Box::new(e) })?;
        found.map(|_| ()).ok_or_else(|| fields::Error::Missing { kind, name: name.to_owned() })
    }

    fn claim(&self, namespace: &str, name: &str, read_only: bool) -> io::Result<Prepared> {
        let namespace = Name::subdomain("namespace", namespace).map_err(io::Error::other)?;
        let name = Name::subdomain("claim", name).map_err(io::Error::other)?;
        let dir = Dir::open_private(&self.claims.join(&namespace))?;
        dir.make_dir(name.as_ref(), 0o777)?;
        Ok(Prepared { path: self.claims.join(&namespace).join(&name), read_only })
    }

    async fn object(
        &self,
        kind: Kind,
        name: &str,
        optional: Option<bool>,
        items: Option<&[KeyToPath]>,
    ) -> Result<Vec<Item>, fields::Error> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let optional = optional.unwrap_or(false);
        let data: Data = fields::data(self.client, kind, namespace, name, optional).await?.unwrap_or_default();
        let Some(items) = items else {
            return Ok(data.into_iter().map(|(path, bytes)| Item { path, bytes, mode: None }).collect());
        };
        let mut found = Vec::new();
        for item in items {
            match data.get(&item.key) {
                Some(bytes) => found.push(Item { path: item.path.clone(), bytes: bytes.clone(), mode: item.mode }),
                None if optional => {}
                None => {
                    return Err(fields::Error::NoKey {
                        kind: if kind == Kind::Secret { "Secret" } else { "ConfigMap" },
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                        key: item.key.clone(),
                    });
                }
            }
        }
        Ok(found)
    }

    fn downward(&self, items: Option<&[DownwardAPIVolumeFile]>) -> Result<Vec<Item>, fields::Error> {
        let mut found = Vec::new();
        for item in items.unwrap_or_default() {
            let Some(field) = &item.field_ref else {
                continue;
            };
            let bytes = fields::field(self.pod, self.node, &field.field_path)?.into_bytes();
            found.push(Item { path: item.path.clone(), bytes, mode: item.mode });
        }
        Ok(found)
    }
}

struct Item {
    path: String,
    bytes: Vec<u8>,
    mode: Option<i32>,
}

fn write(dir: &Dir, items: Vec<Item>, default_mode: Option<i32>) -> io::Result<()> {
    for item in items {
        if !paths::is_local(&item.path) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("path \"{}\" leaves the volume", item.path),
            ));
        }
        let path = Path::new(&item.path);
        dir.make_dir(path.parent().unwrap_or(Path::new("")), 0o755)?;
        let mode = u32::try_from(item.mode.or(default_mode).unwrap_or(0o644)).unwrap_or(0o644);
        dir.create(path, mode)?.write_all(&item.bytes)?;
    }
    Ok(())
}

/// Makes what a container mounts of a volume, when it is missing, as a directory.
fn make_sub_path(volume: &Path, source: &Path) -> io::Result<()> {
    let rest = source.strip_prefix(volume).unwrap_or(Path::new(""));
    let dir = Dir::open(volume)?;
    if dir.kind(rest)?.is_none() {
        dir.make_dir(rest.parent().unwrap_or(Path::new("")), 0o755)?;
        dir.make_dir(rest, 0o777)?;
    }
    Ok(())
}

/// What a container mounts, outermost first.
/// Errors: `Mount`, `Host`.
pub fn mounts(
    container: &Container,
    volumes: &BTreeMap<String, Prepared>,
    env: &BTreeMap<String, String>,
) -> Result<Vec<Bind>, Error> {
    let mut binds = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let wrong =
            |problem: String| Error::Mount { container: container.name.clone(), volume: mount.name.clone(), problem };
        let host = |source| Error::Host { volume: mount.name.clone(), source };
        let volume = volumes.get(&mount.name).ok_or_else(|| wrong("the pod has no such volume".into()))?;
        let sub_path = match (&mount.sub_path, &mount.sub_path_expr) {
            (Some(path), _) if !path.is_empty() => path.clone(),
            (_, Some(expression)) => expand(expression, env),
            _ => String::new(),
        };
        let mut source = volume.path.clone();
        if !sub_path.is_empty() {
            if !paths::is_local(&sub_path) {
                return Err(wrong(format!("subPath \"{sub_path}\" leaves the volume")));
            }
            // links inside the volume must not lead out of it
            source = paths::inside(&volume.path, Path::new(&sub_path)).map_err(host)?;
            make_sub_path(&volume.path, &source).map_err(host)?;
        }
        let read_only = volume.read_only || mount.read_only.unwrap_or(false);
        binds.push(Bind { at: paths::clean(&mount.mount_path), source, read_only });
    }
    binds.sort_by_key(|bind| bind.at.components().count());
    Ok(binds)
}
