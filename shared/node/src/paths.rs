//! Paths inside a directory that plays the role of `/`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Symbolic links followed at most; the kernel's own limit.
const LINKS_MAX: usize = 40;

/// What is at a path of a file system that may not be the host's.
pub enum Found {
    /// Nothing.
    Missing,
    /// A symbolic link with this target.
    Link(PathBuf),
    /// Anything else.
    Other,
}

/// Resolves every symbolic link of `path` with `look`, never leaving the root: `..` at the root stays there, and
/// absolute targets start at the root again. The result is absolute and free of links; its tail may not exist.
/// Errors: `FilesystemLoop` after 40 links.
pub fn resolve(path: &Path, look: impl Fn(&Path) -> Found) -> io::Result<PathBuf> {
    let mut rest: VecDeque<OsString> = parts(path).into();
    let mut done = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        match look(&next) {
            Found::Link(target) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::other("too many levels of symbolic links"));
                }
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            Found::Missing | Found::Other => done = next,
        }
    }
    Ok(done)
}

/// The host's path of `path` inside `root`, both without surprises by links.
/// Errors: see [`resolve`].
pub fn inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let resolved = resolve(path, |p| on_host(&below(root, p)))?;
    Ok(below(root, &resolved))
}

/// `root` joined with the absolute `path`.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix("/") {
        Ok(rest) if rest.as_os_str().is_empty() => root.to_owned(),
        Ok(rest) => root.join(rest),
        Err(_) => root.join(path),
    }
}

/// What the host has at a path.
pub fn on_host(path: &Path) -> Found {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => match std::fs::read_link(path) {
            Ok(target) => Found::Link(target),
            Err(_) => Found::Other,
        },
        Ok(_) => Found::Other,
        Err(_) => Found::Missing,
    }
}

/// The path with `.`, doubled slashes and `..` removed by text alone; absolute.
pub fn clean(path: &str) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in parts(Path::new(path)) {
        if part == ".." {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}

/// Whether a path from outside stays below the directory it is joined to.
pub fn is_local(path: &str) -> bool {
    Path::new(path).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
}

fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(part) => Some(part.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_the_root() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let at = |p: &str| root.path().join(p);
        std::fs::create_dir_all(at("run/x")).expect("mkdir");
        std::fs::create_dir_all(at("var")).expect("mkdir");
        std::os::unix::fs::symlink("/run", at("var/run")).expect("link");
        std::os::unix::fs::symlink("../../../../etc", at("var/up")).expect("link");
        std::os::unix::fs::symlink("loop", at("loop")).expect("link");
        let ok = |p: &str| inside(root.path(), Path::new(p)).expect("resolves");
        assert_eq!(ok("/var/run/x/new"), at("run/x/new"));
        assert_eq!(ok("/var/up/passwd"), at("etc/passwd"));
        assert_eq!(ok("/../../a"), at("a"));
        assert!(inside(root.path(), Path::new("/loop/a")).is_err());
        assert_eq!(clean("/a//b/../c/."), Path::new("/a/c"));
        assert!(is_local("a/b") && !is_local("../a") && !is_local("/a"));
    }
}
