//! Files and directories as archives, and back.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use argosy_api::v1alpha1::{ArchiveStrategy, Artifact};
use argosy_beneath::{At, Budget, Cancel, Kind, Limits};
use flate2::{Compression, write::GzEncoder};

use crate::Error;
use crate::tree::{self, change_mode, copy, move_into};
use crate::unpack::{is_tarball, unpack};
use crate::zip;

/// How an artifact is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archive {
    /// As gzip'ed tar, at this level (0–9).
    Tar(u32),
    /// As zip.
    Zip,
    /// Not at all: a file is one object, a directory one object per file.
    None,
}

impl Archive {
    /// What an artifact's strategy asks for. The default is tar.
    pub fn of(strategy: Option<&ArchiveStrategy>) -> Self {
        match strategy {
            Some(ArchiveStrategy { none: Some(_), .. }) => Self::None,
            Some(ArchiveStrategy { zip: Some(_), .. }) => Self::Zip,
            other => {
                let level = other.and_then(|s| s.tar.as_ref()?.compression_level);
                Self::Tar(level.and_then(|n| u32::try_from(n).ok()).filter(|n| *n < 10).unwrap_or(6))
            }
        }
    }

    /// The last part of the key under which an artifact is stored by default.
    pub fn file_name(self, artifact: &Artifact) -> String {
        match self {
            Self::Tar(_) => format!("{}.tgz", artifact.name),
            Self::Zip => format!("{}.zip", artifact.name),
            Self::None => {
                let base = Path::new(&artifact.path).file_name();
                base.map_or_else(|| artifact.name.clone(), |name| name.to_string_lossy().into_owned())
            }
        }
    }
}

/// Packs the file or directory `from` as `to`, in place of what is there. Inside a tar it is called `name`, the last part
/// of its path. Memory does not grow with the artifact. It blocks; `cancel` ends it.
/// Errors: `Limit`, `Io`.
pub fn pack(from: &At, name: &str, to: &At, archive: Archive, limits: Limits, cancel: &Cancel) -> Result<(), Error> {
    let mut budget = Budget::new(limits, cancel.clone());
    make_parent(to)?;
    // left by a run that was cut off
    to.dir.remove(&to.path).map_err(Error::io("remove", &to.path))?;
    if archive == Archive::None {
        return copy(from, to, &mut budget);
    }
    let mut file = to.dir.create(&to.path, 0o600).map_err(Error::io("create", &to.path))?;
    let name = if name.is_empty() { "root" } else { name };
    let Archive::Tar(level) = archive else {
        return zip::write(from, name, &mut file, &mut budget).map_err(Error::io("pack", &from.path));
    };
    let gzip = GzEncoder::new(BufWriter::new(file), Compression::new(level));
    let mut tar = tar::Builder::new(gzip);
    append(&mut tar, from, Path::new(name), 0, &mut budget).map_err(Error::io("pack", &from.path))?;
    let finished = tar.into_inner().and_then(GzEncoder::finish).and_then(|mut file| file.flush());
    finished.map_err(Error::io("pack", &from.path))
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    from: &At,
    name: &Path,
    depth: u64,
    budget: &mut Budget,
) -> io::Result<()> {
    budget.take_entry(depth)?;
    let mut header = tar::Header::new_gnu();
    match from.kind()? {
        None => Err(io::ErrorKind::NotFound.into()),
        Some(Kind::File) => {
            let file = from.file()?;
            let meta = file.metadata()?;
            header.set_metadata(&meta);
            header.set_mode(meta.mode() & 0o777);
            budget.clone().take(meta.len())?;
            tar.append_data(&mut header, name, Exactly { file, left: meta.len(), budget })
        }
        Some(Kind::Dir) => {
            let dir = from.dir.dir(&from.path)?;
            let meta = dir.metadata()?;
            header.set_metadata(&meta);
            header.set_mode(meta.mode() & 0o777);
            tar.append_data(&mut header, name, io::empty())?;
            for entry in dir.entries()? {
                let inside = At { dir: dir.clone(), path: entry.name.clone().into() };
                append(tar, &inside, &name.join(entry.name), depth + 1, budget)?;
            }
            Ok(())
        }
        Some(Kind::Link) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            tar.append_link(&mut header, name, from.dir.link_target(&from.path)?)
        }
        Some(Kind::Other(kind)) => {
            tracing::debug!(path = %name.display(), kind, "left out of an artifact");
            Ok(())
        }
    }
}

