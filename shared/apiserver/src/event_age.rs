//! Events do not stay: kube-apiserver drops each an hour after it was last written.
//!
//! Nothing happens by itself here, so that old ones go when new ones come.

use jiff::{SignedDuration, Timestamp};

use super::kinds::Kind;
use super::object::Object;
use super::store::Txn;

/// Source: the default of kube-apiserver's `--event-ttl`.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Old ones are looked for once in so long.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// Whether objects of this kind are dropped when they are old.
pub(crate) fn is_event(kind: &Kind) -> bool {
    kind.plural == "events"
}

/// Drops the old events of a kind, when that is due.
pub(crate) fn drop_old(txn: &mut Txn<'_>, kind: &'static Kind) {
    let now = txn.now();
    if !txn.is_due(kind, now, PAUSE) {
        return;
    }
    for object in txn.all_of_kind(kind) {
        if last_seen(&object).is_some_and(|seen| now.duration_since(seen) > AGE_MAX) {
            txn.remove(&object);
        }
    }
}

fn last_seen(event: &Object) -> Option<Timestamp> {
    let paths: [&[&str]; 3] = [&["series", "lastObservedTime"], &["lastTimestamp"], &["metadata", "creationTimestamp"]];
    paths.iter().filter_map(|path| event.tree.str_at(path)?.parse().ok()).max()
}
