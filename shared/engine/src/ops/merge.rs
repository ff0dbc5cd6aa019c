//! Merging specs: the workflow's own over its template's over the operator's defaults.
//!
//! Source: Argo docs/workflow-templates.md, docs/default-workflow-specs.md, docs/template-defaults.md; `workflow/util/merge.go`.

use argosy_api::v1alpha1::*;
use serde_json::Value;

use super::strategic::{self, Schema};

/// A merge gave something that is no spec any more. The inputs were valid, so this is rare: a `$patch` directive in them.
#[derive(Debug, thiserror::Error)]
#[error("merge {what}")]
pub struct Error {
    what: &'static str,
    #[source]
    source: serde_json::Error,
}

/// The spec a workflow runs by: what it says itself, then what `template` says, then the defaults.
///
/// Lists with merge keys (templates, arguments, volumes, …) are joined by key; other lists are replaced. A hook and a
/// `labelsFrom` entry is taken whole from the first that has it.
pub fn effective_spec(
    defaults: Option<&WorkflowSpec>,
    template: Option<&WorkflowSpec>,
    workflow: &WorkflowSpec,
) -> Result<WorkflowSpec, Error> {
    let mut spec = workflow.clone();
    for under in [template, defaults].into_iter().flatten() {
        spec = under_spec(under, &spec)?;
    }
    Ok(spec)
}

/// Lays `over` on `under`: where both say something, `over` is right.
pub fn under_spec(under: &WorkflowSpec, over: &WorkflowSpec) -> Result<WorkflowSpec, Error> {
    let mut base = under.clone();
    settle_arguments(&mut base.arguments, &over.arguments);
    // Hooks and labelsFrom do not merge into each other.
    base.hooks.retain(|name, _| !over.hooks.contains_key(name));
    if let (Some(base), Some(over)) = (&mut base.workflow_metadata, &over.workflow_metadata) {
        base.labels_from.retain(|name, _| !over.labels_from.contains_key(name));
    }
    merged(&base, over, "a spec")
}

/// A value in `over` hides a source in `under` and the other way round; so does one artifact location another.
fn settle_arguments(under: &mut Arguments, over: &Arguments) {
    for parameter in &mut under.parameters {
        let Some(over) = over.parameters.iter().find(|p| p.name == parameter.name) else {
            continue;
        };
        if over.value.is_some() {
            parameter.value_from = None;
        }
        if over.value_from.is_some() {
            parameter.value = None;
            parameter.value_from = None;
        }
    }
    for artifact in &mut under.artifacts {
        let Some(over) = over.artifacts.iter().find(|a| a.name == artifact.name) else {
            continue;
        };
        let (l, o) = (&mut artifact.location, &over.location);
        let others = |kinds: [bool; 10], own: usize| kinds.iter().enumerate().any(|(i, set)| *set && i != own);
        let kinds = [
            o.s3.is_some(),
            o.git.is_some(),
            o.http.is_some(),
            o.artifactory.is_some(),
            o.hdfs.is_some(),
            o.raw.is_some(),
            o.oss.is_some(),
            o.gcs.is_some(),
            o.azure.is_some(),
            o.plugin.is_some(),
        ];
        l.s3 = l.s3.take().filter(|_| !others(kinds, 0));
        l.git = l.git.take().filter(|_| !others(kinds, 1));
        l.http = l.http.take().filter(|_| !others(kinds, 2));
        l.artifactory = l.artifactory.take().filter(|_| !others(kinds, 3));
        l.hdfs = l.hdfs.take().filter(|_| !others(kinds, 4));
        l.raw = l.raw.take().filter(|_| !others(kinds, 5));
        l.oss = l.oss.take().filter(|_| !others(kinds, 6));
        l.gcs = l.gcs.take().filter(|_| !others(kinds, 7));
        l.azure = l.azure.take().filter(|_| !others(kinds, 8));
        l.plugin = l.plugin.take().filter(|_| !others(kinds, 9));
    }
}

/// Lays a whole workflow on another: metadata and spec; the status stays that of `over`.
pub fn under_workflow(under: &Workflow, over: &Workflow) -> Result<Workflow, Error> {
    Ok(Workflow {
        api_version: over.api_version.clone(),
        kind: over.kind.clone(),
        metadata: merged(&under.metadata, &over.metadata, "metadata")?,
        spec: under_spec(&under.spec, &over.spec)?,
        status: over.status.clone(),
    })
}

/// Adds the labels and annotations that `metadata` lacks, the first of `under` being the most important.
pub fn join_metadata<'a>(metadata: &mut ObjectMeta, under: impl IntoIterator<Item = &'a WorkflowMetadata>) {
    for under in under {
        for (name, value) in &under.labels {
            metadata.labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
        for (name, value) in &under.annotations {
            metadata.annotations.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// Lays `template` on the workflow's `templateDefaults`; kinds of template other than its own do not come through.
pub fn template_defaults(defaults: &Template, template: &Template) -> Result<Template, Error> {
    let mut base = defaults.clone();
    base.name.clear();
    if template.container.is_none() {
        base.container = None;
    }
    if template.script.is_none() {
        base.script = None;
    }
    if template.container_set.is_none() {
        base.container_set = None;
    }
    if template.resource.is_none() {
        base.resource = None;
    }
    if template.data.is_none() {
        base.data = None;
    }
    if template.suspend.is_none() {
        base.suspend = None;
    }
    if template.http.is_none() {
        base.http = None;
    }
    if template.plugin.is_none() {
        base.plugin = None;
    }
    if template.dag.is_none() {
        base.dag = None;
    }
    if template.steps.is_empty() {
        base.steps = Vec::new();
    }
    merged(&base, template, "template defaults")
}

fn merged<T: serde::Serialize + serde::de::DeserializeOwned>(
    under: &T,
    over: &T,
    what: &'static str,
) -> Result<T, Error> {
    let json = |value: &T| serde_json::to_value(value).map_err(|source| Error { what, source });
    let mut target: Value = json(under)?;
    strategic::merge(&mut target, json(over)?, Schema::Workflow);
    serde_json::from_value(target).map_err(|source| Error { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(value: Value) -> Template {
        from_value(value).expect("the test's template fits")
    }

    #[test]
    fn defaults_fill_the_kind_that_a_template_has_and_no_other() {
        let defaults = template(json!({
            "timeout": "30s", "container": { "image": "default", "tty": true }, "script": { "image": "s", "source": "" },
            "metadata": { "labels": { "a": "default", "b": "default" } },
        }));
        let own =
            template(json!({ "name": "t", "container": { "image": "own" }, "metadata": { "labels": { "a": "own" } } }));
        let result = template_defaults(&defaults, &own).expect("merges");
        let expected = template(json!({
            "name": "t", "timeout": "30s", "container": { "image": "own", "tty": true },
            "metadata": { "labels": { "a": "own", "b": "default" } },
        }));
        assert_eq!(result, expected);
    }

    #[test]
    fn another_location_replaces_the_one_underneath() {
        let spec = |artifact: Value| {
            from_value::<WorkflowSpec>(json!({ "arguments": { "artifacts": [artifact] } })).expect("fits")
        };
        let under = spec(json!({ "name": "a", "s3": { "key": "k" } }));
        let over = spec(json!({ "name": "a", "raw": { "data": "x" } }));
        let result = effective_spec(None, Some(&under), &over).expect("merges");
        assert_eq!(result, over);
    }
}
