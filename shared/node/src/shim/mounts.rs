//! The file system of a container. Runs in its mount namespace, as root there.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::super::paths;
use super::super::spec::{Bind, Isolation, Layer, Root};

const NONE: Option<&str> = None;

/// Devices of `/dev` that every container has.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Puts the root together at its mount point. `volatile` layers are not written to disk when they are unmounted, which would
/// wait for all else that the disk has to write.
/// Errors: each names what was being mounted.
pub fn build(root: &Root, isolation: Isolation, volatile: bool) -> io::Result<()> {
    let at = root.mount_point.as_path();
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(|e| named("make mounts private", e))?;
    // a file system of the host may have gone since the node looked
    let is_there = |path: &Path| path == Path::new("/") || path.exists();
    for layer in root.layers.iter().filter(|layer| layer.lower.as_deref().is_none_or(is_there)) {
        overlay(at, layer, isolation, volatile)?;
    }
    for (name, target) in &root.links {
        match std::os::unix::fs::symlink(target, at.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    for through in root.through.iter().filter(|through| is_there(&through.source)) {
        bind(at, through)?;
    }
    system(at)?;
    bind(at, &Bind { at: "/tmp".into(), source: root.tmp.clone(), read_only: false })?;
    for volume in &root.binds {
        bind(at, volume)?;
    }
    Ok(())
}

/// Makes `root` the root of this mount namespace and lets go of the host's.
/// Errors: those of the system calls.
pub fn pivot(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    nix::unistd::pivot_root(".", ".").map_err(|e| named("pivot_root", e))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(|e| named("detach the host's root", e))?;
    std::env::set_current_dir("/")
}

fn overlay(root: &Path, layer: &Layer, isolation: Isolation, volatile: bool) -> io::Result<()> {
    let target = paths::below(root, &layer.at);
    let Some(lower) = &layer.lower else {
        return mount(Some(&layer.upper), &target, NONE, MsFlags::MS_BIND, NONE)
            .map_err(|e| named(&format!("mount {}", layer.at.display()), e));
    };
    if layer.at != Path::new("/") {
        fs::create_dir_all(&target)?;
    }
    let mut options = b"lowerdir=".to_vec();
    for (key, path) in [("", lower), (",upperdir=", &layer.upper), (",workdir=", &layer.work)] {
        options.extend_from_slice(key.as_bytes());
        for byte in path.as_os_str().as_bytes() {
            if b"\\,:".contains(byte) {
                options.push(b'\\');
            }
            options.push(*byte);
        }
    }
    if isolation == Isolation::UserNamespaces {
        options.extend_from_slice(b",userxattr");
    }
    let mount = |options: &[u8]| mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(options));
    let mut mounted = Err(Errno::EINVAL);
    if volatile {
        // the mark of a run before this one, against using what may not be on disk: it need not be
        let _ = fs::remove_dir_all(layer.work.join("work/incompat"));
        mounted = mount(&[options.as_slice(), b",volatile"].concat());
    }
    // kernels before 5.10 do not know `volatile`
    if mounted == Err(Errno::EINVAL) {
        mounted = mount(&options);
    }
    mounted.map_err(|e| named(&format!("overlay {}", layer.at.display()), e))
}

/// `/proc`, `/sys` and `/dev`.
fn system(root: &Path) -> io::Result<()> {
    let proc = directory(root, "/proc")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if mount(Some("proc"), &proc, Some("proc"), flags, NONE).is_err() {
        // refused where the host hides parts of its own; then the host's is shown
        mount(Some("/proc"), &proc, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
            .map_err(|e| named("mount /proc", e))?;
    }
    let sys = directory(root, "/sys")?;
    mount(Some("/sys"), &sys, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE).map_err(|e| named("mount /sys", e))?;
    let dev = directory(root, "/dev")?;
    mount(Some("tmpfs"), &dev, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755,size=65536k"))
        .map_err(|e| named("mount /dev", e))?;
    for device in DEVICES {
        let target = dev.join(device);
        File::create(&target)?;
        mount(Some(&Path::new("/dev").join(device)), &target, NONE, MsFlags::MS_BIND, NONE)
            .map_err(|e| named(&format!("mount /dev/{device}"), e))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        std::os::unix::fs::symlink(target, dev.join(name))?;
    }
    fs::create_dir(dev.join("shm"))?;
    fs::set_permissions(dev.join("shm"), fs::Permissions::from_mode(0o1777))
}

/// Shows a file or directory of the host at a path of the container, whose missing parents are made.
fn bind(root: &Path, bind: &Bind) -> io::Result<()> {
    let what = || format!("mount {} at {}", bind.source.display(), bind.at.display());
    let target = paths::inside(root, &bind.at)?;
    if fs::metadata(&bind.source)?.is_dir() {
        // The host's root stands in for the image's: a file of the host is not what the pod meant to be there.
        if target.is_file() {
            fs::remove_file(&target)?;
        }
        fs::create_dir_all(&target).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", what())))?;
    } else {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        if !target.exists() {
            File::create(&target)?;
        }
    }
    mount(Some(&bind.source), &target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
        .map_err(|e| named(&what(), e))?;
    if bind.read_only {
        let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        // a user namespace may not drop what the host's mount forbids
        let now = statvfs(&target)?.flags();
        for (has, flag) in [
            (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
            (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
            (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
            (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
            (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
            (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
        ] {
            if now.contains(has) {
                flags |= flag;
            }
        }
        mount(NONE, &target, NONE, flags, NONE).map_err(|e| named(&format!("{} read-only", what()), e))?;
    }
    Ok(())
}

fn directory(root: &Path, path: &str) -> io::Result<std::path::PathBuf> {
    let target = root.join(&path[1..]);
    fs::create_dir_all(&target)?;
    Ok(target)
}

fn named(what: &str, errno: Errno) -> io::Error {
    io::Error::other(format!("{what}: {errno}"))
}
