//! How containers are kept apart on this machine: found out once, by trying.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::nursery::Nursery;
use super::process::Process;
use super::spec::{Bind, Exit, Isolation, Layer, Root, ShimSpec, StartError};

/// Directories of the root that are made fresh for each container.
const OWN: [&str; 5] = ["proc", "sys", "dev", "tmp", "run"];

/// File systems that hold files, as opposed to views of the kernel.
const KERNEL_FILE_SYSTEMS: [&str; 19] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "cgroup",
    "cgroup2",
    "mqueue",
    "debugfs",
    "tracefs",
    "securityfs",
    "pstore",
    "bpf",
    "autofs",
    "configfs",
    "fusectl",
    "hugetlbfs",
    "binfmt_misc",
    "efivarfs",
    "nsfs",
];

/// How containers are kept apart on this machine.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The kind.
    pub isolation: Isolation,
    /// Why the stronger kinds are not used; empty for the strongest.
    pub refused: Vec<String>,
    overlays: Vec<PathBuf>,
    through: Vec<Bind>,
    links: Vec<(String, String)>,
    own_root: bool,
}

impl Sandbox {
    /// Plain processes.
    pub fn plain() -> Self {
        Self {
            isolation: Isolation::Plain,
            refused: vec![],
            overlays: vec![],
            through: vec![],
            links: vec![],
            own_root: false,
        }
    }

    /// Tries the kinds from the strongest to the weakest in `scratch`, which lies where containers will.
    /// Errors: not even a plain process can be started.
    pub async fn probe(nursery: &Nursery, scratch: &Path) -> io::Result<Self> {
        let mut refused = Vec::new();
        let mut candidates = vec![per_directory(Isolation::UserNamespaces)?];
        if nix::unistd::geteuid().is_root() {
            candidates =
                vec![whole(Isolation::Namespaces)?, per_directory(Isolation::Namespaces)?, candidates.remove(0)];
        }
        for mut candidate in candidates {
            let tries = candidate.overlays.len() + 1;
            for attempt in 0..tries {
                let dir = scratch.join(format!("{:?}-{}-{attempt}", candidate.isolation, candidate.own_root));
                let exit = candidate.try_out(nursery, &dir).await?;
                let Some(StartError::Sandbox(text)) = exit.start_error else {
                    candidate.refused = refused;
                    return Ok(candidate);
                };
                // an overlay that is refused below the root is shown read-only instead
                let culprit = candidate
                    .overlays
                    .iter()
                    .position(|at| at != Path::new("/") && text.starts_with(&format!("overlay {}:", at.display())));
                let Some(culprit) = culprit else {
                    refused.push(text);
                    break;
                };
                let at = candidate.overlays.remove(culprit);
                candidate.through.push(Bind { source: at.clone(), at, read_only: true });
            }
        }
        Ok(Self { refused, ..Self::plain() })
    }

    async fn try_out(&self, nursery: &Nursery, dir: &Path) -> io::Result<Exit> {
        let mount_point = dir.join("mnt");
        fs::create_dir_all(&mount_point)?;
        let spec = ShimSpec {
            dir: None,
            argv: vec!["true".into()],
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            working_dir: String::new(),
            hostname: "probe".into(),
            log: dir.join("log"),
            outlive_node: false,
            isolation: self.isolation,
            root: self.root(dir, &mount_point, vec![])?,
            user: None,
        };
        Process::start(nursery, &spec).await?.wait().await
    }

