//! An open directory, and what is done below it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::Refusal;

/// An open directory. Clones share it.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Arc<OwnedFd>,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// Anything else, by its name.
    Other(&'static str),
}

/// What a directory holds under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Dir,
            FileType::Symlink => Self::Link,
            FileType::Fifo => Self::Other("fifo"),
            FileType::Socket => Self::Other("socket"),
            FileType::CharacterDevice => Self::Other("character device"),
            FileType::BlockDevice => Self::Other("block device"),
            FileType::Unknown => Self::Other("thing of an unknown kind"),
        }
    }

    fn refused(self) -> Refusal {
        match self {
            Self::Link => Refusal::Link,
            Self::Dir => Refusal::NotRegular { kind: "directory" },
            Self::Other(kind) => Refusal::NotRegular { kind },
            Self::File => Refusal::NotRegular { kind: "regular file" },
        }
    }
}

/// Flags of everything that is opened here.
const FLAGS: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

impl Dir {
    /// Opens a directory whose path nobody else can change; links on the way are followed.
    /// Errors: those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: Arc::new(fs::open(path, flags, Mode::empty())?) })
    }

    /// Makes a directory whose path nobody else can change, with those above it, for its owner alone; opens it.
    /// Errors: those of the file system.
    pub fn open_private(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Self::open(path)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens a directory below; the empty path is this one.
    /// Errors: `Link`, `Outside`; those of the file system.
    pub fn dir(&self, path: &Path) -> io::Result<Self> {
        parts(path)?.into_iter().try_fold(self.clone(), |dir, part| dir.child(part))
    }

    /// Opens a directory below, and makes it and those on the way when they are missing. Made ones have this mode; nobody sees
    /// one with another.
    /// Errors: `Link`, `Outside`; those of the file system.
    pub fn make_dir(&self, path: &Path, mode: u32) -> io::Result<Self> {
        parts(path)?.into_iter().try_fold(self.clone(), |dir, part| match dir.child(part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => dir.make_child(part, mode),
            there => there,
        })
    }

    /// Makes a directory under another name, and shows it when it is as it is to be: users whom its mode lets in would be
    /// refused before.
    fn make_child(&self, name: &OsStr, mode: u32) -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let hidden = format!(".made-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        fs::mkdirat(&self.fd, hidden.as_str(), Mode::RWXU)?;
        let made = self.child(hidden.as_ref())?;
        let shown = made
            .set_mode(mode)
            .and_then(|()| Ok(fs::renameat_with(&self.fd, hidden.as_str(), &self.fd, name, RenameFlags::NOREPLACE)?));
        let Err(error) = shown else { return Ok(made) };
        fs::unlinkat(&self.fd, hidden.as_str(), AtFlags::REMOVEDIR)?;
        match Errno::from_io_error(&error) {
            Some(Errno::EXIST) => self.child(name),
            // A file system that cannot rename so.
            Some(Errno::INVAL) => match fs::mkdirat(&self.fd, name, Mode::RWXU) {
                Ok(()) => {
                    let made = self.child(name)?;
                    made.set_mode(mode)?;
                    Ok(made)
                }
                Err(Errno::EXIST) => self.child(name),
                Err(error) => Err(error.into()),
            },
            _ => Err(error),
        }
    }

    pub(crate) fn child(&self, name: &OsStr) -> io::Result<Self> {
        // one may pass through a directory that one may not list
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = fs::openat(&self.fd, name, flags, Mode::empty());
        match opened {
            Ok(fd) => Ok(Self { fd: Arc::new(fd) }),
            // a link that is no directory is answered so
            Err(Errno::NOTDIR | Errno::LOOP) if self.kind_of(name)? == Some(Kind::Link) => Err(Refusal::Link.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The mode of this directory, setuid and the like taken out.
    /// Errors: those of the file system.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        // what is open for its path only has no other way, and it may be closed even to its owner
        let through = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        Ok(fs::chmod(through, Mode::from_raw_mode(mode & 0o777))?)
    }

    /// The metadata of this directory.
    /// Errors: those of the file system.
    pub fn metadata(&self) -> io::Result<std::fs::Metadata> {
        File::from(self.fd.try_clone()?).metadata()
    }

    /// What is at a path; `None` when there is nothing.
    /// Errors: `Link` on the way, `Outside`; those of the file system.
    pub fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        if path.as_os_str().is_empty() {
            return Ok(Some(Kind::Dir));
        }
        match self.parent(path) {
            Ok((dir, name)) => dir.kind_of(&name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn kind_of(&self, name: &OsStr) -> io::Result<Option<Kind>> {
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Kind::of(FileType::from_raw_mode(stat.st_mode)))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a regular file to read it.
    /// Errors: `Link`, `NotRegular`, `Outside`; those of the file system.
    pub fn file(&self, path: &Path) -> io::Result<File> {
        let (dir, name) = self.parent(path)?;
        // looked at before it is opened, as opening a device may do something; and after, as it may have changed
        match dir.kind_of(&name)? {
            None => return Err(io::ErrorKind::NotFound.into()),
            Some(Kind::File) => {}
            Some(other) => return Err(other.refused().into()),
        }
        let fd = match fs::openat(&dir.fd, name.as_os_str(), OFlags::RDONLY | FLAGS, Mode::empty()) {
            Err(Errno::LOOP) => return Err(Refusal::Link.into()),
            opened => opened?,
        };
        match Kind::of(FileType::from_raw_mode(fs::fstat(&fd)?.st_mode)) {
            Kind::File => Ok(File::from(fd)),
            other => Err(other.refused().into()),
        }
    }

    /// Reads a regular file of at most so many bytes.
    /// Errors: `TooLarge`; see [`Self::file`].
    pub fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let file = self.file(path)?;
        let bytes = file.metadata()?.len();
        let too_large = |bytes| io::Error::from(Refusal::TooLarge { bytes, bytes_max });
        if bytes > bytes_max {
            return Err(too_large(bytes));
        }
        let mut read = Vec::new();
        // it may grow meanwhile
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut read)?;
        match read.len() as u64 {
            bytes if bytes > bytes_max => Err(too_large(bytes)),
            _ => Ok(read),
        }
    }

    /// Reads the last bytes of a regular file, so many at most.
    /// Errors: see [`Self::file`].
    pub fn read_end(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut file = self.file(path)?;
        let from = file.metadata()?.len().saturating_sub(bytes_max);
        file.seek(SeekFrom::Start(from))?;
        let mut read = Vec::new();
        file.take(bytes_max).read_to_end(&mut read)?;
        Ok(read)
    }

    /// Makes a new regular file in place of the file, link or other thing at the path. The directory must be there; a
    /// directory is not replaced.
    /// Errors: `Link` on the way, `Outside`; those of the file system.
    pub fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        let (dir, name) = self.parent(path)?;
        match fs::unlinkat(&dir.fd, name.as_os_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | FLAGS;
        let fd = fs::openat(&dir.fd, name.as_os_str(), flags, Mode::RUSR | Mode::WUSR)?;
        fs::fchmod(&fd, Mode::from_raw_mode(mode & 0o777))?;
        Ok(File::from(fd))
    }

    /// Writes a file anew, with its directories for their owner alone.
    /// Errors: see [`Self::create`].
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            self.make_dir(parent, 0o700)?;
        }
        self.create(path, mode)?.write_all(bytes)
    }

    /// Makes a symbolic link in place of the file or link at the path. Nothing here ever follows it.
    /// Errors: see [`Self::create`].
    pub fn link(&self, path: &Path, target: &Path) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        match fs::unlinkat(&dir.fd, name.as_os_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(fs::symlinkat(target, &dir.fd, name.as_os_str())?)
    }

    /// The target of a symbolic link.
    /// Errors: it is none; those of the file system.
    pub fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        let (dir, name) = self.parent(path)?;
        let target = fs::readlinkat(&dir.fd, name.as_os_str(), Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Gives the regular file `from` a second name.
    /// Errors: `NotRegular`, `Link`, `Outside`; those of the file system.
    pub fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_dir, from_name), (dir, name)) = (self.parent(from)?, self.parent(to)?);
        match from_dir.kind_of(&from_name)? {
            Some(Kind::File) => {}
            Some(other) => return Err(other.refused().into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        match fs::unlinkat(&dir.fd, name.as_os_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        // links are not followed without a flag
        Ok(fs::linkat(&from_dir.fd, from_name.as_os_str(), &dir.fd, name.as_os_str(), AtFlags::empty())?)
    }

    /// Sets the mode of a file or directory, setuid and the like taken out. A link is left as it is.
    /// Errors: `Outside`; those of the file system.
    pub fn chmod(&self, path: &Path, mode: u32) -> io::Result<()> {
        match self.kind(path)? {
            Some(Kind::Dir) => self.dir(path)?.set_mode(mode),
            Some(Kind::File) => Ok(fs::fchmod(self.file(path)?, Mode::from_raw_mode(mode & 0o777))?),
            Some(Kind::Link | Kind::Other(_)) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Moves something to another place, maybe below another directory of the same file system.
    /// Errors: `Link` on the way, `Outside`; those of the file system.
    pub fn rename(&self, from: &Path, to_dir: &Self, to: &Path) -> io::Result<()> {
        let ((from_dir, from_name), (dir, name)) = (self.parent(from)?, to_dir.parent(to)?);
        Ok(fs::renameat(&from_dir.fd, from_name.as_os_str(), &dir.fd, name.as_os_str())?)
    }

    /// What this directory holds, sorted by name.
    /// Errors: those of the file system.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::openat(&self.fd, ".", flags, Mode::empty())?;
        for entry in fs::Dir::new(fd)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind_of(&name)?,
                known => Some(Kind::of(known)),
            };
            // it may be gone by now
            found.extend(kind.map(|kind| Entry { name, kind }));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The directory that holds a path, and its last part.
    pub(crate) fn parent(&self, path: &Path) -> io::Result<(Self, OsString)> {
        let mut parts = parts(path)?;
        let name = parts.pop().ok_or(Refusal::Outside)?.to_owned();
        let dir = parts.into_iter().try_fold(self.clone(), |dir, part| dir.child(part))?;
        Ok((dir, name))
    }
}

/// The names of a relative path.
fn parts(path: &Path) -> io::Result<Vec<&OsStr>> {
    let names = path.components().filter(|part| !matches!(part, Component::CurDir));
    let names: Option<Vec<_>> = names
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            Component::CurDir | Component::ParentDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect();
    Ok(names.ok_or(Refusal::Outside)?)
}
