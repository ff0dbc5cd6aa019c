//! A container's files as seen from the host, running or not: layers, volumes and links resolved by hand.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use argosy_beneath::{At, Budget, Kind};

use super::paths::{self, Found};
use super::spec::{Bind, Layer, Root};

/// Where each file of a container is on the host.
#[derive(Clone, Debug)]
pub enum View {
    /// The container has a root of its own.
    Root {
        /// That root.
        root: Root,
        /// Its binds as (path inside, path on the host), the former free of links: `/var/run` often is one.
        binds: Vec<(PathBuf, PathBuf)>,
    },
    /// A plain process: paths are the host's, but for the volumes, as (path inside, path on the host).
    Plain(Vec<(PathBuf, PathBuf)>),
}

impl View {
    /// The view of a plain process, or of what runs inside the node.
    pub fn plain(binds: &[Bind]) -> Self {
        Self::Plain(binds.iter().map(|bind| (bind.at.clone(), bind.source.clone())).collect())
    }

    /// The view of a container with this root.
    pub fn of(root: Root) -> Self {
        let through = root.through.iter().map(|b| (b.at.clone(), b.source.clone()));
        let binds = through.chain([("/tmp".into(), root.tmp.clone())]).collect();
        let own = root.binds.clone();
        let mut view = Self::Root { root, binds };
        for bind in own {
            // in their order, as a volume may lie in another; a loop of links fails when it is mounted
            let at = paths::resolve(&bind.at, |p| view.look(p)).unwrap_or(bind.at);
            if let Self::Root { binds, .. } = &mut view {
                binds.push((at, bind.source));
            }
        }
        view
    }

    /// The host's directories that hold what the container wrote elsewhere than into volumes.
    pub fn own_directories(self) -> Vec<PathBuf> {
        match self {
            Self::Plain(_) => vec![],
            Self::Root { root, .. } => {
                let layers = root.layers.into_iter().flat_map(|layer| [layer.upper, layer.work]);
                layers.chain([root.tmp]).collect()
            }
        }
    }

    /// Where an existing file or directory is on the host, links followed as the container sees them; when it is opened none
    /// is. A directory that the container's layer changed in part is returned with all parts merged: then it is a copy
    /// below `scratch`, and takes from `budget`. It blocks.
    /// Errors: `NotFound`, and those of the file system.
    pub fn host_path(&self, path: &Path, scratch: &Path, budget: &mut Budget) -> io::Result<At> {
        let resolved = paths::resolve(path, |p| self.look(p))?;
        let found = self.places(&resolved);
        match found.as_slice() {
            [] => Err(io::ErrorKind::NotFound.into()),
            // the host's own links lie on the way of a plain process
            [only] if matches!(self, Self::Plain(volumes) if within(volumes, &resolved).is_none()) => {
                At::host(&only.canonicalize()?)
            }
            [only] => At::host(only),
            [top, ..] if !is_dir(top) => At::host(top),
            _ => {
                let scratch = At::new(scratch, "merged")?;
                scratch.dir.remove(&scratch.path)?;
                self.copy_merged(&resolved, &scratch, 0, budget)?;
                Ok(scratch)
            }
        }
    }

    /// The host's path to write a new file at: volumes and the container's own layer, never the host's files.
    /// `None` where the container has no place of its own.
    pub fn place_for(&self, path: &Path) -> io::Result<Option<At>> {
        let resolved = paths::resolve(path, |p| self.look(p))?;
        let place = match self {
            Self::Plain(volumes) => within(volumes, &resolved),
            Self::Root { root, binds } => within(binds, &resolved).or_else(|| {
                let layer = layer_of(root, &resolved)?;
                Some(layer.upper.join(resolved.strip_prefix(&layer.at).ok()?))
            }),
        };
        place.map(|place| At::host(&place)).transpose()
    }

    fn look(&self, path: &Path) -> Found {
        if let Self::Plain(volumes) = self {
            // a plain process has its volumes by name: the host's links on the way to them do not count
            return within(volumes, path).map_or(Found::Other, |place| paths::on_host(&place));
        }
        self.places(path).first().map_or(Found::Missing, |place| paths::on_host(place))
    }

