//! Checks that every implementation makes before it does anything, so that all refuse the same.

use std::time::Duration;

use crate::subject::Filter;
use crate::{ConsumerSpec, Deliver, Error, Publish};

/// Shortest time to live of a lease: NATS counts in whole seconds.
pub(crate) const TTL_MIN: Duration = Duration::from_secs(1);
pub(crate) const OTHER_FILTER: &str = "exists with another filter";
pub(crate) const OVERLAP: &str = "its filter overlaps that of another consumer of the work queue";

/// Checks a message; gives its fence in parsed form.
pub(crate) fn check_publish(message: &Publish, bytes_max: usize) -> Result<Option<(Filter, u64)>, Error> {
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
    let size = size_of(message);
    if size > bytes_max {
        return Err(Error::TooLarge { subject: message.subject.clone(), size, limit: bytes_max });
    }
    let Some(expect) = &message.expect else {
        return Ok(None);
    };
    let filter = Filter::of(message.stream, &expect.filter)?;
    if !filter.matches(&message.subject) {
        return Err(bad("the expectation's filter does not match the subject"));
    }
    Ok(Some((filter, expect.last_sequence)))
}

fn is_header_value(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control()) && text.trim() == text
}

/// Bytes of payload and headers, as NATS counts them.
pub(crate) fn size_of(message: &Publish) -> usize {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    message.payload.len() + message.id.len() + headers
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