    /// The root of a container whose state is kept in `dir`, put together at `mount_point`, which may be one directory for
    /// all: each container has a mount namespace of its own. `None` for plain processes.
    /// Errors: its directories cannot be made.
    pub fn root(&self, dir: &Path, mount_point: &Path, binds: Vec<Bind>) -> io::Result<Option<Root>> {
        if self.isolation == Isolation::Plain {
            return Ok(None);
        }
        let make = |path: PathBuf| fs::create_dir_all(&path).map(|()| path);
        let mut layers = Vec::new();
        if self.own_root {
            let upper = make(dir.join("root"))?;
            layers.push(Layer { at: "/".into(), lower: None, work: upper.clone(), upper });
        }
        // a mount that was there at the start may have gone since
        for (n, at) in self.overlays.iter().enumerate().filter(|(_, at)| at.is_dir()) {
            layers.push(Layer {
                at: at.clone(),
                lower: Some(at.clone()),
                upper: make(dir.join(format!("upper{n}")))?,
                work: make(dir.join(format!("work{n}")))?,
            });
        }
        let tmp = make(dir.join("tmp"))?;
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777))?;
        Ok(Some(Root {
            mount_point: mount_point.to_owned(),
            layers,
            through: self.through.clone(),
            links: self.links.clone(),
            binds,
            tmp,
        }))
    }

    /// One sentence on what keeps containers apart, for the user.
    pub fn describe(&self) -> String {
        match self.isolation {
            Isolation::Namespaces => "containers run as processes in their own namespaces, with a writable layer over the host's root; this is no security boundary".into(),
            Isolation::UserNamespaces => "containers run as processes in their own user namespaces, with a writable layer over the host's root; this is no security boundary".into(),
            Isolation::Plain => format!(
                "containers run as plain processes that share the host's files; volume paths are replaced in commands and environment only ({})",
                self.refused.last().map_or("chosen", String::as_str)
            ),
        }
    }
}

/// One overlay over the whole root, and one over each further file system.
fn whole(isolation: Isolation) -> io::Result<Sandbox> {
    let mut overlays = vec![PathBuf::from("/")];
    let mut through = Vec::new();
    for (at, is_dir) in further_mounts()? {
        if is_dir {
            overlays.push(at);
        } else {
            through.push(Bind { source: at.clone(), at, read_only: true });
        }
    }
    through.extend(resolver());
    Ok(Sandbox { isolation, refused: vec![], overlays, through, links: vec![], own_root: false })
}

/// An overlay per directory of the root: user namespaces may not layer over a directory with mounts below it.
fn per_directory(isolation: Isolation) -> io::Result<Sandbox> {
    let (mut overlays, mut through, mut links) = (vec![], vec![], vec![]);
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type()?;
        if OWN.contains(&name.as_str()) {
            continue;
        }
        if kind.is_symlink() {
            links.push((name, fs::read_link(&path)?.to_string_lossy().into_owned()));
        } else if kind.is_dir() {
            overlays.push(path);
        }
    }
    overlays.sort();
    through.extend(resolver());
    Ok(Sandbox { isolation, refused: vec![], overlays, through, links, own_root: true })
}

/// `/etc/resolv.conf` when it is a link into `/run`, which containers have empty.
fn resolver() -> Option<Bind> {
    let real = fs::canonicalize("/etc/resolv.conf").ok()?;
    let hidden = real.starts_with("/run") || real.starts_with("/tmp");
    hidden.then(|| Bind { at: real.clone(), source: real, read_only: true })
}

/// Mounts below the root that hold files, outermost first, and whether each is a directory.
fn further_mounts() -> io::Result<Vec<(PathBuf, bool)>> {
    let mut found = Vec::new();
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        // "36 35 98:0 /root /mount/point options - fstype source options"
        let Some((head, tail)) = line.split_once(" - ") else {
            continue;
        };
        let (Some(at), Some(kind)) = (head.split(' ').nth(4), tail.split(' ').next()) else {
            continue;
        };
        let at = PathBuf::from(at.replace("\\040", " "));
        let own = OWN.iter().any(|name| at.starts_with(Path::new("/").join(name)));
        // the root of a container of Docker or Podman, which comes and goes
        let foreign = kind == "overlay" && at.ends_with("merged");
        if own || foreign || at == Path::new("/") || KERNEL_FILE_SYSTEMS.contains(&kind) {
            continue;
        }
        if let Ok(meta) = fs::metadata(&at) {
            found.push((at, meta.is_dir()));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
