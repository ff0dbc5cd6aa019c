//! Artifacts: where they are kept, and how files become objects and back.

mod archive;
mod driver;
mod local;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::io::AsyncRead;

pub use archive::{Archive, pack, place};
pub use driver::{Place, place_of};
pub use local::LocalStore;

/// Why an artifact cannot be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key that leaves the store, or is empty.
    #[error("artifact key \"{key}\" is not a relative path below the store")]
    Key {
        /// The key.
        key: String,
    },
    /// Nothing is kept under the key.
    #[error("artifact \"{key}\" not found")]
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
    /// The artifact says nowhere where it is.
    #[error("the artifact has no location")]
    NoLocation,
    /// An archive of a kind that this build does not have.
    #[error("{kind} archives are not supported yet in this build")]
    ArchiveKind {
        /// `zip`.
        kind: &'static str,
    },
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
        move |source| Self::Io { doing, path, source }
    }
}

/// What to store.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A copy of a file, or of a directory as one object per file below the key.
    Copy(&'a Path),
    /// A file or directory that may be moved away.
    Move(&'a Path),
    /// A text.
    Bytes(&'a [u8]),
}

/// Keeps objects under keys, which are relative paths with `/`.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores an object; readers see the old one or the new one, never a part.
    /// Errors: `Key`, `Io`.
    async fn put(&self, key: &str, source: Source<'_>) -> Result<(), Error>;
    /// Copies an object, or all objects below a prefix as a directory, to `to`, which must not exist.
    /// Errors: `Key`, `NotFound`, `Io`.
    async fn get(&self, key: &str, to: &Path) -> Result<(), Error>;
    /// Reads an object.
    /// Errors: `Key`, `NotFound`, `Io`.
    async fn open(&self, key: &str) -> Result<Box<dyn AsyncRead + Send + Unpin>, Error>;
    /// The keys below a prefix, sorted; all of them for the empty prefix.
    /// Errors: `Key`, `Io`.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, Error>;
    /// Removes an object or all objects below a prefix; one that is not there is no error.
    /// Errors: `Key`, `Io`.
    async fn delete(&self, key: &str) -> Result<(), Error>;
}
