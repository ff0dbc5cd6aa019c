//! "Did you mean …?"

/// The candidate nearest to `name`, if one is near enough to be meant.
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near_max = (name.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= near_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `best` as a question.
pub fn question(best: &str) -> String {
    format!("did you mean `{best}`?")
}

/// Edits (insert, delete, replace, swap neighbours) between two texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (row[j] + usize::from(x != *y)).min(row[j + 1] + 1).min(next[j] + 1);
            if j > 0 && last == Some(*y) && b[j - 1] == x {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        (before, row, last) = (row, next, Some(x));
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["entrypoint", "templates", "arguments"];
        assert_eq!(closest("entryPoint", names.into_iter()), Some("entrypoint"));
        assert_eq!(closest("entrypoints", names.into_iter()), Some("entrypoint"));
        assert_eq!(closest("tempaltes", names.into_iter()), Some("templates"));
        assert_eq!(closest("volumes", names.into_iter()), None);
        assert_eq!(closest("mian", ["other", "main"].into_iter()), Some("main"), "neighbours change places");
        let cases =
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("abcd", "badc", 2), ("kitten", "sitting", 3), ("ab", "ba", 1)];
        for (a, b, edits) in cases {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }
}
