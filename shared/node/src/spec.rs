//! What the node tells a shim, and what the shim tells the node: through a channel between them, and in small JSON files
//! that are left for others and for the node's next life.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Name of the file with [`Started`]; written before the command is run.
pub const STARTED: &str = "started.json";
/// Name of the file with [`Exit`]; it appears atomically, when the run has ended.
pub const EXIT: &str = "exit.json";
/// Name of the file whose lock the shim holds while it lives.
pub const LOCK: &str = "lock";

/// How far the processes of a container are kept apart from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// Own mount, pid, uts and ipc namespaces, and a writable layer over the host's root. As root.
    Namespaces,
    /// The same inside a user namespace in which the user is mapped to root.
    UserNamespaces,
    /// None: a plain process in its own session.
    Plain,
}

/// A part of the container's root that is copied on write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Absolute path inside the container.
    pub at: PathBuf,
    /// Directory of the host below it; none when the part starts empty.
    pub lower: Option<PathBuf>,
    /// Directory of the host that takes what the container writes.
    pub upper: PathBuf,
    /// Scratch directory of the overlay, on the file system of `upper`.
    pub work: PathBuf,
}

/// A file or directory of the host that appears inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path inside the container.
    pub at: PathBuf,
    /// Path on the host.
    pub source: PathBuf,
    /// Whether writing through it is refused.
    pub read_only: bool,
}

/// The root of a container: layers in the order of mounting, then binds in theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Where the root is put together; an empty directory of the host.
    pub mount_point: PathBuf,
    /// The layers; the first is at `/`.
    pub layers: Vec<Layer>,
    /// Host's directories and files that show through as they are.
    pub through: Vec<Bind>,
    /// Symbolic links of the root, as (name, target).
    pub links: Vec<(String, String)>,
    /// The pod's volumes and the node's own files.
    pub binds: Vec<Bind>,
    /// Host directory that is `/tmp` inside.
    pub tmp: PathBuf,
}

/// One run of a command in a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShimSpec {
    /// Directory of this run; takes the files named above. None when nobody would read them.
    pub dir: Option<PathBuf>,
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Working directory inside the container; empty means `/`.
    pub working_dir: String,
    /// Host name inside the container.
    pub hostname: String,
    /// File that stdout and stderr are appended to, line by line (CRI format).
    pub log: PathBuf,
    /// Whether the shim goes on when the node dies.
    pub outlive_node: bool,
    /// How to keep it apart.
    pub isolation: Isolation,
    /// The file system, unless `isolation` is plain.
    pub root: Option<Root>,
    /// User and group to run as, when the node runs as root.
    pub user: Option<(u32, u32)>,
}

/// That a run has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started {
    /// Process id of the shim.
    pub pid: i32,
    /// When.
    pub at: Timestamp,
}

/// Why a command could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartError {
    /// The command is not on `PATH`, or is not a program; the text names it as Go's `os/exec` does.
    Command(String),
    /// The sandbox could not be made.
    Sandbox(String),
}

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code, 128 + signal when it died of one.
    pub code: i32,
    /// Set when it never started.
    pub start_error: Option<StartError>,
    /// When it ended.
    pub at: Timestamp,
}

/// Reads a JSON file; `None` when there is none.
/// Errors: the file cannot be read, or is not what it should be.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a JSON file so that a reader sees all of it or none.
/// Errors: those of the file system.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    file.write_all(&serde_json::to_vec(value).map_err(io::Error::other)?)?;
    std::fs::rename(&part, path)
}
