//! Server-side apply: a manager states all it wants; what it wanted before and no more, goes.
//!
//! Objects are merged member by member, and lists are replaced as a whole, as the CRDs of Argo define
//! theirs. Lists that Kubernetes merges by key are therefore atomic here too.

use super::fields;
use super::managed;
use super::merge;
use crate::failure::{Failure, Result};
use crate::json::Json;
use crate::kinds::Kind;

/// Who applies, and whether conflicts are overruled.
pub(super) struct Applier<'a> {
    pub manager: &'a str,
    pub force: bool,
    pub time: String,
}

/// The object after the apply; `old` is `None` when it is created.
pub(super) fn applied(kind: &Kind, old: Option<&Json>, applied: &Json, by: &Applier<'_>) -> Result<Json> {
    if applied.at(&["metadata", "managedFields"]).is_some_and(|m| !m.is_null() && m.as_array() != Some(&[])) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let ours = fields::of_object(applied);
    let Some(old) = old else {
        let mut tree = applied.clone();
        let entry = managed::entry(kind, by.manager, "Apply", &by.time, ours);
        managed::set_entries(&mut tree, vec![entry]);
        return Ok(tree);
    };
    let (mine, others): (Vec<Json>, Vec<Json>) =
        managed::entries(old).into_iter().partition(|e| managed::is_apply_of(e, by.manager));
    let others = settle_conflicts(others, &ours, old, applied, by)?;
    let mut wanted = applied.clone();
    wanted.remove(&["metadata", "managedFields"]);
    let mut tree = merge::merged(old, &wanted);
    if let Some(mine) = mine.first() {
        let dropped = fields::dropped(&managed::fields_of(mine), &ours);
        let theirs: Vec<Json> = others.iter().map(managed::fields_of).collect();
        let theirs: Vec<&Json> = theirs.iter().collect();
        fields::prune(&mut tree, &dropped, &theirs);
    }
    // An apply that changes nothing keeps its time, so that nothing is written.
    let unchanged = mine.first().filter(|entry| managed::fields_of(entry) == ours).cloned();
    let entry = unchanged.unwrap_or_else(|| managed::entry(kind, by.manager, "Apply", &by.time, ours));
    let mut entries: Vec<Json> = Vec::with_capacity(others.len() + 1);
    let place =
        managed::entries(old).iter().position(|e| managed::is_apply_of(e, by.manager)).unwrap_or(0).min(others.len());
    entries.extend(others);
    entries.insert(place, entry);
    managed::set_entries(&mut tree, entries);
    Ok(tree)
}

/// The entries of the others, without what a forced apply takes from them.
fn settle_conflicts(others: Vec<Json>, ours: &Json, old: &Json, applied: &Json, by: &Applier<'_>) -> Result<Vec<Json>> {
    let mut refused = Vec::new();
    let mut kept = Vec::new();
    for mut entry in others {
        let theirs = managed::fields_of(&entry);
        let conflicts = fields::conflicts(ours, &theirs, old, applied);
        if conflicts.is_empty() {
            kept.push(entry);
            continue;
        }
        let manager = entry.str_at(&["manager"]).unwrap_or("unknown");
        for path in &conflicts {
            refused.push((manager.to_owned(), format!(".{}", path.join("."))));
        }
        let lost = conflicts.iter().fold(Json::object(), |mut set, path| {
            let keys: Vec<String> = path.iter().map(|part| format!("f:{part}")).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            set.set(&keys, Json::object());
            set
        });
        let left = fields::without(&theirs, &lost);
        if !fields::is_empty(&left) {
            entry.set(&["fieldsV1"], left);
            kept.push(entry);
        }
    }
    if refused.is_empty() || by.force { Ok(kept) } else { Err(Failure::apply_conflict(&refused)) }
}
