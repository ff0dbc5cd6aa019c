//! The workflow of a moment is created.

use argosy_actor::Owned;
use argosy_api::v1alpha1::CronWorkflow;
use argosy_cron::{Child, Run};
use argosy_objects::api::{self, Answer};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::context::{Context, Error};
use crate::metrics;

/// What became of it.
pub(crate) enum Outcome {
    Started(Child),
    /// It was created before, by whoever died then or by another replica.
    There(Child),
    /// The API does not take it.
    Refused(String),
}

/// Terminates what the run takes the place of, and creates its workflow.
///
/// Errors: no answer, or one that may be another the next time; this replica is no longer the one that acts.
pub(crate) async fn start(
    context: &Context,
    cron: &CronWorkflow,
    value: &Value,
    run: &Run,
    owned: &Owned,
) -> Result<Outcome, Error> {
    let workflows = api::workflows(&context.client, &cron.metadata.namespace);
    for name in &run.replaces {
        if !owned.holds() {
            return Err(Error::Left);
        }
        let order = Patch::Merge(json!({"spec": {"shutdown": "Terminate"}}));
        match workflows.patch(name, &PatchParams::default(), &order).await {
            Ok(_) => {
                metrics::REPLACED.inc();
                metrics::policy_triggered(&cron.metadata.name, &cron.metadata.namespace, "Replace");
            }
            Err(error) if api::answer(&error) == Answer::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let made = argosy_cron::workflow(value, run.at);
    let object: DynamicObject = match serde_json::from_value(made) {
        Ok(object) => object,
        Err(error) => return Ok(Outcome::Refused(format!("Failed to submit Workflow: {error}"))),
    };
    // A replica that was paused finds out here that another has acted for it meanwhile.
    if !owned.holds() {
        return Err(Error::Left);
    }
    match workflows.create(&PostParams::default(), &object).await {
        Ok(created) => Ok(Outcome::Started(child(&created))),
        Err(error) if api::answer(&error) == Answer::AlreadyExists => {
            let name = argosy_cron::name(&cron.metadata.name, run.at);
            let Some(there) = workflows.get_opt(&name).await? else {
                // It was there, and has been deleted: it did run.
                return Ok(Outcome::There(Child { name, ..Child::default() }));
            };
            let is_own = there.metadata.owner_references.iter().flatten().any(|owner| owner.uid == cron.metadata.uid);
            Ok(if is_own { Outcome::There(child(&there)) } else { Outcome::Refused(refusal(&error)) })
        }
        Err(error) if api::answer(&error) == Answer::Rejected => Ok(Outcome::Refused(refusal(&error))),
        Err(error) => Err(Error::NotCreated(error)),
    }
}

fn refusal(error: &kube::Error) -> String {
    format!("Failed to submit Workflow: {}", api::message(error))
}

fn child(object: &DynamicObject) -> Child {
    Child::of(&api::to_json(object).unwrap_or_default())
}
