//! Encoded objects, each made once for all its readers, within a memory limit.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::object::Object;

/// Encoded bytes kept in all. Past it the oldest are dropped and would be made again.
const CACHED_BYTES_MAX: usize = 64 << 20;

#[derive(Default)]
pub(crate) struct ByteCache {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: usize,
    objects: VecDeque<(Weak<Object>, usize)>,
}

impl ByteCache {
    pub fn encoded(&self, object: &Arc<Object>) -> Bytes {
        let mut encoded = object.encoded.lock();
        if let Some(bytes) = encoded.as_ref() {
            return bytes.clone();
        }
        let bytes = Bytes::from(object.tree.to_vec());
        *encoded = Some(bytes.clone());
        drop(encoded);
        self.keep(object, bytes.len());
        bytes
    }

    fn keep(&self, object: &Arc<Object>, size: usize) {
        let mut kept = self.kept.lock();
        kept.bytes += size;
        kept.objects.push_back((Arc::downgrade(object), size));
        while kept.bytes > CACHED_BYTES_MAX
            && let Some((old, size)) = kept.objects.pop_front()
        {
            kept.bytes -= size;
            if let Some(old) = old.upgrade() {
                *old.encoded.lock() = None;
            }
        }
    }
}
