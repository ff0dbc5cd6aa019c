//! What crates agree on stands in one place: keys of labels and annotations, paths in pods, names of variables.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::lines::sources;

/// Where it stands.
const HOME: &str = "shared/api/src";
const FILES: [&str; 3] = ["labels.rs", "executor/paths.rs", "executor/environment.rs"];

/// Sources that write such a text out instead of naming its constant. Tests may: they say what it must be.
pub fn written_out(root: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for file in FILES {
        let path = root.join(HOME).join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        texts.extend(constants(&text));
    }
    ensure!(texts.len() > 20, "only {} texts are agreed on, which cannot be", texts.len());
    let mut found = Vec::new();
    for folder in ["shared", "services"] {
        let mut files: Vec<PathBuf> = Vec::new();
        sources(&root.join(folder), &mut files)?;
        files.sort();
        for path in files {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let is_test = name.contains("/tests/") || name.ends_with("/tests.rs") || !name.contains("/src/");
            if name.starts_with(HOME) || is_test {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            found.extend(of_file(&name, &text, &texts));
        }
    }
    Ok(found)
}

/// Name and text of each constant that looks like a key, a path or a variable: other texts may stand anywhere.
fn constants(source: &str) -> Vec<(String, String)> {
    let constant = |line: &str| {
        let (name, value) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
        let value = value.strip_suffix("\";")?;
        (value.contains('/') || value.starts_with("ARGO_")).then(|| (name.to_owned(), value.to_owned()))
    };
    source.lines().filter_map(constant).collect()
}

fn of_file(name: &str, text: &str, texts: &[(String, String)]) -> Vec<String> {
    let code = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate();
    let code = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.flat_map(|(number, line)| {
        let written = texts.iter().filter(move |(_, value)| line.contains(&format!("\"{value}\"")));
        written.map(move |(constant, value)| {
            format!("{name}:{}: \"{value}\" is written out; it is {constant} of argosy-api", number + 1)
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_written_out_is_seen() {
        let source = "/// A.\npub const A: &str = \"x.io/a\";\npub const KIND: &str = \"Kind\";\npub const V: &str = \"ARGO_V\";\n";
        let texts = constants(source);
        assert_eq!(texts, [("A".to_owned(), "x.io/a".to_owned()), ("V".to_owned(), "ARGO_V".to_owned())]);
        let found = |text: &str| of_file("f.rs", text, &texts);
        assert_eq!(
            found("// \"x.io/a\"\nlet a = \"x.io/a\";"),
            ["f.rs:2: \"x.io/a\" is written out; it is A of argosy-api"]
        );
        assert_eq!(found("let a = \"x.io/ab\";\n#[cfg(test)]\nlet a = \"ARGO_V\";"), [""; 0]);
    }
}
