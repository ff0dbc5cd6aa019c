//! One revision of one stored object.

use std::sync::OnceLock;

use bytes::Bytes;
use parking_lot::Mutex;

use super::json::Json;
use super::kinds::Kind;
use super::size;

/// One immutable revision of an object.
#[derive(Debug)]
pub(crate) struct Object {
    pub kind: &'static Kind,
    /// `namespace/name`, the namespace being empty for cluster-wide kinds.
    pub key: Box<str>,
    /// The revision that wrote it; equals `metadata.resourceVersion`.
    pub revision: u64,
    pub tree: Json,
    /// Bytes of `tree` as JSON, once they were counted.
    pub(super) bytes: OnceLock<usize>,
    /// The encoded form while it is worth keeping; see `ByteCache`.
    pub(super) encoded: Mutex<Option<Bytes>>,
}

impl Object {
    /// Takes a complete object, resource version included.
    pub fn new(kind: &'static Kind, revision: u64, tree: Json) -> Self {
        let key = key(
            tree.str_at(&["metadata", "namespace"]).unwrap_or(""),
            tree.str_at(&["metadata", "name"]).unwrap_or(""),
        );
        Object { kind, key, revision, tree, bytes: OnceLock::new(), encoded: Mutex::new(None) }
    }

    pub fn namespace(&self) -> &str {
        self.key.split_once('/').map_or("", |(ns, _)| ns)
    }

    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or("", |(_, name)| name)
    }

    /// How large it is as JSON, give or take the digits of its revision.
    pub fn bytes(&self) -> usize {
        *self.bytes.get_or_init(|| size::encoded(&self.tree))
    }

    pub fn uid(&self) -> &str {
        self.tree.str_at(&["metadata", "uid"]).unwrap_or("")
    }

    /// Whether deletion was asked for and waits for finalizers or a grace period.
    pub fn is_deleting(&self) -> bool {
        self.tree.str_at(&["metadata", "deletionTimestamp"]).is_some()
    }

    pub fn finalizers(&self) -> &[Json] {
        self.tree.at(&["metadata", "finalizers"]).and_then(Json::as_array).unwrap_or(&[])
    }

    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers().iter().any(|f| f.as_str() == Some(name))
    }

    /// Uids of the owners.
    pub fn owner_uids(&self) -> impl Iterator<Item = &str> {
        self.owner_references().iter().filter_map(|o| o.str_at(&["uid"]))
    }

    pub fn owner_references(&self) -> &[Json] {
        self.tree.at(&["metadata", "ownerReferences"]).and_then(Json::as_array).unwrap_or(&[])
    }
}

/// The key of an object in its kind's map; all keys of a namespace are adjacent.
pub(crate) fn key(namespace: &str, name: &str) -> Box<str> {
    let mut key = String::with_capacity(namespace.len() + 1 + name.len());
    key.push_str(namespace);
    key.push('/');
    key.push_str(name);
    key.into_boxed_str()
}
