//! Names of metrics: what the documents, alerts and dashboards speak of must be counted somewhere.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};

/// Where metrics are named for people and for Prometheus.
const SPEAK: [&str; 3] = ["docs", "deploy", "README.md"];
/// Endings that Prometheus adds to the name of a histogram.
const OF_HISTOGRAM: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Names that nothing counts.
pub fn unknown(root: &Path) -> Result<Vec<String>> {
    let mut known = BTreeSet::new();
    for folder in ["services", "shared"] {
        visit(&root.join(folder), &["rs"], &mut |_, text| known.extend(made(text)))?;
    }
    let mut found = Vec::new();
    for place in SPEAK {
        visit(&root.join(place), &["md", "yml", "yaml", "json"], &mut |path, text| {
            let name = path.strip_prefix(root).unwrap_or(path).display();
            let missing = named(text).into_iter().filter(|metric| !is_known(&known, metric));
            found.extend(missing.map(|metric| format!("{name} names the metric {metric}, which nothing counts")));
        })?;
    }
    Ok(found)
}

/// Names of metrics that a source makes: whole texts that begin as all do.
fn made(source: &str) -> Vec<String> {
    let texts = source.split('"').skip(1).step_by(2);
    let is_name = |text: &&str| STARTS.iter().any(|start| text.starts_with(start)) && text.bytes().all(is_of_name);
    texts.filter(is_name).map(str::to_owned).collect()
}

/// Names of metrics in a text: words that begin as all do and end as one of a service may. `*` stands for any part of a name.
fn named(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii() && (is_of_name(c as u8) || c == '*');
    let words = text.split(|c: char| !is_word(c)).filter(|word| STARTS.iter().any(|start| word.starts_with(start)));
    let is_metric = |word: &&str| {
        if word.len() > OF_ARGO.len() && word.starts_with(OF_ARGO) {
            return true;
        }
        let word = OF_HISTOGRAM.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        word.contains('*') || ENDS.iter().any(|end| word.ends_with(end))
    };
    words.filter(is_metric).map(str::to_owned).collect()
}

/// How the names of Argo's metrics begin. All words that do are such names.
const OF_ARGO: &str = "argo_workflows_";
/// How the names of metrics begin.
const STARTS: [&str; 2] = ["argosy_", OF_ARGO];
/// How the names of metrics end.
const ENDS: [&str; 5] = ["_total", "_seconds", "_timers", "_lag", "_unacknowledged"];

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn is_known(known: &BTreeSet<String>, metric: &str) -> bool {
    let bare = OF_HISTOGRAM.iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric);
    match bare.split_once('*') {
        Some((start, end)) => known.iter().any(|name| name.starts_with(start) && name.ends_with(end)),
        None => known.contains(metric) || known.contains(bare),
    }
}

fn visit(path: &Path, endings: &[&str], see: &mut impl FnMut(&Path, &str)) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("list {}", path.display()))? {
            visit(&entry?.path(), endings, see)?;
        }
    } else if path.extension().is_some_and(|end| endings.iter().any(|wanted| end == *wanted)) {
        see(path, &fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_compared() {
        let known: BTreeSet<String> =
            made(r#"counter("argosy_a_total", "Help"); seconds("argosy_b_seconds", "x")"#).into_iter().collect();
        assert_eq!(known.len(), 2);
        let text = "rate(argosy_a_total[5m]) argo_workflows_x argosy_b_seconds_bucket `argosy_*_total` argosy_c_total argosy_engine::Config";
        let missing: Vec<_> = named(text).into_iter().filter(|metric| !is_known(&known, metric)).collect();
        assert_eq!(missing, ["argo_workflows_x", "argosy_c_total"]);
    }
}
