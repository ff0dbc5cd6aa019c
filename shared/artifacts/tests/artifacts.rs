//! Artifacts through the local store and through archives.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use argosy_api::v1alpha1::{ArchiveStrategy, Artifact, ArtifactLocation};
use argosy_artifacts::{Archive, Error, LocalStore, Place, Source, Store, pack, place, place_of};
use argosy_beneath::{At, Cancel, Dir, Limits};
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

fn at(path: &Path) -> At {
    At::host(path).expect("a place whose parent is there")
}

fn all() -> Limits {
    argosy_artifacts::limits(argosy_artifacts::BYTES_MAX, "")
}

fn packed(from: &Path, name: &str, to: &Path, archive: Archive) -> Result<(), Error> {
    pack(&at(from), name, &at(to), archive, all(), &Cancel::default())
}

fn placed(from: &Path, to: &Path, artifact: &Artifact) -> Result<(), Error> {
    let root = to.ancestors().find(|dir| dir.is_dir()).expect("a directory");
    let to = At { dir: Dir::open(root).expect("open"), path: to.strip_prefix(root).expect("below").to_owned() };
    place(&at(from), &to, artifact, all(), &Cancel::default())
}

#[tokio::test]
async fn keys_stay_below_the_store() {
    let dir = dir();
    let store = LocalStore::open_at(dir.path().join("s")).expect("a store");
    for key in ["", "/", "../a", "a/../../b", ".parts/x"] {
        assert!(matches!(store.put(key, Source::Bytes(b"x"), all()).await, Err(Error::Key { .. })), "{key}");
    }
    store.put("w/p/a.tgz", Source::Bytes(b"one"), all()).await.expect("put");
    store.put("w/p/a.tgz", Source::Bytes(b"two"), all()).await.expect("put again");
    store.get("/w/p/a.tgz", &at(&dir.path().join("got")), all()).await.expect("get");
    assert_eq!(read(&dir.path().join("got")), "two");
    assert_eq!(store.list("w", all()).await.expect("list"), ["w/p/a.tgz"]);
    store.delete("w").await.expect("delete");
    assert!(matches!(store.open("w/p/a.tgz").await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn directories_become_one_object_per_file() {
    let dir = dir();
    let store = LocalStore::open_at(dir.path().join("s")).expect("a store");
    fs::create_dir_all(dir.path().join("d/e")).expect("mkdir");
    fs::write(dir.path().join("d/e/f"), "x").expect("write");
    store.put("parts/", Source::Copy(&at(&dir.path().join("d"))), all()).await.expect("put");
    store.put("parts/g", Source::Bytes(b"y"), all()).await.expect("put");
    assert_eq!(store.list("parts", all()).await.expect("list"), ["parts/e/f", "parts/g"]);
    store.get("parts/", &at(&dir.path().join("out")), all()).await.expect("get");
    assert_eq!(read(&dir.path().join("out/e/f")), "x");
}

#[test]
fn a_file_and_a_directory_come_back_as_they_were() {
    let dir = dir();
    let path = |p: &str| dir.path().join(p);
    fs::create_dir_all(path("outer/inner")).expect("mkdir");
    fs::write(path("outer/inner/f"), "x").expect("write");
    symlink("inner/f", path("outer/link")).expect("link");
    let artifact = Artifact { mode: Some(0o700), ..Artifact::default() };
    packed(&path("outer"), "outer", &path("d.tgz"), Archive::Tar(6)).expect("pack");
    placed(&path("d.tgz"), &path("new/outer2"), &artifact).expect("place");
    assert_eq!(read(&path("new/outer2/link")), "x");
    assert_eq!(fs::metadata(path("new/outer2")).expect("meta").permissions().mode() & 0o777, 0o700);
    packed(&path("outer/inner/f"), "f", &path("f.tgz"), Archive::Tar(1)).expect("pack");
    placed(&path("f.tgz"), &path("new/file"), &Artifact::default()).expect("place");
    assert_eq!(read(&path("new/file")), "x");
    // unpacked by content, not by name; left alone with `none`
    let none = ArchiveStrategy { none: Some(serde_json::json!({})), ..ArchiveStrategy::default() };
    packed(&path("outer/inner/f"), "f", &path("raw"), Archive::Tar(1)).expect("pack");
    let as_is = Artifact { archive: Some(none), ..Artifact::default() };
    placed(&path("raw"), &path("kept"), &as_is).expect("place");
    assert_eq!(fs::read(path("kept")).expect("read")[..2], [0x1f, 0x8b]);
}

#[test]
fn archives_cannot_write_elsewhere() {
    let dir = dir();
    let out = dir.path().join("evil.tgz");
    let gzip = flate2::write::GzEncoder::new(fs::File::create(&out).expect("create"), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "out", dir.path().join("victim")).expect("link");
    let mut file = tar::Header::new_gnu();
    file.set_size(1);
    file.set_mode(0o644);
    tar.append_data(&mut file, "out/f", &b"x"[..]).expect("file");
    tar.into_inner().expect("tar").finish().expect("gzip");
    fs::create_dir(dir.path().join("victim")).expect("mkdir");
    let refused = placed(&out, &dir.path().join("to"), &Artifact::default());
    assert!(matches!(refused, Err(Error::Escape { .. })), "{refused:?}");
    assert!(!dir.path().join("victim/f").exists());
}

#[test]
fn locations_choose_their_driver() {
    let of = |json| place_of(&serde_json::from_value::<ArtifactLocation>(json).expect("a location"));
    assert_eq!(of(serde_json::json!({"s3": {"key": "a/b/"}})).ok(), Some(Place::Key("a/b".into())));
    assert_eq!(of(serde_json::json!({"raw": {"data": "x"}})).ok(), Some(Place::Raw("x".into())));
    let text = of(serde_json::json!({"gcs": {"bucket": "b", "key": "k"}})).expect_err("gcs").to_string();
    assert_eq!(text, "artifact driver gcs is not supported yet in this build");
    for nowhere in [serde_json::json!({}), serde_json::json!({"http": {"url": ""}})] {
        assert!(matches!(of(nowhere), Err(Error::NoLocation)));
    }
}

/// What the reviewed workflow `artkeys` did: a directory with a link to `/` in it, and keys through that link.
#[tokio::test]
async fn keys_do_not_go_through_links() {
    let dir = dir();
    let store = LocalStore::open_at(dir.path().join("s")).expect("a store");
    fs::create_dir_all(dir.path().join("victim")).expect("mkdir");
    fs::write(dir.path().join("victim/secret"), "HOST").expect("write");
    fs::create_dir_all(dir.path().join("d/e")).expect("mkdir");
    fs::write(dir.path().join("d/e/f"), "x").expect("write");
    symlink("/", dir.path().join("d/link")).expect("link");
    symlink("../../../victim", dir.path().join("d/e/up")).expect("link");
    symlink("e/f", dir.path().join("d/near")).expect("link");
    store.put("d", Source::Copy(&at(&dir.path().join("d"))), all()).await.expect("put");
    let kept = |name: &str| fs::symlink_metadata(dir.path().join("s/d").join(name)).is_ok();
    assert!(!kept("link") && !kept("e/up") && kept("near"), "links that leave are left out");
    // whoever put them there
    symlink("/", dir.path().join("s/d/link")).expect("link");
    symlink(dir.path().join("victim"), dir.path().join("s/v")).expect("link");
    let below = format!("d/link{}/victim/secret", dir.path().display());
    for key in [below.as_str(), "v/secret", "v", "d/near"] {
        let got = store.get(key, &at(&dir.path().join("got")), all()).await;
        assert!(matches!(got, Err(Error::KeyLink { .. })), "{key}: {got:?}");
        assert!(matches!(store.open(key).await.map(drop), Err(Error::KeyLink { .. })), "{key}");
        assert!(matches!(store.list(key, all()).await, Err(Error::KeyLink { .. })), "{key}");
    }
    for key in [below.as_str(), "v/new", "v/secret"] {
        let put = store.put(key, Source::Bytes(b"WRITTEN-THROUGH-STORE"), all()).await;
        assert!(matches!(put, Err(Error::KeyLink { .. })), "{key}: {put:?}");
        assert!(matches!(store.delete(key).await, Err(Error::KeyLink { .. })), "{key}");
    }
    assert_eq!(store.list("", all()).await.expect("list"), ["d/e/f"], "links are no objects");
    store.delete("v").await.expect("the link itself goes");
    assert_eq!(read(&dir.path().join("victim/secret")), "HOST");
    assert_eq!(fs::read_dir(dir.path().join("victim")).expect("list").count(), 1);
    assert!(matches!(store.open("d/e/f/g").await.map(drop), Err(Error::NotFound { .. })));
}

fn tarball(to: &Path, write: impl FnOnce(&mut tar::Builder<flate2::write::GzEncoder<fs::File>>)) {
    let file = fs::File::create(to).expect("create");
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
    write(&mut tar);
    tar.into_inner().expect("tar").finish().expect("gzip");
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header
}

#[test]
fn archives_stop_at_their_limits() {
    use std::io::Read;
    let dir = dir();
    let limits = Limits { bytes_max: 1_000_000, entries_max: 20, depth_max: 10, what: "the artifact", raise: "; ask" };
    let refused = |write: &dyn Fn(&mut tar::Builder<flate2::write::GzEncoder<fs::File>>)| {
        let (from, to) = (dir.path().join("a.tgz"), dir.path().join("to"));
        tarball(&from, write);
        let refused = place(&at(&from), &at(&to), &Artifact::default(), limits, &Cancel::default());
        refused.expect_err("refused").to_string()
    };
    let bytes = "the artifact has more than 1000000 bytes; ask";
    let zeros = |n: u64| std::io::repeat(0).take(n);
    assert_eq!(refused(&|tar| tar.append_data(&mut header(9 << 20, 0o644), "f", zeros(9 << 20)).expect("file")), bytes);
    let many = |tar: &mut tar::Builder<_>| {
        (0..9).for_each(|n| {
            tar.append_data(&mut header(200_000, 0o644), format!("d/{n}"), zeros(200_000)).expect("file")
        });
    };
    assert_eq!(refused(&many), bytes);
    let files = |tar: &mut tar::Builder<_>| {
        (0..21).for_each(|n| tar.append_data(&mut header(0, 0o644), format!("d/{n}"), zeros(0)).expect("file"));
    };
    assert_eq!(refused(&files), "the artifact has more than 20 files and directories");
    let deep = |tar: &mut tar::Builder<_>| {
        tar.append_data(&mut header(0, 0o644), "a/".repeat(10) + "f", zeros(0)).expect("file")
    };
    assert_eq!(refused(&deep), "the artifact has more than 10 directories inside each other");
    let long = |tar: &mut tar::Builder<_>| {
        let mut name = header(8 << 20, 0o644);
        name.set_entry_type(tar::EntryType::GNULongName);
        tar.append_data(&mut header(0, 0o644), "e", zeros(0)).expect("file");
        tar.append_data(&mut name, "n", zeros(8 << 20)).expect("a name");
        tar.append_data(&mut header(0, 0o644), "f", zeros(0)).expect("file");
    };
    assert_eq!(refused(&long), "the archive has more than 1048576 bytes of names and attributes for an entry");
    // what is packed has the same limits: a sparse giant is not even begun
    fs::File::create(dir.path().join("giant")).and_then(|file| file.set_len(40 << 30)).expect("sparse");
    for archive in [Archive::None, Archive::Tar(1)] {
        let from = at(&dir.path().join("giant"));
        let packed = pack(&from, "giant", &at(&dir.path().join("out")), archive, limits, &Cancel::default());
        assert_eq!(packed.expect_err("refused").to_string(), bytes);
    }
}

#[test]
fn set_user_id_does_not_come_out_of_archives() {
    let dir = dir();
    let from = dir.path().join("a.tgz");
    tarball(&from, |tar| {
        let mut folder = header(0, 0o7777);
        folder.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut folder, "d/", std::io::empty()).expect("directory");
        tar.append_data(&mut header(1, 0o6755), "d/f", &b"x"[..]).expect("file");
    });
    let mode = |path: &str| fs::metadata(dir.path().join(path)).expect("meta").permissions().mode() & 0o7777;
    placed(&from, &dir.path().join("to"), &Artifact::default()).expect("placed");
    // directories are those that Argo makes
    assert_eq!((mode("to"), mode("to/f")), (0o755, 0o755));
    let asked = Artifact { mode: Some(0o4711), recurse_mode: true, ..Artifact::default() };
    placed(&from, &dir.path().join("to2"), &asked).expect("placed");
    assert_eq!((mode("to2"), mode("to2/f")), (0o711, 0o711));
    // nor into them
    fs::set_permissions(dir.path().join("to/f"), fs::Permissions::from_mode(0o4755)).expect("chmod");
    packed(&dir.path().join("to"), "to", &dir.path().join("b.tgz"), Archive::Tar(1)).expect("packed");
    let mut tar =
        tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(dir.path().join("b.tgz")).expect("open")));
    for entry in tar.entries().expect("entries") {
        assert_eq!(entry.expect("an entry").header().mode().expect("a mode") & 0o7000, 0);
    }
}

