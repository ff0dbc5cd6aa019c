//! ResourceQuotas: how many pods a namespace may have.
//!
//! Source: `k8s.io/kubernetes/pkg/quota/v1/evaluator/core/pods.go`. Counted are pods: `pods` those that have not ended,
//! `count/pods` all of them. Quotas with scopes are passed over, as are other resources; `status` is not kept up.

use super::failure::{Failure, Result};
use super::json::Json;
use super::kinds::{self, Flavor, Kind};
use super::object::Object;
use super::store::Txn;

/// The resource of quotas.
pub(super) fn kind() -> &'static Kind {
    kinds::find("", "v1", "resourcequotas").expect("quotas are in the table of kinds")
}

/// Refuses a new pod that a quota of its namespace has no room for.
pub(super) fn admit(txn: &Txn<'_>, kind: &Kind, namespace: &str, name: &str) -> Result<()> {
    if kind.flavor != Flavor::Pod {
        return Ok(());
    }
    let mut pods = None;
    for quota in txn.of_kind(self::kind(), namespace) {
        let Some(hard) = quota.tree.at(&["spec", "hard"]).and_then(Json::as_map) else { continue };
        if quota.tree.at(&["spec", "scopes"]).is_some() || quota.tree.at(&["spec", "scopeSelector"]).is_some() {
            continue;
        }
        let over: Vec<(&str, usize, u64)> = hard
            .iter()
            .filter_map(|(resource, limit)| {
                let counts: fn(&Object) -> bool = match resource {
                    "pods" => is_going_on,
                    "count/pods" => |_| true,
                    _ => return None,
                };
                let pods = pods.get_or_insert_with(|| txn.of_kind(kind, namespace));
                let used = pods.iter().filter(|pod| counts(pod)).count();
                let limit = whole(limit)?;
                (used as u64 >= limit).then_some((resource, used, limit))
            })
            .collect();
        if !over.is_empty() {
            return Err(exceeded(kind, name, quota.name(), &over));
        }
    }
    Ok(())
}

fn exceeded(kind: &Kind, name: &str, quota: &str, over: &[(&str, usize, u64)]) -> Failure {
    let list = |text: &dyn Fn(&(&str, usize, u64)) -> String| over.iter().map(text).collect::<Vec<_>>().join(",");
    let requested = list(&|(resource, _, _)| format!("{resource}=1"));
    let used = list(&|(resource, used, _)| format!("{resource}={used}"));
    let limited = list(&|(resource, _, limit)| format!("{resource}={limit}"));
    Failure::forbidden(format!(
        "{} \"{name}\" is forbidden: exceeded quota: {quota}, requested: {requested}, used: {used}, limited: {limited}",
        kind.qualified()
    ))
    .about(kind, name)
}

fn is_going_on(pod: &Object) -> bool {
    !matches!(pod.tree.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"))
}

/// A quantity that is a whole number, as numbers of objects are; others are no limit.
fn whole(quantity: &Json) -> Option<u64> {
    match quantity {
        Json::String(text) => {
            let (digits, factor) = match text.strip_suffix('k') {
                Some(digits) => (digits, 1000),
                None => (text.as_ref(), 1),
            };
            digits.parse::<u64>().ok()?.checked_mul(factor)
        }
        other => u64::try_from(other.as_i64()?).ok(),
    }
}
