//! The stored sample of version 1: every kind of record, as the first version wrote it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::record::{Record, Writer};
use super::segment::{self, Start};
use crate::Stream;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bus-log-v1.log")
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
fn the_sample_of_version_1_is_read() {
    let content = segment::read(&sample()).expect("the sample is whole");
    assert_eq!((content.start, content.torn), (Start::Whole, 0));
    let read: Vec<Record> = content.bodies.into_iter().filter_map(Record::read).collect();
    assert_eq!(read, records());
}

#[test]
fn version_1_is_written_as_in_the_sample() {
    let mut frames = Vec::new();
    for record in records() {
        segment::frame(&mut frames, |body| Writer(body).record(&record));
    }
    let dir = tempfile::tempdir().unwrap();
    segment::create(dir.path(), 1, Start::Whole, &frames).unwrap();
    let written = std::fs::read(segment::path(dir.path(), 1)).unwrap();
    assert!(written == std::fs::read(sample()).unwrap(), "the stored format changed without a new version");
}
