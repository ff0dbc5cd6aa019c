//! The templates that an object refers to.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use argosy_api::v1alpha1::{self as v1, WorkflowSpec};
use argosy_engine::validate::Templates;
use argosy_objects::api;
use argosy_objects::names::find;
use kube::api::{Api, DynamicObject};

/// Templates that refer to each other are fetched in so many rounds at the most.
const ROUNDS_MAX: usize = 20;

/// What is told where [`checked`] says nothing.
pub const ENDLESS: &str = "its templates refer to more and more others";

/// Templates that were fetched, and those that were asked for and were not.
struct Library<'a> {
    known: &'a BTreeMap<(bool, String), Option<Arc<WorkflowSpec>>>,
    asked: RefCell<BTreeSet<(bool, String)>>,
}

impl Templates for Library<'_> {
    fn get(&self, cluster: bool, name: &str) -> Option<Arc<WorkflowSpec>> {
        let key = (cluster, name.to_owned());
        match self.known.get(&key) {
            Some(found) => found.clone(),
            None => {
                self.asked.borrow_mut().insert(key);
                None
            }
        }
    }
}

/// What `check` says once it has all templates that it asks for; none where they refer to more and more others, over 20 in a
/// chain.
///
/// Errors: the API does not answer.
pub async fn checked<T>(
    client: &kube::Client,
    namespace: &str,
    check: impl Fn(&dyn Templates) -> T,
) -> Result<Option<T>, kube::Error> {
    let mut known = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        // A value that is not Sync must not live across the requests.
        let (result, missing) = {
            let library = Library { known: &known, asked: RefCell::default() };
            (check(&library), library.asked.into_inner())
        };
        if missing.is_empty() {
            return Ok(Some(result));
        }
        for (cluster, name) in missing {
            let spec = fetch(client, namespace, cluster, &name).await?;
            known.insert((cluster, name), spec);
        }
    }
    Ok(None)
}

async fn fetch(
    client: &kube::Client,
    namespace: &str,
    cluster: bool,
    name: &str,
) -> Result<Option<Arc<WorkflowSpec>>, kube::Error> {
    let api: Api<DynamicObject> = if cluster {
        Api::all_with(client.clone(), &api::argo_kind("ClusterWorkflowTemplate"))
    } else {
        Api::namespaced_with(client.clone(), namespace, &api::argo_kind("WorkflowTemplate"))
    };
    let found = match find(&api, name).await {
        // What may not be read is not there for the caller.
        Err(error) if api::answer(&error) == api::Answer::Rejected => None,
        found => found?,
    };
    let spec = found.and_then(|object| object.data.get("spec").cloned());
    Ok(spec.and_then(|spec| v1::from_value::<WorkflowSpec>(spec).ok()).map(Arc::new))
}
