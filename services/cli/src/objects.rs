//! Objects of the API as the commands need them.

use std::fmt;

use anyhow::Context;
use argosy_actor::{api::offloaded_version, compressed};
use argosy_api::v1alpha1::{self as v1, API_VERSION, Workflow, WorkflowPhase};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::{channel::say, failure::Failure, terminal};

/// The kinds that the command line creates.
const KINDS: [(&str, &str, &str); 8] = [
    ("Workflow", "workflows", API_VERSION),
    ("WorkflowTemplate", "workflowtemplates", API_VERSION),
    ("ClusterWorkflowTemplate", "clusterworkflowtemplates", API_VERSION),
    ("CronWorkflow", "cronworkflows", API_VERSION),
    ("ConfigMap", "configmaps", "v1"),
    ("Secret", "secrets", "v1"),
    ("ServiceAccount", "serviceaccounts", "v1"),
    ("PersistentVolumeClaim", "persistentvolumeclaims", "v1"),
];

/// True for a kind that [`api`] knows.
pub fn is_known(kind: &str) -> bool {
    KINDS.iter().any(|(known, _, _)| *known == kind)
}

/// The API of `kind`, which must be [known](is_known), in `namespace` (none for cluster-wide kinds and for all).
pub fn api(client: &Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (kind, plural, version) = KINDS.iter().find(|(known, _, _)| *known == kind).copied().unwrap_or(KINDS[0]);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    match namespace {
        Some(namespace) if kind != "ClusterWorkflowTemplate" => {
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
        Some(_) | None => Api::all_with(client.clone(), &resource),
    }
}

/// The API of workflows in `namespace`.
pub fn workflows(client: &Client, namespace: &str) -> Api<DynamicObject> {
    api(client, "Workflow", Some(namespace))
}

/// Bytes that the decompressed nodes of a status may have. 100,000 nodes have fewer; an object's 1.5 MB can hold a
/// thousand times as many that are none.
const NODES_BYTES_MAX: usize = 64 << 20;
/// Values in them: a node has some twenty.
const NODES_VALUES_MAX: usize = 4_000_000;

/// The object as JSON, without the bookkeeping of field managers; the nodes of a large status decompressed.
///
/// Errors: compressed nodes that are not what they should be, or more than can be shown.
pub fn value(object: &DynamicObject) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(object).map_err(anyhow::Error::from)?;
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    if let Some(text) = compressed_nodes(object)
        && let Some(status) = value.get_mut("status").and_then(Value::as_object_mut)
    {
        let nodes = nodes(text, NODES_BYTES_MAX, NODES_VALUES_MAX).context("read status.compressedNodes")?;
        status.remove("compressedNodes");
        status.insert("nodes".to_owned(), nodes);
    } else if let Some(version) = offloaded_version(object) {
        let text = "too large for the object, its nodes are kept on the bus of Argosy";
        return Err(Failure::Other(anyhow::anyhow!("{text} ({version}), where this command cannot read them")));
    }
    Ok(value)
}

fn nodes(text: &str, bytes_max: usize, values_max: usize) -> anyhow::Result<Value> {
    let nodes = compressed::decode(text).context("decompress")?;
    anyhow::ensure!(nodes.len() <= bytes_max, "decompressed they have more than {bytes_max} bytes");
    // As values they take many times the memory that they have as text: counted first.
    let mut left = values_max;
    let counted = Counted(&mut left).deserialize(&mut serde_json::Deserializer::from_slice(&nodes));
    anyhow::ensure!(left > 0, "they have more than {values_max} values");
    counted.context("they are not JSON")?;
    let nodes: Value = serde_json::from_slice(&nodes)?;
    anyhow::ensure!(nodes.is_object(), "they are no mapping");
    Ok(nodes)
}

/// Reads a value and forgets it, and counts those in it down.
struct Counted<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.0 = self.0.saturating_sub(1);
        if *self.0 == 0 {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Counted(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_key::<IgnoredAny>()?.is_some() {
            members.next_value_seed(Counted(&mut *self.0))?;
        }
        Ok(())
    }
}

/// As [`value`]; where the nodes cannot be read without them, which is said on standard error.
pub fn shown(object: &DynamicObject) -> Result<Value, Failure> {
    let failure = match value(object) {
        Ok(value) => return Ok(value),
        Err(failure) => failure,
    };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    say!("warning: workflow {}: shown without its nodes: {}", terminal::line(name), failure.line());
    let mut object = object.clone();
    if let Some(status) = object.data.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("compressedNodes");
        status.remove("offloadNodeStatusVersion");
    }
    value(&object)
}

