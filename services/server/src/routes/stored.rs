//! What is stored to be run later: WorkflowTemplates, ClusterWorkflowTemplates, CronWorkflows.

use argosy_api::v1alpha1::{self as v1, ClusterWorkflowTemplate, CronWorkflow, WorkflowTemplate};
use argosy_client::{objects, read};
use argosy_engine::validate::{self, Templates};
use argosy_operations::{ENDLESS, checked};
use axum::Json;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::create::{object, prepared, settle};
use crate::body::Body;
use crate::caller::Caller;
use crate::failure::{Failure, Result};
use crate::place::Place;
use crate::query::Query;

/// A kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Template,
    ClusterTemplate,
    Cron,
}

impl Stored {
    pub const ALL: [Self; 3] = [Self::Template, Self::ClusterTemplate, Self::Cron];

    /// Of its routes.
    pub fn path(self) -> &'static str {
        match self {
            Self::Template => "workflow-templates",
            Self::ClusterTemplate => "cluster-workflow-templates",
            Self::Cron => "cron-workflows",
        }
    }

    pub fn is_of_cluster(self) -> bool {
        self == Self::ClusterTemplate
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Template => "WorkflowTemplate",
            Self::ClusterTemplate => "ClusterWorkflowTemplate",
            Self::Cron => "CronWorkflow",
        }
    }

    /// The member of a body that has it. Source: the requests of Argo's swagger.
    fn member(self) -> &'static str {
        match self {
            Self::Template | Self::ClusterTemplate => "template",
            Self::Cron => "cronWorkflow",
        }
    }

    fn api(self, caller: &Caller, place: &Place) -> Api<DynamicObject> {
        let namespace = (!self.is_of_cluster() && !place.namespace.is_empty()).then_some(place.namespace.as_str());
        objects::api(&caller.client, self.kind(), namespace)
    }

    fn problems(
        self,
        value: &Value,
        templates: &dyn Templates,
    ) -> std::result::Result<Vec<validate::Problem>, serde_json::Error> {
        let options = validate::Options { lint: true, ..validate::Options::default() };
        let value = value.clone();
        Ok(match self {
            Self::Template => {
                validate::workflow_template(&v1::from_value::<WorkflowTemplate>(value)?, templates, &options)
            }
            Self::ClusterTemplate => validate::cluster_workflow_template(
                &v1::from_value::<ClusterWorkflowTemplate>(value)?,
                templates,
                &options,
            ),
            Self::Cron => argosy_cron::problems(&v1::from_value::<CronWorkflow>(value)?, templates, &options),
        })
    }

    /// The object of the body, as one of the caller, and found sound.
    async fn sound(self, caller: &Caller, place: &Place, body: &mut Body) -> Result<Value> {
        let mut value = object(body, self.member(), self.member())?;
        let namespace = if self.is_of_cluster() { None } else { Some(place.one_namespace()?) };
        prepared(&mut value, self.kind(), namespace, caller.user().as_ref())?;
        let check = |templates: &dyn Templates| self.problems(&value, templates);
        let problems = checked(&caller.client, namespace.unwrap_or_default(), check).await?;
        let problems = problems.ok_or_else(|| Failure::invalid(ENDLESS))?;
        settle(&problems.map_err(|error| Failure::invalid(format!("the object cannot be read: {error}")))?)?;
        Ok(value)
    }
}

pub async fn list(kind: Stored, caller: Caller, place: Place, query: Query) -> Result<Json<Value>> {
    let mut listed = kind.api(&caller, &place).list(&query.list_params()?).await?;
    if let Some(pattern) = query.get("namePattern") {
        listed.items.retain(|item| item.metadata.name.as_ref().is_some_and(|name| name.contains(pattern)));
    }
    let items = listed.items.iter().map(read::value).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Json(json!({ "metadata": listed.metadata, "items": items })))
}

pub async fn get(kind: Stored, caller: Caller, place: Place, _: Query) -> Result<Json<Value>> {
    Ok(Json(read::value(&kind.api(&caller, &place).get(&place.name).await?)?))
}

pub async fn create(kind: Stored, caller: Caller, place: Place, mut body: Body) -> Result<Json<Value>> {
    let dry_run = body.is_dry_run();
    let value = kind.sound(&caller, &place, &mut body).await?;
    let object: DynamicObject = serde_json::from_value(value).map_err(|error| Failure::invalid(error.to_string()))?;
    let created = kind.api(&caller, &place).create(&PostParams { dry_run, ..PostParams::default() }, &object).await?;
    Ok(Json(read::value(&created)?))
}

/// Replaces the object. One without a resourceVersion takes the place of whatever is there.
pub async fn update(kind: Stored, caller: Caller, place: Place, mut body: Body) -> Result<Json<Value>> {
    let value = kind.sound(&caller, &place, &mut body).await?;
    let mut object: DynamicObject =
        serde_json::from_value(value).map_err(|error| Failure::invalid(error.to_string()))?;
    let name = object.metadata.name.get_or_insert_with(|| place.name.clone()).clone();
    if !place.name.is_empty() && name != place.name {
        return Err(Failure::invalid(format!("the object is named {name}, the request {}", place.name)));
    }
    if name.is_empty() {
        return Err(Failure::invalid("the object has no name"));
    }
    let api = kind.api(&caller, &place);
    if object.metadata.resource_version.is_none() {
        object.metadata.resource_version = api.get(&name).await?.metadata.resource_version;
    }
    Ok(Json(read::value(&api.replace(&name, &PostParams::default(), &object).await?)?))
}

pub async fn delete(kind: Stored, caller: Caller, place: Place) -> Result<Json<Value>> {
    kind.api(&caller, &place).delete(&place.name, &DeleteParams::default()).await?;
    Ok(Json(json!({})))
}

pub async fn lint(kind: Stored, caller: Caller, place: Place, mut body: Body) -> Result<Json<Value>> {
    Ok(Json(kind.sound(&caller, &place, &mut body).await?))
}

pub async fn suspend(caller: Caller, place: Place, _: Body) -> Result<Json<Value>> {
    set_suspended(caller, place, true).await
}

pub async fn resume(caller: Caller, place: Place, _: Body) -> Result<Json<Value>> {
    set_suspended(caller, place, false).await
}

async fn set_suspended(caller: Caller, place: Place, suspended: bool) -> Result<Json<Value>> {
    place.one_namespace()?;
    let patch = Patch::Merge(json!({ "spec": { "suspend": suspended } }));
    let patched = Stored::Cron.api(&caller, &place).patch(&place.name, &PatchParams::default(), &patch).await?;
    Ok(Json(read::value(&patched)?))
}
