//! What the log of a durable bus is made of, version 1.
//!
//! A record is a tag and its fields: integers little-endian, texts and bytes with a 32-bit length before them. Tags and
//! fields never change their meaning; `tests/data/bus-log-v1.log` is read by every later version.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::Stream;

/// A change of the bus's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A message was stored.
    Stored {
        stream: Stream,
        sequence: u64,
        subject: String,
        id: String,
        headers: BTreeMap<String, String>,
        payload: Bytes,
    },
    /// A consumer is done with a message.
    Settled { stream: Stream, consumer: String, sequence: u64 },
    /// A message of a work queue is done.
    Removed { stream: Stream, sequence: u64 },
    /// Messages were purged.
    Purged { stream: Stream, filter: String, up_to: u64 },
    /// A consumer, as it stands: everything up to `position` but `pending` is settled or does not fit.
    Consumer {
        stream: Stream,
        name: String,
        filter: String,
        ack_wait_ms: u64,
        max_ack_pending: u64,
        position: u64,
        pending: Vec<u64>,
    },
    /// A consumer was removed.
    Forgotten { stream: Stream, name: String },
    /// A lease was taken anew.
    Epoch { lease: String, epoch: u64 },
    /// The newest sequence ever given out, when its message is no longer stored.
    Last { stream: Stream, sequence: u64 },
    /// An id that is still remembered while its message is no longer stored.
    Remembered { stream: Stream, id: String, sequence: u64 },
    /// Where the stream began, see `Bus::origin`.
    Origin { stream: Stream, sequence: u64 },
    /// Messages of one stream that were stored together: all of them are there, or none. `Stored` only, at least one.
    Batch(Vec<Record>),
    /// An entry of the quarantine was put; `head` is everything but its payload.
    Quarantined { key: String, head: String, payload: Bytes },
    /// An entry of the quarantine was taken away.
    Dismissed { key: String },
}

const STORED: u8 = 1;
const SETTLED: u8 = 2;
const REMOVED: u8 = 3;
const PURGED: u8 = 4;
const CONSUMER: u8 = 5;
const FORGOTTEN: u8 = 6;
const EPOCH: u8 = 7;
const LAST: u8 = 8;
const REMEMBERED: u8 = 9;
const ORIGIN: u8 = 10;
const BATCH: u8 = 11;
const QUARANTINED: u8 = 12;
const DISMISSED: u8 = 13;

/// Appends the fields of a record.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    fn tag(&mut self, tag: u8, stream: Stream) -> &mut Self {
        let stream = match stream {
            Stream::Observed => 0,
            Stream::Commands => 1,
            Stream::Events => 2,
            Stream::Nodes => 3,
        };
        self.0.extend([tag, stream]);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).expect("messages are limited far below 4 GiB");
        self.0.extend(length.to_le_bytes());
        self.0.extend(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn stored(
        &mut self,
        stream: Stream,
        sequence: u64,
        subject: &str,
        id: &str,
        headers: &BTreeMap<String, String>,
        payload: &[u8],
    ) {
        self.tag(STORED, stream)
            .number(sequence)
            .bytes(subject.as_bytes())
            .bytes(id.as_bytes())
            .number(headers.len() as u64);
        for (name, value) in headers {
            self.bytes(name.as_bytes()).bytes(value.as_bytes());
        }
        self.bytes(payload);
    }

    /// Begins a batch of `count` messages, each of which follows as a record of its own.
    pub(crate) fn batch(&mut self, stream: Stream, count: usize) {
        self.tag(BATCH, stream).number(count as u64);
    }

    /// The next message of a batch.
    pub(crate) fn part(&mut self, write: impl FnOnce(Writer<'_>)) {
        let mut body = Vec::new();
        write(Writer(&mut body));
        self.bytes(&body);
    }

    pub(crate) fn settled(&mut self, stream: Stream, consumer: &str, sequence: u64) {
        self.tag(SETTLED, stream).text(consumer).number(sequence);
    }

    pub(crate) fn record(&mut self, record: &Record) {
        match record {
            Record::Stored { stream, sequence, subject, id, headers, payload } => {
                self.stored(*stream, *sequence, subject, id, headers, payload);
            }
            Record::Settled { stream, consumer, sequence } => {
                self.settled(*stream, consumer, *sequence);
            }
            Record::Removed { stream, sequence } => {
                self.tag(REMOVED, *stream).number(*sequence);
            }
            Record::Purged { stream, filter, up_to } => {
                self.tag(PURGED, *stream).text(filter).number(*up_to);
            }
            Record::Consumer { stream, name, filter, ack_wait_ms, max_ack_pending, position, pending } => {
                self.tag(CONSUMER, *stream).text(name).text(filter);
                self.number(*ack_wait_ms).number(*max_ack_pending).number(*position);
                self.number(pending.len() as u64);
                for sequence in pending {
                    self.number(*sequence);
                }
            }
            Record::Forgotten { stream, name } => {
                self.tag(FORGOTTEN, *stream).text(name);
            }
            Record::Epoch { lease, epoch } => {
                self.tag(EPOCH, Stream::Observed).text(lease).number(*epoch);
            }
            Record::Last { stream, sequence } => {
                self.tag(LAST, *stream).number(*sequence);
            }
            Record::Batch(records) => {
                self.batch(record.stream(), records.len());
                for record in records {
                    self.part(|mut part| part.record(record));
                }
            }
            Record::Quarantined { key, head, payload } => {
                self.tag(QUARANTINED, Stream::Observed).text(key).text(head).bytes(payload);
            }
            Record::Dismissed { key } => {
                self.tag(DISMISSED, Stream::Observed).text(key);
            }
            Record::Remembered { stream, id, sequence } => {
                self.tag(REMEMBERED, *stream).text(id).number(*sequence);
            }
            Record::Origin { stream, sequence } => {
                self.tag(ORIGIN, *stream).number(*sequence);
            }
        }
    }
}

/// Takes fields from the front of a record.
struct Reader(Bytes);

impl Reader {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        let bytes = self.take(8)?;
        bytes.as_ref().try_into().ok().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let length = u32::from_le_bytes(self.take(4)?.as_ref().try_into().ok()?);
        self.take(usize::try_from(length).ok()?)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.into()).ok()
    }
}

