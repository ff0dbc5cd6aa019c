//! Memoization: a call whose key is in its cache ends at once with the outputs kept there.
//!
//! A cache is a ConfigMap, an entry the JSON text of one key of its data. It is read anew for each call, as others write
//! it too; what this workflow saves it knows by itself. Source: Argo docs/memoization.md; inventory §8, row 21.

use std::sync::Arc;

use argosy_api::{
    labels,
    message::{ClusterCommand, LookupKey, LookupKind},
    v1alpha1::{MemoizationStatus, Memoize, NodePhase, Template},
};
use argosy_template::duration;
use jiff::SignedDuration;
use serde_json::Value;

use crate::{
    Command, Workflow, json, size,
    state::{
        Call, Frame, Work, completed, kind_of,
        locks::waits_for_lock,
        memo::{Entry, remembered},
        set, set_text,
    },
    values::items,
};

impl Workflow {
    /// True when the call need not be made: its node has the outputs of an earlier one, or the cache was asked for them.
    ///
    /// Errors: a key or cache that cannot be used.
    pub(crate) fn recall(&mut self, call: &Arc<Call>, template: &Template) -> Result<bool, String> {
        let Some(memoize) = &template.memoize else { return Ok(false) };
        // One that waited for a lock looks once more.
        if call.attempt.is_some() || self.book.node(&call.id).is_some_and(|node| !waits_for_lock(node)) {
            return Ok(false);
        }
        let status = status_of(memoize)?;
        let age_max = age_max(&memoize.max_age)?;
        let entry = match self.memo.saved(&status) {
            Some(entry) => Some(entry.clone()),
            None => match self.memo.take_found(call) {
                Some(Ok(map)) => read(map.as_ref(), &status)?,
                Some(Err(refused)) => {
                    return Err(format!("could not load config map cache: {refused}"));
                }
                None => {
                    self.ask(call, &status);
                    return Ok(true);
                }
            },
        };
        // One that no node has made is none.
        let Some(entry) = entry.filter(|entry| !entry.node_id.is_empty()) else { return Ok(false) };
        if age_max.is_some_and(|nanos| self.is_too_old(&entry, nanos)) {
            return Ok(false);
        }
        let room = self.room_for_values(&call.name).saturating_sub(size::of(&template.inputs));
        if let Some(outputs) = &entry.outputs
            && !size::outputs_fit(outputs, room)
        {
            return Err(format!(
                "the outputs in cache '{}' take more than the {room} bytes that they may. {}",
                status.cache_name,
                size::ADVICE
            ));
        }
        self.count_values(entry.outputs.as_ref().map_or(0, size::of_outputs))?;
        self.hit(call, template, status, entry);
        Ok(true)
    }

    fn ask(&mut self, call: &Arc<Call>, status: &MemoizationStatus) {
        let key = LookupKey {
            kind: LookupKind::ConfigMap,
            namespace: self.book.meta().namespace.clone(),
            name: status.cache_name.clone(),
            data_key: Some(status.key.clone()),
        };
        if self.memo.wait(&key, call.clone()) {
            self.agenda.wish(Command::Lookup(key));
        }
    }

    /// Gives an answer to the calls that wait for it, `refused` where there is none; false when no call waits.
    pub(crate) fn found_in_cache(&mut self, key: &LookupKey, object: &Option<Value>, refused: &str) -> bool {
        let answer = if refused.is_empty() { Ok(object.clone()) } else { Err(refused.to_owned()) };
        let Some(calls) = self.memo.found(key, &answer) else { return false };
        self.agenda.extend(calls.into_iter().map(Work::Call));
        true
    }

    fn is_too_old(&self, entry: &Entry, nanos: i64) -> bool {
        let Some(created) = entry.creation_timestamp else { return true };
        let until = created.0.checked_add(SignedDuration::from_nanos(nanos));
        until.is_ok_and(|until| self.clock.now() > until)
    }

