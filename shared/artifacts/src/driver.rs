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
    let others = [
        ("git", location.git.is_some()),
        ("http", location.http.is_some()),
        ("artifactory", location.artifactory.is_some()),
        ("hdfs", location.hdfs.is_some()),
        ("oss", location.oss.is_some()),
        ("gcs", location.gcs.is_some()),
        ("azure", location.azure.is_some()),
        ("plugin", location.plugin.is_some()),
    ];
    match others.into_iter().find(|(_, is_set)| *is_set) {
        Some((driver, _)) => Err(Error::Driver { driver }),
        None => Err(Error::NoLocation),
    }
}
