//! A container's files as seen from the host, running or not: layers, volumes and links resolved by hand.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::paths::{self, Found};
use super::spec::Root;

/// Where each file of a container is on the host.
#[derive(Clone, Debug)]
pub enum View {
    /// The container has a root of its own.
    Root(Root),
    /// A plain process: paths are the host's, but for the volumes, as (path inside, path on the host).
    Plain(Vec<(PathBuf, PathBuf)>),
}

impl View {
    /// The host's path of an existing file or directory, links followed. A directory that the container's layer
    /// changed in part is returned with all parts merged: then it is a copy below `scratch`.
    /// Errors: `NotFound`, and those of the file system.
    pub fn host_path(&self, path: &Path, scratch: &Path) -> io::Result<PathBuf> {
        let resolved = paths::resolve(path, |p| self.look(p))?;
        let found = self.places(&resolved);
        match found.as_slice() {
            [] => Err(io::ErrorKind::NotFound.into()),
            [only] => Ok(only.clone()),
            [top, ..] if !top.is_dir() => Ok(top.clone()),
            _ => {
                let copy = scratch.join("merged");
                if copy.exists() {
                    fs::remove_dir_all(&copy)?;
                }
                self.copy_merged(&resolved, &copy)?;
                Ok(copy)
            }
        }
    }

    /// The host's path to write a new file at: volumes and the container's own layer, never the host's files.
    /// `None` where the container has no place of its own.
    pub fn place_for(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let resolved = paths::resolve(path, |p| self.look(p))?;
        Ok(match self {
            Self::Plain(volumes) => {
                within(volumes.iter().map(|(at, source)| (at, source)), &resolved)
            }
            Self::Root(root) => match self.bound(root, &resolved) {
                Some(path) => Some(path),
                None => within(root.layers.iter().map(|l| (&l.at, &l.upper)), &resolved),
            },
        })
    }

    fn look(&self, path: &Path) -> Found {
        self.places(path)
            .first()
            .map_or(Found::Missing, |place| paths::on_host(place))
    }

    /// The host's paths that make up a link-free path; several when a directory has an upper and a lower half.
    fn places(&self, path: &Path) -> Vec<PathBuf> {
        let exists = |p: &Path| fs::symlink_metadata(p).is_ok();
        let root = match self {
            Self::Plain(volumes) => {
                let place = within(volumes.iter().map(|(at, source)| (at, source)), path)
                    .unwrap_or(path.to_owned());
                return if exists(&place) { vec![place] } else { vec![] };
            }
            Self::Root(root) => root,
        };
        if let Some(place) = self.bound(root, path) {
            return if exists(&place) { vec![place] } else { vec![] };
        }
        let layer = root
            .layers
            .iter()
            .filter(|l| path.starts_with(&l.at))
            .max_by_key(|l| l.at.components().count());
        let Some(layer) = layer else { return vec![] };
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

    /// The place of a path that lies in a volume or shows through from the host.
    fn bound(&self, root: &Root, path: &Path) -> Option<PathBuf> {
        let tmp = PathBuf::from("/tmp");
        let binds = root
            .through
            .iter()
            .map(|b| (&b.at, &b.source))
            .chain([(&tmp, &root.tmp)]);
        let binds: Vec<_> = binds
            .chain(root.binds.iter().map(|b| (&b.at, &b.source)))
            .collect();
        within(binds.into_iter(), path)
    }

    fn copy_merged(&self, path: &Path, to: &Path) -> io::Result<()> {
        let places = self.places(path);
        let Some(top) = places.first() else {
            return Ok(());
        };
        let kind = fs::symlink_metadata(top)?.file_type();
        if kind.is_symlink() {
            return std::os::unix::fs::symlink(fs::read_link(top)?, to);
        }
        if kind.is_file() {
            return fs::copy(top, to).map(drop);
        }
        if !kind.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(to)?;
        let mut names = BTreeSet::<OsString>::new();
        for place in &places {
            for entry in fs::read_dir(place)? {
                names.insert(entry?.file_name());
            }
        }
        for name in names {
            self.copy_merged(&path.join(&name), &to.join(&name))?;
        }
        Ok(())
    }
}

/// Whether a parent of `rest` was removed in the upper directory, or is no directory there.
fn hidden(upper: &Path, rest: &Path) -> bool {
    rest.ancestors().skip(1).any(|parent| {
        !parent.as_os_str().is_empty()
            && fs::symlink_metadata(upper.join(parent)).is_ok_and(|meta| !meta.is_dir())
    })
}

/// The path below the innermost of the given mounts; of equal ones the last counts.
fn within<'a>(
    mounts: impl Iterator<Item = (&'a PathBuf, &'a PathBuf)>,
    path: &Path,
) -> Option<PathBuf> {
    let (at, source) = mounts
        .filter(|(at, _)| path.starts_with(at))
        .max_by_key(|(at, _)| at.components().count())?;
    let rest = path.strip_prefix(at).ok()?;
    Some(if rest.as_os_str().is_empty() {
        source.clone()
    } else {
        source.join(rest)
    })
}
