//! Files and directories as they are, from one place to another.

use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};

use argosy_beneath::{At, Budget, Kind};

use crate::Error;

/// Copies a file or a directory to a place where nothing is. Symbolic links stay links as long as they stay inside;
/// others, and what is neither file nor directory, are left out.
/// Errors: `Limit`, `Io`.
pub(crate) fn copy(from: &At, to: &At, budget: &mut Budget) -> Result<(), Error> {
    copy_at(from, to, 0, budget)
}

fn copy_at(from: &At, to: &At, depth: u64, budget: &mut Budget) -> Result<(), Error> {
    budget.take_entry(depth).map_err(Error::io("copy", &from.path))?;
    match from.kind().map_err(Error::io("read", &from.path))? {
        None => Err(Error::io("read", &from.path)(std::io::ErrorKind::NotFound.into())),
        Some(Kind::File) => copy_file(from, to, budget),
        Some(Kind::Dir) => {
            let inside = from.dir.dir(&from.path).map_err(Error::io("open", &from.path))?;
            let made = to.dir.make_dir(&to.path, 0o755).map_err(Error::io("create", &to.path))?;
            for entry in inside.entries().map_err(Error::io("list", &from.path))? {
                let from = At { dir: inside.clone(), path: entry.name.clone().into() };
                let to = At { dir: made.clone(), path: entry.name.into() };
                copy_at(&from, &to, depth + 1, budget)?;
            }
            Ok(())
        }
        Some(Kind::Link) => {
            let target = from.dir.link_target(&from.path).map_err(Error::io("read", &from.path))?;
            if !stays_inside(&target, depth) {
                tracing::warn!(link = %from.path.display(), target = %target.display(), "a link out of an artifact is left out");
                return Ok(());
            }
            to.dir.link(&to.path, &target).map_err(Error::io("create", &to.path))
        }
        Some(Kind::Other(kind)) => {
            tracing::debug!(path = %from.path.display(), kind, "left out of an artifact");
            Ok(())
        }
    }
}

fn copy_file(from: &At, to: &At, budget: &mut Budget) -> Result<(), Error> {
    let mut source = from.file().map_err(Error::io("open", &from.path))?;
    let mode = source.metadata().map_err(Error::io("read", &from.path))?.permissions().mode();
    let mut made = to.dir.create(&to.path, mode).map_err(Error::io("create", &to.path))?;
    budget.copy(&mut source, &mut made).map_err(Error::io("copy", &from.path))
}

/// Whether a link that lies in `depth - 1` directories of an artifact leads nowhere else. A `..` after a name counts as
/// leaving, as the name may be a link itself.
fn stays_inside(target: &Path, depth: u64) -> bool {
    let ups = target.components().take_while(|part| *part == Component::ParentDir).count() as u64;
    let rest = target.components().filter(|part| *part != Component::CurDir).skip(ups as usize);
    ups < depth && rest.into_iter().all(|part| matches!(part, Component::Normal(_)))
}

/// Moves the content of one place into another: directories are filled, files replaced.
/// Errors: `Limit`, `Io`.
pub(crate) fn move_into(from: &At, to: &At, budget: &mut Budget) -> Result<(), Error> {
    move_at(from, to, 0, budget)
}

fn move_at(from: &At, to: &At, depth: u64, budget: &mut Budget) -> Result<(), Error> {
    budget.take_entry(depth).map_err(Error::io("move", &from.path))?;
    let is_dir = |at: &At| at.kind().map(|kind| kind == Some(Kind::Dir)).map_err(Error::io("read", &at.path));
    let filled = is_dir(to)?;
    if filled && is_dir(from)? {
        let source = from.dir.dir(&from.path).map_err(Error::io("open", &from.path))?;
        let target = to.dir.dir(&to.path).map_err(Error::io("open", &to.path))?;
        for entry in source.entries().map_err(Error::io("list", &from.path))? {
            let from = At { dir: source.clone(), path: entry.name.clone().into() };
            let to = At { dir: target.clone(), path: entry.name.into() };
            move_at(&from, &to, depth + 1, budget)?;
        }
        return Ok(());
    }
    if filled {
        let target = to.dir.dir(&to.path).map_err(Error::io("open", &to.path))?;
        if !target.entries().map_err(Error::io("list", &to.path))?.is_empty() {
            return Err(Error::io("replace", &to.path)(std::io::ErrorKind::DirectoryNotEmpty.into()));
        }
        // an empty directory that a mount has left
        to.dir.remove(&to.path).map_err(Error::io("replace", &to.path))?;
    }
    if from.dir.rename(&from.path, &to.dir, &to.path).is_ok() {
        return Ok(());
    }
    // another file system
    to.dir.remove(&to.path).map_err(Error::io("replace", &to.path))?;
    copy_at(from, to, depth, budget)
}

/// Sets the mode of a file or directory, and of all in it when asked to.
/// Errors: `Limit`, `Io`.
pub(crate) fn change_mode(at: &At, mode: u32, recurse: bool, depth: u64, budget: &mut Budget) -> Result<(), Error> {
    budget.take_entry(depth).map_err(Error::io("change the mode of", &at.path))?;
    if recurse && at.kind().map_err(Error::io("read", &at.path))? == Some(Kind::Dir) {
        let dir = at.dir.dir(&at.path).map_err(Error::io("open", &at.path))?;
        for entry in dir.entries().map_err(Error::io("list", &at.path))? {
            let inside = At { dir: dir.clone(), path: entry.name.into() };
            change_mode(&inside, mode, true, depth + 1, budget)?;
        }
    }
    let changed = match at.path.as_os_str().is_empty() {
        true => at.dir.set_mode(mode),
        false => at.dir.chmod(&at.path, mode),
    };
    changed.map_err(Error::io("change the mode of", &at.path))
}

/// Adds the right to read for everybody; of a directory also for all in it. Links and what is no file stay as they are.
/// Errors: `Limit`, `Io`.
pub(crate) fn make_readable(at: &At, depth: u64, budget: &mut Budget) -> Result<(), Error> {
    let failed = || Error::io("change the mode of", &at.path);
    budget.take_entry(depth).map_err(failed())?;
    match at.kind().map_err(failed())? {
        Some(Kind::File) => {
            let mode = at.file().and_then(|file| file.metadata()).map_err(failed())?.permissions().mode();
            at.dir.chmod(&at.path, mode | 0o444).map_err(failed())
        }
        Some(Kind::Dir) => {
            let dir = at.dir.dir(&at.path).map_err(failed())?;
            for entry in dir.entries().map_err(failed())? {
                make_readable(&At { dir: dir.clone(), path: entry.name.into() }, depth + 1, budget)?;
            }
            let mode = dir.metadata().map_err(failed())?.permissions().mode();
            dir.set_mode(mode | 0o555).map_err(failed())
        }
        Some(Kind::Link | Kind::Other(_)) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_or_are_left_out() {
        for (target, depth, expected) in [
            ("f", 1, true),
            ("d/e", 1, true),
            ("../f", 2, true),
            ("./d", 1, true),
            ("../../f", 2, false),
            ("/", 1, false),
            ("/etc/passwd", 5, false),
            ("d/../../f", 2, false),
            ("..", 1, false),
        ] {
            assert_eq!(stays_inside(Path::new(target), depth), expected, "{target} at {depth}");
        }
    }
}
