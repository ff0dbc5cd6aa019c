//! Which driver an artifact's location asks for.

use argosy_api::v1alpha1::ArtifactLocation;

use crate::Error;

/// Where an artifact is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the workflow itself.
    Raw(String),
    /// In the store, under this key.
    Key(String),
}

/// The place that a location names. Any location of the S3 kind, with or without a bucket, is served by the store.
/// Errors: `Driver`, `NoLocation`.
pub fn place_of(location: &ArtifactLocation) -> Result<Place, Error> {
    if let Some(raw) = &location.raw {
        return Ok(Place::Raw(raw.data.clone()));
    }
    if let Some(s3) = location.s3.as_ref().filter(|s3| !s3.key.is_empty()) {
        let key = s3.key.trim_matches('/');
        return Ok(Place::Key(match s3.bucket_config.bucket.as_str() {
            "" => key.to_owned(),
            bucket => format!("{bucket}/{key}"),
        }));
    }
    // a location counts once it says where: an empty URL or key is none
    let named = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    let others = [
        ("git", named(location.git.as_ref().map(|l| &*l.repo))),
        ("http", named(location.http.as_ref().map(|l| &*l.url))),
        ("artifactory", named(location.artifactory.as_ref().map(|l| &*l.url))),
        ("hdfs", named(location.hdfs.as_ref().map(|l| &*l.path))),
        ("oss", named(location.oss.as_ref().map(|l| &*l.key))),
        ("gcs", named(location.gcs.as_ref().map(|l| &*l.key))),
        ("azure", named(location.azure.as_ref().map(|l| &*l.blob))),
        ("plugin", named(location.plugin.as_ref().map(|l| &*l.key))),
    ];
    match others.into_iter().find(|(_, is_set)| *is_set) {
        Some((driver, _)) => Err(Error::Driver { driver }),
        None => Err(Error::NoLocation),
    }
}
