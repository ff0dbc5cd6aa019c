//! Workflows that Argo's controller would take up only to fail them: the object as it leaves them.

use argosy_api::{labels, v1alpha1 as v1};
use argosy_engine::validate;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Library, schema, shape};
use crate::load::Document;

/// Those workflows of `documents` whose shape is sound and whose meaning is not, failed at `now` in `namespace` (where they
/// name none), with the message of the first mistake.
pub fn refused(documents: &[Document], namespace: &str, now: Timestamp) -> Vec<Value> {
    let library = Library::of(documents);
    let sound = |document: &&Document| {
        document.kind() == "Workflow"
            && shape(document).is_empty()
            && schema::check(document).iter().all(|problem| problem.of_controller)
    };
    documents.iter().filter(sound).filter_map(|document| one(document, &library, namespace, now)).collect()
}

fn one(document: &Document, library: &Library, namespace: &str, now: Timestamp) -> Option<Value> {
    let workflow: v1::Workflow = v1::from_value(document.value.clone()).ok()?;
    // The controller's own eyes first: a submission is checked more strictly.
    let found = [false, true].into_iter().find_map(|submit| {
        let options = validate::Options { submit, ..validate::Options::default() };
        validate::workflow(&workflow, library, &options).into_iter().next()
    })?;
    // What comes from a template that is not there is nothing to validate.
    let reference = workflow.spec.workflow_template_ref.as_ref();
    let is_missing = reference.is_some_and(|r| validate::Templates::get(library, r.cluster_scope, &r.name).is_none());
    let (phase, message) =
        if is_missing { ("Error", found.to_string()) } else { ("Failed", format!("invalid spec: {found}")) };
    let mut value = document.value.clone();
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let metadata = mapping(value.as_object_mut()?, "metadata")?;
    metadata.entry("namespace").or_insert_with(|| json!(namespace));
    metadata.insert("creationTimestamp".to_owned(), json!(time));
    let marks = mapping(metadata, "labels")?;
    marks.insert(labels::COMPLETED.to_owned(), json!("true"));
    marks.insert(labels::PHASE.to_owned(), json!(phase));
    value["status"] = json!({
        "phase": phase,
        "message": message,
        "startedAt": time,
        "finishedAt": time,
        "progress": "0/0",
        "conditions": [{ "type": "Completed", "status": "True" }],
    });
    Some(value)
}

/// The mapping at `key`, made where there is none.
fn mapping<'a>(members: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let value = members.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::load::{self, Source};

    const FILE: &str = "
kind: Workflow
apiVersion: argoproj.io/v1alpha1
metadata: {name: wrong}
spec: {entrypoint: main, templates: [{name: main, steps: [[{name: a, template: b}]]}]}
---
kind: Workflow
apiVersion: argoproj.io/v1alpha1
metadata: {name: right}
spec: {entrypoint: main, templates: [{name: main, suspend: {}}]}
---
kind: Workflow
apiVersion: argoproj.io/v1alpha1
metadata: {name: misshapen}
spec: {entrypoint: main, templates: [{name: main, steps: [[{name: 7, template: b}]]}]}
";

    #[test]
    fn only_wrong_meanings_are_refused_as_by_the_controller() {
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        load::text(&Arc::new(Source::new("f.yaml", FILE.to_owned())), &mut documents, &mut problems);
        assert!(problems.is_empty());
        let found = refused(&documents, "argo", Timestamp::UNIX_EPOCH);
        let [wrong] = found.as_slice() else { panic!("{found:?}") };
        let time = "1970-01-01T00:00:00Z";
        let labels = json!({"workflows.argoproj.io/completed": "true", "workflows.argoproj.io/phase": "Failed"});
        let metadata = json!({"name": "wrong", "namespace": "argo", "creationTimestamp": time, "labels": labels});
        let message = "invalid spec: templates.main.steps[0].a template name 'b' undefined";
        let status = json!({
            "phase": "Failed", "message": message, "startedAt": time, "finishedAt": time, "progress": "0/0",
            "conditions": [{"type": "Completed", "status": "True"}]
        });
        assert_eq!((&wrong["metadata"], &wrong["status"]), (&metadata, &status));
    }

    #[test]
    fn what_the_api_takes_and_the_controller_refuses_is_told_as_by_the_controller() {
        let word =
            FILE.split("---").next().unwrap_or_default().replace("{name: a, template: b}", "{name: a, template: main}");
        let word = word.replace("{name: main, steps", "{name: main, retryStrategy: {retryPolicy: OnFail}, steps");
        let template = "kind: Workflow\napiVersion: argoproj.io/v1alpha1\nmetadata: {name: t}\nspec: {workflowTemplateRef: {name: none}}";
        for (text, phase, message) in [
            (word.as_str(), "Failed", "invalid spec: OnFail is not a valid RetryPolicy"),
            (template, "Error", "workflowtemplates.argoproj.io \"none\" not found"),
        ] {
            let (mut documents, mut problems) = (Vec::new(), Vec::new());
            load::text(&Arc::new(Source::new("f.yaml", text.to_owned())), &mut documents, &mut problems);
            let found = refused(&documents, "argo", Timestamp::UNIX_EPOCH);
            let [one] = found.as_slice() else { panic!("{text}: {found:?}") };
            assert_eq!((&one["status"]["phase"], &one["status"]["message"]), (&json!(phase), &json!(message)));
        }
    }
}
