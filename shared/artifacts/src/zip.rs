//! Zip archives, written and read within limits: files and directories, stored or deflated, of less than 4 GiB each.
//! Source: PKWARE APPNOTE 4.3; Argo `util/archive` `ZipToWriter`.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use argosy_beneath::{At, Budget, Dir, Kind, Refusal, refusal};
use flate2::{Compression, Crc, read::DeflateDecoder, write::DeflateEncoder};

use crate::Error;
use crate::unpack::inside;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Bytes of the record at the end, without its comment, which may be as long as a `u16` says.
const END_BYTES: u64 = 22;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Unix, so that the modes are.
const MADE_BY: u16 = 3 << 8 | 20;
/// Bytes of all names and places together.
const DIRECTORY_MAX: u64 = 64 * 1024 * 1024;

/// What the directory at the end says of an entry.
struct Entry {
    name: String,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
    mode: u32,
    at: u32,
}

/// Writes `from` as a zip archive, in which it is called `name`.
/// Errors: those of the file system, a limit, more than the format can hold.
pub(crate) fn write(from: &At, name: &str, file: &mut File, budget: &mut Budget) -> io::Result<()> {
    let mut entries = Vec::new();
    append(file, from, name.to_owned(), 0, budget, &mut entries)?;
    let begin = file.stream_position()?;
    for entry in &entries {
        let mut record = Vec::with_capacity(46 + entry.name.len());
        record.extend(CENTRAL.to_le_bytes());
        record.extend(MADE_BY.to_le_bytes());
        header(entry, &mut record)?;
        // neither comment, disk nor internal attributes
        record.extend([0; 6]);
        record.extend((entry.mode << 16).to_le_bytes());
        record.extend(entry.at.to_le_bytes());
        record.extend(entry.name.as_bytes());
        file.write_all(&record)?;
    }
    let bytes = narrow(file.stream_position()? - begin)?;
    let count = u16::try_from(entries.len()).map_err(|_| too_large())?;
    let mut end = Vec::from(END.to_le_bytes());
    end.extend([0; 4]);
    end.extend(count.to_le_bytes());
    end.extend(count.to_le_bytes());
    end.extend(bytes.to_le_bytes());
    end.extend(narrow(begin)?.to_le_bytes());
    end.extend([0; 2]);
    file.write_all(&end)
}

fn append(
    file: &mut File,
    from: &At,
    name: String,
    depth: u64,
    budget: &mut Budget,
    entries: &mut Vec<Entry>,
) -> io::Result<()> {
    budget.take_entry(depth)?;
    match from.kind()? {
        None => Err(io::ErrorKind::NotFound.into()),
        Some(Kind::File) => {
            let mut source = from.file()?;
            let mode = source.metadata()?.mode();
            let at = begin(file, &name)?;
            let (crc, size) = {
                let mut hashing = Hashing { from: &mut source, crc: Crc::new() };
                let mut packed = DeflateEncoder::new(&mut *file, Compression::default());
                budget.pour(&mut hashing, &mut packed)?;
                packed.finish()?;
                (hashing.crc.sum(), hashing.crc.amount())
            };
            let after = file.stream_position()?;
            let packed = narrow(after - u64::from(at) - local_bytes(&name))?;
            let entry = Entry { name, method: DEFLATED, crc, packed, size, mode: 0o100_000 | mode & 0o777, at };
            finish(file, entry, after, entries)
        }
        Some(Kind::Dir) => {
            let dir = from.dir.dir(&from.path)?;
            let mode = 0o040_000 | dir.metadata()?.mode() & 0o777;
            let name = format!("{name}/");
            let at = begin(file, &name)?;
            let after = file.stream_position()?;
            let entry = Entry { name: name.clone(), method: STORED, crc: 0, packed: 0, size: 0, mode, at };
            finish(file, entry, after, entries)?;
            for entry in dir.entries()? {
                let inner = format!("{name}{}", entry.name.to_string_lossy());
                let inside = At { dir: dir.clone(), path: entry.name.into() };
                append(file, &inside, inner, depth + 1, budget, entries)?;
            }
            Ok(())
        }
        Some(Kind::Link | Kind::Other(_)) => {
            tracing::debug!(path = name, "left out of an artifact");
            Ok(())
        }
    }
}

fn local_bytes(name: &str) -> u64 {
    30 + name.len() as u64
}

/// Leaves room for the header of an entry.
fn begin(file: &mut File, name: &str) -> io::Result<u32> {
    let at = narrow(file.stream_position()?)?;
    file.write_all(&vec![0; usize::try_from(local_bytes(name)).unwrap_or_default()])?;
    Ok(at)
}

fn finish(file: &mut File, entry: Entry, after: u64, entries: &mut Vec<Entry>) -> io::Result<()> {
    let mut record = Vec::from(LOCAL.to_le_bytes());
    header(&entry, &mut record)?;
    record.extend(entry.name.as_bytes());
    file.seek(SeekFrom::Start(entry.at.into()))?;
    file.write_all(&record)?;
    file.seek(SeekFrom::Start(after))?;
    entries.push(entry);
    Ok(())
}

