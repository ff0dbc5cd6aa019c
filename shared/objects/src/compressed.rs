//! `status.compressedNodes`: the nodes of a large status, as Argo's clients read them.

use std::io::{self, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How much compressed nodes may hold, so that whatever somebody wrote costs no more than what we would write.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes once decompressed. 100,000 nodes have about half of it.
    bytes: usize,
    /// Members, items and nested values: 100,000 nodes have two thirds of it. Each costs memory once it is read, however few
    /// bytes it has, so they are counted before anything is read.
    values: usize,
    /// How deep they may be nested. No node of ours is half as deep.
    depth: usize,
}

const LIMITS: Limits = Limits { bytes: 128 << 20, values: 4_000_000, depth: 100 };

/// Compressed nodes cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not base64.
    #[error("decode base64")]
    Base64(#[from] base64::DecodeError),
    /// Not gzip, or cut off.
    #[error("gzip")]
    Gzip(#[from] io::Error),
    /// Larger than anything we would write.
    #[error("more than {0} bytes once decompressed")]
    TooLarge(usize),
    /// More values than anything we would write.
    #[error("more than {0} values once decompressed")]
    TooMany(usize),
    /// Nested deeper than anything we would write.
    #[error("nested deeper than {0}")]
    TooDeep(usize),
}

/// Compresses with gzip, and writes as base64. Source: Argo `util/file`.
///
/// Errors: none in practice; memory does not fail.
pub fn encode(json: &[u8]) -> Result<String, Error> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(json)?;
    Ok(STANDARD.encode(encoder.finish()?))
}

/// The opposite of [`encode`]. Stops as soon as a limit is passed: whatever somebody wrote costs no more than what we would.
///
/// Errors: not what `encode` writes; a limit.
pub fn decode(text: &str) -> Result<Vec<u8>, Error> {
    decode_within(text, LIMITS)
}

fn decode_within(text: &str, limits: Limits) -> Result<Vec<u8>, Error> {
    let bytes = STANDARD.decode(text)?;
    // The last four bytes of gzip say how much it holds: a bomb that does not lie costs nothing, and one that lies no more than
    // it claims. Source: RFC 1952, ISIZE.
    let claimed = bytes.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    if claimed > limits.bytes {
        return Err(Error::TooLarge(limits.bytes));
    }
    let mut gzip = flate2::read::GzDecoder::new(bytes.as_slice());
    let (mut json, mut chunk, mut count) = (Vec::new(), [0; 64 * 1024], Count::default());
    loop {
        let read = gzip.read(&mut chunk)?;
        if read == 0 {
            return Ok(json);
        }
        count.take(&chunk[..read], limits)?;
        json.extend_from_slice(&chunk[..read]);
        if json.len() > claimed {
            return Err(Error::Gzip(io::Error::other("it holds more than it says")));
        }
    }
}

/// Counts what a JSON text holds without reading it.
#[derive(Default)]
struct Count {
    values: usize,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Count {
    fn take(&mut self, bytes: &[u8], limits: Limits) -> Result<(), Error> {
        for byte in bytes {
            match (self.in_string, byte) {
                (true, _) if self.is_escaped => self.is_escaped = false,
                (true, b'\\') => self.is_escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (true, _) => {}
                (false, b'{' | b'[') => {
                    self.values += 1;
                    self.depth += 1;
                }
                (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                (false, b',') => self.values += 1,
                (false, _) => {}
            }
            if self.depth > limits.depth {
                return Err(Error::TooDeep(limits.depth));
            }
        }
        if self.values > limits.values { Err(Error::TooMany(limits.values)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_can_be_decoded() {
        let text = "{\"a\": 1}".repeat(1000);
        let encoded = encode(text.as_bytes()).expect("memory");
        assert!(encoded.len() < text.len() / 10);
        assert_eq!(decode(&encoded).expect("readable"), text.as_bytes());
        assert!(decode("*").is_err() && decode("AAAA").is_err());
    }

    #[test]
    fn bombs_stop_at_a_limit_before_they_are_read() {
        let limits = Limits { bytes: 100_000, values: 1000, depth: 10 };
        let bomb = |text: String| decode_within(&encode(text.as_bytes()).expect("memory"), limits);
        assert!(matches!(bomb(format!("{{\"a\": \"{}\"}}", "x".repeat(100_000))), Err(Error::TooLarge(100_000))));
        let mut lie = STANDARD.decode(encode("x".repeat(90_000).as_bytes()).expect("memory")).expect("base64");
        let at = lie.len() - 4;
        lie[at..].copy_from_slice(&100_u32.to_le_bytes());
        assert!(matches!(decode_within(&STANDARD.encode(lie), limits), Err(Error::Gzip(_))));
        assert!(matches!(bomb(format!("[{}0]", "{},".repeat(1000))), Err(Error::TooMany(1000))));
        assert!(matches!(bomb("[".repeat(11)), Err(Error::TooDeep(10))));
        // What stands in a text is no value, however it is escaped.
        let texts = format!("[{}]", vec![r#""{[,\"{[,""#; 500].join(","));
        assert_eq!(bomb(texts.clone()).expect("within the limits"), texts.as_bytes());
    }
}
