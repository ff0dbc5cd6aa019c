//! Sizes of files, and words that must not stay.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Past this a file mixes kinds.
const LINES_MAX: usize = 500;

/// What the seeded world runs: equal seeds must give equal runs.
const SIMULATED: [&str; 11] = [
    "services/watcher/src",
    "services/scheduler/src",
    "services/pod-runner/src",
    "services/status/src",
    "shared/actor/src",
    "shared/host/src",
    "shared/objects/src",
    "shared/workflows/src",
    "shared/bus/src/memory",
    "shared/apiserver/src",
    "tests/sim/src",
];

/// Complaints about the project's sources.
pub fn complaints(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in ["shared", "services", "tests", "xtask"] {
        sources(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        found.extend(of_file(&name, &text));
    }
    Ok(found)
}

fn of_file(name: &str, text: &str) -> Vec<String> {
    // Put together here, so that this file does not complain about itself.
    let words = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("dbg", "!(")];
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{name} has {lines} lines; past {LINES_MAX} a file mixes kinds"));
    }
    if SIMULATED.iter().any(|folder| name.starts_with(folder)) {
        found.extend(unordered(name, text));
    }
    for (number, line) in text.lines().enumerate() {
        found.extend(
            words.iter().filter(|w| line.contains(*w)).map(|w| format!("{name}:{}: `{w}` must not stay", number + 1)),
        );
    }
    found
}

/// `select!` polls its branches in an order that no seed decides, unless `biased` says to keep the written one.
fn unordered(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<_> = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")).collect();
    for (place, (number, line)) in lines.iter().enumerate() {
        if line.contains(concat!("sel", "ect! {"))
            && lines.get(place + 1).is_none_or(|(_, next)| next.trim() != "biased;")
        {
            found.push(format!("{name}:{}: without `biased;` equal seeds give different runs", number + 1));
        }
    }
    found
}

/// The Rust files below a folder.
pub fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if path.file_name().is_none_or(|n| n != "target") {
                sources(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_leftovers_are_seen() {
        let text = format!("{}{}", "\n".repeat(LINES_MAX), concat!("to", "do!()"));
        assert_eq!(of_file("a.rs", &text).len(), 2);
        assert_eq!(of_file("a.rs", "fn main() {}\n"), Vec::<String>::new());
    }

    #[test]
    fn a_choice_in_no_order_is_seen_where_the_seeded_world_looks() {
        let text = concat!("tokio::sel", "ect! {\n    a = b => {}\n}\n");
        assert_eq!(of_file("shared/actor/src/a.rs", text).len(), 1);
        assert_eq!(of_file("shared/actor/src/a.rs", &text.replace("{\n", "{\nbiased;\n")), Vec::<String>::new());
        assert_eq!(of_file("services/cli/src/a.rs", text), Vec::<String>::new());
    }
}
