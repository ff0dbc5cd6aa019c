//! Where the executor's containers leave things for each other. Argo has the volume `var-run-argo` for it.
//! Source: Argo `workflow/common/common.go`, `workflow/executor/emissary`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use argosy_api::executor::{MAIN, paths::VAR_RUN_ARGO};
use argosy_api::v1alpha1::{ArchiveStrategy, Artifact, Template};
use argosy_beneath::{At, Dir};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::limits::{OWN_BYTES_MAX, PROGRESS_BYTES_MAX};

/// Of a script's standard output the end is kept. Bytes.
pub const RESULT_MAX: usize = 256 * 1024;

/// Where the executor's containers leave things for each other, and where the user's program leaves its progress.
///
/// In the local node, what they leave for each other lies in a directory that the user's containers do not see: nobody can
/// put a link, a FIFO or another content in its place. In a pod it lies in the volume that all containers have, each of which
/// may run as another user; what the step puts there in place of it is read like anything else that a step leaves, and harms
/// that step. Paths are relative, and are called in messages as Argo calls them.
#[derive(Clone, Debug)]
pub struct Layout {
    own: Dir,
    volume: At,
    modes: Modes,
}

/// The modes of what is made.
#[derive(Clone, Copy, Debug)]
struct Modes {
    dir: u32,
    file: u32,
}

const PRIVATE: Modes = Modes { dir: 0o700, file: 0o600 };
/// Every container's user may leave something, and read everything.
const SHARED: Modes = Modes { dir: 0o777, file: 0o644 };

/// An output that is there and cannot be taken: found where the file is, told by `wait`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its path, as the template has it.
    pub path: String,
    /// Why.
    pub what: String,
}

impl Layout {
    /// With `own` as the executor's directory, and `volume` as what is mounted at [`VAR_RUN_ARGO`].
    pub fn new(own: Dir, volume: At) -> Self {
        Self { own, volume, modes: PRIVATE }
    }

    /// In a pod: with the volume that is mounted at [`VAR_RUN_ARGO`] for both.
    pub fn shared(volume: Dir) -> Self {
        Self { own: volume.clone(), volume: At { dir: volume, path: PathBuf::new() }, modes: SHARED }
    }

    /// The template, for containers that do not have it in their environment.
    pub fn template(&self) -> PathBuf {
        "template".into()
    }

    /// Directory of a container.
    pub fn container(&self, name: &str) -> PathBuf {
        Path::new("ctr").join(inside(name))
    }

    /// The file that the wrapper of a container holds locked for as long as it lives.
    pub fn alive(&self, container: &str) -> PathBuf {
        self.container(container).join("alive")
    }

    /// The number of the signal that the wrapper of a container is to pass on, once somebody asks for it.
    pub fn signal(&self, container: &str) -> PathBuf {
        self.container(container).join("signal")
    }

    /// Exit code of a container, once it has ended.
    pub fn exit_code(&self, container: &str) -> PathBuf {
        self.container(container).join("exitcode")
    }

    /// Standard output of a container.
    pub fn stdout(&self, container: &str) -> PathBuf {
        self.container(container).join("stdout")
    }

    /// Both streams of a container.
    pub fn combined(&self, container: &str) -> PathBuf {
        self.container(container).join("combined")
    }

    /// The content of an output parameter's file.
    pub fn parameter(&self, path: &str) -> PathBuf {
        Path::new("outputs/parameters").join(inside(path))
    }

    /// An output artifact, packed.
    pub fn artifact(&self, path: &str) -> PathBuf {
        Path::new("outputs/artifacts").join(format!("{}.tgz", inside(path)))
    }

    /// The same, by its archive: an output may be saved in two ways.
    pub fn artifact_of(&self, artifact: &Artifact) -> PathBuf {
        let mut path = self.artifact(&artifact.path).into_os_string();
        match &artifact.archive {
            Some(ArchiveStrategy { none: Some(_), .. }) => path.push(".none"),
            Some(ArchiveStrategy { zip: Some(_), .. }) => path.push(".zip"),
            _ => {}
        }
        path.into()
    }

    /// The outputs that are there and not taken.
    pub fn problems(&self) -> PathBuf {
        "problems".into()
    }

    /// The value of an output parameter of a `resource` template, by the parameter's name.
    pub fn resource_parameter(&self, name: &str) -> PathBuf {
        Path::new("outputs/resource").join(inside(name))
    }

    /// Which objects a `resource` template acted on, once it has.
    pub fn resource(&self) -> PathBuf {
        "resource".into()
    }

    /// A place in the executor's directory.
    pub fn at(&self, path: &Path) -> At {
        At { dir: self.own.clone(), path: path.to_owned() }
    }

    /// How a path is called in messages.
    pub fn shown(&self, path: &Path) -> String {
        format!("{VAR_RUN_ARGO}/{}", path.display())
    }

    /// An error about a file.
    pub fn error(&self, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = self.shown(path);
        move |source| Error::File { path, source }
    }

