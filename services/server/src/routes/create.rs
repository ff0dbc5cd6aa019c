//! Workflows to be: created, linted, submitted from what is stored.

use argosy_api::labels;
use argosy_api::v1alpha1::{self as v1, Workflow};
use argosy_client::objects;
use argosy_engine::ops::submit::{self, SubmitOptions};
use argosy_engine::ops::user::User;
use argosy_engine::validate::{self, Problem};
use argosy_operations::{ENDLESS, Template, checked};
use axum::Json;
use serde_json::{Map, Value, json};

use super::workflows::shown;
use crate::body::Body;
use crate::caller::Caller;
use crate::failure::{Failure, Result};
use crate::place::Place;

/// The object in the member `name` of the body. Errors: there is none.
pub fn object(body: &mut Body, name: &str, what: &str) -> Result<Value> {
    body.object(name)?.ok_or_else(|| Failure::invalid(format!("{what} was not found in the request body")))
}

/// A member of `metadata`, which is made where there is none.
fn metadata(value: &mut Value) -> Result<&mut Map<String, Value>> {
    let members = value.as_object_mut().ok_or_else(|| Failure::invalid("the object is none"))?;
    let metadata = members.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    metadata.as_object_mut().ok_or_else(|| Failure::invalid("metadata is no object"))
}

/// Makes `value` one of `kind` in `namespace`, of the caller.
///
/// Errors: it names another namespace.
pub fn prepared(value: &mut Value, kind: &str, namespace: Option<&str>, user: Option<&User>) -> Result<()> {
    value["apiVersion"] = json!(v1::API_VERSION);
    value["kind"] = json!(kind);
    let metadata = metadata(value)?;
    if let Some(namespace) = namespace {
        let named = metadata.entry("namespace").or_insert(Value::Null);
        match named.as_str().filter(|text| !text.is_empty()) {
            None => *named = json!(namespace),
            Some(other) if other != namespace => {
                return Err(Failure::invalid(format!(
                    "the object is of namespace {other}, the request of {namespace}"
                )));
            }
            Some(_) => {}
        }
    }
    if user.is_some() {
        let mut known = labels_of(metadata);
        User::label_creator(user, &mut known);
        metadata.insert("labels".to_owned(), json!(known));
    }
    Ok(())
}

fn labels_of(metadata: &Map<String, Value>) -> std::collections::BTreeMap<String, String> {
    metadata.get("labels").and_then(|labels| serde_json::from_value(labels.clone()).ok()).unwrap_or_default()
}

/// The first mistake is the answer, in Argo's words.
pub fn settle(problems: &[Problem]) -> Result<()> {
    problems.first().map_or(Ok(()), |problem| Err(Failure::invalid(problem.message.clone())))
}

async fn validate(caller: &Caller, namespace: &str, value: &Value, options: &validate::Options) -> Result<Workflow> {
    let workflow: Workflow = v1::from_value(value.clone())
        .map_err(|error| Failure::invalid(format!("the workflow cannot be read: {error}")))?;
    let check = |templates: &dyn validate::Templates| validate::workflow(&workflow, templates, options);
    settle(&checked(&caller.client, namespace, check).await?.ok_or_else(|| Failure::invalid(ENDLESS))?)?;
    Ok(workflow)
}

pub async fn create(caller: Caller, place: Place, mut body: Body) -> Result<Json<Value>> {
    let namespace = place.one_namespace()?;
    let mut workflow = object(&mut body, "workflow", "workflow")?;
    let dry_run = body.flag("serverDryRun")? || body.is_dry_run();
    prepared(&mut workflow, "Workflow", Some(namespace), caller.user().as_ref())?;
    create_one(&caller, namespace, workflow, dry_run).await
}

async fn create_one(caller: &Caller, namespace: &str, workflow: Value, dry_run: bool) -> Result<Json<Value>> {
    let options = validate::Options { submit: true, ..validate::Options::default() };
    validate(caller, namespace, &workflow, &options).await?;
    let created = objects::create(&caller.client, namespace, "Workflow", workflow, dry_run).await?;
    Ok(Json(shown(&created)?))
}

pub async fn lint(caller: Caller, place: Place, mut body: Body) -> Result<Json<Value>> {
    let namespace = place.one_namespace()?;
    let mut workflow = object(&mut body, "workflow", "workflow")?;
    prepared(&mut workflow, "Workflow", Some(namespace), caller.user().as_ref())?;
    let options = validate::Options { lint: true, ..validate::Options::default() };
    validate(&caller, namespace, &workflow, &options).await?;
    Ok(Json(workflow))
}

pub async fn submit(caller: Caller, place: Place, body: Body) -> Result<Json<Value>> {
    let namespace = place.one_namespace()?;
    let kind = body.text("resourceKind")?;
    let template: Template =
        kind.parse().map_err(|error: argosy_operations::UnknownKind| Failure::invalid(error.to_string()))?;
    let options: SubmitOptions = body.read("submitOptions")?.unwrap_or_default();
    let name = body.text("resourceName")?;
    let value = template.workflow(&caller.client, namespace, &name).await?;
    let mut workflow: Workflow = v1::from_value(value)
        .map_err(|error| Failure::invalid(format!("what {name} would run cannot be read: {error}")))?;
    submit::apply(&mut workflow, &options).map_err(|error| Failure::invalid(error.to_string()))?;
    workflow.metadata.labels.insert(origin(template).to_owned(), name);
    let mut value = serde_json::to_value(&workflow)?;
    prepared(&mut value, "Workflow", Some(namespace), caller.user().as_ref())?;
    create_one(&caller, namespace, value, options.dry_run || options.server_dry_run).await
}

/// The label that tells from what a workflow was made. Source: Argo's `workflow/common/common.go`.
fn origin(template: Template) -> &'static str {
    match template {
        Template::Workflow => labels::WORKFLOW_TEMPLATE,
        Template::Cluster => labels::CLUSTER_WORKFLOW_TEMPLATE,
        Template::Cron => labels::CRON_WORKFLOW,
    }
}
