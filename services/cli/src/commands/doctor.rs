//! `argosy doctor`: whether an installation has what it needs, and what to do about what it lacks. Changes nothing.

use std::time::Duration;

use argosy_client::{Connection, chain};
use clap::Args;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use kube::client::Body;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;

use crate::{
    connect::Connect,
    failure::{Failure, Outcome},
    output,
};

/// Clocks may differ by this much: leases last longer, and moments of schedules are on time for longer.
const SKEW_MAX: Duration = Duration::from_secs(3);
/// A server that does not answer by then does not.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first version of NATS whose batches and times to live Argosy uses.
const NATS_MIN: (u64, u64) = (2, 12);
/// The least that a message of the bus must be able to hold.
const PAYLOAD_MIN: u64 = 1024 * 1024;
/// Longest greeting of a NATS server, in bytes.
const GREETING_MAX: u64 = 64 * 1024;

/// The kinds that Argosy reads or writes.
const KINDS: [&str; 5] =
    ["Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow", "WorkflowTaskResult"];

/// What the services ask of the API: group, resource, verbs. As in `deploy/base/rbac.yaml`.
const RIGHTS: [(&str, &str, &[&str]); 9] = [
    ("argoproj.io", "workflows", &["get", "list", "watch", "patch", "create", "delete"]),
    ("argoproj.io", "cronworkflows", &["get", "list", "watch", "patch"]),
    ("argoproj.io", "workflowtemplates", &["get", "list", "watch"]),
    ("argoproj.io", "workflowtaskresults", &["get", "list", "watch"]),
    ("", "pods", &["get", "list", "watch", "create", "patch", "delete"]),
    ("", "persistentvolumeclaims", &["get", "create", "delete"]),
    ("policy", "poddisruptionbudgets", &["get", "create", "delete"]),
    ("", "configmaps", &["get", "create", "patch"]),
    ("", "events", &["create"]),
];

/// Check an installation: kinds, rights, NATS, clock, what runs; says what to do
#[derive(Args, Debug)]
pub struct Doctor {
    /// The NATS server to look at; without it, none is
    #[arg(long, env = "ARGOSY_NATS", value_name = "URL")]
    nats: Option<String>,
    /// Ask for the rights of this service account of the namespace (-n), and not for those of the kubeconfig; in the cluster
    /// Argosy has `argosy`
    #[arg(long, value_name = "NAME")]
    service_account: Option<String>,
    /// The namespace whose workflows are to run, where the rights are in one only
    #[arg(long, value_name = "NAME")]
    workflows: Option<String>,
}

/// What was found.
#[derive(Debug)]
struct Finding {
    what: String,
    /// What is wrong, and what to do.
    wrong: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self { what: what.into(), wrong: None }
    }

    fn bad(what: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self { what: what.into(), wrong: Some(wrong.into()) }
    }
}

impl Doctor {
    /// Looks at everything, and prints what it found. Errors: something is wrong.
    pub async fn run(&self, connect: &Connect) -> Outcome {
        let Connection { client, namespace } = connect.open().await?;
        let mut findings = kinds(&client).await?;
        findings.extend(self.rights(&client, &namespace).await?);
        findings.push(clock(&client).await?);
        findings.extend(deployments(&client, &namespace).await?);
        if let Some(address) = &self.nats {
            findings.push(nats(address).await);
        }
        let mut failed = 0;
        for Finding { what, wrong } in findings {
            match wrong {
                None => output::print(&format!("ok      {what}\n")),
                Some(wrong) => {
                    failed += 1;
                    output::print(&format!("WRONG   {what}: {wrong}\n"));
                }
            }
        }
        match failed {
            0 => Ok(()),
            1 => Err(Failure::Other(anyhow::anyhow!("one thing is wrong"))),
            n => Err(Failure::Other(anyhow::anyhow!("{n} things are wrong"))),
        }
    }

