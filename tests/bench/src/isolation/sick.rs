//! What a workflow can be that must harm no other.

use std::{io::Write as _, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use argosy_api::labels;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use flate2::{Compression, write::GzEncoder};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{system::System, webhook::Answer};

/// Where sick workflows are.
const NAMESPACE: &str = "sick";
/// What each is called.
const NAME: &str = "sick";
const QUOTA: &str = "full";
/// How long a sick workflow may take to its end, once nothing stands in its way.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Pods that a full quota refuses.
const REFUSED_PODS: usize = 100;
/// Bytes that a few hundred kilobytes of compressed nodes become.
const BOMB_BYTES: usize = 256 << 20;
/// Bytes of an argument that makes a command too large for the bus, and not its workflow for the API.
const LARGE_BYTES: usize = 1_100_000;
/// Steps whose conditions each cost all that an evaluation may cost.
const CONDITIONS: usize = 30;
/// Items of each of two loops, which are more nodes together than a workflow may add at once.
const ITEMS: usize = 100_000;

/// A kind of sickness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sick {
    /// Its spec has members of the wrong types
    Unreadable,
    /// Somebody puts garbage where its nodes are
    Garbage,
    /// Somebody puts nodes there that become very many bytes
    Bomb,
    /// A webhook denies every write of its status
    Denied,
    /// A webhook that is asked about its status cannot be called
    Webhook,
    /// The quota of its namespace is full
    Quota,
    /// Its pod is too large for a message
    Large,
    /// Its conditions cost more than an expression may
    Expression,
    /// Its loops have more items than it may have nodes
    Loop,
}

/// How a sick workflow must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With Error, and labelled as out of service.
    OutOfService,
    /// With Error or Failed, by itself.
    Unwell,
    /// It succeeds once nothing stands in its way any more.
    Well,
}

impl Sick {
    /// The name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Garbage => "garbage",
            Self::Bomb => "bomb",
            Self::Denied => "denied",
            Self::Webhook => "webhook",
            Self::Quota => "quota",
            Self::Large => "large",
            Self::Expression => "expression",
            Self::Loop => "loop",
        }
    }

    /// Whether it takes long until the services give it up.
    pub fn ends_late(self) -> bool {
        self == Self::Denied
    }

    fn end(self) -> End {
        match self {
            Self::Unreadable | Self::Garbage | Self::Bomb | Self::Denied => End::OutOfService,
            Self::Large | Self::Expression | Self::Loop => End::Unwell,
            Self::Webhook | Self::Quota => End::Well,
        }
    }

    fn spec(self) -> Value {
        let work = json!({"name": "work", "container": {"image": "bench", "command": ["true"]}});
        let steps =
            |steps: Vec<Value>| json!({"entrypoint": "main", "templates": [{"name": "main", "steps": [steps]}, work]});
        let sequence = |name: &str, count: usize| json!({"name": name, "template": "work", "withSequence": {"count": count.to_string()}});
        match self {
            Self::Unreadable => json!({"entrypoint": 5, "templates": "none"}),
            Self::Garbage | Self::Bomb => json!({"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]}),
            Self::Denied | Self::Webhook => steps(vec![json!({"name": "s", "template": "work"})]),
            Self::Quota => steps(vec![sequence("s", REFUSED_PODS)]),
            Self::Large => {
                let container = json!({"image": "bench", "command": ["true"], "args": ["y".repeat(LARGE_BYTES)]});
                json!({"entrypoint": "main", "templates": [{"name": "main", "container": container}]})
            }
            Self::Expression => {
                let when = "{{=count(1..2000, all(1..2000, # > 0)) > 1}}";
                let task = |i: usize| json!({"name": format!("t{i}"), "template": "work", "when": when});
                let tasks: Vec<Value> = (0..CONDITIONS).map(task).collect();
                let main = json!({"name": "main", "dag": {"failFast": false, "tasks": tasks}});
                json!({"entrypoint": "main", "templates": [main, work]})
            }
            Self::Loop => steps(vec![sequence("a", ITEMS), sequence("b", ITEMS)]),
        }
    }
}

/// One sick workflow in a system.
pub struct Patient<'a> {
    sick: Sick,
    system: &'a System,
    /// What somebody will put where its nodes are.
    nodes: Option<String>,
}

