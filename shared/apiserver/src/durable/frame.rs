//! Records: length, checksum, content.

use serde_json::json;

use super::delta;
use crate::json::Json;
use crate::kinds::Kind;
use crate::object::Object;

/// Bytes before the content: its length and its CRC-32, little-endian.
pub(super) const HEAD_BYTES: usize = 8;
/// No content is larger; a longer length is damage.
const CONTENT_BYTES_MAX: usize = 1 << 30;
/// From this size on a changed object is recorded as a difference. Units: members of its largest part.
const DELTA_MEMBERS_MIN: usize = 64;

/// Appends the record of a new or changed object.
pub(crate) fn record_put(out: &mut Vec<u8>, previous: Option<&Object>, object: &Object) {
    let delta = previous
        .filter(|_| is_large(&object.tree))
        .and_then(|previous| Some(delta::difference(previous.tree.as_map()?, object.tree.as_map()?)));
    let mut record = head(object.kind, object.revision);
    match delta {
        Some(delta) => {
            record.set(&["key"], Json::string(&object.key));
            record.set(&["delta"], delta);
        }
        None => record.set(&["put"], object.tree.clone()),
    }
    append(out, &record);
}

/// Appends the record of a removal.
pub(crate) fn record_remove(out: &mut Vec<u8>, object: &Object) {
    let mut record = head(object.kind, object.revision);
    record.set(&["key"], Json::string(&object.key));
    append(out, &record);
}

/// Appends the record that ends a complete snapshot.
pub(super) fn record_end(out: &mut Vec<u8>, revision: u64) {
    append(out, &json!({"end": revision}).into());
}

fn is_large(tree: &Json) -> bool {
    let parts = ["status", "spec", "data"].iter().filter_map(|part| tree.get(part)?.as_map());
    parts.flat_map(|part| part.iter()).any(|(_, value)| value.as_map().is_some_and(|m| m.len() >= DELTA_MEMBERS_MIN))
}

fn head(kind: &Kind, revision: u64) -> Json {
    json!({"rev": revision, "group": kind.group, "version": kind.version, "plural": kind.plural}).into()
}

fn append(out: &mut Vec<u8>, record: &Json) {
    let content = record.to_vec();
    let length = u32::try_from(content.len()).expect("objects are far smaller than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32(&content).to_le_bytes());
    out.extend_from_slice(&content);
}

/// What is at an offset of a file.
pub(super) enum Read<'a> {
    /// A record's content, and where the next one begins.
    Content(&'a [u8], usize),
    /// Nothing more.
    End,
    /// A record that is cut off or does not match its checksum.
    Torn,
}

pub(super) fn read(bytes: &[u8], offset: usize) -> Read<'_> {
    let rest = &bytes[offset..];
    if rest.is_empty() {
        return Read::End;
    }
    let Some((head, rest)) = rest.split_at_checked(HEAD_BYTES) else {
        return Read::Torn;
    };
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let length = usize::try_from(number(0)).unwrap_or(usize::MAX);
    match rest.get(..length) {
        Some(content) if length <= CONTENT_BYTES_MAX && crc32(content) == number(4) => {
            Read::Content(content, offset + HEAD_BYTES + length)
        }
        _ => Read::Torn,
    }
}

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let mut value = i as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[i] = value;
        i += 1;
    }
    table
};

/// The checksum of IEEE 802.3, as in zip and png.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| TABLE[usize::from((crc as u8) ^ byte)] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn cut_or_changed_records_are_torn() {
        let mut bytes = Vec::new();
        record_end(&mut bytes, 7);
        assert!(matches!(read(&bytes, 0), Read::Content(b"{\"end\":7}", 17)));
        assert!(matches!(read(&bytes, 17), Read::End));
        for cut in 1..bytes.len() {
            assert!(matches!(read(&bytes[..cut], 0), Read::Torn), "{cut}");
        }
        bytes[12] ^= 1;
        assert!(matches!(read(&bytes, 0), Read::Torn));
    }
}
