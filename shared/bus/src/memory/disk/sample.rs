//! The stored samples of version 1: every kind of record, as the first program that knew it wrote it.
//!
//! A program that does not know a kind yet refuses the log (`Corrupt`), so a directory does not go back to an older one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::record::{Record, Writer};
use super::segment::{self, Start};
use crate::{Quarantined, Stream};

fn samples() -> [(PathBuf, Vec<Record>); 3] {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    [
        (data.join("bus-log-v1.log"), records()),
        (data.join("bus-log-v1-batches.log"), later_records()),
        (data.join("bus-log-v1-nodes.log"), nodes_records()),
    ]
}

/// Those that came with the stream NODES.
fn nodes_records() -> Vec<Record> {
    let subject = "argosy.nodes.3.u.fnv%3a7".to_owned();
    let headers = [("argosy-chunk", "0/1"), ("argosy-put", "h.0")];
    let stored = Record::Stored {
        stream: Stream::Nodes,
        sequence: 2,
        subject: subject.clone(),
        id: "u:nodes:h.0:0".to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        payload: b"H4sI".as_slice().into(),
    };
    vec![stored, Record::Purged { stream: Stream::Nodes, filter: subject, up_to: 2 }]
}

/// Those that came with batches and the quarantine.
fn later_records() -> Vec<Record> {
    let stored = |sequence, headers: &[(&str, &str)]| Record::Stored {
        stream: Stream::Events,
        sequence,
        subject: "argosy.event.3.argo.u.NodeStarted".to_owned(),
        id: format!("u:{sequence}:0"),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        payload: b"{\"schema\":1}".as_slice().into(),
    };
    let key = "u.OBSERVED.7".to_owned();
    let head = "{\"uid\":\"u\",\"namespace\":\"argo\",\"name\":\"hello\",\"reason\":\"why\",\"at\":\"2023-11-14T22:13:20Z\",\
                \"first_at\":\"2023-11-14T22:13:20Z\",\"count\":1,\"message\":{\"stream\":\"OBSERVED\",\
                \"subject\":\"argosy.observed.3.u\",\"sequence\":7,\"id\":\"u:7\",\"headers\":{},\"payload_bytes\":3,\
                \"is_whole\":true}}";
    vec![
        Record::Batch(vec![stored(8, &[("traceparent", "00-1-2-01")]), stored(9, &[])]),
        Record::Quarantined { key: key.clone(), head: head.to_owned(), payload: vec![0xff, 0, 7].into() },
        Record::Dismissed { key },
    ]
}

fn records() -> Vec<Record> {
    let headers = BTreeMap::from([("traceparent".to_owned(), "00-1-2-01".to_owned())]);
    let stored = |stream, sequence, subject: &str, id: &str| Record::Stored {
        stream,
        sequence,
        subject: subject.to_owned(),
        id: id.to_owned(),
        headers: headers.clone(),
        payload: b"{\"schema\":1}".as_slice().into(),
    };
    let (name, filter) = ("scheduler-3".to_owned(), "argosy.observed.3.>".to_owned());
    vec![
        stored(Stream::Observed, 4, "argosy.observed.3.u", "u:4:0"),
        stored(Stream::Commands, 5, "argosy.command.3.u.n", "u:4:1"),
        stored(Stream::Events, 6, "argosy.event.3.argo.u.NodeStarted", "u:4:2"),
        Record::Consumer {
            stream: Stream::Observed,
            name: name.clone(),
            filter: filter.clone(),
            ack_wait_ms: 30_000,
            max_ack_pending: 1024,
            position: 4,
            pending: vec![4],
        },
        Record::Settled { stream: Stream::Observed, consumer: name.clone(), sequence: 4 },
        Record::Removed { stream: Stream::Commands, sequence: 5 },
        Record::Purged { stream: Stream::Events, filter, up_to: 6 },
        Record::Forgotten { stream: Stream::Observed, name },
        Record::Epoch { lease: "shard-3".to_owned(), epoch: 7 },
        Record::Last { stream: Stream::Events, sequence: 9 },
        Record::Remembered { stream: Stream::Events, id: "u:9:0".to_owned(), sequence: 9 },
        Record::Origin { stream: Stream::Commands, sequence: 3 },
    ]
}

#[test]
fn the_samples_of_version_1_are_read() {
    for (path, records) in samples() {
        let content = segment::read(&path).expect("the sample is whole");
        assert_eq!((content.start, content.torn), (Start::Whole, 0));
        let read: Vec<Record> = content.bodies.into_iter().filter_map(Record::read).collect();
        assert_eq!(read, records, "{}", path.display());
    }
}

#[test]
fn version_1_is_written_as_in_the_samples() {
    for (path, records) in samples() {
        let mut frames = Vec::new();
        for record in records {
            segment::frame(&mut frames, |body| Writer(body).record(&record));
        }
        let dir = tempfile::tempdir().unwrap();
        segment::create(dir.path(), 1, Start::Whole, &frames).unwrap();
        let written = std::fs::read(segment::path(dir.path(), 1)).unwrap();
        let sample = std::fs::read(&path).unwrap();
        assert!(written == sample, "the stored format of {} changed without a new version", path.display());
    }
}

#[test]
fn an_entry_of_the_quarantine_is_written_and_read_as_in_the_sample() {
    for record in later_records() {
        if let Record::Quarantined { key, head, payload } = record {
            let entry = Quarantined::of(&head, payload).unwrap();
            assert_eq!((entry.key(), entry.head().unwrap()), (key, head));
        }
    }
}
