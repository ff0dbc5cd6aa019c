//! The templates that a CronWorkflow refers to.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use argosy_api::v1alpha1::{self as v1, CronWorkflow, WorkflowSpec};
use argosy_engine::validate::{Options, Templates};
use argosy_objects::api;
use kube::api::{Api, DynamicObject};

/// Templates that refer to each other are fetched in so many rounds at the most.
const ROUNDS_MAX: usize = 20;

/// Templates that were fetched, and those that were asked for and were not.
#[derive(Default)]
struct Library {
    known: BTreeMap<(bool, String), Option<Arc<WorkflowSpec>>>,
    asked: RefCell<BTreeSet<(bool, String)>>,
}

impl Templates for Library {
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

/// What is wrong with a CronWorkflow, if something is: the first mistake.
///
/// Errors: the API does not answer.
pub(crate) async fn problem(client: &kube::Client, cron: &CronWorkflow) -> Result<Option<String>, kube::Error> {
    let mut known = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let (problem, library) = checked(known, cron);
        let missing = library.asked.take();
        if missing.is_empty() {
            return Ok(problem);
        }
        known = library.known;
        for (cluster, name) in missing {
            let spec = fetch(client, &cron.metadata.namespace, cluster, &name).await?;
            known.insert((cluster, name), spec);
        }
    }
    Ok(Some("its templates refer to more and more others".to_owned()))
}

type Known = BTreeMap<(bool, String), Option<Arc<WorkflowSpec>>>;

fn checked(known: Known, cron: &CronWorkflow) -> (Option<String>, Library) {
    let library = Library { known, asked: RefCell::default() };
    let problems = argosy_cron::problems(cron, &library, &Options::default());
    (problems.into_iter().next().map(|problem| problem.message), library)
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
    let found = match api.get_opt(name).await {
        // A name that none can have.
        Err(error) if api::answer(&error) == api::Answer::Rejected => None,
        found => found?,
    };
    let spec = found.and_then(|object| object.data.get("spec").cloned());
    Ok(spec.and_then(|spec| v1::from_value::<WorkflowSpec>(spec).ok()).map(Arc::new))
}
