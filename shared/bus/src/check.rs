//! Checks that every implementation makes before it does anything, so that all refuse the same.

use std::collections::HashSet;
use std::time::Duration;

use crate::subject::Filter;
use crate::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, ConsumerSpec, Deliver, Error, Fence, Publish};

/// Most bytes of headers, names, values and what surrounds them, the bus's own included: NATS counts them in 16 bits.
pub const HEADERS_BYTES_MAX: usize = 65_535;
/// Room for the headers that the NATS bus adds to a message, next to its id and to the filter of its fence: the first line,
/// the name of the stream, the expected sequence, and a batch's id, place and end; names, values and line ends.
const OWN_HEADER_BYTES: usize = 512;

/// Shortest time to live of a lease: NATS counts in whole seconds.
pub(crate) const TTL_MIN: Duration = Duration::from_secs(1);
pub(crate) const OTHER_FILTER: &str = "exists with another filter";
pub(crate) const OVERLAP: &str = "its filter overlaps that of another consumer of the work queue";

/// Checks a message; gives its fence in parsed form. `bytes_max` is the server's largest payload, headers included.
pub(crate) fn check_publish(message: &Publish, bytes_max: usize) -> Result<Option<(Filter, u64)>, Error> {
    let fence_bytes = message.expect.as_ref().map_or(0, |expect| expect.filter.len());
    check_message(message, fence_bytes, bytes_max)?;
    let Some(expect) = &message.expect else {
        return Ok(None);
    };
    let filter = Filter::of(message.stream, &expect.filter)?;
    if !filter.matches(&message.subject) {
        let reason = "the expectation's filter does not match the subject";
        return Err(Error::BadSubject { subject: message.subject.clone(), reason });
    }
    Ok(Some((filter, expect.last_sequence)))
}

/// Checks a batch that is not empty; gives the filter of its fence.
pub(crate) fn check_batch(batch: &[Publish], fence: &Fence, bytes_max: usize) -> Result<Filter, Error> {
    let stream = batch.first().map(|message| message.stream).expect("the caller answers an empty batch itself");
    let filter = Filter::of(stream, &fence.filter)?;
    let mut ids = HashSet::new();
    for message in batch {
        let bad = |reason| Err(Error::BadSubject { subject: message.subject.clone(), reason });
        check_message(message, fence.filter.len(), bytes_max)?;
        if message.stream != stream {
            return bad("the messages of a batch are of more than one stream");
        }
        if message.expect.is_some() {
            return bad("a message of a batch has an expectation of its own");
        }
        if !filter.matches(&message.subject) {
            return bad("the fence's filter does not match the subject");
        }
        if !ids.insert(message.id.as_str()) {
            return bad("two messages of a batch have one id");
        }
    }
    let bytes = batch.iter().map(size_of).sum();
    if batch.len() > BATCH_MESSAGES_MAX || bytes > BATCH_BYTES_MAX {
        let limit = format!("the bus takes {BATCH_MESSAGES_MAX} messages and {BATCH_BYTES_MAX} bytes at once");
        return Err(Error::BatchTooLarge { messages: batch.len(), bytes, limit });
    }
    Ok(filter)
}

fn check_message(message: &Publish, fence_bytes: usize, bytes_max: usize) -> Result<(), Error> {
    let bad = |reason| Error::BadSubject { subject: message.subject.clone(), reason };
    if !Filter::of(message.stream, &message.subject)?.is_exact() {
        return Err(bad("wildcard in the subject of a message"));
    }
    if message.id.is_empty() || !is_header_value(&message.id) {
        return Err(bad("the message's id is empty or not fit for a header"));
    }
    for (name, value) in &message.headers {
        let reserved = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"));
        if reserved || name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            return Err(bad("a header's name is empty, reserved (`Nats-`) or has bytes other than visible ASCII"));
        }
        if !is_header_value(value) {
            return Err(bad("a header's value has control characters, or spaces at its ends"));
        }
    }
    let size = size_of(message) + fence_bytes;
    let headers = size - message.payload.len();
    if headers > HEADERS_BYTES_MAX {
        let subject = message.subject.clone();
        return Err(Error::HeadersTooLarge { subject, size: headers, limit: HEADERS_BYTES_MAX });
    }
    if size > bytes_max {
        return Err(Error::TooLarge { subject: message.subject.clone(), size, limit: bytes_max });
    }
    Ok(())
}

fn is_header_value(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control()) && text.trim() == text
}

/// Bytes of payload and headers as NATS counts them, with room for the headers that the bus adds.
pub(crate) fn size_of(message: &Publish) -> usize {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    message.payload.len() + message.id.len() + headers + OWN_HEADER_BYTES
}

/// Checks a specification; gives its filter in parsed form.
pub(crate) fn check_consumer(spec: &ConsumerSpec) -> Result<Filter, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if spec.name.is_empty() || spec.name.len() > 128 || !spec.name.bytes().all(plain) {
        let reason = "a consumer's name takes 1 to 128 letters, digits, `-` and `_`";
        return Err(Error::BadSubject { subject: spec.name.clone(), reason });
    }
    let conflict = |reason| Error::ConsumerConflict { stream: spec.stream, name: spec.name.clone(), reason };
    if spec.max_ack_pending == 0 || spec.ack_wait.is_zero() {
        return Err(conflict("max_ack_pending and ack_wait must not be zero"));
    }
    if spec.stream.is_work_queue() && spec.deliver != Deliver::All {
        return Err(conflict("a work queue is consumed from its start"));
    }
    Filter::of(spec.stream, &spec.filter)
}

/// Checks the names of a lease and of its holder.
pub(crate) fn check_lease(name: &str, holder: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'=');
    let reason = if name.is_empty() || !name.bytes().all(plain) || name.starts_with('.') || name.ends_with('.') {
        "a lease's name takes letters, digits and `-_/=.`, with no dot at its ends"
    } else if holder.is_empty() {
        "the lease's holder has no name"
    } else {
        return Ok(());
    };
    Err(Error::BadSubject { subject: name.to_owned(), reason })
}
