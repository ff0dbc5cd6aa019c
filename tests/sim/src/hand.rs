//! What comes from outside: an operator who loses the bus, people who terminate and resume.

use std::{sync::Arc, time::Duration};

use argosy_actor::api;
use argosy_cluster::api::Server;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{corpus, faults::Faults, gate::Plant, world::Plan};

/// Longer than any pause between full lists and reminders.
const LONG: Duration = Duration::from_secs(11 * 60);

/// So long a workflow waits before it is looked at whether waiting costs anything.
const SETTLING: Duration = Duration::from_secs(60);
/// So long a workflow waits where things go wrong.
const SHORT: Duration = Duration::from_secs(10);

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
    pub broken: Arc<Mutex<Vec<String>>>,
}

impl Hand {
    fn workflows(&self) -> Api<DynamicObject> {
        api::workflows(&self.server.client("argo"), "argo")
    }

    async fn patch(&self, name: &str, patch: &Value) {
        let patched = self.workflows().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        if let Err(error) = patched {
            self.broken.lock().push(format!("the world's own patch of {name} failed: {error}"));
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

    /// Terminates everything.
    pub async fn terminate(self) {
        let Some(at) = self.plan.terminate else { return };
        tokio::time::sleep(at).await;
        self.faults.note("everything is terminated");
        for name in &self.plan.workflows {
            self.patch(name, &json!({"spec": {"shutdown": "Terminate"}})).await;
        }
    }

    /// Resumes the workflow that waits; before that, when nothing goes wrong, sees to it that waiting costs nothing (L4).
    pub async fn resume(self) {
        if !self.plan.workflows.contains(&corpus::WAITING) {
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
        self.patch(corpus::WAITING, &patch).await;
    }

    /// Id of the node that waits, once it does.
    async fn pause_node(&self) -> String {
        loop {
            if let Ok(object) = self.workflows().get(corpus::WAITING).await
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
            for name in &self.plan.workflows {
                self.patch(name, &json!({"metadata": {"annotations": {"fidget": n.to_string()}}})).await;
            }
        }
    }
}
