//! Reading of tables, and the bookkeeping of known differences.
#![allow(clippy::disallowed_methods)] // the ban on files is for the crate, not for its tests

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::recorded;

fn known_differences() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/known-differences.txt");
    let text = std::fs::read_to_string(&path).expect("the file of known differences is in the repository");
    let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let (id, reason) = line.split_once(" — ").expect("a line is `id — reason`");
            (id.trim().to_owned(), reason.trim().to_owned())
        })
        .collect()
}

/// Runs every case of a table that `run` knows (`None`: not ours), and fails when a case that is not a known
/// difference fails, or when one that is does not.
pub fn check(table: &str, run: impl Fn(&Value) -> Option<Result<(), String>>) {
    let cases = recorded::table(table);
    let known = known_differences();
    let (mut passed, mut differ, mut complaints) = (0, 0, Vec::new());
    for case in &cases {
        let id = case["id"].as_str().expect("a case has an id");
        match (run(case), known.get(id)) {
            (None, _) => {}
            (Some(Ok(())), None) => passed += 1,
            (Some(Err(_)), Some(_)) => differ += 1,
            (Some(Ok(())), Some(reason)) => complaints.push(format!("{id}: passes, but is listed: {reason}")),
            (Some(Err(what)), None) => complaints.push(format!("{id}: {what}")),
        }
    }
    println!("{table}: {passed} passed, {differ} known differences, {} wrong", complaints.len());
    assert!(passed > 0, "no case of {table} was run");
    assert!(complaints.is_empty(), "{table}:\n{}", complaints.join("\n"));
}

pub fn same<T: PartialEq + std::fmt::Debug>(got: T, want: T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("got {got:?}, want {want:?}")) }
}