/// A workflow that stands for an object that is none, in lists.
pub fn unreadable(item: &Value, why: &str) -> Workflow {
    let text = |path| item.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut workflow = Workflow::default();
    (workflow.metadata.name, workflow.metadata.namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    workflow.status.phase = WorkflowPhase::Error;
    workflow.status.message = format!("the object cannot be read: {why}");
    workflow
}

/// The nodes of a large status, as the object has them.
pub fn compressed_nodes(object: &DynamicObject) -> Option<&str> {
    object.data.pointer("/status/compressedNodes").and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The object as a workflow. Errors: it is none, where somebody wrote past all checks.
pub fn workflow(object: &DynamicObject) -> Result<Workflow, Failure> {
    Ok(v1::from_value(value(object)?).map_err(anyhow::Error::from)?)
}

/// The object as a workflow to show or to stop; of one that cannot be read whole, what can be read.
///
/// Errors: its metadata cannot be read either.
pub fn readable(object: &DynamicObject) -> Result<Workflow, Failure> {
    readable_value(&shown(object)?)
}

/// As [`readable`], of JSON.
pub fn readable_value(value: &Value) -> Result<Workflow, Failure> {
    let mut rest = value.clone();
    for member in ["spec", "status.nodes", "status"] {
        match v1::from_value(rest.clone()) {
            Ok(workflow) => return Ok(workflow),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "left out the {member} of a workflow");
            }
        }
        let (outer, last) = member.split_once('.').unwrap_or(("", member));
        let outer = if outer.is_empty() { Some(&mut rest) } else { rest.get_mut(outer) };
        if let Some(members) = outer.and_then(Value::as_object_mut) {
            members.remove(last);
        }
    }
    Ok(v1::from_value(rest).map_err(anyhow::Error::from)?)
}

/// Reads one workflow; `@latest` is the one created last. Errors: there is none.
pub async fn get(client: &Client, namespace: &str, name: &str) -> Result<DynamicObject, Failure> {
    get_opt(client, namespace, name).await?.ok_or_else(|| not_found(name))
}

/// That there is no workflow `name`, as API servers say it.
pub fn not_found(name: &str) -> Failure {
    let what = if name == "@latest" {
        "there is no workflow".to_owned()
    } else {
        format!("workflows.argoproj.io \"{name}\" not found")
    };
    Failure::Other(anyhow::anyhow!("{what}"))
}

/// As [`get`]; `None` where there is none.
pub async fn get_opt(client: &Client, namespace: &str, name: &str) -> Result<Option<DynamicObject>, Failure> {
    let api = workflows(client, namespace);
    if name != "@latest" {
        return Ok(api.get_opt(name).await?);
    }
    let all = api.list(&ListParams::default()).await?.items;
    Ok(all.into_iter().max_by_key(|object| {
        (object.metadata.creation_timestamp.as_ref().map(|time| time.0), object.metadata.name.clone())
    }))
}

/// `@latest` to the name it stands for.
pub async fn name(client: &Client, namespace: &str, name: &str) -> Result<String, Failure> {
    if name != "@latest" {
        return Ok(name.to_owned());
    }
    Ok(get(client, namespace, name).await?.metadata.name.unwrap_or_default())
}

/// Creates `value`, or replaces what has its name.
pub async fn apply(client: &Client, namespace: &str, kind: &str, value: Value) -> Result<DynamicObject, Failure> {
    let object: DynamicObject = serde_json::from_value(value).map_err(anyhow::Error::from)?;
    let api = api(client, kind, Some(object.metadata.namespace.as_deref().unwrap_or(namespace)));
    match api.create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let name = object.metadata.name.clone().unwrap_or_default();
            let mut next = object;
            next.metadata.resource_version = api.get(&name).await?.metadata.resource_version;
            Ok(api.replace(&name, &PostParams::default(), &next).await?)
        }
        other => Ok(other?),
    }
}

/// Creates `value` as it is.
pub async fn create(
    client: &Client,
    namespace: &str,
    kind: &str,
    value: Value,
    dry_run: bool,
) -> Result<DynamicObject, Failure> {
    let object: DynamicObject = serde_json::from_value(value).map_err(anyhow::Error::from)?;
    let api = api(client, kind, Some(object.metadata.namespace.as_deref().unwrap_or(namespace)));
    Ok(api.create(&PostParams { dry_run, ..PostParams::default() }, &object).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_would_fill_the_memory_are_not_read() {
        let encode = |json: &str| compressed::encode(json.as_bytes()).expect("memory");
        let read = |json: &str| nodes(&encode(json), 1000, 100);
        let good = read(r#"{"a":{"phase":"Failed","x":[1,2.5,true,null,"t"]}}"#).expect("nodes");
        assert_eq!(good["a"]["phase"], "Failed");
        let said = |json: &str| format!("{:#}", read(json).expect_err("refused"));
        assert!(said(&" ".repeat(1001)).contains("more than 1000 bytes"));
        for many in [format!("[{}0]", "0,".repeat(100)), format!("{{\"a\":{{{}\"b\":0}}}}", "\"b\":0,".repeat(100))] {
            assert!(said(&many).contains("more than 100 values"), "{many}");
        }
        for garbage in ["{", "[]", "", &"[".repeat(90)] {
            said(garbage);
        }
        for garbage in ["*", "AAAA"] {
            nodes(garbage, 1000, 100).expect_err("refused");
        }
    }
}
