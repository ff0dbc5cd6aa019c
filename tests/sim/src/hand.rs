//! What comes from outside: an operator who loses the bus, people who terminate, resume, edit and retry.

use std::{sync::Arc, time::Duration};

use argosy_actor::Clock;
use argosy_apiserver::Server;
use argosy_engine::ops::retry;
use argosy_objects::api;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{
    check::GENERATION,
    corpus::{self, ARGO, Case},
    faults::Faults,
    gate::Plant,
    node::Generations,
    plan::{Change, Edit, Plan},
};

/// Longer than any pause between full lists and reminders.
const LONG: Duration = Duration::from_secs(11 * 60);

/// So long a workflow waits before it is looked at whether waiting costs anything.
const SETTLING: Duration = Duration::from_secs(60);
/// So long a workflow waits where things go wrong.
const SHORT: Duration = Duration::from_secs(10);
/// From one look at a workflow to the next.
const POLL: Duration = Duration::from_secs(2);
/// From the failure of a workflow to its retry.
pub const RETRY_AFTER: Duration = Duration::from_secs(7);

fn waits_long(plan: &Plan) -> bool {
    plan.faults.is_none() && plan.crash.is_none()
}

/// How long the workflow that waits is left waiting.
pub fn resumes_after(plan: &Plan) -> Duration {
    if waits_long(plan) { SETTLING + LONG } else { SHORT }
}

#[derive(Clone)]
pub struct Hand {
    pub plan: Plan,
    pub server: Server,
    pub faults: Arc<Faults>,
    pub generations: Generations,
    pub clock: Clock,
    pub broken: Arc<Mutex<Vec<String>>>,
}

impl Hand {
    fn workflows(&self, namespace: &str) -> Api<DynamicObject> {
        api::workflows(&self.server.client(namespace), namespace)
    }

    async fn patch(&self, case: Case, patch: &Value) {
        let workflows = self.workflows(case.namespace);
        if let Err(error) = workflows.patch(case.name, &PatchParams::default(), &Patch::Merge(patch)).await {
            self.broken.lock().push(format!("the world's own patch of {case} failed: {error}"));
        }
    }

    /// Loses the bus when the plan says so.
    pub async fn lose(self) {
        let mut losses = self.plan.losses.clone();
        losses.sort();
        let started = tokio::time::Instant::now();
        for loss in losses {
            tokio::time::sleep_until(started + loss).await;
            self.faults.lose_bus();
        }
    }

    /// Terminates everything, or stops it.
    pub async fn terminate(self) {
        let Some(at) = self.plan.terminate else { return };
        tokio::time::sleep(at).await;
        let (what, shutdown) = match &self.plan.grown {
            Some(grown) if grown.stops => ("stopped", "Stop"),
            Some(_) | None => ("terminated", "Terminate"),
        };
        self.faults.note(&format!("everything is {what}"));
        for case in &self.plan.workflows {
            self.patch(*case, &json!({"spec": {"shutdown": shutdown}})).await;
        }
    }

    /// Deletes the workflow that would hold its lock for ever.
    pub async fn delete_doomed(self) {
        let Some(at) = self.plan.locked.flatten() else { return };
        tokio::time::sleep(at).await;
        self.faults.note("what holds a lock for ever is deleted");
        if let Err(error) = self.workflows(ARGO).delete(corpus::DOOMED, &DeleteParams::default()).await {
            self.broken.lock().push(format!("the world's own deletion failed: {error}"));
        }
    }

    /// Edits `edit`'s workflow.
    pub async fn edit(self, edit: Edit) {
        let Edit { at, workflow, what } = edit;
        tokio::time::sleep(at).await;
        self.faults.note(&format!("edit of {workflow}: {what:?}"));
        match what {
            Change::Suspend(long) => {
                self.patch(workflow, &json!({"spec": {"suspend": true}})).await;
                tokio::time::sleep(long).await;
                self.faults.note(&format!("{workflow} is resumed"));
                self.patch(workflow, &json!({"spec": {"suspend": null}})).await;
            }
            Change::Parallelism(most) => self.patch(workflow, &json!({"spec": {"parallelism": most}})).await,
            Change::Label => self.patch(workflow, &json!({"metadata": {"labels": {"sim/edit": "yes"}}})).await,
        }
    }

