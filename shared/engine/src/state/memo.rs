//! Entries of memoization caches.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arcstr::ArcStr;
use argosy_api::{
    message::LookupKey,
    v1alpha1::{MemoizationStatus, NodePhase, NodeStatus, Outputs, Time},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Call;

/// What is known of caches. A cache is asked anew for each call; what this workflow has saved it knows by itself.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Calls that wait for the answer to a lookup.
    waiting: BTreeMap<LookupKey, Vec<Arc<Call>>>,
    /// What was found for calls, or why the cache cannot be read, by the id of their node.
    found: HashMap<ArcStr, Result<Option<Value>, String>>,
    /// What this workflow has saved, by cache and key.
    saved: HashMap<(String, String), Entry>,
}

/// What a cache holds under one key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Entry {
    #[serde(rename = "nodeID", alias = "NodeID")]
    pub node_id: String,
    #[serde(alias = "Outputs")]
    pub outputs: Option<Outputs>,
    pub creation_timestamp: Option<Time>,
    pub last_hit_timestamp: Option<Time>,
}

impl Memo {
    /// Calls that wait for what a cache holds.
    pub fn waiting_calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.waiting.values().flatten()
    }

    /// The call is held back: its cache is asked again when it is its turn. A new owner would not know the answer from before,
    /// and somebody may have saved something since.
    pub fn forget(&mut self, call: &Call) {
        self.found.remove(&call.id);
    }

    /// Takes up what a node of a rebuilt workflow has saved.
    pub fn recall(&mut self, node: &NodeStatus) {
        if let Some((status, entry)) = remembered(node) {
            self.save(&status, entry);
        }
    }

    /// This workflow saves an entry.
    pub fn save(&mut self, status: &MemoizationStatus, entry: Entry) {
        self.saved.insert((status.cache_name.clone(), status.key.clone()), entry);
    }

    /// What this workflow has saved there.
    pub fn saved(&self, status: &MemoizationStatus) -> Option<&Entry> {
        self.saved.get(&(status.cache_name.clone(), status.key.clone()))
    }

    /// The call waits for the answer to a lookup. True when it is the first that does.
    pub fn wait(&mut self, key: &LookupKey, call: Arc<Call>) -> bool {
        let waiting = self.waiting.entry(key.clone()).or_default();
        waiting.push(call);
        waiting.len() == 1
    }

    /// The calls that waited for that answer, which they have now. None when no call did.
    pub fn found(&mut self, key: &LookupKey, answer: &Result<Option<Value>, String>) -> Option<Vec<Arc<Call>>> {
        let calls = self.waiting.remove(key)?;
        self.found.extend(calls.iter().map(|call| (call.id.clone(), answer.clone())));
        Some(calls)
    }

    /// What was found for a call, or why the cache cannot be read. Told once.
    pub fn take_found(&mut self, call: &Call) -> Option<Result<Option<Value>, String>> {
        self.found.remove(&call.id)
    }

    /// What caches were asked for.
    pub fn asked(&self) -> impl Iterator<Item = &LookupKey> {
        self.waiting.keys()
    }
}

/// The entry that a node stands for, if it ended well and was not in the cache before.
pub(crate) fn remembered(node: &NodeStatus) -> Option<(MemoizationStatus, Entry)> {
    let status = node.memoization_status.as_deref().filter(|status| !status.hit)?.clone();
    let entry = Entry {
        node_id: node.id.to_string(),
        outputs: node.outputs.as_deref().cloned(),
        creation_timestamp: node.finished_at,
        last_hit_timestamp: node.finished_at,
    };
    (node.phase == NodePhase::Succeeded).then_some((status, entry))
}
