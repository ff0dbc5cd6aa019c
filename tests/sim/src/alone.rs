//! What the engine alone makes of a workflow: with it the services' work is compared.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use argosy_api::v1alpha1::{self as v1, NodeType, Time};
use argosy_testkit::world;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    corpus::{self, Case},
    node::Scripted,
};

/// What the engine alone makes of a workflow.
pub struct Alone {
    pub object: Value,
    /// From its start to its end: its pods, and whatever it waits for.
    pub took: Duration,
    pub pods: u32,
}

/// Has the engine alone run a workflow; nothing of one that needs a hand.
pub fn run_alone(case: Case) -> Result<Option<Alone>> {
    run_built(case, false)
}

/// `restart`: the engine is built anew after every event.
fn run_built(case: Case, restart: bool) -> Result<Option<Alone>> {
    if case.is_helpless() {
        return Ok(None);
    }
    let mut object: v1::Workflow = v1::from_value(case.workflow()?).context("a workflow")?;
    let started_at: Timestamp = "2026-01-01T00:00:00Z".parse().context("a constant")?;
    object.metadata.uid = "reference".to_owned();
    object.metadata.creation_timestamp = Some(Time::new(started_at));
    let options = world::Options {
        config: Arc::default(),
        documents: corpus::objects(case.namespace)?.into_iter().chain(corpus::limits()?).collect(),
        started_at,
        restart,
        fold: false,
        events_max: 10_000,
    };
    let run = world::run(object, &Scripted, &options);
    anyhow::ensure!(run.end == world::End::Completed, "the engine alone does not end {case}: {:?}", run.end);
    anyhow::ensure!(run.broken.is_empty(), "the engine alone breaks rules in {case}: {:?}", run.broken);
    let ended_at = run.object.status.finished_at.as_ref().map_or(started_at, |time| time.0);
    let took = Duration::try_from(ended_at.duration_since(started_at)).unwrap_or_default();
    let pods = run.object.status.nodes.values().filter(|node| node.r#type == NodeType::Pod).count();
    Ok(Some(Alone { object: json!(run.object), took, pods: u32::try_from(pods).unwrap_or(u32::MAX) }))
}

#[cfg(test)]
mod tests {
    use argosy_testkit::compare;

    use super::*;

    #[test]
    fn workflows_with_locks_end_alike_when_the_engine_is_built_anew_after_every_event() {
        for name in corpus::locked_names() {
            let [once, anew] = [false, true].map(|restart| {
                let alone = run_built(Case::argo(name), restart).expect("it runs").expect("it needs no hand");
                alone.object
            });
            let differs: Vec<_> = compare::diff(&once, &anew).iter().map(|d| d.short()).collect();
            assert!(differs.is_empty(), "{name}: {differs:?}");
        }
    }
}
