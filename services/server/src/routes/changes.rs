//! What people do to workflows.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::{NodePhase, Shutdown, Workflow};
use argosy_client::{edit::edit, objects, read};
use argosy_engine::ops::resubmit::{self, Resubmit};
use argosy_engine::ops::retry::Retry;
use argosy_engine::ops::suspend;
use argosy_operations as operations;
use axum::Json;
use serde_json::Value;

use super::workflows::{found, now, shown, warn};
use crate::body::Body;
use crate::caller::Caller;
use crate::failure::{Failure, Result};
use crate::place::Place;

/// The workflow after a change.
async fn after(caller: &Caller, place: &Place) -> Result<Json<Value>> {
    Ok(Json(shown(&found(caller, place, None).await?)?))
}

/// The place with the name that `@latest` stands for, so that all that follows is of one workflow.
async fn settled(caller: &Caller, mut place: Place) -> Result<Place> {
    place.name = objects::name(&caller.client, place.one_namespace()?, &place.name).await?;
    Ok(place)
}

async fn changed<E: std::error::Error + 'static>(
    caller: Caller,
    place: Place,
    change: impl Fn(&mut Workflow) -> std::result::Result<(), E>,
) -> Result<Json<Value>> {
    let place = settled(&caller, place).await?;
    edit(&caller.client, &place.namespace, &place.name, &warn, change).await?;
    after(&caller, &place).await
}

pub async fn suspend(caller: Caller, place: Place, _: Body) -> Result<Json<Value>> {
    let user = caller.user();
    changed(caller, place, |workflow| suspend::suspend(workflow, user.as_ref())).await
}

pub async fn resume(caller: Caller, place: Place, body: Body) -> Result<Json<Value>> {
    let (user, selector) = (caller.user(), body.text("nodeFieldSelector")?);
    changed(caller, place, |workflow| suspend::resume(workflow, &selector, user.as_ref(), now())).await
}

pub async fn stop(caller: Caller, place: Place, body: Body) -> Result<Json<Value>> {
    let (selector, message) = (body.text("nodeFieldSelector")?, body.text("message")?);
    shut_down(caller, place, Shutdown::Stop, (&selector, &message)).await
}

pub async fn terminate(caller: Caller, place: Place, _: Body) -> Result<Json<Value>> {
    shut_down(caller, place, Shutdown::Terminate, ("", "")).await
}

async fn shut_down(caller: Caller, place: Place, how: Shutdown, what: (&str, &str)) -> Result<Json<Value>> {
    let (place, user) = (settled(&caller, place).await?, caller.user());
    operations::stop(&caller.client, &place.namespace, &place.name, how, what, user.as_ref(), &warn).await?;
    after(&caller, &place).await
}

pub async fn set(caller: Caller, place: Place, body: Body) -> Result<Json<Value>> {
    let selector = body.text("nodeFieldSelector")?;
    let phase = body.text("phase")?;
    let phase: Option<NodePhase> =
        (!phase.is_empty()).then(|| phase.parse()).transpose().map_err(|error: String| Failure::invalid(error))?;
    // A JSON text, as Argo's clients send it, or the mapping itself.
    let outputs = match body.text("outputParameters") {
        Ok(text) if text.is_empty() => BTreeMap::new(),
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| Failure::invalid(format!("`outputParameters` of the body: {error}")))?,
        Err(_) => body.read("outputParameters")?.unwrap_or_default(),
    };
    let values = suspend::NodeValues { phase, message: body.text("message")?, output_parameters: outputs };
    changed(caller, place, |workflow| suspend::set(workflow, &selector, &values, now())).await
}

pub async fn retry(caller: Caller, place: Place, body: Body) -> Result<Json<Value>> {
    let (place, user) = (settled(&caller, place).await?, caller.user());
    let options = Retry {
        restart_successful: body.flag("restartSuccessful")?,
        selector: body.text("nodeFieldSelector")?,
        parameters: body.texts("parameters")?,
    };
    operations::retry(&caller.client, &place.namespace, &place.name, &options, user.as_ref(), &warn).await?;
    after(&caller, &place).await
}

pub async fn resubmit(caller: Caller, place: Place, body: Body) -> Result<Json<Value>> {
    let old = read::workflow(&found(&caller, &place, None).await?)?;
    let options = Resubmit {
        memoized: body.flag("memoized")?.then(operations::name_suffix),
        parameters: body.texts("parameters")?,
    };
    let new = resubmit::resubmit(&old, &options, caller.user().as_ref(), now())
        .map_err(|error| Failure::invalid(error.to_string()))?;
    let value = serde_json::to_value(&new)?;
    let created = objects::create(&caller.client, &place.namespace, "Workflow", value, false).await?;
    Ok(Json(shown(&created)?))
}
