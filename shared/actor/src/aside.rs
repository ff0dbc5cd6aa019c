//! Long work off the runtime's own threads, and how to tell that it is long.

use std::io;

use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Bytes of JSON from which on reading, hashing or compressing it takes about a millisecond.
pub const LONG_BYTES: usize = 256 * 1024;

/// What a value that is not a text costs, in bytes of JSON: roughly, and rather too much.
const VALUE_BYTES: usize = 16;

/// The process ends: the work may not have been done.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the process ends")]
pub struct Ended;

/// Does `work`; on a thread of its own when it `is_long`. A panic in it is the caller's. A runtime of one thread does it
/// there: such a runtime is for those who want equal runs, and no seed decides when another thread ends.
///
/// Errors: `Ended`.
pub async fn aside<T: Send + 'static>(is_long: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Ended> {
    if !is_long || Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return Ok(work());
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Ended),
        },
    }
}

/// Whether the JSON of a value has about [`LONG_BYTES`] or more. Looks at no more than that.
pub fn is_long(value: &Value) -> bool {
    left_of(value, LONG_BYTES).is_none()
}

/// What is left of `bytes` behind the value.
fn left_of(value: &Value, bytes: usize) -> Option<usize> {
    let bytes = bytes.checked_sub(VALUE_BYTES)?;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(bytes),
        Value::String(text) => bytes.checked_sub(text.len()),
        Value::Array(items) => items.iter().try_fold(bytes, |bytes, item| left_of(item, bytes)),
        Value::Object(members) => {
            members.iter().try_fold(bytes, |bytes, (name, member)| left_of(member, bytes.checked_sub(name.len())?))
        }
    }
}

/// Bytes of the JSON of a value.
///
/// Errors: none for values that were read from JSON.
pub fn json_bytes(value: &impl serde::Serialize) -> Result<usize, serde_json::Error> {
    let mut bytes = Count(0);
    serde_json::to_writer(&mut bytes, value)?;
    Ok(bytes.0)
}

/// Counts what is written to it.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_long_by_their_texts_or_their_number() {
        assert!(!is_long(&json!({"a": "x".repeat(LONG_BYTES / 2), "b": [1, 2, {"c": null}]})));
        assert!(is_long(&json!({"a": ["x".repeat(LONG_BYTES)]})));
        assert!(is_long(&json!(vec![0; LONG_BYTES / VALUE_BYTES])));
        assert!(is_long(&json!({"x".repeat(LONG_BYTES): 0})));
        assert_eq!(json_bytes(&json!({"a": [1, "\n"]})).ok(), Some(r#"{"a":[1,"\n"]}"#.len()));
    }

    #[tokio::test(flavor = "multi_thread")]
    #[should_panic(expected = "of the work")]
    async fn a_panic_of_long_work_is_that_of_its_caller() {
        _ = aside(true, || panic!("of the work")).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn long_work_leaves_the_thread_and_short_work_stays() {
        let here = std::thread::current().id();
        assert_eq!(aside(false, || std::thread::current().id()).await.ok(), Some(here));
        assert_ne!(aside(true, || std::thread::current().id()).await.ok(), Some(here));
    }
}