impl<'a> Patient<'a> {
    /// Prepares all that must be there before the healthy workflows begin.
    ///
    /// Errors: the API refuses.
    pub async fn admit(sick: Sick, system: &'a System) -> Result<Self> {
        let mut nodes = None;
        match sick {
            Sick::Garbage | Sick::Bomb => {
                nodes = Some(if sick == Sick::Bomb { bomb()? } else { "no gzip, no base64!".to_owned() });
                system.submit(NAMESPACE, NAME, sick.spec()).await?;
            }
            Sick::Denied => system.webhook.set(NAME, Answer::Denies),
            Sick::Webhook => system.webhook.set(NAME, Answer::Fails),
            Sick::Quota => {
                let quota = json!({"metadata": {"name": QUOTA}, "spec": {"hard": {"pods": "0"}}});
                let quota = serde_json::from_value(quota).context("a quota")?;
                quotas(system).create(&PostParams::default(), &quota).await.context("create the quota")?;
            }
            Sick::Unreadable | Sick::Large | Sick::Expression | Sick::Loop => {}
        }
        let patient = Self { sick, system, nodes };
        if patient.nodes.is_some() {
            patient.wait("runs", |status, _| status["phase"] == "Running").await?;
        }
        Ok(patient)
    }

    /// Falls sick, in the midst of the healthy.
    ///
    /// Errors: the API refuses.
    pub async fn fall_sick(&self) -> Result<()> {
        let Some(nodes) = &self.nodes else {
            return self.system.submit(NAMESPACE, NAME, self.sick.spec()).await;
        };
        let patch = json!({"status": {"compressedNodes": nodes, "nodes": null}});
        let patched =
            self.system.workflows(NAMESPACE).patch(NAME, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.map(|_| ()).context("patch the sick workflow")
    }

    /// Takes away what stands in its way, where that is not its own, and waits for its end.
    ///
    /// Errors: it does not end as it must, or has ended before.
    pub async fn end(self) -> Result<()> {
        if self.sick.end() == End::Well {
            let object = self.get().await?;
            let phase = object.data.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
            ensure!(matches!(phase, "" | "Running"), "the sick workflow ({}) has ended: {phase}", self.sick.name());
            self.system.webhook.agree();
        }
        if self.sick == Sick::Quota {
            let patch = json!({"spec": {"hard": {"pods": "1000"}}});
            let raised = quotas(self.system).patch(QUOTA, &PatchParams::default(), &Patch::Merge(&patch)).await;
            raised.context("raise the quota")?;
        }
        self.wait("ends as it must", |status, labels| {
            let (phase, is_out) = (&status["phase"], labels[labels::QUARANTINED] == "true");
            match self.sick.end() {
                End::OutOfService => phase == "Error" && is_out,
                End::Unwell => (phase == "Error" || phase == "Failed") && !is_out,
                End::Well => phase == "Succeeded",
            }
        })
        .await
    }

    async fn get(&self) -> Result<DynamicObject> {
        self.system.workflows(NAMESPACE).get(NAME).await.context("get the sick workflow")
    }

    /// Waits until its status and its labels are as they must be.
    async fn wait(&self, what: &str, is_so: impl Fn(&Value, &Value) -> bool) -> Result<()> {
        let mut seen = Value::Null;
        let waiting = async {
            loop {
                let object = self.get().await?;
                let labels = json!(object.metadata.labels.unwrap_or_default());
                let status = object.data.get("status").unwrap_or(&Value::Null);
                if is_so(status, &labels) {
                    return Ok(());
                }
                seen = json!({"phase": status["phase"], "message": status["message"], "labels": labels});
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(ENDS_WITHIN, waiting).await {
            Ok(result) => result,
            Err(_) => bail!("the sick workflow ({}) never {what}: {seen}", self.sick.name()),
        }
    }
}

/// Compressed nodes that are one long text.
fn bomb() -> Result<String> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(br#"{"n":""#)?;
    let part = [b'n'; 1 << 20];
    for _ in 0..BOMB_BYTES / part.len() {
        gzip.write_all(&part)?;
    }
    gzip.write_all(br#""}"#)?;
    Ok(STANDARD.encode(gzip.finish()?))
}

fn quotas(system: &System) -> Api<ResourceQuota> {
    Api::namespaced(system.server.client(NAMESPACE), NAMESPACE)
}
