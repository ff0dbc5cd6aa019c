//! Connecting, and the streams on the server.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};

use super::{Options, Storage, failed};
use crate::{Error, Stream, origin_of_now, subject};

/// How long the server remembers message ids.
pub(super) const DEDUP_WINDOW: Duration = Duration::from_secs(120);
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
    // The client library takes who one is from its options alone.
    if let Some(server) =
        servers.iter().filter_map(|text| text.parse::<ServerAddr>().ok()).find(ServerAddr::has_user_pass)
    {
        let user = server.username().unwrap_or_default().to_owned();
        connect = match server.password() {
            Some(password) => connect.user_and_password(user, password.to_owned()),
            None => connect.token(user),
        };
    }
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

/// Creates the streams and the buckets of leases and of the quarantine, or brings those that are there to the options. Names those that were
/// created.
pub(super) async fn create(context: &Context, options: &Options) -> Result<Vec<String>, Error> {
    let mut created = Vec::new();
    for config in
        Stream::ALL.map(|stream| config(stream, options)).into_iter().chain([leases(options), quarantine(options)])
    {
        let name = config.name.clone();
        if ensure(context, config).await? {
            created.push(name);
        }
    }
    Ok(created)
}

/// Looks whether the installation is there, and makes nothing.
///
/// Errors: `Refused` when it is not; `Unavailable`.
pub(super) async fn find(context: &Context, options: &Options) -> Result<(), Error> {
    for config in Stream::ALL.map(|stream| config(stream, options)).into_iter().chain([quarantine(options)]) {
        match context.get_stream(&config.name).await {
            Ok(_) => {}
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(answer) if answer.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    let text =
                        format!("the server has no installation `{}`: no stream {}", options.prefix, config.name);
                    return Err(Error::Refused { doing: "open the streams", source: text.into() });
                }
                GetStreamErrorKind::JetStream(answer) => return Err(failed("look for a stream", answer)),
                _ => return Err(failed("look for a stream", error)),
            },
        }
    }
    Ok(())
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
            let wanted = kept_or_raised(&found, config)?;
            if wanted == found {
                return Ok(false);
            }
            let updated = context.update_stream(&wanted).await;
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

/// The stream as it is, with what this program cannot do without. Limits that somebody has raised stay, and whatever else
/// differs stays too and is logged: an operator who tuned a stream finds it tuned after the next start.
///
/// Errors: `Refused` when the stream was made for another number of shards.
fn kept_or_raised(found: &Config, ours: Config) -> Result<Config, Error> {
    match (found.metadata.get(SHARDS), ours.metadata.get(SHARDS)) {
        (Some(found), Some(wanted)) if found != wanted => {
            let text = format!("`{}` was made for {found} shards, not {wanted}", ours.name);
            return Err(Error::Refused { doing: "open the streams", source: text.into() });
        }
        (Some(_) | None, _) => {}
    }
    let mut wanted = found.clone();
    // Whoever does not ask for a number of shards must not make others forget it.
    wanted.metadata.extend(ours.metadata);
    let missing = ours.subjects.into_iter().filter(|subject| !found.subjects.contains(subject));
    wanted.subjects.extend(missing);
    wanted.max_bytes = larger(found.max_bytes, ours.max_bytes);
    wanted.max_messages = larger(found.max_messages, ours.max_messages);
    wanted.num_replicas = found.num_replicas.max(ours.num_replicas);
    wanted.duplicate_window = found.duplicate_window.max(ours.duplicate_window);
    wanted.allow_direct |= ours.allow_direct;
    wanted.allow_atomic_publish |= ours.allow_atomic_publish;
    wanted.allow_rollup |= ours.allow_rollup;
    wanted.allow_message_ttl |= ours.allow_message_ttl;
    wanted.subject_delete_marker_ttl = found.subject_delete_marker_ttl.or(ours.subject_delete_marker_ttl);
    let lossy = found.discard != ours.discard
        || found.retention != ours.retention
        || found.max_age != ours.max_age
        || limit(found.max_messages_per_subject) != limit(ours.max_messages_per_subject);
    if lossy {
        tracing::error!(
            stream = ours.name,
            discard = ?found.discard,
            retention = ?found.retention,
            max_age = ?found.max_age,
            max_messages_per_subject = found.max_messages_per_subject,
            "the stream was changed so that it may lose messages that are still needed"
        );
    }
    if wanted.max_bytes != ours.max_bytes || wanted.num_replicas != ours.num_replicas || found.storage != ours.storage {
        tracing::info!(
            stream = ours.name,
            max_bytes = wanted.max_bytes,
            replicas = wanted.num_replicas,
            storage = ?found.storage,
            "the stream keeps limits that differ from the options"
        );
    }
    Ok(wanted)
}

/// A limit of a stream as a number that can be compared: servers write -1 or 0 for none.
fn limit(limit: i64) -> i64 {
    limit.max(0)
}

/// The limit that is there, or ours when that is larger. -1 is no limit when it is there, and no wish when it is ours.
fn larger(found: i64, ours: i64) -> i64 {
    if found <= 0 || ours <= 0 { found } else { found.max(ours) }
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
        allow_atomic_publish: true,
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

/// The bucket of the quarantine. When it is full the oldest entry leaves.
fn quarantine(options: &Options) -> Config {
    let bucket = options.prefix.quarantine();
    Config {
        subjects: vec![format!("$KV.{bucket}.>")],
        name: format!("KV_{bucket}"),
        description: Some("messages and workflows that nobody could deal with".to_owned()),
        max_messages_per_subject: 1,
        max_messages: i64::from(options.quarantine_entries_max),
        max_bytes: i64::from(options.quarantine_bytes_max),
        discard: DiscardPolicy::Old,
        storage: storage(options),
        num_replicas: options.replicas,
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
