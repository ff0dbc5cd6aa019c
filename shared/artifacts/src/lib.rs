//! Artifacts: where they are kept, and how files become objects and back.

mod archive;
mod driver;
mod local;
#[cfg(feature = "s3")]
mod s3;
mod tree;
mod unpack;
mod zip;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use argosy_api::v1alpha1::ArtifactLocation;
use argosy_beneath::{At, Limits, Refusal, refusal};
use async_trait::async_trait;
use tokio::io::AsyncRead;

pub use archive::{Archive, beside, make_readable, pack, place};
pub use driver::{Place, place_of};
pub use local::LocalStore;
#[cfg(feature = "s3")]
pub use s3::Buckets;

/// Bytes of one artifact, unless whoever runs Argosy says otherwise.
pub const BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// What one artifact may have, with so many bytes. `raise` says how that number is raised, see [`Limits::raise`].
pub fn limits(bytes_max: u64, raise: &'static str) -> Limits {
    Limits { bytes_max, entries_max: 1_000_000, depth_max: 256, what: "the artifact", raise }
}

/// Why an artifact cannot be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key that leaves the store, or is empty.
    #[error("artifact key \"{key}\" is not a relative path below the store")]
    Key {
        /// The key.
        key: String,
    },
    /// A key with a symbolic link in it, which might lead out of the store.
    #[error("artifact key \"{key}\": a part of it is a symbolic link, which is not followed")]
    KeyLink {
        /// The key.
        key: String,
    },
    /// More than an artifact may have.
    #[error("{refusal}")]
    Limit {
        /// Which limit, and how it is raised.
        refusal: Refusal,
    },
    /// Nothing is kept under the key. The text is the one of S3, as users of Argo know it.
    #[error("The specified key does not exist.")]
    NotFound {
        /// The key.
        key: String,
    },
    /// The location is of a kind that this build cannot reach.
    #[error("artifact driver {driver} is not supported yet in this build")]
    Driver {
        /// Name of the driver, as in the workflow.
        driver: &'static str,
    },
    /// The artifact names no bucket, and there is no default one.
    #[error("the artifact names no bucket, and no artifact repository is configured")]
    NoRepository,
    /// A server refuses, or does not answer.
    #[error("{doing} \"{key}\": {source}")]
    Remote {
        /// What was being done.
        doing: &'static str,
        /// To which object or bucket.
        key: String,
        /// What the server says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The artifact says nowhere where it is.
    #[error("the artifact has no location")]
    NoLocation,
    /// What should be a gzip'ed tar is none.
    #[error("gzip: invalid header")]
    NoTarball,
    /// An archive with an entry that would be written outside of the artifact.
    #[error("the archive's entry \"{entry}\" leaves the artifact's directory")]
    Escape {
        /// Path of the entry.
        entry: String,
    },
    /// The file system refuses.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the host says.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| match refusal(&source) {
            Some(limit @ Refusal::OverBudget { .. }) => Self::Limit { refusal: limit.clone() },
            _ => Self::Io { doing, path, source },
        }
    }
}

/// What to store.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A copy of a file, or of a directory as one object per file below the key.
    Copy(&'a At),
    /// A text.
    Bytes(&'a [u8]),
}

/// Gives the store that an artifact is in, or goes to.
pub trait Stores: Send + Sync {
    /// The store of a location, which is one that has a key.
    /// Errors: `Driver`; what is missing to reach it.
    fn of(&self, location: &ArtifactLocation) -> Result<Arc<dyn Store>, Error>;
}

/// One store for all artifacts.
#[derive(Clone)]
pub struct One(pub Arc<dyn Store>);

impl Stores for One {
    fn of(&self, _: &ArtifactLocation) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::clone(&self.0))
    }
}

/// Keeps objects under keys, which are relative paths with `/`.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores an object; readers see the old one or the new one, never a part.
    /// Errors: `Key`, `KeyLink`, `Limit`, `Io`.
    async fn put(&self, key: &str, source: Source<'_>, limits: Limits) -> Result<(), Error>;
    /// Copies an object, or all objects below a prefix as a directory, to `to`, which must not exist.
    /// Errors: `Key`, `KeyLink`, `NotFound`, `Limit`, `Io`.
    async fn get(&self, key: &str, to: &At, limits: Limits) -> Result<(), Error>;
    /// Reads an object.
    /// Errors: `Key`, `KeyLink`, `NotFound`, `Io`.
    async fn open(&self, key: &str) -> Result<Box<dyn AsyncRead + Send + Unpin>, Error>;
    /// The keys below a prefix, sorted; all of them for the empty prefix.
    /// Errors: `Key`, `KeyLink`, `Limit`, `Io`.
    async fn list(&self, prefix: &str, limits: Limits) -> Result<Vec<String>, Error>;
    /// Removes an object or all objects below a prefix; one that is not there is no error.
    /// Errors: `Key`, `Io`.
    async fn delete(&self, key: &str) -> Result<(), Error>;
}
