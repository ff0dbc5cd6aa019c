//! Names that nobody has yet.

use std::hash::{BuildHasher as _, Hasher as _};

/// Five characters as API servers draw them for generated names.
pub fn name_suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    // Each hasher state is seeded by the system.
    let mut bits = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let mut text = String::new();
    for _ in 0..5 {
        text.push(char::from(LETTERS[(bits % LETTERS.len() as u64) as usize]));
        bits /= LETTERS.len() as u64;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_of_five_letters_and_differ() {
        let some: std::collections::BTreeSet<String> = (0..50).map(|_| name_suffix()).collect();
        assert!(some.len() > 45 && some.iter().all(|one| one.len() == 5), "{some:?}");
    }
}
