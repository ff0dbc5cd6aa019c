//! `status.compressedNodes`: the nodes of a large status, as Argo's clients read them.

use std::io::{self, Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes that compressed nodes may have once decompressed. More than 100,000 nodes have, and less than what would hurt.
const BYTES_MAX: u64 = 1 << 30;

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
    #[error("more than {BYTES_MAX} bytes")]
    TooLarge,
}

/// Compresses with gzip, and writes as base64. Source: Argo `util/file`.
///
/// Errors: none in practice; memory does not fail.
pub fn encode(json: &[u8]) -> Result<String, Error> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(json)?;
    Ok(STANDARD.encode(encoder.finish()?))
}

/// The opposite of [`encode`].
///
/// Errors: not what `encode` writes.
pub fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let bytes = STANDARD.decode(text)?;
    let mut json = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).take(BYTES_MAX + 1).read_to_end(&mut json)?;
    if json.len() as u64 > BYTES_MAX { Err(Error::TooLarge) } else { Ok(json) }
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
}
