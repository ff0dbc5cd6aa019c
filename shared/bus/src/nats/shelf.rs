//! The quarantine: a bucket with one key for each entry.
//!
//! A message's payload is what was quarantined, and the rest of the entry stands in one header, so that NATS's own tools show
//! both.

use async_nats::header;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_trait::async_trait;

use super::{Nats, failed, is_wrong_sequence, read};
use crate::quarantine::{Quarantine, Quarantined, check_key};
use crate::{Error, error::Source};

/// The entry but for its payload.
const HEAD: &str = "Argosy-Quarantine";
/// Tries against others who put the same key.
const RACES_MAX: u32 = 4;
/// Entries read at once: each may be as large as a message.
const PAGE: usize = 64;

impl Nats {
    async fn shelf(&self) -> Result<Stream<()>, Error> {
        let name = format!("KV_{}", self.prefix().quarantine());
        let found = self.context.get_stream_no_info(name).await;
        found.map_err(|source| Error::Refused { doing: "name the quarantine", source: source.into() })
    }

    fn shelf_subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.prefix().quarantine())
    }

    /// The entry of a key and its revision; 0 when there is none.
    async fn entry(&self, key: &str) -> Result<(Option<Quarantined>, u64), Error> {
        match self.shelf().await?.get_last_raw_message_by_subject(&self.shelf_subject(key)).await {
            Ok(message) => Ok((Some(entry_of(&message.headers, message.payload)?), message.sequence)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok((None, 0)),
            Err(error) => Err(failed("read the quarantine", error)),
        }
    }

    async fn put_entry(&self, entry: Quarantined) -> Result<Quarantined, Error> {
        let key = entry.key();
        check_key(&key)?;
        self.say_when_full().await;
        for _ in 0..RACES_MAX {
            let (before, revision) = self.entry(&key).await?;
            let entry = entry.clone().after(before.as_ref());
            let publish = PublishMessage::build()
                .payload(entry.payload())
                .header(HEAD, entry.head()?.as_str())
                .header(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, revision.to_string().as_str());
            let answer = match self.context.send_publish(self.shelf_subject(&key), publish).await {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(_) => return Ok(entry),
                Err(error) if is_wrong_sequence(&error) => {}
                Err(error) => return Err(failed("write the quarantine", error)),
            }
        }
        Err(Error::Unavailable { doing: "write the quarantine", source: Some("others write the same key".into()) })
    }

    /// The server drops the oldest without a word.
    async fn say_when_full(&self) {
        let Ok(shelf) = self.shelf().await else { return };
        let Ok(info) = shelf.get_info().await else { return };
        let (entries, bytes) = (info.config.max_messages, info.config.max_bytes);
        let is_full = |held: u64, limit: i64| u64::try_from(limit).is_ok_and(|limit| limit > 0 && held >= limit);
        // A put of a large entry may need the last part of the room.
        let near = |limit: i64| limit - limit / 16;
        if is_full(info.state.messages, entries) || is_full(info.state.bytes, near(bytes)) {
            let held = info.state.messages;
            tracing::error!(held, entries, bytes, "the quarantine is full: its oldest entries leave for new ones");
        }
    }

    async fn entries(&self, uid: Option<&str>) -> Result<Vec<Quarantined>, Error> {
        let keys = uid.map_or_else(|| ">".to_owned(), |uid| format!("{}>", Quarantined::keys_of(uid)));
        let stream = format!("KV_{}", self.prefix().quarantine());
        let found = read::all(self, &stream, &self.shelf_subject(&keys), PAGE).await?;
        found.into_iter().map(|(headers, payload)| entry_of(&headers, payload)).collect()
    }

    async fn remove_entry(&self, key: &str) -> Result<bool, Error> {
        check_key(key)?;
        let purged = self.shelf().await?.purge().filter(self.shelf_subject(key)).await;
        purged.map(|purged| purged.purged > 0).map_err(|error| failed("write the quarantine", error))
    }
}

#[async_trait]
impl Quarantine for Nats {
    async fn put(&self, entry: Quarantined) -> Result<Quarantined, Error> {
        self.mended(self.put_entry(entry).await).await
    }

    async fn list(&self, uid: Option<&str>) -> Result<Vec<Quarantined>, Error> {
        self.mended(self.entries(uid).await).await
    }

    async fn get(&self, key: &str) -> Result<Option<Quarantined>, Error> {
        check_key(key)?;
        self.mended(self.entry(key).await.map(|(entry, _)| entry)).await
    }

    async fn remove(&self, key: &str) -> Result<bool, Error> {
        self.mended(self.remove_entry(key).await).await
    }
}

fn entry_of(headers: &async_nats::HeaderMap, payload: bytes::Bytes) -> Result<Quarantined, Error> {
    let head = headers.get_last(HEAD).ok_or_else(|| {
        let source: Source = format!("an entry without the header {HEAD}").into();
        Error::Refused { doing: "read the quarantine", source }
    })?;
    Quarantined::of(head.as_str(), payload)
}
