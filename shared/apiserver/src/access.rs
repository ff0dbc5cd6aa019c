//! Who may use the API over TCP: whoever holds the token; and how a client knows that it talks to this server.
//!
//! The token goes with a certificate, as `kubectl` sends a token over TLS only, and as a client should not give its token
//! to whoever else listens on the port while the server is down.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use argosy_private as private;

/// The key to an API that listens.
pub struct Access {
    kept: Kept,
    tls: Arc<rustls::ServerConfig>,
}

/// What is kept between starts. The texts besides the token are base64 of DER.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
    /// 64 hexadecimal digits.
    token: String,
    /// The certificate of the authority that signed the server's, which clients trust. Nobody has its key any more.
    authority: String,
    certificate: String,
    key: String,
}

/// The key to the API cannot be made, kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// No certificate can be made.
    #[error("make a certificate")]
    Make(#[from] rcgen::Error),
    /// The file is not for us alone, or cannot be used.
    #[error("keep the key to the API")]
    File(#[from] private::Error),
    /// The file is not what was written.
    #[error("the key to the API in `{path}` is damaged; remove the file for a new one")]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate cannot be used.
    #[error("use the certificate")]
    Tls(#[from] rustls::Error),
}

impl Access {
    /// A new random key, kept nowhere.
    ///
    /// Errors: no certificate can be made.
    pub fn new() -> Result<Self, AccessError> {
        let kept = Kept::generate()?;
        let tls = kept.tls().map_err(|source| match source.downcast::<rustls::Error>() {
            Ok(error) => AccessError::Tls(*error),
            Err(source) => AccessError::Damaged { path: "memory".into(), source },
        })?;
        Ok(Self { kept, tls })
    }

    /// The key in a file, which is made with mode 0600 where there is none: a kubeconfig stays good over restarts.
    ///
    /// Errors: the file is somebody else's, others may write to it, it is damaged, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, AccessError> {
        let damaged =
            |source: Box<dyn std::error::Error + Send + Sync>| AccessError::Damaged { path: path.to_owned(), source };
        let kept = match private::read(path)? {
            Some(text) => serde_json::from_str(&text).map_err(|error| damaged(error.into()))?,
            None => {
                let kept = Kept::generate()?;
                let text = serde_json::to_string_pretty(&kept).expect("texts only");
                private::write(path, text)?;
                kept
            }
        };
        let tls = kept.tls().map_err(damaged)?;
        Ok(Self { kept, tls })
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        &self.kept.token
    }

    /// Whether `given` is the token; takes as long for any of the same length.
    pub(super) fn admits(&self, given: &str) -> bool {
        given.as_bytes().ct_eq(self.kept.token.as_bytes()).into()
    }

    /// How it speaks TLS, with its certificate.
    pub fn tls(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.tls)
    }

    /// The configuration with which `kubectl` and others reach a server at `address`. It holds the token. Its namespace is
    /// `argo`.
    pub fn kubeconfig(&self, address: SocketAddr) -> String {
        self.kubeconfig_of(address, "argo")
    }

    /// As [`kubeconfig`](Self::kubeconfig), of another namespace.
    pub fn kubeconfig_of(&self, address: SocketAddr, namespace: &str) -> String {
        let Kept { token, authority, .. } = &self.kept;
        let authority = STANDARD.encode(pem(authority));
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: argosy\n  cluster:\n    server: https://{address}\n    certificate-authority-data: {authority}\n\
             users:\n\
             - name: argosy\n  user:\n    token: {token}\n\
             contexts:\n\
             - name: argosy\n  context:\n    cluster: argosy\n    user: argosy\n    namespace: {namespace}\n\
             current-context: argosy\n"
        )
    }
}

fn pem(base64: &str) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in base64.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

impl Kept {
    fn generate() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "argosy dev authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);

        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        params.subject_alt_names.extend(loopback.map(SanType::IpAddress));
        params.distinguished_name.push(DnType::CommonName, "argosy dev");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Self {
            // Two random ids: 244 random bits, from the system's generator.
            token: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            authority: STANDARD.encode(authority.der()),
            certificate: STANDARD.encode(certificate.der()),
            key: STANDARD.encode(key.serialized_der()),
        })
    }

    fn tls(&self) -> Result<Arc<rustls::ServerConfig>, Box<dyn std::error::Error + Send + Sync>> {
        if self.token.len() < 32 {
            return Err("the token is too short".into());
        }
        let certificate = CertificateDer::from(STANDARD.decode(&self.certificate)?);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(STANDARD.decode(&self.key)?));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
