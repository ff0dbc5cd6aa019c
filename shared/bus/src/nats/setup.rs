//! Connecting, and the streams on the server.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, kv};
use async_nats::{Client, ConnectErrorKind, ConnectOptions};

use super::leases::BUCKET;
use super::{Options, Storage, failed};
use crate::{Error, Stream, subject};

/// How long the server remembers message ids.
const DEDUP_WINDOW: Duration = Duration::from_secs(120);
/// How long the trace of a lapsed lease stays in the bucket.
const LAPSED_LEASE_KEPT: Duration = Duration::from_secs(60);

pub(super) async fn connect(url: &str, options: &Options) -> Result<Client, Error> {
    let mut connect = ConnectOptions::new().name(&options.name).request_timeout(Some(options.request_timeout));
    if let Some(file) = &options.credentials_file {
        let storage = |source| Error::Storage { doing: "read the NATS credentials", path: file.clone(), source };
        connect = connect.credentials_file(file).await.map_err(storage)?;
    }
    if let Some(file) = &options.root_certificates {
        connect = connect.add_root_certificates(file.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &options.client_certificate {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    let servers: Vec<&str> = url.split(',').map(str::trim).collect();
    let client = connect.connect(servers).await.map_err(|error| match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::ServerParse => {
            Error::Refused { doing: "connect to NATS", source: error.into() }
        }
        _ => Error::Unavailable { doing: "connect to NATS", source: Some(error.into()) },
    })?;
    if client.is_server_compatible(2, 12, 0) {
        Ok(client)
    } else {
        let found = format!("the server has version {}, 2.12 is needed", client.server_info().version);
        Err(Error::Refused { doing: "connect to NATS", source: found.into() })
    }
}

pub(super) async fn create(context: &Context, options: &Options) -> Result<(), Error> {
    for stream in Stream::ALL {
        let created = context.create_or_update_stream(config(stream, options)).await;
        created.map_err(|error| failed("create a stream", error))?;
    }
    let bucket = kv::Config {
        bucket: BUCKET.to_owned(),
        description: "leases of shards".to_owned(),
        history: 1,
        storage: storage(options),
        num_replicas: options.replicas,
        limit_markers: Some(LAPSED_LEASE_KEPT),
        ..kv::Config::default()
    };
    let created = context.create_or_update_key_value(bucket).await;
    created.map(drop).map_err(|error| failed("create the bucket of leases", error))
}

fn config(stream: Stream, options: &Options) -> Config {
    let bytes_max = options.stream_bytes_max.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    Config {
        name: stream.name().to_owned(),
        subjects: vec![subject::of_stream(stream)],
        retention: if stream.is_work_queue() { RetentionPolicy::WorkQueue } else { RetentionPolicy::Limits },
        discard: DiscardPolicy::New,
        max_bytes: bytes_max,
        storage: storage(options),
        num_replicas: options.replicas,
        duplicate_window: DEDUP_WINDOW,
        allow_direct: true,
        ..Config::default()
    }
}

fn storage(options: &Options) -> StorageType {
    match options.storage {
        Storage::File => StorageType::File,
        Storage::Memory => StorageType::Memory,
    }
}