    /// The node of a call that need not be made.
    fn hit(&mut self, call: &Arc<Call>, template: &Template, status: MemoizationStatus, entry: Entry) {
        let kind = kind_of(template).node_type();
        self.leave_queue(&call.id, kind, NodePhase::Pending);
        let id = self.create_called(call, kind, NodePhase::Succeeded, "");
        self.mark(&id, NodePhase::Succeeded, None);
        let inputs = Some(template.inputs.clone()).filter(|inputs| *inputs != Default::default()).map(Box::new);
        let outputs = entry.outputs.clone().map(Box::new);
        let hit = Box::new(MemoizationStatus { hit: true, ..status.clone() });
        self.book.update_node(&id, |node| {
            let progress = completed(&node.progress);
            set(&mut node.inputs, inputs)
                | set(&mut node.outputs, outputs)
                | set(&mut node.memoization_status, Some(hit))
                | (node.r#type.executes() && set_text(&mut node.progress, &progress))
        });
        self.lift_outputs(&id, template);
        self.measure_end(&id, template);
        self.save(&id, &status, Entry { last_hit_timestamp: Some(self.time()), ..entry });
        self.release_locks(&id);
        self.agenda.push(Work::Fulfilled(call.parent.clone()));
    }

    /// Marks the node of a call that is made although it could have been in the cache.
    pub(crate) fn note_miss(&mut self, call: &Call, template: &Template) {
        if let Some(memoize) = &template.memoize
            && call.attempt.is_none()
            && let Ok(status) = status_of(memoize)
        {
            self.book.update_node(&call.id, |n| {
                n.memoization_status.is_none() && set(&mut n.memoization_status, Some(Box::new(status)))
            });
        }
    }

    /// Keeps the outputs of a node that has ended well.
    pub(crate) fn memorize(&mut self, ended: &Frame) {
        if ended.template.memoize.is_none() || ended.call.attempt.is_some() {
            return;
        }
        // One that failed, or that was in the cache already, is not kept.
        let Some((status, entry)) = self.book.node(&ended.call.id).and_then(remembered) else { return };
        self.memo.save(&status, entry.clone());
        self.save(&ended.call.id, &status, entry);
    }

    fn save(&mut self, node_id: &str, status: &MemoizationStatus, entry: Entry) {
        let command = ClusterCommand::SaveCacheEntry {
            config_map: status.cache_name.clone(),
            key: status.key.clone(),
            entry: json::text(&entry),
        };
        self.agenda.wish_cluster(node_id.into(), command);
    }
}

/// Where a memoized call looks. Source: Argo's pattern of keys, `^[a-zA-Z0-9][-a-zA-Z0-9]*$`.
fn status_of(memoize: &Memoize) -> Result<MemoizationStatus, String> {
    let map = memoize.cache.as_ref().and_then(|cache| cache.config_map.as_ref());
    let cache_name = map.and_then(|map| map["name"].as_str()).unwrap_or_default().to_owned();
    if cache_name.is_empty() {
        return Err("memoize.cache.configMap.name is required".to_owned());
    }
    let key = memoize.key.clone();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if key.is_empty() || key.starts_with('-') || !key.chars().all(is_plain) {
        return Err(format!("invalid cache key: {key}"));
    }
    Ok(MemoizationStatus { hit: false, key, cache_name })
}

fn read(map: Option<&Value>, status: &MemoizationStatus) -> Result<Option<Entry>, String> {
    let Some(map) = map else { return Ok(None) };
    let label = map.pointer("/metadata/labels").and_then(|l| l.get(labels::CONFIG_MAP_TYPE)).and_then(Value::as_str);
    if label != Some(labels::TYPE_CACHE) {
        return Err(match label {
            None => format!("memoization configmap doesn't have {} label, refusing to use it", labels::CONFIG_MAP_TYPE),
            Some(_) => format!(
                "memoization configmap doesn't have label {} = {}, refusing to use it",
                labels::CONFIG_MAP_TYPE,
                labels::TYPE_CACHE
            ),
        });
    }
    let text = map.get("data").and_then(|data| data.get(&status.key)).and_then(Value::as_str);
    // An empty text is no entry. Source: Argo `workflow/controller/cache/configmap_cache.go`, with the texts.
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|error| {
        let why = items::syntax_error(text, &error).unwrap_or_else(|| error.to_string());
        format!("malformed cache entry: could not unmarshal JSON; unable to parse: {why}")
    })
}

/// How old an entry may be, in nanoseconds; any age where nothing is said.
fn age_max(text: &str) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    duration::parse_go(text).map(Some).map_err(|e| format!("invalid maxAge: {e}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cache_is_read_as_argo_reads_it() {
        let status = MemoizationStatus { key: "k".to_owned(), cache_name: "c".to_owned(), ..Default::default() };
        let found = |labels: Value, data: Value| {
            let map = json!({"metadata": {"labels": labels}, "data": data});
            read(Some(&map), &status).map(|entry| entry.map(|entry| entry.node_id))
        };
        let cache = json!({labels::CONFIG_MAP_TYPE: labels::TYPE_CACHE});
        assert_eq!(found(cache.clone(), json!(null)), Ok(None));
        assert_eq!(found(cache.clone(), json!({"other": "{}"})), Ok(None));
        assert_eq!(found(cache.clone(), json!({"k": ""})), Ok(None));
        assert_eq!(found(cache.clone(), json!({"k": "{\"nodeID\": \"n\"}"})), Ok(Some("n".to_owned())));
        assert_eq!(
            found(cache, json!({"k": "{"})),
            Err("malformed cache entry: could not unmarshal JSON; unable to parse: unexpected end of JSON input"
                .to_owned())
        );
        let refused = |said: &str| Err(format!("memoization configmap doesn't have {said}, refusing to use it"));
        let name = "workflows.argoproj.io/configmap-type";
        assert_eq!(found(json!({}), json!({})), refused(&format!("{name} label")));
        assert_eq!(found(json!({name: "Parameter"}), json!({})), refused(&format!("label {name} = Cache")));
    }
}
