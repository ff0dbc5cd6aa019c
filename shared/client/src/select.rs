//! Which workflows are meant.

use std::time::Duration;

use argosy_api::{labels, v1alpha1::Workflow};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::{
    Client,
    api::{DynamicObject, ListParams},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    error::{Error, Warn, chain},
    objects, read,
};

/// What the API server selects by.
#[derive(Clone, Debug, Default)]
pub struct Selectors {
    /// Label selector: `a=b,c!=d`.
    pub labels: Option<String>,
    /// Field selector: `metadata.name=x`.
    pub fields: Option<String>,
}

/// What is looked at once the API server has selected.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Workflows that have ended.
    pub completed: bool,
    /// Workflows in one of these phases; `Pending` is that of a workflow that has none yet.
    pub phases: Vec<String>,
    /// Workflows that ended longer ago than this.
    pub older: Option<Duration>,
    /// Workflows whose names start so.
    pub prefix: Option<String>,
    /// Workflows that were resubmitted.
    pub resubmitted: bool,
}

/// Workflows with their objects, those still running first, then the latest first.
///
/// `chunk` is how many are asked for at once; all where it is none.
pub async fn fetch(
    client: &Client,
    namespace: Option<&str>,
    selectors: &Selectors,
    chunk: Option<u32>,
    warn: Warn<'_>,
) -> Result<Vec<(Workflow, Value)>, Error> {
    let mut params = ListParams {
        label_selector: selectors.labels.clone(),
        field_selector: selectors.fields.clone(),
        limit: chunk,
        ..ListParams::default()
    };
    let api = objects::api(client, "Workflow", namespace);
    let mut found = Vec::new();
    loop {
        let request = kube::core::Request::new(api.resource_url()).list(&params).map_err(kube::Error::BuildRequest)?;
        let listed: Listed = client.request(request).await?;
        found.extend(listed.items.into_iter().map(|value| item(value, warn)));
        params.continue_token = listed.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            break;
        }
    }
    sort(&mut found, |(workflow, _)| workflow);
    Ok(found)
}

/// Puts workflows that still run first, then the latest first.
pub fn sort<T>(found: &mut [T], workflow: impl Fn(&T) -> &Workflow) {
    found.sort_by_key(|one| std::cmp::Reverse(recent(workflow(one))));
}

/// A list whose items may be anything: one that cannot be read does not hide the others.
#[derive(Deserialize)]
struct Listed {
    metadata: ListMeta,
    items: Vec<Value>,
}

fn item(value: Value, warn: Warn<'_>) -> (Workflow, Value) {
    let read = serde_json::from_value::<DynamicObject>(value.clone()).map_err(|error| error.to_string());
    let read = read.and_then(|mut object| {
        // Items of a list carry no type of their own.
        object.types.get_or_insert_with(workflow_type);
        let value = read::shown(&object, warn).map_err(|error| chain(&error))?;
        Ok((read::readable_value(&value).map_err(|error| chain(&error))?, value))
    });
    read.unwrap_or_else(|why| (read::unreadable(&value, &why), value))
}

fn workflow_type() -> kube::core::TypeMeta {
    kube::core::TypeMeta { api_version: argosy_api::v1alpha1::API_VERSION.to_owned(), kind: "Workflow".to_owned() }
}

fn recent(workflow: &Workflow) -> (bool, Option<argosy_api::v1alpha1::Time>, Option<argosy_api::v1alpha1::Time>) {
    let status = &workflow.status;
    (status.finished_at.is_none(), status.finished_at.or(status.started_at), workflow.metadata.creation_timestamp)
}

impl Filters {
    /// True when `workflow` passes all that are given.
    pub fn pass(&self, workflow: &Workflow, now: Timestamp) -> bool {
        let status = &workflow.status;
        let ended = status.phase.is_completed();
        let phase = if status.phase.as_str().is_empty() { "Pending" } else { status.phase.as_str() };
        let ended_before = |age: Duration| {
            status
                .finished_at
                .is_some_and(|at| now.as_second() - at.0.as_second() > i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
        };
        (!self.completed || ended)
            && (self.phases.is_empty() || self.phases.iter().any(|wanted| wanted == phase))
            && self.older.is_none_or(ended_before)
            && self.prefix.as_ref().is_none_or(|prefix| workflow.metadata.name.starts_with(prefix.as_str()))
            && (!self.resubmitted || workflow.metadata.labels.contains_key(labels::RESUBMITTED_FROM))
    }
}

#[cfg(test)]
mod tests {
    use argosy_api::v1alpha1 as v1;
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_narrow_together() {
        let value =
            json!({"metadata": {"name": "a-1"}, "status": {"phase": "Failed", "finishedAt": "2026-01-01T00:00:00Z"}});
        let workflow: Workflow = v1::from_value(value).expect("a workflow");
        let now = "2026-01-01T01:00:00Z".parse().expect("a moment");
        let hour = |hours: u64| Some(Duration::from_secs(hours * 3600 - 1));
        let all = Filters {
            completed: true,
            phases: vec!["Failed".into()],
            older: hour(1),
            prefix: Some("a-".into()),
            ..Filters::default()
        };
        assert!(all.pass(&workflow, now));
        for none in [
            Filters { phases: vec!["Succeeded".into()], ..all.clone() },
            Filters { older: hour(2), ..all.clone() },
            Filters { prefix: Some("b".into()), ..all.clone() },
            Filters { resubmitted: true, ..all.clone() },
        ] {
            assert!(!none.pass(&workflow, now), "{none:?}");
        }
    }

    #[test]
    fn an_item_that_cannot_be_read_is_named_beside_the_others() {
        let good = json!({"metadata": {"name": "good"}, "spec": {}, "status": {"phase": "Succeeded"}});
        let (workflow, value) = item(good.clone(), &|_| {});
        assert_eq!((workflow.metadata.name.as_str(), workflow.status.phase.as_str()), ("good", "Succeeded"));
        assert_eq!(value["metadata"], good["metadata"]);
        let odd = [
            json!({"metadata": {"name": "bad", "labels": "."}, "spec": {}}),
            json!({"metadata": {"name": "bad", "creationTimestamp": 5}}),
            json!({"metadata": {"name": "bad", "ownerReferences": [1]}, "status": []}),
        ];
        for value in odd {
            let (workflow, _) = item(value.clone(), &|_| {});
            assert_eq!((workflow.metadata.name.as_str(), workflow.status.phase.as_str()), ("bad", "Error"), "{value}");
            assert!(workflow.status.message.contains("cannot be read"), "{value}");
        }
        // Of these all but the nodes can be read.
        for nodes in ["garbage", "H4sIAAAAAAAA/4uOBQApu0wNAgAAAA==", ""] {
            let value = json!({"metadata": {"name": "bad"}, "status": {"phase": "Running", "compressedNodes": nodes}});
            let (workflow, _) = item(value, &|_| {});
            assert_eq!(
                (workflow.metadata.name.as_str(), workflow.status.phase.as_str()),
                ("bad", "Running"),
                "{nodes}"
            );
        }
    }
}
