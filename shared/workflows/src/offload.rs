//! Where the nodes of a workflow are kept that do not fit into its object, and how they are read from wherever they are.
//!
//! The object then names a version in `status.offloadNodeStatusVersion`, as in Argo, and has no nodes. A version never
//! changes, and is never used again once it was replaced. ADR 017 says who writes and removes what, and when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argosy_actor::{HEADER_NAME, HEADER_NAMESPACE, Host};
use argosy_bus::{Error as BusError, Message, Publish, Stream, subject};
use async_trait::async_trait;
use bytes::Bytes;

use crate::WorkflowKey;

/// Bytes that the nodes of one workflow may have, compressed. 100,000 nodes have about a fifth of it.
pub const BYTES_MAX: usize = 32 << 20;
/// Bytes of one message: half of what NATS takes when it was not told otherwise.
const CHUNK_BYTES: usize = 512 << 10;
/// Messages read at once.
const PAGE: usize = 16;
/// Header: names the write that a chunk belongs to.
const HEADER_PUT: &str = "argosy-put";
/// Header: which chunk of how many, `<index>/<count>`.
const HEADER_CHUNK: &str = "argosy-chunk";
/// Numbers the writes of this process.
static PUTS: AtomicU64 = AtomicU64::new(0);

/// Nodes cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More than [`BYTES_MAX`].
    #[error("its nodes have {0} bytes once compressed, and {BYTES_MAX} can be kept outside of the object")]
    TooLarge(usize),
    /// The bus does not take or give them.
    #[error("keep its nodes on the bus")]
    Bus(#[from] BusError),
}

impl Error {
    /// Whether the same may go well later though nobody does anything. A full stream is no such case: what it holds goes only
    /// with its workflows.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Bus(error) if error.class() == argosy_bus::Class::Transient && !error.is_full())
    }
}

/// Where nodes are kept, by workflow and version.
#[async_trait]
pub trait Offload: Send + Sync {
    /// Stores the compressed nodes; returns when they are stored. A repeat is harmless.
    ///
    /// Errors: `TooLarge`; `Bus`, which leaves open whether they were stored.
    async fn put(&self, key: &WorkflowKey, version: &str, nodes: &str) -> Result<(), Error>;

    /// The compressed nodes; `None` when they are not there, or not whole.
    async fn get(&self, uid: &str, version: &str) -> Result<Option<String>, Error>;

    /// Removes a version. Removing one that is not there succeeds.
    async fn remove(&self, uid: &str, version: &str) -> Result<(), Error>;

    /// The versions of the workflows of a shard that have been stored for at least `age`.
    async fn older_than(&self, shard: u16, age: Duration) -> Result<Vec<Stored>, Error>;
}

/// A version that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its workflow; `None` when whoever stored it did not say.
    pub key: Option<WorkflowKey>,
    /// The uid of its workflow.
    pub uid: String,
    /// The version.
    pub version: String,
}

/// On the bus: a subject for each version, cut into messages. A write has a name of its own, so that the ids of its messages
/// are never those of a version that was removed, which the bus would take for stored.
#[async_trait]
impl Offload for Host {
    async fn put(&self, key: &WorkflowKey, version: &str, nodes: &str) -> Result<(), Error> {
        if nodes.len() > BYTES_MAX {
            return Err(Error::TooLarge(nodes.len()));
        }
        let subject = nodes_subject(self, &key.uid, version);
        let put = format!("{}.{}", self.holder, PUTS.fetch_add(1, Ordering::Relaxed));
        let chunks: Vec<_> = nodes.as_bytes().chunks(CHUNK_BYTES).collect();
        let message = |(index, chunk): (usize, &&[u8])| {
            let id = format!("{}:nodes:{put}:{index}", key.uid);
            Publish::new(Stream::Nodes, &subject, id, Bytes::copy_from_slice(chunk))
                .header(HEADER_PUT, &put)
                .header(HEADER_CHUNK, format!("{index}/{}", chunks.len()))
                .header(HEADER_NAMESPACE, &key.namespace)
                .header(HEADER_NAME, &key.name)
        };
        let messages = chunks.iter().enumerate().map(message).collect();
        self.bus.publish_all(messages).await?;
        Ok(())
    }

    async fn get(&self, uid: &str, version: &str) -> Result<Option<String>, Error> {
        let subject = nodes_subject(self, uid, version);
        let (mut puts, mut after) = (BTreeMap::<String, BTreeMap<usize, Bytes>>::new(), 0);
        loop {
            let page = self.bus.read(Stream::Nodes, &subject, after, PAGE).await?;
            let Some(newest) = page.last().map(|message| message.sequence) else {
                return Ok(None);
            };
            after = newest;
            for message in page {
                let Some((put, index, count)) = place_of(&message) else { continue };
                let chunks = puts.entry(put).or_default();
                chunks.insert(index, message.payload);
                if chunks.len() == count {
                    let chunks: Vec<_> = chunks.values().map(AsRef::as_ref).collect();
                    return Ok(String::from_utf8(chunks.concat()).ok());
                }
            }
        }
    }

    async fn remove(&self, uid: &str, version: &str) -> Result<(), Error> {
        let subject = nodes_subject(self, uid, version);
        let newest = self.bus.last_sequence(Stream::Nodes, &subject).await?;
        if newest > 0 {
            self.bus.purge(Stream::Nodes, &subject, newest).await?;
        }
        Ok(())
    }

    async fn older_than(&self, shard: u16, age: Duration) -> Result<Vec<Stored>, Error> {
        let filter = subject::Nodes::of_shard(shard);
        let old = self.bus.older_than(Stream::Nodes, &filter, age).await?;
        let mut found = Vec::new();
        if old == 0 {
            return Ok(found);
        }
        for text in self.bus.subjects(Stream::Nodes, &filter).await? {
            if self.bus.last_sequence(Stream::Nodes, &text).await? > old {
                continue;
            }
            let subject::Nodes { uid, version, .. } = text.parse()?;
            let first = self.bus.read(Stream::Nodes, &text, 0, 1).await?;
            let key = first.first().and_then(|message| WorkflowKey::of(&uid, &message.headers));
            found.push(Stored { key, uid, version });
        }
        Ok(found)
    }
}

fn nodes_subject(host: &Host, uid: &str, version: &str) -> String {
    subject::Nodes { shard: host.shard_of(uid), uid: uid.to_owned(), version: version.to_owned() }.to_string()
}

/// The write of a chunk, which it is, and of how many.
fn place_of(message: &Message) -> Option<(String, usize, usize)> {
    let (index, count) = message.headers.get(HEADER_CHUNK)?.split_once('/')?;
    let (index, count) = (index.parse().ok()?, count.parse().ok()?);
    (index < count).then(|| Some((message.headers.get(HEADER_PUT)?.clone(), index, count)))?
}

#[cfg(test)]
mod tests;
