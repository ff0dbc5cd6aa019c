//! Artifacts and where they are stored.
//!
//! Source: Argo Workflows v4.1.2, `pkg/apis/workflow/v1alpha1/*_types.go`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;

/// Argo's `Artifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Artifact {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    #[serde(flatten)]
    pub location: ArtifactLocation,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub global_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveStrategy>,
    #[serde(skip_serializing_if = "is_default")]
    pub optional: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sub_path: String,
    #[serde(skip_serializing_if = "is_default")]
    pub recurse_mode: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from_expression: String,
    #[serde(rename = "artifactGC", skip_serializing_if = "Option::is_none")]
    pub artifact_gc: Option<ArtifactGC>,
    #[serde(skip_serializing_if = "is_default")]
    pub deleted: bool,
}

/// Argo's `ArtifactLocation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArtifactLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_logs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<Box<S3Artifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<Box<GitArtifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Box<HTTPArtifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifactory: Option<Box<ArtifactoryArtifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdfs: Option<Box<HDFSArtifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawArtifact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oss: Option<Box<OSSArtifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcs: Option<Box<GCSArtifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure: Option<Box<AzureArtifact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Box<PluginArtifact>>,
}

/// Argo's `ArchiveStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArchiveStrategy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tar: Option<TarStrategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub none: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zip: Option<Value>,
}

/// Argo's `TarStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TarStrategy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_level: Option<i32>,
}

/// Argo's `ArtifactGC`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArtifactGC {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub strategy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
}

/// Argo's `S3Artifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct S3Artifact {
    #[serde(flatten)]
    pub bucket_config: S3Bucket,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// Argo's `S3Bucket`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct S3Bucket {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_secret: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_secret: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token_secret: Option<Value>,
    #[serde(rename = "roleARN", skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
    #[serde(rename = "useSDKCreds", skip_serializing_if = "is_default")]
    pub use_sdk_creds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_bucket_if_not_present: Option<CreateS3BucketOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_options: Option<S3EncryptionOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub addressing_style: String,
}

/// Argo's `CreateS3BucketOptions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CreateS3BucketOptions {
    #[serde(skip_serializing_if = "is_default")]
    pub object_locking: bool,
}

/// Argo's `S3EncryptionOptions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct S3EncryptionOptions {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kms_key_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kms_encryption_context: String,
    #[serde(skip_serializing_if = "is_default")]
    pub enable_encryption: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_customer_key_secret: Option<Value>,
}

/// Argo's `GitArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GitArtifact {
    pub repo: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fetch: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_secret: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_private_key_secret: Option<Value>,
    #[serde(skip_serializing_if = "is_default")]
    pub insecure_ignore_host_key: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub disable_submodules: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub single_branch: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub branch: String,
    #[serde(rename = "insecureSkipTLS", skip_serializing_if = "is_default")]
    pub insecure_skip_tls: bool,
}

/// Argo's `HTTPArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HTTPArtifact {
    pub url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<HTTPAuth>,
    #[serde(skip_serializing_if = "is_default")]
    pub save_stream_via_file: bool,
}

/// Argo's `Header`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// Argo's `HTTPAuth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HTTPAuth {
    #[serde(skip_serializing_if = "is_default")]
    pub client_cert: ClientCertAuth,
    #[serde(skip_serializing_if = "is_default")]
    pub oauth2: OAuth2Auth,
    #[serde(skip_serializing_if = "is_default")]
    pub basic_auth: BasicAuth,
}

/// Argo's `BasicAuth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BasicAuth {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_secret: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<Value>,
}

/// Argo's `ClientCertAuth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientCertAuth {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert_secret: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_secret: Option<Value>,
}

/// Argo's `OAuth2Auth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OAuth2Auth {
    #[serde(rename = "clientIDSecret", skip_serializing_if = "Option::is_none")]
    pub client_id_secret: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_secret: Option<Value>,
    #[serde(rename = "tokenURLSecret", skip_serializing_if = "Option::is_none")]
    pub token_url_secret: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoint_params: Vec<OAuth2EndpointParam>,
}

/// Argo's `OAuth2EndpointParam`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OAuth2EndpointParam {
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// Argo's `ArtifactoryArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArtifactoryArtifact {
    pub url: String,
    /// The remaining fields, kept as they are.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// Argo's `HDFSArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HDFSArtifact {
    /// The remaining fields, kept as they are.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
    pub path: String,
    #[serde(skip_serializing_if = "is_default")]
    pub force: bool,
}

/// Argo's `RawArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RawArtifact {
    pub data: String,
}

/// Argo's `OSSArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OSSArtifact {
    /// The remaining fields, kept as they are.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
    pub key: String,
}

/// Argo's `OSSLifecycleRule`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OSSLifecycleRule {
    #[serde(skip_serializing_if = "is_default")]
    pub mark_infrequent_access_after_days: i32,
    #[serde(skip_serializing_if = "is_default")]
    pub mark_deletion_after_days: i32,
}

/// Argo's `GCSArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GCSArtifact {
    /// The remaining fields, kept as they are.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
    pub key: String,
}

/// Argo's `AzureArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AzureArtifact {
    /// The remaining fields, kept as they are.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
    pub blob: String,
}

/// Argo's `PluginArtifact`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PluginArtifact {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub configuration: String,
    #[serde(skip_serializing_if = "is_default")]
    pub connection_timeout_seconds: i32,
    pub key: String,
}

/// Argo's `ArtifactRepository`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArtifactRepository {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_logs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifactory: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdfs: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oss: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcs: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Value>,
}