impl Record {
    /// The stream it speaks of; epochs and the quarantine speak of none, and say OBSERVED.
    pub(crate) fn stream(&self) -> Stream {
        match self {
            Self::Stored { stream, .. }
            | Self::Settled { stream, .. }
            | Self::Removed { stream, .. }
            | Self::Purged { stream, .. }
            | Self::Consumer { stream, .. }
            | Self::Forgotten { stream, .. }
            | Self::Last { stream, .. }
            | Self::Remembered { stream, .. }
            | Self::Origin { stream, .. } => *stream,
            Self::Batch(records) => records.first().map_or(Stream::Observed, Self::stream),
            Self::Epoch { .. } | Self::Quarantined { .. } | Self::Dismissed { .. } => Stream::Observed,
        }
    }

    /// Reads a record; `None` when it is not one of version 1.
    pub(crate) fn read(bytes: Bytes) -> Option<Self> {
        let mut reader = Reader(bytes);
        let tag = reader.byte()?;
        let stream = match reader.byte()? {
            0 => Stream::Observed,
            1 => Stream::Commands,
            2 => Stream::Events,
            3 => Stream::Nodes,
            _ => return None,
        };
        let record = match tag {
            STORED => {
                let (sequence, subject, id) = (reader.number()?, reader.text()?, reader.text()?);
                let mut headers = BTreeMap::new();
                for _ in 0..reader.number()? {
                    headers.insert(reader.text()?, reader.text()?);
                }
                Self::Stored { stream, sequence, subject, id, headers, payload: reader.bytes()? }
            }
            SETTLED => Self::Settled { stream, consumer: reader.text()?, sequence: reader.number()? },
            REMOVED => Self::Removed { stream, sequence: reader.number()? },
            PURGED => Self::Purged { stream, filter: reader.text()?, up_to: reader.number()? },
            CONSUMER => {
                let (name, filter) = (reader.text()?, reader.text()?);
                let (ack_wait_ms, max_ack_pending, position) = (reader.number()?, reader.number()?, reader.number()?);
                let mut pending = Vec::new();
                for _ in 0..reader.number()? {
                    pending.push(reader.number()?);
                }
                Self::Consumer { stream, name, filter, ack_wait_ms, max_ack_pending, position, pending }
            }
            FORGOTTEN => Self::Forgotten { stream, name: reader.text()? },
            EPOCH => Self::Epoch { lease: reader.text()?, epoch: reader.number()? },
            LAST => Self::Last { stream, sequence: reader.number()? },
            REMEMBERED => Self::Remembered { stream, id: reader.text()?, sequence: reader.number()? },
            ORIGIN => Self::Origin { stream, sequence: reader.number()? },
            BATCH => {
                let mut records = Vec::new();
                for _ in 0..reader.number()? {
                    let record = Self::read(reader.bytes()?)?;
                    if !matches!(&record, Self::Stored { stream: of, .. } if *of == stream) {
                        return None;
                    }
                    records.push(record);
                }
                if records.is_empty() {
                    return None;
                }
                Self::Batch(records)
            }
            QUARANTINED => Self::Quarantined { key: reader.text()?, head: reader.text()?, payload: reader.bytes()? },
            DISMISSED => Self::Dismissed { key: reader.text()? },
            _ => return None,
        };
        reader.0.is_empty().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_a_round_trip_and_cuts_are_noticed() {
        let stream = Stream::Commands;
        let headers = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let (name, filter, id) = ("c-1".to_owned(), "argosy.command.1.>".to_owned(), "u:1:0".to_owned());
        let stored = |sequence| Record::Stored {
            stream,
            sequence,
            subject: "s".into(),
            id: id.clone(),
            headers: headers.clone(),
            payload: vec![1, 2, 3].into(),
        };
        for record in [
            stored(7),
            Record::Settled { stream, consumer: name.clone(), sequence: 1 },
            Record::Removed { stream, sequence: u64::MAX },
            Record::Purged { stream, filter: filter.clone(), up_to: 3 },
            Record::Consumer {
                stream,
                name: name.clone(),
                filter,
                ack_wait_ms: 30,
                max_ack_pending: 4,
                position: 9,
                pending: vec![3, 5],
            },
            Record::Forgotten { stream, name },
            Record::Epoch { lease: "shard-1".into(), epoch: 4 },
            Record::Last { stream, sequence: 5 },
            Record::Remembered { stream, id: id.clone(), sequence: 2 },
            Record::Origin { stream, sequence: 6 },
            Record::Batch(vec![stored(1), stored(2)]),
            Record::Quarantined { key: "u.OBSERVED.7".into(), head: "{}".into(), payload: vec![9].into() },
            Record::Dismissed { key: "u.OBSERVED.7".into() },
        ] {
            let mut bytes = Vec::new();
            Writer(&mut bytes).record(&record);
            let read = Record::read(bytes.clone().into());
            assert_eq!(read.as_ref(), Some(&record));
            for length in 0..bytes.len() {
                assert_eq!(Record::read(bytes[..length].to_vec().into()), None, "{record:?} cut to {length}");
            }
        }
    }
}