    /// The host's paths that make up a link-free path; several when a directory has an upper and a lower half.
    fn places(&self, path: &Path) -> Vec<PathBuf> {
        let one = |place: PathBuf| {
            if fs::symlink_metadata(&place).is_ok() { vec![place] } else { vec![] }
        };
        let (root, binds) = match self {
            Self::Plain(volumes) => return one(within(volumes, path).unwrap_or(path.to_owned())),
            Self::Root { root, binds } => (root, binds),
        };
        if let Some(place) = within(binds, path) {
            return one(place);
        }
        let Some(layer) = layer_of(root, path) else {
            return vec![];
        };
        let rest = path.strip_prefix(&layer.at).unwrap_or(Path::new(""));
        let mut found = Vec::new();
        let upper = layer.upper.join(rest);
        // a character device 0/0 hides what is below; so does any non-directory on the way
        match fs::symlink_metadata(&upper) {
            Ok(meta) if meta.file_type().is_char_device() && meta.rdev() == 0 => return vec![],
            Ok(meta) => {
                found.push(upper);
                if !meta.is_dir() {
                    return found;
                }
            }
            Err(_) if hidden(&layer.upper, rest) => return vec![],
            Err(_) => {}
        }
        if let Some(lower) = &layer.lower {
            let lower = lower.join(rest);
            if fs::symlink_metadata(&lower).is_ok_and(|meta| found.is_empty() || meta.is_dir()) {
                found.push(lower);
            }
        }
        found
    }

    fn copy_merged(&self, path: &Path, to: &At, depth: u64, budget: &mut Budget) -> io::Result<()> {
        budget.take_entry(depth)?;
        let places = self.places(path);
        let Some(top) = places.first() else {
            return Ok(());
        };
        let from = At::host(top)?;
        match from.kind()? {
            Some(Kind::Link) => to.dir.link(&to.path, &from.dir.link_target(&from.path)?),
            Some(Kind::File) => {
                let mut file = from.file()?;
                let mode = file.metadata()?.permissions().mode();
                budget.copy(&mut file, &mut to.dir.create(&to.path, mode)?)
            }
            Some(Kind::Dir) => {
                let made = to.dir.make_dir(&to.path, 0o755)?;
                let mut names = BTreeSet::<OsString>::new();
                for place in &places {
                    let place = At::host(place)?;
                    names.extend(place.dir.dir(&place.path)?.entries()?.into_iter().map(|entry| entry.name));
                }
                for name in names {
                    let inside = At { dir: made.clone(), path: PathBuf::from(&name) };
                    self.copy_merged(&path.join(&name), &inside, depth + 1, budget)?;
                }
                Ok(())
            }
            Some(Kind::Other(_)) | None => Ok(()),
        }
    }
}

fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Whether a parent of `rest` was removed in the upper directory, or is no directory there.
fn hidden(upper: &Path, rest: &Path) -> bool {
    rest.ancestors().skip(1).any(|parent| {
        !parent.as_os_str().is_empty() && fs::symlink_metadata(upper.join(parent)).is_ok_and(|meta| !meta.is_dir())
    })
}

fn layer_of<'a>(root: &'a Root, path: &Path) -> Option<&'a Layer> {
    let covering = root.layers.iter().filter(|layer| path.starts_with(&layer.at));
    covering.max_by_key(|layer| layer.at.components().count())
}

/// The path below the innermost of the given mounts; of equal ones the last counts.
fn within(mounts: &[(PathBuf, PathBuf)], path: &Path) -> Option<PathBuf> {
    let covering = mounts.iter().filter(|(at, _)| path.starts_with(at));
    let (at, source) = covering.max_by_key(|(at, _)| at.components().count())?;
    let rest = path.strip_prefix(at).ok()?;
    Some(if rest.as_os_str().is_empty() { source.clone() } else { source.join(rest) })
}