    async fn rights(&self, client: &Client, namespace: &str) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        let whose = match &self.service_account {
            Some(account) => format!("service account {namespace}/{account}"),
            None => "you".to_owned(),
        };
        for (group, resource, verbs) in RIGHTS {
            let mut missing = Vec::new();
            for verb in verbs {
                if !self.may(client, namespace, (group, resource, verb)).await? {
                    missing.push(*verb);
                }
            }
            let what = format!("rights: {whose} on {resource}");
            findings.push(match missing.as_slice() {
                [] => Finding::good(what),
                missing => Finding::bad(
                    what,
                    format!("may not {}; apply deploy/base/rbac.yaml, or bind a role that has it", missing.join(", ")),
                ),
            });
        }
        Ok(findings)
    }

    async fn may(
        &self,
        client: &Client,
        namespace: &str,
        (group, resource, verb): (&str, &str, &str),
    ) -> Result<bool, Failure> {
        let attributes = ResourceAttributes {
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            verb: Some(verb.to_owned()),
            namespace: self.workflows.clone(),
            ..ResourceAttributes::default()
        };
        let parameters = PostParams::default();
        let status = match &self.service_account {
            None => {
                let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
                let review = SelfSubjectAccessReview { spec, ..Default::default() };
                Api::all(client.clone()).create(&parameters, &review).await?.status
            }
            Some(account) => {
                let spec = SubjectAccessReviewSpec {
                    resource_attributes: Some(attributes),
                    user: Some(format!("system:serviceaccount:{namespace}:{account}")),
                    groups: Some(vec![
                        "system:serviceaccounts".to_owned(),
                        format!("system:serviceaccounts:{namespace}"),
                        "system:authenticated".to_owned(),
                    ]),
                    ..Default::default()
                };
                let review = SubjectAccessReview { spec, ..Default::default() };
                Api::all(client.clone()).create(&parameters, &review).await?.status
            }
        };
        Ok(status.is_some_and(|status| status.allowed))
    }
}

async fn kinds(client: &Client) -> Result<Vec<Finding>, Failure> {
    let known = match client.list_api_group_resources("argoproj.io/v1alpha1").await {
        Ok(list) => list.resources.into_iter().map(|resource| resource.kind).collect(),
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let finding = |kind: &str| {
        let what = format!("kind {kind}");
        if known.iter().any(|known| known == kind) {
            Finding::good(what)
        } else {
            Finding::bad(what, "the API does not have it; kubectl apply --server-side -f deploy/crds")
        }
    };
    Ok(KINDS.into_iter().map(finding).collect())
}

async fn clock(client: &Client) -> Result<Finding, Failure> {
    let request = http::Request::get("/version").body(Body::empty()).map_err(|error| Failure::Other(error.into()))?;
    let before = Timestamp::now();
    let response = client.send(request).await?;
    let date = response.headers().get(http::header::DATE).and_then(|value| value.to_str().ok());
    let Some(there) = date.and_then(|text| rfc2822::parse(text).ok()).map(|date| date.timestamp()) else {
        return Ok(Finding::good("clock: the API does not tell the time"));
    };
    Ok(skew(before, there))
}

/// The API tells whole seconds.
fn skew(here: Timestamp, there: Timestamp) -> Finding {
    let apart = here.duration_since(there).unsigned_abs();
    let what = format!("clock: {} s from that of the API", apart.as_secs());
    if apart <= SKEW_MAX + Duration::from_secs(1) {
        Finding::good(what)
    } else {
        Finding::bad(what, "leases and schedules go by the clock; let NTP set it on this machine and on the nodes")
    }
}

async fn deployments(client: &Client, namespace: &str) -> Result<Vec<Finding>, Failure> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let all = deployments.list(&ListParams::default()).await?;
    let is_ours = |deployment: &Deployment| {
        let labels = deployment.spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
        labels.is_some_and(|labels| labels.get("app").is_some_and(|app| app == "argosy"))
    };
    let ours: Vec<Deployment> = all.items.into_iter().filter(is_ours).collect();
    if ours.is_empty() {
        let what = format!("Deployments in namespace {namespace}");
        return Ok(vec![Finding::good(format!("{what}: none of Argosy's, whose pods are labelled app=argosy"))]);
    }
    Ok(ours.iter().map(deployment).collect())
}

