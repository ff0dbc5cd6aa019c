//! Artifacts in S3 and what speaks like it.

mod bucket;

use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use argosy_beneath::{At, Budget, Cancel, Kind, Limits};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_util::io::StreamReader;

pub use bucket::Buckets;

use crate::{Error, Source, Store};

/// Bytes that are held of an object on its way.
const BUFFER: usize = 64 * 1024;

/// The objects of a bucket. Keys begin with the bucket's name, as elsewhere; or with none where the name is empty.
#[derive(Debug)]
struct Bucket {
    name: String,
    store: Arc<dyn ObjectStore>,
}

impl Bucket {
    /// The object's name in the bucket.
    fn path(&self, key: &str) -> Result<Path, Error> {
        let inside = match key.strip_prefix(self.name.as_str()) {
            Some(rest) if rest.is_empty() || self.name.is_empty() => Some(rest),
            Some(rest) => rest.strip_prefix('/'),
            None => None,
        };
        let bad = || Error::Key { key: key.to_owned() };
        Path::parse(inside.ok_or_else(bad)?.trim_matches('/')).map_err(|_| bad())
    }

    fn key(&self, path: &Path) -> String {
        match self.name.as_str() {
            "" => path.to_string(),
            name => format!("{name}/{path}"),
        }
    }

    async fn put_file(&self, key: &str, from: &At, budget: &mut Budget) -> Result<(), Error> {
        let file = from.file().map_err(Error::io("open", &from.path))?;
        let bytes = file.metadata().map_err(Error::io("read", &from.path))?.len();
        budget.clone().take(bytes).map_err(Error::io("save", &from.path))?;
        let mut file = tokio::fs::File::from_std(file);
        // in parts, so that memory does not grow with the file
        let mut writer = BufWriter::new(Arc::clone(&self.store), self.path(key)?);
        let mut buffer = vec![0; BUFFER];
        let poured = async {
            loop {
                match file.read(&mut buffer).await? {
                    0 => return writer.shutdown().await,
                    read => {
                        budget.take(read as u64)?;
                        writer.write_all(&buffer[..read]).await?;
                    }
                }
            }
        };
        let poured: io::Result<()> = poured.await;
        if let Err(error) = poured {
            // what was sent of it is of no use; that it stays is no second reason to fail
            if let Err(error) = writer.abort().await {
                tracing::debug!(key, error = &error as &dyn std::error::Error, "parts of an object may stay");
            }
            return Err(match argosy_beneath::refusal(&error) {
                Some(_) => Error::io("save", &from.path)(error),
                None => failed("save", key)(error),
            });
        }
        Ok(())
    }

    async fn put_dir(&self, key: &str, from: &At, budget: &mut Budget) -> Result<(), Error> {
        let mut open = vec![(from.clone(), key.to_owned(), 0)];
        while let Some((at, key, depth)) = open.pop() {
            budget.take_entry(depth).map_err(Error::io("save", &at.path))?;
            match at.kind().map_err(Error::io("read", &at.path))? {
                Some(Kind::File) => self.put_file(&key, &at, budget).await?,
                Some(Kind::Dir) => {
                    let dir = at.dir.dir(&at.path).map_err(Error::io("open", &at.path))?;
                    for entry in dir.entries().map_err(Error::io("list", &at.path))? {
                        let inside = format!("{key}/{}", entry.name.to_string_lossy());
                        open.push((At { dir: dir.clone(), path: entry.name.into() }, inside, depth + 1));
                    }
                }
                Some(Kind::Link | Kind::Other(_)) | None => {
                    tracing::warn!(path = %at.path.display(), "neither file nor directory: left out of an artifact");
                }
            }
        }
        Ok(())
    }

