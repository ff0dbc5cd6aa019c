//! Files of the log: framing, checksums, and what a crash leaves behind.
//!
//! A segment is a header of 16 bytes and frames. A frame is the length of its body and the CRC-32 of its body, each 32 bits
//! little-endian, and the body.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::Error;

const MAGIC: &[u8; 8] = b"ARGOSYB1";
const HEADER_BYTES: usize = 16;
const FRAME_BYTES: usize = 8;
/// A longer body is damage: messages are far smaller.
const BODY_BYTES_MAX: usize = 1 << 30;

/// How a segment starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It goes on where the one before ended.
    Continues,
    /// It begins with the whole state: those before do not count.
    Whole,
}

/// Where segment `number` is kept.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.log"))
}

/// Numbers of the segments in a directory, in order. Unfinished ones are removed.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tmp") => fs::remove_file(&path)?,
            Some("log") => numbers
                .extend(path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok())),
            _ => {}
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes a segment with content: it is there, and on disk, wholly or not at all.
pub(super) fn create(dir: &Path, number: u64, start: Start, content: &[u8]) -> io::Result<File> {
    let (path, unfinished) = (path(dir, number), dir.join(format!("{number:016}.tmp")));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8] = u8::from(start == Start::Whole);
    file.write_all(&header)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    File::open(dir)?.sync_all()?;
    Ok(file)
}

/// Puts one frame behind others; `body` writes its content.
pub(super) fn frame(buffer: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend([0; FRAME_BYTES]);
    body(buffer);
    let length = u32::try_from(buffer.len() - start - FRAME_BYTES).expect("records are limited far below 4 GiB");
    let crc = crc32(&buffer[start + FRAME_BYTES..]);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// What a segment holds.
pub(super) struct Content {
    pub(super) start: Start,
    pub(super) bodies: Vec<Bytes>,
    /// Bytes that are whole.
    pub(super) whole: u64,
    /// Bytes behind them: a write that a crash cut short.
    pub(super) torn: u64,
}

/// Reads a segment up to its first frame that is not whole.
pub(super) fn read(path: &Path) -> Result<Content, Error> {
    let storage = |source| Error::Storage { doing: "read the log", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(storage)?;
    if bytes.len() < HEADER_BYTES || bytes[..8] != *MAGIC {
        return Err(Error::Corrupt { path: path.to_owned(), offset: 0, reason: "not a log of this version" });
    }
    let start = if bytes[8] == 1 { Start::Whole } else { Start::Continues };
    let total = bytes.len() as u64;
    let mut rest = Bytes::from(bytes).split_off(HEADER_BYTES);
    let mut bodies = Vec::new();
    while rest.len() >= FRAME_BYTES {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("four bytes"));
        let (length, crc) = (word(0) as usize, word(4));
        if length > BODY_BYTES_MAX || rest.len() < FRAME_BYTES + length {
            break;
        }
        let body = rest.slice(FRAME_BYTES..FRAME_BYTES + length);
        if crc32(&body) != crc {
            break;
        }
        rest = rest.slice(FRAME_BYTES + length..);
        bodies.push(body);
    }
    let torn = rest.len() as u64;
    Ok(Content { start, bodies, whole: total - torn, torn })
}

/// Opens a segment to append behind its first `whole` bytes; what is behind them goes.
pub(super) fn append_to(path: &Path, whole: u64) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    file.sync_all()?;
    Ok(file)
}

/// CRC-32 (IEEE 802.3), eight bytes at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk) ^ u64::from(crc);
        crc = (0..8).fold(0, |crc, at| crc ^ TABLES[7 - at][((word >> (8 * at)) & 0xff) as usize]);
    }
    for byte in rest {
        crc = TABLES[0][((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
    }
    !crc
}

static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0_u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_equals_the_published_vector() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_torn_tail_is_found_wherever_it_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut content = Vec::new();
        frame(&mut content, |buffer| buffer.extend(b"first"));
        let one = content.len();
        frame(&mut content, |buffer| buffer.extend(b"second record"));
        create(dir.path(), 1, Start::Continues, &content).unwrap();
        let path = path(dir.path(), 1);
        let whole = fs::read(&path).unwrap();
        for length in HEADER_BYTES..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let found = read(&path).unwrap();
            let expected = usize::from(length >= HEADER_BYTES + one) + usize::from(length == whole.len());
            assert_eq!(found.bodies.len(), expected, "cut to {length}");
            assert_eq!(found.whole + found.torn, length as u64);
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert_eq!(read(&path).unwrap().bodies, ["first"]);
        fs::write(&path, b"short").unwrap();
        assert!(matches!(read(&path), Err(Error::Corrupt { .. })));
    }
}