fn deployment(deployment: &Deployment) -> Finding {
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let what = format!("Deployment {name}: {ready} of {wanted} ready");
    let pod = deployment.spec.template.spec.as_ref();
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let images = containers.iter().flat_map(|container| {
        let executor = container.env.iter().flatten().filter(|variable| variable.name == "ARGOSY_EXECUTOR_IMAGE");
        container.image.iter().chain(executor.filter_map(|variable| variable.value.as_ref()))
    });
    let unnamed = images.into_iter().find(|image| ["argosy", "executor", "argosy/executor"].contains(&image.as_str()));
    if let Some(image) = unnamed {
        return Finding::bad(
            what,
            format!("no image is published as `{image}`: name yours, see docs/operations.md, \"In a cluster\""),
        );
    }
    if ready < wanted {
        let why = format!("kubectl describe pods -l app=argosy; /readyz on port 9090 says what it waits for ({name})");
        return Finding::bad(what, why);
    }
    Finding::good(what)
}

/// What the server says of itself as soon as one connects; nothing is sent.
async fn nats(address: &str) -> Finding {
    let first = address.split(',').next().unwrap_or(address);
    let place = first.rsplit_once('@').map_or(first, |(_, host)| host);
    let place = place.rsplit_once("://").map_or(place, |(_, host)| host).trim_end_matches('/');
    let place = if place.contains(':') { place.to_owned() } else { format!("{place}:4222") };
    let what = format!("NATS at {place}");
    let greeting = async {
        let stream = TcpStream::connect(&place).await?;
        let mut line = String::new();
        BufReader::new(stream).take(GREETING_MAX).read_line(&mut line).await?;
        std::io::Result::Ok(line)
    };
    match tokio::time::timeout(PATIENCE, greeting).await {
        Ok(Ok(line)) => greeted(&what, &line),
        Ok(Err(error)) => Finding::bad(what, format!("{}; is it there, and may this machine reach it?", chain(&error))),
        Err(_) => Finding::bad(what, "it does not answer"),
    }
}

fn greeted(what: &str, line: &str) -> Finding {
    let info = line.strip_prefix("INFO ").and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(info) = info else { return Finding::bad(what, "what answers is no NATS server") };
    let version = info["version"].as_str().unwrap_or_default();
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or(0));
    let version_of = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let payload = info["max_payload"].as_u64().unwrap_or(0);
    if version_of < NATS_MIN {
        return Finding::bad(what, format!("version {version}; Argosy needs {}.{} or newer", NATS_MIN.0, NATS_MIN.1));
    }
    if info["jetstream"].as_bool() != Some(true) {
        return Finding::bad(what, "JetStream is off; start it with --jetstream and a --store_dir");
    }
    if payload < PAYLOAD_MIN {
        return Finding::bad(what, format!("messages may have {payload} bytes; set max_payload to 1MB or more"));
    }
    Finding::good(format!("{what}: version {version}, messages of {payload} bytes"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_that_cannot_be_used_is_told_with_what_to_do() {
        let wrong = |info: Value| greeted("NATS", &format!("INFO {info}\r\n")).wrong;
        let good = json!({"version": "2.12.1", "jetstream": true, "max_payload": 1_048_576});
        assert_eq!(wrong(good.clone()), None);
        for (member, value, word) in [
            ("version", json!("2.10.4"), "2.12 or newer"),
            ("jetstream", json!(false), "--jetstream"),
            ("max_payload", json!(65_536), "max_payload"),
        ] {
            let mut info = good.clone();
            info[member] = value;
            let told = wrong(info).expect("it is wrong");
            assert!(told.contains(word), "{told}");
        }
        assert!(greeted("NATS", "HTTP/1.1 400 Bad Request\r\n").wrong.is_some());
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        assert!(skew(at(100), at(97)).wrong.is_none() && skew(at(97), at(100)).wrong.is_none());
        assert!(skew(at(100), at(80)).wrong.is_some() && skew(at(80), at(100)).wrong.is_some());
    }

    #[test]
    fn an_image_that_nobody_publishes_is_found() {
        let of = |image: &str, ready: i32| -> Finding {
            let object = json!({"metadata": {"name": "argosy"}, "status": {"readyReplicas": ready},
                "spec": {"replicas": 2, "selector": {}, "template": {"spec": {"containers": [{"name": "argosy", "image": image}]}}}});
            deployment(&serde_json::from_value(object).expect("a Deployment"))
        };
        assert!(of("argosy", 2).wrong.is_some_and(|why| why.contains("no image is published")));
        assert!(of("registry/argosy:1", 1).wrong.is_some());
        assert_eq!(of("registry/argosy:1", 2).wrong, None);
    }
}
