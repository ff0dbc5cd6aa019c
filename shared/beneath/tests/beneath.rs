//! What may be done below a directory that somebody else writes to.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use argosy_beneath::{Budget, Cancel, Dir, Kind, Limits, Refusal, refusal};
use tempfile::TempDir;

/// A directory `in`, and beside it a file that must stay as it is.
fn world() -> (TempDir, Dir) {
    let dir = TempDir::new().expect("a temporary directory");
    fs::create_dir(dir.path().join("in")).expect("mkdir");
    fs::create_dir(dir.path().join("out")).expect("mkdir");
    fs::write(dir.path().join("out/victim"), "untouched").expect("write");
    let opened = Dir::open(&dir.path().join("in")).expect("open");
    (dir, opened)
}

fn refused<T: std::fmt::Debug>(result: std::io::Result<T>) -> Refusal {
    let error = result.expect_err("refused");
    refusal(&error).cloned().unwrap_or_else(|| panic!("no refusal: {error:?}"))
}

#[test]
fn links_are_never_followed() {
    let (dir, inside) = world();
    symlink(dir.path().join("out"), dir.path().join("in/d")).expect("link");
    symlink("../out/victim", dir.path().join("in/f")).expect("link");
    for path in ["d/victim", "d/new", "d/x/y"] {
        let path = Path::new(path);
        assert_eq!(refused(inside.file(path)), Refusal::Link, "{}", path.display());
        assert_eq!(refused(inside.create(path, 0o600)), Refusal::Link);
        assert_eq!(refused(inside.write(path, b"x", 0o600)), Refusal::Link);
        assert_eq!(refused(inside.remove(path)), Refusal::Link);
        assert_eq!(refused(inside.kind(path)), Refusal::Link);
        assert_eq!(refused(inside.chmod(path, 0o777)), Refusal::Link);
    }
    assert_eq!(refused(inside.read(Path::new("f"), 100)), Refusal::Link);
    assert_eq!(refused(inside.make_dir(Path::new("d/new"), 0o700)), Refusal::Link);
    assert_eq!(refused(inside.hard_link(Path::new("f"), Path::new("g"))), Refusal::Link);
    // a link at the end is replaced, not written through
    inside.write(Path::new("f"), b"mine", 0o644).expect("written");
    assert_eq!(inside.kind(Path::new("f")).expect("a kind"), Some(Kind::File));
    inside.remove(Path::new("d")).expect("the link itself goes");
    assert_eq!(fs::read_to_string(dir.path().join("out/victim")).expect("read"), "untouched");
    assert_eq!(fs::read_dir(dir.path().join("out")).expect("list").count(), 1);
}

#[test]
fn paths_do_not_lead_out() {
    let (_dir, inside) = world();
    for path in ["../out/victim", "/etc/passwd", "a/../../out/victim", ".."] {
        assert_eq!(refused(inside.file(Path::new(path))), Refusal::Outside, "{path}");
        assert_eq!(refused(inside.write(Path::new(path), b"x", 0o600)), Refusal::Outside, "{path}");
        assert_eq!(refused(inside.make_dir(Path::new(path), 0o700)), Refusal::Outside, "{path}");
    }
    assert_eq!(refused(inside.file(Path::new(""))), Refusal::Outside);
}

#[test]
fn only_regular_files_are_opened_and_only_so_large() {
    let (dir, inside) = world();
    let made = Command::new("mkfifo").arg(dir.path().join("in/fifo")).status().expect("mkfifo");
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("in/socket")).expect("a socket");
    assert_eq!(refused(inside.read(Path::new("fifo"), 9)), Refusal::NotRegular { kind: "fifo" });
    assert_eq!(refused(inside.read(Path::new("socket"), 9)), Refusal::NotRegular { kind: "socket" });
    let dev = Dir::open(Path::new("/dev")).expect("open");
    assert_eq!(refused(dev.read(Path::new("zero"), 9)), Refusal::NotRegular { kind: "character device" });
    // a sparse giant takes no disk and would take all memory
    fs::File::create(dir.path().join("in/giant")).and_then(|file| file.set_len(40 << 30)).expect("sparse");
    let too_large = Refusal::TooLarge { bytes: 40 << 30, bytes_max: 9 };
    assert_eq!(refused(inside.read(Path::new("giant"), 9)), too_large);
    inside.write(Path::new("small"), b"123456789", 0o4777).expect("written");
    assert_eq!(inside.read(Path::new("small"), 9).expect("read"), b"123456789");
    assert_eq!(inside.read_end(Path::new("small"), 2).expect("read"), b"89");
    let mode = fs::metadata(dir.path().join("in/small")).expect("meta").permissions().mode();
    assert_eq!(mode & 0o7777, 0o777, "setuid is taken out");
}