    /// Writes a file, with its directories.
    /// Errors: `File`.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        self.create(path)?.write_all(bytes).map_err(self.error(path))
    }

    /// Makes an empty file, with its directories, to be written.
    /// Errors: `File`.
    pub fn create(&self, path: &Path) -> Result<File, Error> {
        self.make_parent(path)?;
        self.own.create(path, self.modes.file).map_err(self.error(path))
    }

    /// Makes the directories above a path.
    /// Errors: `File`.
    pub fn make_parent(&self, path: &Path) -> Result<(), Error> {
        let parent = path.parent().unwrap_or(Path::new(""));
        self.own.make_dir(parent, self.modes.dir).map(drop).map_err(self.error(path))
    }

    /// Gives a file another name, in place of what has it.
    /// Errors: `File`.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.own.rename(from, &self.own, to).map_err(self.error(to))
    }

    /// Whether other users than the one of this container read what it leaves.
    pub fn is_shared(&self) -> bool {
        self.modes.file == SHARED.file
    }

    /// Reads a file of at most so many bytes; `None` when there is none.
    /// Errors: `File`.
    pub fn read(&self, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        match self.own.read(path, bytes_max) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(self.error(path)),
        }
    }

    /// Whether something is at a path.
    /// Errors: `File`.
    pub fn has(&self, path: &Path) -> Result<bool, Error> {
        self.own.kind(path).map(|kind| kind.is_some()).map_err(self.error(path))
    }

    /// The end of the progress file: `N/M` lines, written by the user's program. Empty when it cannot be read.
    pub fn progress(&self) -> String {
        let path = self.volume.path.join("progress");
        let end = self.volume.dir.read_end(&path, PROGRESS_BYTES_MAX);
        String::from_utf8_lossy(&end.unwrap_or_default()).into_owned()
    }

    /// The template that `init` left; `None` before that.
    /// Errors: `File`, `Template`.
    pub fn read_template(&self) -> Result<Option<Template>, Error> {
        let read = self.read(&self.template(), OWN_BYTES_MAX)?;
        read.map(|bytes| serde_json::from_slice(&bytes).map_err(|source| Error::Template { source })).transpose()
    }

    /// Whether the template asks for the logs as an artifact.
    /// Errors: `File`, `Template`.
    pub fn wants_logs(&self) -> Result<bool, Error> {
        let location = self.read_template()?.and_then(|template| template.archive_location);
        Ok(location.and_then(|location| location.archive_logs) == Some(true))
    }

    /// The same, of this container: those that a user put beside the step have none.
    /// Errors: `File`, `Template`.
    pub fn wants_logs_of(&self, container: &str) -> Result<bool, Error> {
        let Some(template) = self.read_template()? else { return Ok(false) };
        let wanted = template.archive_location.as_ref().and_then(|location| location.archive_logs) == Some(true);
        Ok(wanted && mains(&template).iter().any(|main| main == container))
    }

    /// The outputs that are there and not taken.
    /// Errors: `File`, `Template`.
    pub fn read_problems(&self) -> Result<Vec<Problem>, Error> {
        match self.read(&self.problems(), OWN_BYTES_MAX)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|source| Error::Template { source }),
            None => Ok(Vec::new()),
        }
    }
}

/// A path of a container without its leading slash; `..` does not lead above it.
fn inside(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The names of the containers whose end `wait` waits for.
pub fn mains(template: &Template) -> Vec<String> {
    match &template.container_set {
        Some(set) => set.containers.iter().map(|node| node.container.name.clone()).collect(),
        None => vec![MAIN.to_owned()],
    }
}

/// Mount paths of the user's volumes in the main containers.
pub fn user_mounts(template: &Template) -> Vec<String> {
    let container = template.container.iter().chain(template.script.iter().map(|script| &script.container));
    let set = template.container_set.iter();
    let in_set = set.clone().flat_map(|set| set.containers.iter().map(|node| &node.container));
    let mounts = container.chain(in_set).flat_map(|c| &c.volume_mounts);
    let shared = set.flat_map(|set| &set.volume_mounts);
    mounts.chain(shared).filter_map(|mount| mount.get("mountPath")?.as_str().map(str::to_owned)).collect()
}

/// Whether `path` lies at or below one of `mounts`.
pub fn is_mounted(path: &str, mounts: &[String]) -> bool {
    mounts.iter().any(|mount| Path::new(path).starts_with(mount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_paths_stay_in_their_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = At::new(dir.path(), "").expect("open");
        let layout = Layout::new(at.dir.clone(), at);
        let parameter = |path| layout.parameter(path).display().to_string();
        assert_eq!(parameter("/tmp/./a"), "outputs/parameters/tmp/a");
        assert_eq!(parameter("/../tmp/../../etc/x"), "outputs/parameters/etc/x");
        assert_eq!(layout.artifact("/out/").display().to_string(), "outputs/artifacts/out.tgz");
        assert_eq!(layout.exit_code("../../x").display().to_string(), "ctr/x/exitcode");
    }

    #[test]
    fn progress_is_read_from_a_regular_file_only() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = At::new(dir.path(), "").expect("open");
        let layout = Layout::new(at.dir.clone(), at);
        let path = dir.path().join("progress");
        std::fs::write(&path, format!("{}\n3/4\n", "x".repeat(1 << 20))).expect("write");
        assert!(layout.progress().len() <= 64 * 1024 && layout.progress().ends_with("\n3/4\n"));
        std::fs::remove_file(&path).expect("remove");
        std::os::unix::fs::symlink("/etc/passwd", &path).expect("link");
        assert_eq!(layout.progress(), "");
        std::fs::remove_file(&path).expect("remove");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        assert_eq!(layout.progress(), "");
    }

    #[test]
    fn mounts_contain_whole_parts_of_paths() {
        let template = serde_json::json!({"container": {"volumeMounts": [{"name": "w", "mountPath": "/work"}]}});
        let template = serde_json::from_value(template).expect("a template");
        let mounts = user_mounts(&template);
        assert!(is_mounted("/work/a", &mounts) && is_mounted("/work", &mounts));
        assert!(!is_mounted("/workshop", &mounts));
    }
}
