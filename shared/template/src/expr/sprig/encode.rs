//! Encodings and check sums.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

use super::super::value::Value;
use super::Answer;

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    let [Value::Str(s)] = args else { return None };
    let bytes = s.as_bytes();
    Some(Ok(Value::from(match name {
        "b64enc" => STANDARD.encode(bytes),
        // Sprig gives the text of the error as the value.
        "b64dec" => match STANDARD.decode(bytes) {
            Ok(decoded) => String::from_utf8_lossy(&decoded).into_owned(),
            Err(_) => format!("illegal base64 data at input byte {}", first_bad(bytes)),
        },
        "b32enc" => base32(bytes),
        "b32dec" => match base32_decode(bytes) {
            Some(decoded) => String::from_utf8_lossy(&decoded).into_owned(),
            None => "illegal base32 data".into(),
        },
        "sha256sum" => hex(&Sha256::digest(bytes)),
        "sha512sum" => hex(&Sha512::digest(bytes)),
        "sha1sum" => hex(&sha1(bytes)),
        "adler32sum" => adler32(bytes).to_string(),
        _ => return None,
    })))
}

/// Where base64 text stops to be such.
pub(crate) fn first_bad(bytes: &[u8]) -> usize {
    let ok = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    bytes.iter().position(|b| !ok(b)).unwrap_or(bytes.len() / 4 * 4)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let letters = (chunk.len() * 8).div_ceil(5);
        for i in 0..8 {
            let value = (bits >> (35 - 5 * i)) & 31;
            out.push(if i < letters { BASE32[value as usize].into() } else { '=' });
        }
    }
    out
}

fn base32_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u64, 0);
    if !text.len().is_multiple_of(8) {
        return None;
    }
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |i| i + 1);
    for byte in &text[..end] {
        let value = BASE32.iter().position(|b| b == byte)?;
        bits = (bits << 5 | value as u64) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

/// SHA-1 (RFC 3174); only for `sha1sum`, nothing here trusts it.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut h: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in message.chunks_exact(64) {
        let mut w = [0u32; 80];
        for (word, four) in w.iter_mut().zip(block.chunks_exact(4)) {
            *word = four.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        }
        for i in 16..80 {
            w[i] = (w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = h;
        for (i, word) in w.iter().enumerate() {
            let (f, k) = match i / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6u32),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, part) in h.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut out = [0; 20];
    for (four, word) in out.chunks_exact_mut(4).zip(h) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    out
}