/// A claim keeps what an earlier step left there, such as a link where the next one's input goes.
#[test]
fn an_input_is_not_placed_through_a_link() {
    let dir = dir();
    fs::create_dir_all(dir.path().join("victim")).expect("mkdir");
    fs::create_dir(dir.path().join("volume")).expect("mkdir");
    symlink("../victim", dir.path().join("volume/sub")).expect("link");
    symlink("../victim/file", dir.path().join("volume/f")).expect("link");
    fs::write(dir.path().join("in"), "x").expect("write");
    for path in ["sub/f", "sub/new/f"] {
        let to = At::new(&dir.path().join("volume"), path).expect("open");
        let from = at(&dir.path().join("in"));
        assert!(place(&from, &to, &Artifact::default(), all(), &Cancel::default()).is_err(), "{path}");
    }
    let to = At::new(&dir.path().join("volume"), "f").expect("open");
    place(&at(&dir.path().join("in")), &to, &Artifact::default(), all(), &Cancel::default()).expect("replaced");
    assert_eq!(
        (read(&dir.path().join("volume/f")).as_str(), fs::read_dir(dir.path().join("victim")).expect("list").count()),
        ("x", 0)
    );
}

#[test]
fn zip_archives_are_written_and_read() {
    let dir = dir();
    let source = dir.path().join("src");
    fs::create_dir_all(source.join("d")).expect("directories");
    fs::write(source.join("d/f"), "text ".repeat(1000)).expect("a file");
    fs::write(source.join("empty"), "").expect("a file");
    fs::set_permissions(source.join("empty"), fs::Permissions::from_mode(0o750)).expect("a mode");
    let packed = dir.path().join("a.zip");
    let limits = || argosy_artifacts::limits(1 << 20, "");
    pack(&at(&source), "src", &at(&packed), Archive::Zip, limits(), &Cancel::default()).expect("packed");
    let strategy = serde_json::from_value(serde_json::json!({"zip": {}})).expect("a strategy");
    let artifact = Artifact { archive: Some(strategy), ..Artifact::default() };
    placed(&packed, &dir.path().join("to"), &artifact).expect("placed");
    assert_eq!(fs::read_to_string(dir.path().join("to/d/f")).expect("a file"), "text ".repeat(1000));
    let mode = fs::metadata(dir.path().join("to/empty")).expect("meta").permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    // what is changed on its way is found out, and what is no archive
    let mut bytes = fs::read(&packed).expect("an archive");
    let at = bytes.windows(3).position(|part| part == b"d/f").expect("its name") + 8;
    bytes[at] ^= 0x55;
    for wrong in [bytes.as_slice(), b"no archive", b""] {
        fs::write(&packed, wrong).expect("written");
        assert!(placed(&packed, &dir.path().join("to3"), &artifact).is_err());
    }
}

#[test]
fn what_is_said_to_be_a_tarball_is_one() {
    let dir = dir();
    let file = dir.path().join("plain");
    fs::write(&file, "no archive").expect("a file");
    let strategy = serde_json::from_value(serde_json::json!({"tar": {}})).expect("a strategy");
    let artifact = Artifact { archive: Some(strategy), ..Artifact::default() };
    let error = placed(&file, &dir.path().join("to"), &artifact).expect_err("none");
    assert_eq!(error.to_string(), "gzip: invalid header");
}
