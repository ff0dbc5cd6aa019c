//! Clippy's bans. A `clippy.toml` of a crate takes the place of the root's, so it has to repeat it.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Files that must hold every ban of the root.
const REPEATS: [&str; 5] = [
    "shared/api/clippy.toml",
    "shared/template/clippy.toml",
    "shared/engine/clippy.toml",
    "shared/cron/clippy.toml",
    "shared/locks/clippy.toml",
];

/// Bans of the root that a pure crate's own file lacks.
pub fn missing(root: &Path) -> Result<Vec<String>> {
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("read {path}"));
    let wanted: Vec<String> = bans(&read("clippy.toml")?);
    let mut found = Vec::new();
    for file in REPEATS {
        let has = bans(&read(file)?);
        found.extend(
            wanted
                .iter()
                .filter(|ban| !has.contains(ban))
                .map(|ban| format!("{file} must repeat the root's ban of {ban}")),
        );
    }
    Ok(found)
}

/// The paths that a file bans: each stands on a line of its own.
fn bans(text: &str) -> Vec<String> {
    let quoted = |line: &str| line.trim().strip_prefix("{ path = \"")?.split('"').next().map(str::to_owned);
    text.lines().filter_map(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_are_read() {
        let text = "disallowed-methods = [\n    { path = \"a::b\", reason = \"c\" },\n    # { path = \"no\" }\n]\n";
        assert_eq!(bans(text), ["a::b"]);
    }
}