/// What both records of an entry have in common. The time is the first that the format knows.
fn header(entry: &Entry, record: &mut Vec<u8>) -> io::Result<()> {
    let length = u16::try_from(entry.name.len()).map_err(|_| too_large())?;
    for number in [20, FLAGS, entry.method, 0, 1 << 5 | 1] {
        record.extend(number.to_le_bytes());
    }
    for number in [entry.crc, entry.packed, entry.size] {
        record.extend(number.to_le_bytes());
    }
    record.extend(length.to_le_bytes());
    record.extend([0; 2]);
    Ok(())
}

struct Hashing<R> {
    from: R,
    crc: Crc,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.from.read(buffer)?;
        self.crc.update(&buffer[..bytes]);
        Ok(bytes)
    }
}

fn narrow(number: u64) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::Error::other("more than a zip archive can hold")
}

/// Unpacks the zip archive `from` into an empty directory.
/// Errors: `Escape`, `Limit`, `Io`.
pub(crate) fn unpack(from: &At, to: &Dir, budget: &mut Budget) -> Result<(), Error> {
    let failed = |doing| Error::io(doing, &from.path);
    let mut file = from.file().map_err(failed("open"))?;
    for entry in directory(&mut file).map_err(failed("read"))? {
        let path = inside(&entry.name)?;
        budget.take_entry(path.components().count() as u64).map_err(failed("unpack"))?;
        if path.as_os_str().is_empty() {
            continue;
        }
        one(&mut file, &entry, to, &path, budget).map_err(|error| match refusal(&error) {
            Some(Refusal::Link | Refusal::Outside) => Error::Escape { entry: entry.name.clone() },
            _ => failed("unpack")(error),
        })?;
    }
    Ok(())
}

fn one(file: &mut File, entry: &Entry, to: &Dir, path: &Path, budget: &mut Budget) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        to.make_dir(parent, 0o755)?;
    }
    if entry.name.ends_with('/') {
        return to.make_dir(path, 0o755).map(drop);
    }
    let mut head = [0; 30];
    file.seek(SeekFrom::Start(entry.at.into()))?;
    file.read_exact(&mut head)?;
    if number(&head, 0) != LOCAL {
        return Err(broken());
    }
    let skip = u64::from(short(&head, 26)) + u64::from(short(&head, 28));
    file.seek(SeekFrom::Start(u64::from(entry.at) + 30 + skip))?;
    budget.clone().take(entry.size.into())?;
    let packed = BufReader::new(Read::by_ref(file)).take(entry.packed.into());
    let content: Box<dyn Read> = match entry.method {
        STORED => Box::new(packed),
        DEFLATED => Box::new(DeflateDecoder::new(packed)),
        _ => return Err(broken()),
    };
    let mode = if entry.mode == 0 { 0o644 } else { entry.mode & 0o777 };
    let mut made = to.create(path, mode)?;
    // one byte more than it may have is enough to know
    let mut hashing = Hashing { from: content.take(u64::from(entry.size) + 1), crc: Crc::new() };
    budget.pour(&mut hashing, &mut made)?;
    match (hashing.crc.amount(), hashing.crc.sum()) == (entry.size, entry.crc) {
        true => Ok(()),
        false => Err(broken()),
    }
}

fn directory(file: &mut File) -> io::Result<Vec<Entry>> {
    let size = file.metadata()?.len();
    let tail = size.min(END_BYTES + u64::from(u16::MAX));
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(size - tail))?;
    Read::by_ref(file).take(tail).read_to_end(&mut end)?;
    let at = (0..end.len().saturating_sub(END_BYTES as usize - 1)).rev().find(|at| number(&end, *at) == END);
    let Some(at) = at else { return Err(broken()) };
    let (count, bytes, begin) = (short(&end, at + 10), u64::from(number(&end, at + 12)), number(&end, at + 16));
    if bytes > DIRECTORY_MAX {
        return Err(too_large());
    }
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(begin.into()))?;
    Read::by_ref(file).take(bytes).read_to_end(&mut text)?;
    let (mut entries, mut rest) = (Vec::new(), text.as_slice());
    for _ in 0..count {
        if rest.len() < 46 || number(rest, 0) != CENTRAL {
            return Err(broken());
        }
        let (name, extra, comment) = (short(rest, 28), short(rest, 30), short(rest, 32));
        let name = rest.get(46..46 + usize::from(name)).ok_or_else(broken)?;
        let length = 46 + name.len() + usize::from(extra) + usize::from(comment);
        entries.push(Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            method: short(rest, 10),
            crc: number(rest, 16),
            packed: number(rest, 20),
            size: number(rest, 24),
            mode: number(rest, 38) >> 16,
            at: number(rest, 42),
        });
        rest = rest.get(length..).ok_or_else(broken)?;
    }
    Ok(entries)
}

/// Zero where there is nothing: no such number is one that is looked for.
fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "zip: not a valid zip file")
}
