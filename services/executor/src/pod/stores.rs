//! Where a pod's artifacts are kept.

use argosy_api::executor::environment;
use argosy_api::v1alpha1::ArtifactRepository;
use argosy_artifacts::Stores;

use crate::Error;
use crate::surroundings::Surroundings;

/// The stores that a pod reaches.
/// Errors: `Environment`, where the repository cannot be read.
pub(super) fn of(around: &dyn Surroundings) -> Result<Box<dyn Stores>, Error> {
    let name = environment::ARTIFACT_REPOSITORY;
    let text = around.variable(name).filter(|text| !text.is_empty());
    let repository: ArtifactRepository = match text {
        Some(text) => serde_json::from_str(&text).map_err(|_| Error::Environment { name })?,
        None => ArtifactRepository::default(),
    };
    stores(repository)
}

#[cfg(feature = "s3")]
fn stores(repository: ArtifactRepository) -> Result<Box<dyn Stores>, Error> {
    let name = environment::ARTIFACT_REPOSITORY;
    let default = repository.s3.map(argosy_api::v1alpha1::from_value).transpose();
    let default = default.map_err(|_| Error::Environment { name })?.unwrap_or_default();
    Ok(Box::new(argosy_artifacts::Buckets::new(argosy_api::executor::paths::SECRETS, default)))
}

#[cfg(not(feature = "s3"))]
fn stores(_: ArtifactRepository) -> Result<Box<dyn Stores>, Error> {
    use std::sync::Arc;

    use argosy_api::v1alpha1::ArtifactLocation;
    use argosy_artifacts::Store;

    struct Nowhere;

    impl Stores for Nowhere {
        fn of(&self, _: &ArtifactLocation) -> Result<Arc<dyn Store>, argosy_artifacts::Error> {
            Err(argosy_artifacts::Error::Driver { driver: "s3" })
        }
    }

    Ok(Box::new(Nowhere))
}
