//! Sizes of files, and words that must not stay.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Past this a file mixes kinds.
const LINES_MAX: usize = 500;

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
    for (number, line) in text.lines().enumerate() {
        found.extend(
            words.iter().filter(|w| line.contains(*w)).map(|w| format!("{name}:{}: `{w}` must not stay", number + 1)),
        );
    }
    found
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
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
}