    /// Retries `case` once if it fails, as `argo retry` does: the pods of what is forgotten go before the status is written.
    pub async fn retry(self, case: Case) {
        loop {
            tokio::time::sleep(POLL).await;
            let phase = match self.workflows(case.namespace).get(case.name).await {
                Ok(object) => object.data.pointer("/status/phase").cloned().unwrap_or_default(),
                Err(_) => continue,
            };
            match phase.as_str() {
                Some("Succeeded") => return,
                Some("Failed" | "Error") => break,
                _ => {}
            }
        }
        tokio::time::sleep(RETRY_AFTER).await;
        loop {
            match self.try_retry(case).await {
                Ok(()) => return,
                Err(kube::Error::Api(status)) if status.code == 409 => tokio::time::sleep(POLL).await,
                Err(error) => {
                    self.broken.lock().push(format!("the world's own retry of {case} failed: {error}"));
                    return;
                }
            }
        }
    }

    async fn try_retry(&self, case: Case) -> kube::Result<()> {
        let workflows = self.workflows(case.namespace);
        let object = workflows.get(case.name).await?;
        let mut workflow = match api::to_workflow(&object) {
            Ok(workflow) => workflow,
            Err(error) => {
                self.broken.lock().push(format!("{case} cannot be read: {error}"));
                return Ok(());
            }
        };
        let gone = match retry::retry(&mut workflow, &retry::Retry::default(), None, self.clock.now()) {
            Ok(gone) => gone,
            Err(error) => {
                self.broken.lock().push(format!("{case} cannot be retried: {error}"));
                return Ok(());
            }
        };
        let pods: Api<Pod> = Api::namespaced(self.server.client(case.namespace), case.namespace);
        for pod in gone {
            match pods.delete(&pod, &DeleteParams::default().grace_period(0)).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => _ = other?,
            }
        }
        workflow.metadata.annotations.insert(GENERATION.to_owned(), "1".to_owned());
        let uid = workflow.metadata.uid.clone();
        let edited: DynamicObject =
            serde_json::to_value(&workflow).and_then(serde_json::from_value).map_err(kube::Error::SerdeError)?;
        self.faults.note(&format!("{case} is retried"));
        // Its pods count anew from the moment of the write, which takes no time here.
        self.generations.lock().insert(uid.clone(), 1);
        let replaced = workflows.replace(case.name, &PostParams::default(), &edited).await;
        if replaced.is_err() {
            self.generations.lock().remove(&uid);
        }
        replaced.map(|_| ())
    }

    /// Resumes the workflow that waits; before that, when nothing goes wrong, sees to it that waiting costs nothing (L4).
    pub async fn resume(self) {
        let waiting = Case::argo(corpus::WAITING);
        if !self.plan.workflows.contains(&waiting) {
            return;
        }
        let node = self.pause_node().await;
        if waits_long(&self.plan) {
            tokio::time::sleep(SETTLING).await;
            let before = self.server.revision();
            tokio::time::sleep(LONG).await;
            let written = self.server.revision() - before;
            if written > 0 {
                self.broken.lock().push(format!("L4: {written} writes while a workflow only waited"));
            }
        } else {
            tokio::time::sleep(SHORT).await;
        }
        self.faults.note("what waits is resumed");
        // As `argo resume` does.
        let patch = json!({"status": {"nodes": {node: {"phase": "Succeeded", "finishedAt": "2026-01-01T00:00:20Z"}}}});
        self.patch(waiting, &patch).await;
    }

    /// Id of the node that waits, once it does.
    async fn pause_node(&self) -> String {
        loop {
            if let Ok(object) = self.workflows(ARGO).get(corpus::WAITING).await
                && let Some(Value::Object(nodes)) = object.data.pointer("/status/nodes")
                && let Some((id, _)) =
                    nodes.iter().find(|(_, node)| node["type"] == "Suspend" && node["phase"] == "Running")
            {
                return id.clone();
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// A planted bug: writes although nothing changes.
    pub async fn fidget(self) {
        if self.plan.plant != Some(Plant::Restless) {
            return;
        }
        for n in 0_u64.. {
            tokio::time::sleep(Duration::from_secs(60)).await;
            for case in &self.plan.workflows {
                self.patch(*case, &json!({"metadata": {"annotations": {"fidget": n.to_string()}}})).await;
            }
        }
    }
}
