//! Service accounts: a pod names one that its namespace has.
//!
//! Source: `k8s.io/kubernetes/plugin/pkg/admission/serviceaccount`. Each namespace has the account `default`; no token of any
//! account is put into pods.

use super::failure::{Failure, Result};
use super::json::Json;
use super::kinds::{self, Flavor, Kind};
use super::object::key;
use super::store::Txn;

/// The account of pods that name none.
const DEFAULT: &str = "default";

/// Refuses a new pod whose account is not there.
pub(super) fn admit(txn: &Txn<'_>, kind: &Kind, namespace: &str, name: &str, tree: &Json) -> Result<()> {
    if kind.flavor != Flavor::Pod {
        return Ok(());
    }
    let account = tree.str_at(&["spec", "serviceAccountName"]).unwrap_or_default();
    if account.is_empty() || account == DEFAULT {
        return Ok(());
    }
    let accounts = kinds::find("", "v1", "serviceaccounts").expect("accounts are in the table of kinds");
    if txn.get(accounts, &key(namespace, account)).is_some() {
        return Ok(());
    }
    Err(Failure::forbidden(format!(
        "{} \"{name}\" is forbidden: error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found",
        kind.qualified()
    ))
    .about(kind, name))
}
