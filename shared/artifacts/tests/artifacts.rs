//! Artifacts through the local store and through archives.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use argosy_api::v1alpha1::{ArchiveStrategy, Artifact, ArtifactLocation};
use argosy_artifacts::{Archive, Error, LocalStore, Place, Source, Store, pack, place, place_of};
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

#[tokio::test]
async fn keys_stay_below_the_store() {
    let dir = dir();
    let store = LocalStore::open_at(dir.path().join("s")).expect("a store");
    for key in ["", "/", "../a", "a/../../b", ".parts/x"] {
        assert!(matches!(store.put(key, Source::Bytes(b"x")).await, Err(Error::Key { .. })), "{key}");
    }
    store.put("w/p/a.tgz", Source::Bytes(b"one")).await.expect("put");
    store.put("w/p/a.tgz", Source::Bytes(b"two")).await.expect("put again");
    store.get("/w/p/a.tgz", &dir.path().join("got")).await.expect("get");
    assert_eq!(read(&dir.path().join("got")), "two");
    assert_eq!(store.list("w").await.expect("list"), ["w/p/a.tgz"]);
    store.delete("w").await.expect("delete");
    assert!(matches!(store.open("w/p/a.tgz").await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn directories_become_one_object_per_file() {
    let dir = dir();
    let store = LocalStore::open_at(dir.path().join("s")).expect("a store");
    fs::create_dir_all(dir.path().join("d/e")).expect("mkdir");
    fs::write(dir.path().join("d/e/f"), "x").expect("write");
    store.put("parts/", Source::Copy(&dir.path().join("d"))).await.expect("put");
    store.put("parts/g", Source::Bytes(b"y")).await.expect("put");
    assert_eq!(store.list("parts").await.expect("list"), ["parts/e/f", "parts/g"]);
    store.get("parts/", &dir.path().join("out")).await.expect("get");
    assert_eq!(read(&dir.path().join("out/e/f")), "x");
}

#[test]
fn a_file_and_a_directory_come_back_as_they_were() {
    let dir = dir();
    let at = |p: &str| dir.path().join(p);
    fs::create_dir_all(at("outer/inner")).expect("mkdir");
    fs::write(at("outer/inner/f"), "x").expect("write");
    symlink("inner/f", at("outer/link")).expect("link");
    let artifact = Artifact { mode: Some(0o700), ..Artifact::default() };
    pack(&at("outer"), "outer", &at("d.tgz"), Archive::Tar(6)).expect("pack");
    place(&at("d.tgz"), &at("new/outer2"), &artifact).expect("place");
    assert_eq!(read(&at("new/outer2/link")), "x");
    assert_eq!(fs::metadata(at("new/outer2")).expect("meta").permissions().mode() & 0o777, 0o700);
    pack(&at("outer/inner/f"), "f", &at("f.tgz"), Archive::Tar(1)).expect("pack");
    place(&at("f.tgz"), &at("new/file"), &Artifact::default()).expect("place");
    assert_eq!(read(&at("new/file")), "x");
    // unpacked by content, not by name; left alone with `none`
    let none = ArchiveStrategy { none: Some(serde_json::json!({})), ..ArchiveStrategy::default() };
    pack(&at("outer/inner/f"), "f", &at("raw"), Archive::Tar(1)).expect("pack");
    let as_is = Artifact { archive: Some(none), ..Artifact::default() };
    place(&at("raw"), &at("kept"), &as_is).expect("place");
    assert_eq!(fs::read(at("kept")).expect("read")[..2], [0x1f, 0x8b]);
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
    assert!(place(&out, &dir.path().join("to"), &Artifact::default()).is_err());
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
