//! Logs of a workflow's pods, merged by the times of their lines.

use std::collections::BTreeSet;
use std::sync::Arc;

use argosy_api::labels;
use argosy_api::v1alpha1::Workflow;
use argosy_client::pods::{self, LogOf, LogRequest};
use argosy_client::{Connection, FollowedLogs, Merged, Next, read};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};

use super::workflows::{found, warn};
use crate::app::App;
use crate::caller::Caller;
use crate::failure::{Failure, Result};
use crate::place::Place;
use crate::query::Query;
use crate::stream::{self, Form, Sender, send};

/// The largest compiled expression of a `grep`, in bytes.
const GREP_BYTES_MAX: usize = 1 << 20;

/// Which logs, and which of their lines.
struct Wanted {
    pod: Option<String>,
    container: String,
    /// Pods that a label selector has selected.
    selected: Option<BTreeSet<String>>,
    grep: Option<Regex>,
}

impl Wanted {
    async fn of(caller: &Caller, place: &Place, query: &Query) -> Result<Self> {
        let grep = query.get("grep").map(|text| RegexBuilder::new(text).size_limit(GREP_BYTES_MAX).build()).transpose();
        let pod = if place.pod.is_empty() { query.get("podName") } else { Some(place.pod.as_str()) };
        let selected = match query.get("selector") {
            Some(selector) => Some(selected(caller, place, selector).await?),
            None => None,
        };
        Ok(Self {
            pod: pod.map(str::to_owned),
            container: query.get("logOptions.container").unwrap_or_default().to_owned(),
            selected,
            grep: grep.map_err(|error| Failure::invalid(format!("grep: {error}")))?,
        })
    }

    /// Of pods that have started, in the order of their start. What stands before their lines is the pod's name.
    fn logs(&self, workflow: &Workflow) -> Vec<LogOf> {
        let container = (!self.container.is_empty()).then_some(self.container.as_str());
        let is_wanted = |name: &str| {
            self.pod.as_ref().is_none_or(|wanted| wanted == name)
                && self.selected.as_ref().is_none_or(|selected| selected.contains(name))
        };
        let all = pods::of(workflow);
        let wanted = all.iter().filter(|pod| pod.has_started() && is_wanted(&pod.name));
        // The main container is what a pod with containers of its own has not.
        let own = |pod: &pods::PodOf| match container {
            Some("main") if !pod.containers.is_empty() => pod.logs(None),
            container => pod.logs(container),
        };
        wanted.flat_map(own).map(|log| LogOf { prefix: log.pod.clone(), ..log }).collect()
    }

    fn entry(&self, pod: &str, line: &str) -> Option<Value> {
        let is_wanted = self.grep.as_ref().is_none_or(|grep| grep.is_match(line));
        is_wanted.then(|| json!({ "content": line, "podName": pod }))
    }
}

async fn selected(caller: &Caller, place: &Place, selector: &str) -> Result<BTreeSet<String>> {
    let pods: Api<Pod> = Api::namespaced(caller.client.clone(), place.one_namespace()?);
    let of_workflow = format!("{}={},{selector}", labels::WORKFLOW, place.name);
    let listed = pods.list(&ListParams::default().labels(&of_workflow)).await?;
    Ok(listed.items.into_iter().filter_map(|pod| pod.metadata.name).collect())
}

fn request(query: &Query) -> Result<LogRequest> {
    let since = query.read::<i64>("logOptions.sinceTime.seconds")?;
    let since = since.map(Timestamp::from_second).transpose();
    Ok(LogRequest {
        follow: query.flag("logOptions.follow")?,
        previous: query.flag("logOptions.previous")?,
        timestamps: query.flag("logOptions.timestamps")?,
        since_seconds: query.read("logOptions.sinceSeconds")?,
        since_time: since.map_err(|error| Failure::invalid(error.to_string()))?,
        tail: query.read("logOptions.tailLines")?,
    })
}

pub async fn logs(
    caller: Caller,
    place: Place,
    query: Query,
    headers: HeaderMap,
    State(app): State<Arc<App>>,
) -> Result<Response> {
    let workflow = read::readable(&found(&caller, &place, None).await?, &warn)?;
    let place = Place { name: workflow.metadata.name.clone(), ..place };
    let wanted = Wanted::of(&caller, &place, &query).await?;
    let request = request(&query)?;
    let connection = Connection { client: caller.client, namespace: place.namespace };
    Ok(stream::answer(Form::of(&headers), app.closing.clone(), |sender| async move {
        if request.follow {
            follow(connection, place.name, wanted, request, &sender).await
        } else {
            merge(&connection, wanted.logs(&workflow), wanted, request, &sender).await
        }
    }))
}

async fn merge(
    connection: &Connection,
    logs: Vec<LogOf>,
    wanted: Wanted,
    request: LogRequest,
    sender: &Sender,
) -> Result<()> {
    let mut merged = Merged::new(connection, logs, request);
    while let Some(next) = merged.next().await? {
        if let Next::Line(log, line) = next
            && let Some(entry) = wanted.entry(&log.pod, &line)
        {
            send(sender, entry).await?;
        }
    }
    Ok(())
}

async fn follow(
    connection: Connection,
    name: String,
    wanted: Wanted,
    request: LogRequest,
    sender: &Sender,
) -> Result<()> {
    let timestamps = request.timestamps;
    let mut logs = FollowedLogs::new(connection, vec![name], request, |workflow| wanted.logs(workflow));
    while let Some(lines) = logs.next(&warn).await? {
        for line in lines {
            let text = if timestamps { &line.timed } else { line.text() };
            if let Some(entry) = wanted.entry(&line.prefix, text) {
                send(sender, entry).await?;
            }
        }
    }
    Ok(())
}
