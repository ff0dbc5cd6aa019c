//! Which shard a workflow belongs to.

/// Shard of `uid` among `shards`: 64-bit FNV-1a of its bytes, modulo `shards`.
///
/// Part of the stored format: subjects hold the result, so neither the hash nor an installation's number of shards may
/// change. `shards` of 0 counts as 1.
/// Source: <http://www.isthe.com/chongo/tech/comp/fnv/> (offset basis 0xcbf29ce484222325, prime 0x100000001b3).
pub fn shard_of(uid: &str, shards: u16) -> u16 {
    let hash = fnv1a(uid.as_bytes());
    let shard = hash % u64::from(shards.max(1));
    u16::try_from(shard).expect("a remainder is smaller than its u16 divisor")
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_equals_the_published_vectors() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn shards_are_fixed_for_ever() {
        assert_eq!(shard_of("a", 16), 0xc);
        assert_eq!(shard_of("foobar", 16), 8);
        assert_eq!(shard_of("foobar", 1), 0);
        assert_eq!(shard_of("foobar", 0), 0);
        assert_eq!(shard_of("", 1000), u16::try_from(0xcbf2_9ce4_8422_2325_u64 % 1000).unwrap());
    }

    #[test]
    fn uids_spread_evenly() {
        let mut counts = [0_u32; 16];
        for n in 0..16_000 {
            counts[usize::from(shard_of(&format!("5f0d6c1e-{n:04x}-4c1b-9c6e-0a{n:06}"), 16))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
