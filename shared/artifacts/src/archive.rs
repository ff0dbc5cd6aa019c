//! Files and directories as archives, and back.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use argosy_api::v1alpha1::{ArchiveStrategy, Artifact};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use crate::{Error, local::copy};

/// How an artifact is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    /// As gzip'ed tar, at this level (0–9).
    Tar(u32),
    /// Not at all: a file is one object, a directory one object per file.
    None,
}

impl Archive {
    /// What an artifact's strategy asks for. The default is tar.
    /// Errors: `ArchiveKind`.
    pub fn of(strategy: Option<&ArchiveStrategy>) -> Result<Self, Error> {
        match strategy {
            Some(ArchiveStrategy { none: Some(_), .. }) => Ok(Self::None),
            Some(ArchiveStrategy { zip: Some(_), .. }) => Err(Error::ArchiveKind { kind: "zip" }),
            other => {
                let level = other.and_then(|s| s.tar.as_ref()?.compression_level);
                Ok(Self::Tar(level.and_then(|n| u32::try_from(n).ok()).filter(|n| *n < 10).unwrap_or(6)))
            }
        }
    }

    /// The last part of the key under which an artifact is stored by default.
    pub fn file_name(self, artifact: &Artifact) -> String {
        match self {
            Self::Tar(_) => format!("{}.tgz", artifact.name),
            Self::None => {
                let base = Path::new(&artifact.path).file_name();
                base.map_or_else(|| artifact.name.clone(), |name| name.to_string_lossy().into_owned())
            }
        }
    }
}

/// Packs the file or directory `from` as `to`. Inside a tar it is called `name`, the last part of its path.
/// Errors: `Io`.
pub fn pack(from: &Path, name: &str, to: &Path, archive: Archive) -> Result<(), Error> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    let Archive::Tar(level) = archive else {
        return copy(from, to);
    };
    let file = File::create(to).map_err(Error::io("create", to))?;
    let gzip = GzEncoder::new(BufWriter::new(file), Compression::new(level));
    let mut tar = tar::Builder::new(gzip);
    tar.follow_symlinks(false);
    let meta = fs::symlink_metadata(from).map_err(Error::io("read", from))?;
    let name = if name.is_empty() { "root" } else { name };
    let added = if meta.is_dir() { tar.append_dir_all(name, from) } else { tar.append_path_with_name(from, name) };
    added.map_err(Error::io("pack", from))?;
    let finished = tar.into_inner().and_then(GzEncoder::finish).and_then(|mut file| file.flush());
    finished.map_err(Error::io("pack", from))
}

/// Puts the object `from`, a file or directory of the host that may be moved, at `to`, unpacked as the artifact asks:
/// a tarball is unpacked unless the archive is `none`. A tarball with one entry becomes that entry. `mode` and
/// `recurseMode` are applied. Existing directories are filled, existing files replaced.
/// Errors: `ArchiveKind`, `Escape`, `Io`.
pub fn place(from: &Path, to: &Path, artifact: &Artifact) -> Result<(), Error> {
    let archive = Archive::of(artifact.archive.as_ref())?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    let mut content = from.to_owned();
    let scratch = scratch_beside(to);
    if archive != Archive::None && is_tarball(from) {
        unpack(from, &scratch)?;
        content = only_entry(&scratch)?.unwrap_or_else(|| scratch.clone());
    }
    move_into(&content, to)?;
    if scratch.exists() {
        fs::remove_dir_all(&scratch).map_err(Error::io("remove", &scratch))?;
    }
    if let Some(mode) = artifact.mode.and_then(|mode| u32::try_from(mode).ok()) {
        change_mode(to, mode, artifact.recurse_mode)?;
    }
    Ok(())
}

fn scratch_beside(to: &Path) -> PathBuf {
    let name = to.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    to.with_file_name(format!(".{name}.unpacking"))
}

/// Whether a file is a gzip'ed tar: by its content, not its name.
fn is_tarball(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let mut magic = [0; 2];
    if !path.is_file() || file.read_exact(&mut magic).is_err() || magic != [0x1f, 0x8b] {
        return false;
    }
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    matches!(tar.entries().map(|mut entries| entries.next()), Ok(Some(Ok(_))))
}

fn unpack(from: &Path, to: &Path) -> Result<(), Error> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(Error::io("remove", to))?;
    }
    fs::create_dir_all(to).map_err(Error::io("create", to))?;
    let file = File::open(from).map_err(Error::io("open", from))?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    tar.set_preserve_permissions(true);
    for entry in tar.entries().map_err(Error::io("read", from))? {
        let mut entry = entry.map_err(Error::io("read", from))?;
        // neither `..` nor a link that was unpacked before leads out
        if !entry.unpack_in(to).map_err(Error::io("unpack", from))? {
            let entry = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            return Err(Error::Escape { entry });
        }
    }
    Ok(())
}

fn only_entry(dir: &Path) -> Result<Option<PathBuf>, Error> {
    let entries: io::Result<Vec<_>> = fs::read_dir(dir).and_then(Iterator::collect);
    match entries.map_err(Error::io("list", dir))?.as_slice() {
        [only] => Ok(Some(only.path())),
        _ => Ok(None),
    }
}

fn move_into(from: &Path, to: &Path) -> Result<(), Error> {
    let is_dir = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    if is_dir(to) && is_dir(from) {
        for entry in fs::read_dir(from).map_err(Error::io("list", from))? {
            let entry = entry.map_err(Error::io("list", from))?;
            move_into(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if is_dir(to) {
        // an empty directory that a mount has left
        fs::remove_dir(to).map_err(Error::io("replace", to))?;
    }
    match fs::rename(from, to) {
        Ok(()) => Ok(()),
        Err(_) => {
            if to.exists() {
                fs::remove_file(to).map_err(Error::io("replace", to))?;
            }
            copy(from, to)
        }
    }
}

fn change_mode(path: &Path, mode: u32, recurse: bool) -> Result<(), Error> {
    let meta = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    if meta.is_symlink() {
        return Ok(());
    }
    if recurse && meta.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::io("list", path))? {
            change_mode(&entry.map_err(Error::io("list", path))?.path(), mode, true)?;
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("change the mode of", path))
}