#[test]
fn trees_of_any_depth_and_permission_are_removed() {
    let (dir, inside) = world();
    // deeper than a path may be long, and than a thread's stack would bear
    let mut deep = inside.clone();
    for _ in 0..1_000 {
        deep = deep.make_dir(Path::new("deep"), 0o700).expect("mkdir");
    }
    drop(deep);
    fs::create_dir_all(dir.path().join("in/deep/closed/x")).expect("mkdir");
    symlink(dir.path().join("out"), dir.path().join("in/deep/link")).expect("link");
    fs::set_permissions(dir.path().join("in/deep/closed"), fs::Permissions::from_mode(0o000)).expect("chmod");
    let small_stack = std::thread::Builder::new().stack_size(64 * 1024);
    let removed = small_stack.spawn(move || inside.remove(Path::new("deep"))).expect("a thread").join();
    assert!(removed.expect("no overflow").expect("removed"));
    assert!(!dir.path().join("in/deep").exists() && dir.path().join("out/victim").exists());
}

#[test]
fn a_budget_ends_what_is_copied() {
    let (dir, inside) = world();
    let limits = Limits { bytes_max: 10, entries_max: 2, depth_max: 3, what: "the artifact", raise: "; ask" };
    let mut budget = Budget::new(limits, Cancel::default());
    budget.take_entry(3).expect("within");
    let error = budget.take_entry(4).expect_err("too deep").to_string();
    assert_eq!(error, "the artifact has more than 3 directories inside each other");
    assert!(budget.take_entry(1).is_err());
    fs::File::create(dir.path().join("in/giant")).and_then(|file| file.set_len(40 << 30)).expect("sparse");
    let mut to = inside.create(Path::new("copy"), 0o600).expect("create");
    let error = budget.copy(&mut inside.file(Path::new("giant")).expect("open"), &mut to).expect_err("too large");
    assert_eq!(error.to_string(), "the artifact has more than 10 bytes; ask");
    assert_eq!(to.metadata().expect("meta").len(), 0, "nothing of it is copied");
    to.write_all(b"12345678901").expect("write");
    assert!(budget.pour(&mut inside.file(Path::new("copy")).expect("open"), &mut Vec::new()).is_err());
    let cancel = Cancel::default();
    let mut budget = Budget::new(limits, cancel.clone());
    drop(cancel.on_drop());
    assert_eq!(refused(budget.take(0)), Refusal::Cancelled);
}

#[test]
fn nobody_sees_a_directory_that_is_not_yet_as_it_is_to_be() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = Dir::open(dir.path()).expect("open");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut odd = Vec::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for n in 0..200 {
                    if let Ok(metadata) = std::fs::metadata(dir.path().join(format!("{n}"))) {
                        let mode = metadata.permissions().mode() & 0o777;
                        odd.extend((mode != 0o777).then_some((n, mode)));
                    }
                }
            }
            odd
        });
        let make = || (0..200).for_each(|n| drop(root.make_dir(Path::new(&format!("{n}")), 0o777).expect("made")));
        // Two at once: who comes second opens what the first has made.
        let other = scope.spawn(make);
        make();
        other.join().expect("made");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(watcher.join().expect("looked"), Vec::new());
    });
    assert_eq!(std::fs::read_dir(dir.path()).expect("read").count(), 200, "nothing hidden stays");
}
