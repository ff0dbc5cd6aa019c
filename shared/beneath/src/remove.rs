//! Removes whole trees that others have made: of any depth, with any permissions, never through a link.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use rustix::fs::{self, AtFlags};
use rustix::io::Errno;

use crate::{Dir, Kind};

/// So many directories are open at a time. What lies deeper is moved up first, so that neither the stack nor the limit of
/// open files decides how deep a tree may be.
const OPEN_MAX: usize = 32;

impl Dir {
    /// Removes what is at a path, with all below it; false when there is nothing.
    /// Errors: `Link` on the way, `Outside`; those of the file system.
    pub fn remove(&self, path: &Path) -> io::Result<bool> {
        let (dir, name) = match self.parent(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        match dir.kind_of(&name)? {
            None => Ok(false),
            Some(Kind::Dir) => remove_tree(&dir, &name).map(|()| true),
            Some(Kind::File | Kind::Link | Kind::Other(_)) => unlink(&dir, &name).map(|()| true),
        }
    }
}

/// A directory that is being emptied, and what is left in it.
struct Open {
    name: OsString,
    dir: Dir,
    left: Vec<crate::Entry>,
}

fn remove_tree(parent: &Dir, name: &OsStr) -> io::Result<()> {
    let mut moved = 0;
    let mut open = vec![enter(parent, name)?];
    loop {
        let depth = open.len();
        let Some(now) = open.last_mut() else { return Ok(()) };
        let Some(entry) = now.left.pop() else {
            let emptied = open.pop().map(|open| open.name).unwrap_or_default();
            let above = open.last().map_or(parent, |open| &open.dir);
            remove_from(above, &emptied, AtFlags::REMOVEDIR)?;
            continue;
        };
        match entry.kind {
            Kind::Dir if depth >= OPEN_MAX => {
                // into the topmost directory, which is emptied last
                let aside = OsString::from(format!(".removing-{}-{moved}", std::process::id()));
                moved += 1;
                let deep = &open[depth - 1].dir;
                let rename = || fs::renameat(deep.fd(), entry.name.as_os_str(), open[0].dir.fd(), aside.as_os_str());
                if let Err(Errno::ACCESS | Errno::PERM) = rename() {
                    deep.child(&entry.name)?.set_mode(0o700)?;
                    rename()?;
                }
                open[0].left.push(crate::Entry { name: aside, kind: Kind::Dir });
            }
            Kind::Dir => {
                let child = enter(&now.dir, &entry.name)?;
                open.push(child);
            }
            Kind::File | Kind::Link | Kind::Other(_) => unlink(&now.dir, &entry.name)?,
        }
    }
}

/// Opens a directory to empty it. Overlays leave some without permissions; so may the user's programs.
fn enter(parent: &Dir, name: &OsStr) -> io::Result<Open> {
    let dir = match parent.child(name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            permit(parent);
            parent.child(name)?
        }
        found => found?,
    };
    let left = match dir.entries() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            permit(&dir);
            dir.entries()?
        }
        found => found?,
    };
    Ok(Open { name: name.to_owned(), dir, left })
}

fn unlink(dir: &Dir, name: &OsStr) -> io::Result<()> {
    remove_from(dir, name, AtFlags::empty())
}

fn remove_from(dir: &Dir, name: &OsStr, flags: AtFlags) -> io::Result<()> {
    let mut result = fs::unlinkat(dir.fd(), name, flags);
    if let Err(Errno::ACCESS | Errno::PERM) = result {
        permit(dir);
        result = fs::unlinkat(dir.fd(), name, flags);
    }
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Refused where it is somebody else's; then whatever it is for is refused again, and says so.
fn permit(dir: &Dir) {
    let _ = dir.set_mode(0o700);
}