/// A file as long as it was: what is written of it must fit its header.
struct Exactly<'a> {
    file: File,
    left: u64,
    budget: &'a mut Budget,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let bytes = self.file.read(&mut buffer[..wanted])?;
        if bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was packed"));
        }
        self.left -= bytes as u64;
        self.budget.take(bytes as u64)?;
        Ok(bytes)
    }
}

/// Puts the object `from`, a file or directory that may be moved, at `to`, unpacked as the artifact asks: a tarball is
/// unpacked unless the archive is `none`. A tarball with one entry becomes that entry. `mode` and `recurseMode` are applied,
/// setuid and the like left out. Existing directories are filled, existing files replaced. It blocks; `cancel` ends it.
/// Errors: `NoTarball`, `Escape`, `Limit`, `Io`.
pub fn place(from: &At, to: &At, artifact: &Artifact, limits: Limits, cancel: &Cancel) -> Result<(), Error> {
    let mut budget = Budget::new(limits, cancel.clone());
    let archive = Archive::of(artifact.archive.as_ref());
    let asks_for_tar = artifact.archive.as_ref().is_some_and(|archive| archive.tar.is_some());
    make_parent(to)?;
    let mut content = from.clone();
    let scratch = beside(to, "unpacking");
    let is_file = from.kind().map_err(Error::io("read", &from.path))? == Some(Kind::File);
    let is_tar = matches!(archive, Archive::Tar(_)) && is_file && is_tarball(from)?;
    if asks_for_tar && !is_tar {
        return Err(Error::NoTarball);
    }
    if is_tar || archive == Archive::Zip {
        scratch.dir.remove(&scratch.path).map_err(Error::io("remove", &scratch.path))?;
        let dir = scratch.dir.make_dir(&scratch.path, 0o755).map_err(Error::io("create", &scratch.path))?;
        match archive {
            Archive::Zip => zip::unpack(from, &dir, &mut budget)?,
            Archive::Tar(_) | Archive::None => unpack(from, &dir, &mut budget)?,
        }
        content = scratch.clone();
        if let [only] = dir.entries().map_err(Error::io("list", &scratch.path))?.as_slice() {
            content = At { dir, path: only.name.clone().into() };
        }
    }
    move_into(&content, to, &mut Budget::new(limits, cancel.clone()))?;
    scratch.dir.remove(&scratch.path).map_err(Error::io("remove", &scratch.path))?;
    if let Some(mode) = artifact.mode.and_then(|mode| u32::try_from(mode).ok()) {
        change_mode(to, mode, artifact.recurse_mode, 0, &mut Budget::new(limits, cancel.clone()))?;
    }
    Ok(())
}

/// Lets every user read what is at a place, a file or directory of one's own. It blocks; `cancel` ends it.
/// Errors: `Limit`, `Io`.
pub fn make_readable(at: &At, limits: Limits, cancel: &Cancel) -> Result<(), Error> {
    tree::make_readable(at, 0, &mut Budget::new(limits, cancel.clone()))
}

fn make_parent(to: &At) -> Result<(), Error> {
    let parent = to.path.parent().unwrap_or(Path::new(""));
    to.dir.make_dir(parent, 0o755).map(drop).map_err(Error::io("create", parent))
}

/// A hidden place on the same file system, for what is on its way to `to`.
pub fn beside(to: &At, word: &str) -> At {
    let name = to.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let path = to.path.parent().map(Path::to_owned).unwrap_or_default().join(format!(".{name}.{word}"));
    At { dir: to.dir.clone(), path }
}
