//! Connecting, and the streams on the server.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions};

use super::{Options, Storage, failed};
use crate::{Error, Stream, origin_of_now, subject};

/// How long the server remembers message ids.
const DEDUP_WINDOW: Duration = Duration::from_secs(120);
/// Metadata of a stream: how many shards its subjects are of.
const SHARDS: &str = "argosy-shards";
/// Tries against others who create the same stream.
const RACES_MAX: u32 = 4;
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

/// Creates the streams and the bucket of leases, or brings those that are there to the options. Names those that were
/// created.
pub(super) async fn create(context: &Context, options: &Options) -> Result<Vec<String>, Error> {
    let mut created = Vec::new();
    for config in Stream::ALL.map(|stream| config(stream, options)).into_iter().chain([leases(options)]) {
        let name = config.name.clone();
        if ensure(context, config).await? {
            created.push(name);
        }
    }
    Ok(created)
}

/// A new stream begins at an origin of its own, which an update must leave as it is. True when it is new.
async fn ensure(context: &Context, mut config: Config) -> Result<bool, Error> {
    for _ in 0..RACES_MAX {
        let found = match context.get_stream(&config.name).await {
            Ok(stream) => Some(stream.cached_info().config.clone()),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(answer) if answer.error_code() == ErrorCode::STREAM_NOT_FOUND => None,
                GetStreamErrorKind::JetStream(answer) => return Err(failed("look for a stream", answer)),
                _ => return Err(failed("look for a stream", error)),
            },
        };
        if let Some(found) = found {
            config.first_sequence = found.first_sequence;
            match (found.metadata.get(SHARDS), config.metadata.get(SHARDS)) {
                (Some(found), Some(wanted)) if found != wanted => {
                    let text = format!("`{}` was made for {found} shards, not {wanted}", config.name);
                    return Err(Error::Refused { doing: "open the streams", source: text.into() });
                }
                // Whoever does not ask must not make others forget.
                (Some(found), None) => _ = config.metadata.insert(SHARDS.to_owned(), found.clone()),
                (Some(_) | None, _) => {}
            }
            let updated = context.update_stream(&config).await;
            return updated.map(|_| false).map_err(|error| failed("update a stream", error));
        }
        config.first_sequence = Some(origin_of_now() + 1);
        match context.create_stream(config.clone()).await {
            Ok(_) => return Ok(true),
            // Another process was faster.
            Err(error) if matches!(error.kind(), CreateStreamErrorKind::JetStream(answer) if answer.error_code() == ErrorCode::STREAM_NAME_EXIST) =>
                {}
            Err(error) => return Err(failed("create a stream", error)),
        }
    }
    Err(Error::Unavailable { doing: "create a stream", source: None })
}

/// What lies before the first message that the stream as it is now can have had.
pub(super) async fn origin(context: &Context, stream: &str) -> Result<u64, Error> {
    let found = context.get_stream(stream).await.map_err(|error| failed("look for a stream", error))?;
    Ok(found.cached_info().config.first_sequence.unwrap_or(1).saturating_sub(1))
}

fn config(stream: Stream, options: &Options) -> Config {
    let bytes_max = options.stream_bytes_max.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    Config {
        name: options.prefix.stream(stream),
        subjects: vec![options.prefix.wrap(&subject::of_stream(stream))],
        retention: if stream.is_work_queue() { RetentionPolicy::WorkQueue } else { RetentionPolicy::Limits },
        discard: DiscardPolicy::New,
        max_bytes: bytes_max,
        storage: storage(options),
        num_replicas: options.replicas,
        duplicate_window: DEDUP_WINDOW,
        allow_direct: true,
        metadata: options.shards.map(|shards| (SHARDS.to_owned(), shards.to_string())).into_iter().collect(),
        ..Config::default()
    }
}

/// A bucket as NATS's own tools know it, with an origin.
fn leases(options: &Options) -> Config {
    let bucket = options.prefix.bucket();
    Config {
        subjects: vec![format!("$KV.{bucket}.>")],
        name: format!("KV_{bucket}"),
        description: Some("leases of shards".to_owned()),
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        storage: storage(options),
        num_replicas: options.replicas,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        allow_message_ttl: true,
        subject_delete_marker_ttl: Some(LAPSED_LEASE_KEPT),
        ..Config::default()
    }
}

fn storage(options: &Options) -> StorageType {
    match options.storage {
        Storage::File => StorageType::File,
        Storage::Memory => StorageType::Memory,
    }
}
