//! Where the executor's containers leave things for each other: the volume `var-run-argo`.
//! Source: Argo `workflow/common/common.go`, `workflow/executor/emissary`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use argosy_api::v1alpha1::Template;

use crate::Error;

/// Mount path of the volume in every container.
pub const VAR_RUN_ARGO: &str = "/var/run/argo";
/// Where the executor's containers see the volumes of `main`.
pub const MAIN_FILES: &str = "/mainctrfs";
/// Where `init` puts the script.
pub const SCRIPT: &str = "/argo/staging/script";
/// Where `init` puts input artifacts, by name.
pub const INPUTS: &str = "/argo/inputs/artifacts";
/// Name of the container with the outputs.
pub const MAIN: &str = "main";
/// Of a script's standard output the end is kept. Bytes.
pub const RESULT_MAX: usize = 256 * 1024;

/// The volume, at some path of the host.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The volume at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The template, for containers that do not have it in their environment.
    pub fn template(&self) -> PathBuf {
        self.root.join("template")
    }

    /// Directory of a container.
    pub fn container(&self, name: &str) -> PathBuf {
        self.root.join("ctr").join(name)
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

    /// A signal for a container: its number.
    pub fn signal(&self, container: &str) -> PathBuf {
        self.container(container).join("signal")
    }

    /// The content of an output parameter's file.
    pub fn parameter(&self, path: &str) -> PathBuf {
        self.root.join("outputs/parameters").join(inside(path))
    }

    /// An output artifact, packed.
    pub fn artifact(&self, path: &str) -> PathBuf {
        self.root.join("outputs/artifacts").join(format!("{}.tgz", inside(path)))
    }

    /// The value of an output parameter of a `resource` template, by the parameter's name.
    pub fn resource_parameter(&self, name: &str) -> PathBuf {
        self.root.join("outputs/resource").join(inside(name))
    }

    /// Which objects a `resource` template acted on, once it has.
    pub fn resource(&self) -> PathBuf {
        self.root.join("resource")
    }

    /// `N/M` lines, written by the user's program.
    pub fn progress(&self) -> PathBuf {
        self.root.join("progress")
    }

    /// How a path of this volume is called in messages.
    pub fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.root) {
            Ok(rest) => format!("{VAR_RUN_ARGO}/{}", rest.display()),
            Err(_) => path.display().to_string(),
        }
    }

    /// An error about a file of this volume.
    pub fn error(&self, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = self.shown(path);
        move |source| Error::File { path, source }
    }

    /// Writes a file of this volume, with its directories.
    /// Errors: `File`.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
        written.map_err(self.error(path))
    }

    /// Makes a container's directory, in which any user may write.
    /// Errors: `File`.
    pub fn make_container(&self, name: &str) -> Result<(), Error> {
        let dir = self.container(name);
        let made = fs::create_dir_all(&dir);
        made.map_err(self.error(&dir))?;
        // refused only where the directory is somebody else's, who then made it for us
        let _ = fs::set_permissions(&dir, fs::Permissions::from_mode(0o777));
        Ok(())
    }

    /// The template that `init` left; `None` before that.
    /// Errors: `File`, `Template`.
    pub fn read_template(&self) -> Result<Option<Template>, Error> {
        let path = self.template();
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error(&path)(error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Template { source }),
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
    fn output_paths_stay_in_the_volume() {
        let layout = Layout::new("/v");
        let parameter = |path| layout.parameter(path).display().to_string();
        assert_eq!(parameter("/tmp/./a"), "/v/outputs/parameters/tmp/a");
        assert_eq!(parameter("/../tmp/../../etc/x"), "/v/outputs/parameters/etc/x");
        assert_eq!(layout.artifact("/out/").display().to_string(), "/v/outputs/artifacts/out.tgz");
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
