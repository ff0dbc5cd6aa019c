//! The programs that the node adds to containers, see [`Tool`].

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::argosay;
use super::images::Tool;
use super::spec::{Bind, Isolation};

/// Where the tools are inside a container.
const INSIDE: &str = "/.argosy";

/// The tools on disk.
#[derive(Clone, Debug)]
pub struct Tools {
    dir: PathBuf,
    executable: PathBuf,
    isolation: Isolation,
}

impl Tools {
    /// Writes the tools below `dir`.
    /// Errors: those of the file system.
    pub fn install(dir: PathBuf, executable: PathBuf, isolation: Isolation) -> io::Result<Self> {
        let argosy = match isolation {
            Isolation::Plain => executable.display().to_string(),
            Isolation::Namespaces | Isolation::UserNamespaces => format!("{INSIDE}/argosy"),
        };
        let say = |call: &str| format!("#!/bin/sh\nexec '{argosy}' {} {call}\n", argosay::COMMAND);
        script(&dir.join("argosay/argosay"), &say("\"$@\""))?;
        script(&dir.join("cowsay/cowsay"), &say("cowsay \"$@\""))?;
        script(&dir.join("python/python"), "#!/bin/sh\nexec python3 \"$@\"\n")?;
        fs::File::create(dir.join("argosy"))?;
        Ok(Self { dir, executable, isolation })
    }

    /// What to show inside a container that has these tools.
    pub fn binds(&self, tools: &[Tool]) -> Vec<Bind> {
        let bind = |at: &str, source: PathBuf| Bind { at: at.into(), source, read_only: false };
        let mut binds = Vec::new();
        if tools.is_empty() {
            return binds;
        }
        if self.isolation != Isolation::Plain {
            binds.push(bind(INSIDE, self.dir.clone()));
            binds.push(bind(&format!("{INSIDE}/argosy"), self.executable.clone()));
        }
        if tools.contains(&Tool::Argosay) {
            binds.push(bind("/argosay", self.dir.join("argosay/argosay")));
        }
        binds
    }

    /// Directories to put at the end of `PATH`, so that the host's own programs come first.
    pub fn path(&self, tools: &[Tool]) -> String {
        let base = match self.isolation {
            Isolation::Plain => self.dir.as_path(),
            Isolation::Namespaces | Isolation::UserNamespaces => Path::new(INSIDE),
        };
        tools.iter().fold(String::new(), |path, tool| {
            let name = match tool {
                Tool::Argosay => "argosay",
                Tool::Cowsay => "cowsay",
                Tool::Python => "python",
            };
            format!("{path}:{}", base.join(name).display())
        })
    }
}

fn script(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