    /// False when there is no such object.
    async fn get_file(&self, path: &Path, to: &At, budget: &mut Budget) -> Result<bool, Error> {
        let object = match self.store.get(path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            object => object.map_err(failed("load", path.as_ref()))?,
        };
        budget.clone().take(object.meta.size).map_err(Error::io("load", &to.path))?;
        let made = to.dir.create(&to.path, 0o644).map_err(Error::io("create", &to.path))?;
        let mut file = tokio::fs::File::from_std(made);
        let mut stream = object.into_stream();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(failed("load", path.as_ref()))?;
            budget.take(bytes.len() as u64).map_err(Error::io("load", &to.path))?;
            file.write_all(&bytes).await.map_err(Error::io("write", &to.path))?;
        }
        file.flush().await.map_err(Error::io("write", &to.path))?;
        Ok(true)
    }

    async fn below(&self, prefix: &Path, budget: &mut Budget) -> Result<Vec<Path>, Error> {
        let whole = (!prefix.as_ref().is_empty()).then_some(prefix);
        let mut listed = self.store.list(whole);
        let mut paths = Vec::new();
        while let Some(meta) = listed.try_next().await.map_err(failed("list", prefix.as_ref()))? {
            budget.take_entry(0).map_err(Error::io("list", FilePath::new(prefix.as_ref())))?;
            paths.push(meta.location);
        }
        paths.sort();
        Ok(paths)
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(doing: &'static str, key: &str) -> impl FnOnce(E) -> Error {
    let key = key.to_owned();
    move |source| Error::Remote { doing, key, source: Box::new(source) }
}

#[async_trait]
impl Store for Bucket {
    async fn put(&self, key: &str, source: Source<'_>, limits: Limits) -> Result<(), Error> {
        let mut budget = Budget::new(limits, Cancel::default());
        match source {
            Source::Bytes(bytes) => {
                let payload = PutPayload::from(bytes.to_vec());
                self.store.put(&self.path(key)?, payload).await.map(drop).map_err(failed("save", key))
            }
            Source::Copy(from) => match from.kind().map_err(Error::io("read", &from.path))? {
                Some(Kind::Dir) => self.put_dir(key, from, &mut budget).await,
                _ => self.put_file(key, from, &mut budget).await,
            },
        }
    }

    async fn get(&self, key: &str, to: &At, limits: Limits) -> Result<(), Error> {
        let mut budget = Budget::new(limits, Cancel::default());
        let path = self.path(key)?;
        if !path.as_ref().is_empty() && self.get_file(&path, to, &mut budget).await? {
            return Ok(());
        }
        let objects = self.below(&path, &mut budget).await?;
        if objects.is_empty() {
            return Err(Error::NotFound { key: key.to_owned() });
        }
        to.dir.make_dir(&to.path, 0o755).map_err(Error::io("create", &to.path))?;
        for object in objects {
            // parts of a path are never `..`, nor empty
            let Some(parts) = object.prefix_match(&path) else { continue };
            let inside = parts.fold(to.path.clone(), |inside, part| {
                let part: &str = part.as_ref();
                inside.join(part)
            });
            let at = At { dir: to.dir.clone(), path: inside };
            let parent = at.path.parent().unwrap_or(FilePath::new(""));
            at.dir.make_dir(parent, 0o755).map_err(Error::io("create", parent))?;
            self.get_file(&object, &at, &mut budget).await?;
        }
        Ok(())
    }

    async fn open(&self, key: &str) -> Result<Box<dyn AsyncRead + Send + Unpin>, Error> {
        let object = match self.store.get(&self.path(key)?).await {
            Err(object_store::Error::NotFound { .. }) => return Err(Error::NotFound { key: key.to_owned() }),
            object => object.map_err(failed("open", key))?,
        };
        Ok(Box::new(StreamReader::new(object.into_stream().map_err(io::Error::other))))
    }

    async fn list(&self, prefix: &str, limits: Limits) -> Result<Vec<String>, Error> {
        let mut budget = Budget::new(limits, Cancel::default());
        let paths = self.below(&self.path(prefix)?, &mut budget).await?;
        Ok(paths.iter().map(|path| self.key(path)).collect())
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key)?;
        let mut all: Vec<Path> = self
            .store
            .list(Some(&path))
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .map_err(failed("list", key))?;
        all.push(path);
        for path in all {
            match self.store.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) => {}
                deleted => deleted.map_err(failed("delete", key))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use argosy_beneath::Dir;
    use object_store::memory::InMemory;

    use super::*;

    fn bucket() -> Bucket {
        Bucket { name: "b".to_owned(), store: Arc::new(InMemory::new()) }
    }

    #[tokio::test]
    async fn files_and_directories_go_there_and_back() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |path: &str| At { dir: Dir::open(dir.path()).expect("open"), path: path.into() };
        std::fs::create_dir_all(dir.path().join("in/sub")).expect("made");
        std::fs::write(dir.path().join("in/a"), "1").expect("written");
        std::fs::write(dir.path().join("in/sub/b"), "2").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("in/link")).expect("linked");
        let (bucket, limits) = (bucket(), crate::limits(100, ""));
        bucket.put("b/dir", Source::Copy(&at("in")), limits).await.expect("saved");
        bucket.put("b/file", Source::Copy(&at("in/a")), limits).await.expect("saved");
        let listed = bucket.list("b", limits).await.expect("listed");
        assert_eq!(listed, ["b/dir/a", "b/dir/sub/b", "b/file"]);
        bucket.get("b/dir", &at("out"), limits).await.expect("loaded");
        bucket.get("b/file", &at("one"), limits).await.expect("loaded");
        let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).ok();
        assert_eq!([read("out/a"), read("out/sub/b"), read("one")].map(Option::unwrap_or_default), ["1", "2", "1"]);
        let missing = bucket.get("b/nothing", &at("two"), limits).await;
        assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
        bucket.delete("b/dir").await.expect("deleted");
        assert_eq!(bucket.list("b", limits).await.expect("listed"), ["b/file"]);
    }

    #[tokio::test]
    async fn keys_stay_in_their_bucket_and_sizes_within_limits() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |path: &str| At { dir: Dir::open(dir.path()).expect("open"), path: path.into() };
        std::fs::write(dir.path().join("large"), "123456").expect("written");
        let (bucket, limits) = (bucket(), crate::limits(5, ""));
        for key in ["other/x", "b/../x", "bx/y", "b/x//y"] {
            let put = bucket.put(key, Source::Bytes(b""), limits).await;
            assert!(matches!(put, Err(Error::Key { .. })), "{key}: {put:?}");
        }
        let put = bucket.put("b/large", Source::Copy(&at("large")), limits).await;
        assert!(matches!(put, Err(Error::Limit { .. })), "{put:?}");
        bucket.put("b/large", Source::Bytes(b"123456"), limits).await.expect("saved");
        let got = bucket.get("b/large", &at("back"), limits).await;
        assert!(matches!(got, Err(Error::Limit { .. })), "{got:?}");
    }
}
