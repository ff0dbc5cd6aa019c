//! From what a workflow says of a bucket to a client of it.
//! Source: Argo docs/configure-artifact-repository.md, `workflow/artifacts/s3`.

use std::path::PathBuf;
use std::sync::Arc;

use argosy_api::v1alpha1::{ArtifactLocation, S3Bucket};
use object_store::aws::AmazonS3Builder;
use object_store::{Certificate, ClientOptions};
use serde_json::Value;

use super::{Bucket, failed};
use crate::{Error, Store, Stores};

/// The region where nobody says one, as most servers that only speak like S3 have none.
const REGION: &str = "us-east-1";
/// Bytes of a credential or certificate.
const SECRET_MAX: u64 = 1024 * 1024;

/// The buckets that artifacts name, with credentials from files.
pub struct Buckets {
    secrets: PathBuf,
    default: S3Bucket,
}

impl Buckets {
    /// With secrets as `<secret>/<key>` below a directory, and the bucket of artifacts that name none.
    pub fn new(secrets: impl Into<PathBuf>, default: S3Bucket) -> Self {
        Self { secrets: secrets.into(), default }
    }

    /// The content of a key of a Secret; `None` where none is named.
    fn secret(&self, selector: Option<&Value>) -> Result<Option<String>, Error> {
        let Some(selector) = selector else { return Ok(None) };
        let text = |member: &str| selector.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        let path = self.secrets.join(text("name")).join(text("key"));
        let read = std::fs::metadata(&path).and_then(|meta| match meta.len() {
            bytes if bytes > SECRET_MAX => Err(std::io::Error::other("it is too large")),
            _ => std::fs::read_to_string(&path),
        });
        read.map(|text| Some(text.trim().to_owned())).map_err(Error::io("read", &path))
    }

    fn bucket(&self, bucket: &S3Bucket) -> Result<Bucket, Error> {
        let insecure = bucket.insecure == Some(true);
        let region = if bucket.region.is_empty() { REGION } else { &bucket.region };
        let access = self.secret(bucket.access_key_secret.as_ref())?;
        let key = self.secret(bucket.secret_key_secret.as_ref())?;
        // what a pod is given by its service account or its machine
        let mut builder = match access.is_none() || bucket.use_sdk_creds {
            true => AmazonS3Builder::from_env(),
            false => AmazonS3Builder::new(),
        };
        builder = builder.with_region(region).with_bucket_name(&bucket.bucket);
        if let (Some(access), Some(key), false) = (access, key, bucket.use_sdk_creds) {
            builder = builder.with_access_key_id(access).with_secret_access_key(key);
            if let Some(token) = self.secret(bucket.session_token_secret.as_ref())? {
                builder = builder.with_token(token);
            }
        }
        if !bucket.endpoint.is_empty() {
            let scheme = if insecure { "http" } else { "https" };
            builder = builder.with_endpoint(format!("{scheme}://{}", bucket.endpoint.trim_matches('/')));
        }
        let mut client = ClientOptions::new().with_allow_http(insecure);
        if let Some(certificates) = self.secret(bucket.ca_secret.as_ref())? {
            let read = Certificate::from_pem_bundle(certificates.as_bytes());
            for certificate in read.map_err(failed("trust the certificates of", &bucket.bucket))? {
                client = client.with_root_certificate(certificate);
            }
        }
        if let Some(encryption) = bucket.encryption_options.as_ref().filter(|options| options.enable_encryption) {
            if let Some(key) = self.secret(encryption.server_side_customer_key_secret.as_ref())? {
                builder = builder.with_ssec_encryption(key);
            } else if !encryption.kms_key_id.is_empty() {
                builder = builder.with_sse_kms_encryption(&encryption.kms_key_id);
            }
        }
        let store = builder.with_client_options(client).build().map_err(failed("reach", &bucket.bucket))?;
        Ok(Bucket { name: bucket.bucket.clone(), store: Arc::new(store) })
    }
}

impl Stores for Buckets {
    fn of(&self, location: &ArtifactLocation) -> Result<Arc<dyn Store>, Error> {
        let named = location.s3.as_ref().map(|s3| &s3.bucket_config).filter(|bucket| !bucket.bucket.is_empty());
        match named {
            Some(bucket) => Ok(Arc::new(self.bucket(bucket)?)),
            None if self.default.bucket.is_empty() => Err(Error::NoRepository),
            None => Ok(Arc::new(Bucket { name: String::new(), ..self.bucket(&self.default)? })),
        }
    }
}
