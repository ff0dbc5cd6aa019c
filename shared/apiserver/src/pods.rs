//! The subresources of pods: logs, eviction, binding.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, StatusCode, header};
use kube::api::LogParams;
use serde_json::json;

use super::admission::time_text;
use super::call::{Api, Call};
use super::deletion::{self, DeleteOptions};
use super::failure::{Failure, Result};
use super::json::Json;
use super::object::Object;
use super::render::json_response;
use super::request::{Params, Target};
use super::selector::Selector;
use super::store::Txn;

/// `GET …/pods/{name}/log`
pub(crate) async fn log(api: &Api, call: Call, target: &Target) -> Result<Response> {
    let pod = super::read::get(&api.store, target)?;
    let container = container(&pod, &call.params)?;
    let source = api.logs.read().clone();
    let Some(source) = source else {
        return Err(Failure::unavailable("no node gives logs yet"));
    };
    let name = pod.name();
    let params = log_params(&container, &call.params)?;
    let logs = source.logs(pod.namespace(), name, params).await;
    let logs = logs.map_err(|error| Failure::internal(format!("read the log of pod \"{name}\": {error}")))?;
    let logs = logs.ok_or_else(|| {
        Failure::bad_request(format!("container \"{container}\" in pod \"{name}\" is waiting to start or unknown"))
    })?;
    let lines = logs.map(Ok::<Bytes, std::convert::Infallible>).take_until(call.closing.cancelled_owned());
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

fn container_names(pod: &Object) -> Vec<&str> {
    ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .filter_map(|list| pod.tree.at(&["spec", list])?.as_array())
        .flatten()
        .filter_map(|c| c.str_at(&["name"]))
        .collect()
}

fn container(pod: &Object, params: &Params) -> Result<String> {
    let names = container_names(pod);
    let main = pod.tree.at(&["spec", "containers"]).and_then(Json::as_array).unwrap_or(&[]);
    match (params.get("container"), main) {
        (Some(name), _) if names.contains(&name) => Ok(name.to_owned()),
        (Some(name), _) => Err(Failure::bad_request(format!("container {name} is not valid for pod {}", pod.name()))),
        (None, [only]) => Ok(only.str_at(&["name"]).unwrap_or("").to_owned()),
        (None, _) => Err(Failure::bad_request(format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            pod.name(),
            names.join(" ")
        ))),
    }
}

fn log_params(container: &str, params: &Params) -> Result<LogParams> {
    let number = |name| Ok(params.number(name)?.map(|n| i64::try_from(n).unwrap_or(i64::MAX)));
    let since_time = params
        .get("sinceTime")
        .map(|text| text.parse().map_err(|_| Failure::bad_request(format!("invalid sinceTime: \"{text}\""))))
        .transpose()?;
    Ok(LogParams {
        container: Some(container.to_owned()),
        follow: params.flag("follow"),
        previous: params.flag("previous"),
        timestamps: params.flag("timestamps"),
        tail_lines: number("tailLines")?,
        since_seconds: number("sinceSeconds")?,
        since_time,
        limit_bytes: number("limitBytes")?,
        pretty: false,
    })
}

/// `POST …/pods/{name}/eviction`: a deletion that disruption budgets may refuse.
pub(crate) async fn evict(api: &Api, call: &Call, target: &Target) -> Result<Response> {
    let eviction = call.object()?;
    let options = DeleteOptions::parse(&call.params, eviction.get("deleteOptions").cloned())?;
    let written = api.store.write(options.dry_run, |txn| {
        let pod = txn.get(target.kind, &target.key()).ok_or_else(|| Failure::not_found(target.kind, target.name()))?;
        check_budgets(txn, &pod)?;
        deletion::delete(txn, &pod, &options).map(|_| ())
    })?;
    api.store.settled(written.revision).await?;
    Ok(json_response(
        StatusCode::CREATED,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

fn check_budgets(txn: &Txn<'_>, pod: &Object) -> Result<()> {
    if !is_healthy(pod) {
        return Ok(());
    }
    let Some(budgets) = super::kinds::find("policy", "v1", "poddisruptionbudgets") else {
        return Ok(());
    };
    for budget in txn.of_kind(budgets, pod.namespace()) {
        let Some(selector) = budget.tree.at(&["spec", "selector"]).map(Selector::from_object) else {
            continue;
        };
        if !selector.matches(pod) {
            continue;
        }
        let mut pods = txn.of_kind(pod.kind, pod.namespace());
        pods.retain(|p| selector.matches(p));
        let healthy = pods.iter().filter(|p| is_healthy(p)).count();
        let spec = |name| budget.tree.at(&["spec", name]);
        let needed = match (spec("minAvailable"), spec("maxUnavailable")) {
            (Some(min), _) => share(min, pods.len()),
            (None, Some(max)) => pods.len().saturating_sub(share(max, pods.len())),
            (None, None) => 0,
        };
        if healthy <= needed {
            return Err(Failure::too_many_requests(
                "Cannot evict pod as it would violate the pod's disruption budget.",
            ));
        }
    }
    Ok(())
}

fn is_healthy(pod: &Object) -> bool {
    pod.tree.str_at(&["status", "phase"]) == Some("Running") && !pod.is_deleting()
}

/// A count, or a percentage of `total` rounded up.
fn share(value: &Json, total: usize) -> usize {
    if let Some(count) = value.as_i64() {
        return usize::try_from(count).unwrap_or(0);
    }
    let percent: usize = value.as_str().and_then(|text| text.strip_suffix('%')?.parse().ok()).unwrap_or(0);
    total.saturating_mul(percent).div_ceil(100)
}

/// `POST …/pods/{name}/binding`: assigns a pod to a node.
pub(crate) async fn bind(api: &Api, call: &Call, target: &Target) -> Result<Response> {
    let binding = call.object()?;
    let Some(node) = binding.str_at(&["target", "name"]) else {
        return Err(Failure::bad_request("target.name is required"));
    };
    let now = time_text(api.store.now());
    let written = api.store.write(call.params.dry_run()?, |txn| {
        let pod = txn.get(target.kind, &target.key()).ok_or_else(|| Failure::not_found(target.kind, target.name()))?;
        if pod.is_deleting() {
            let why = "pod is being deleted, cannot be assigned to a host";
            return Err(Failure::conflict(pod.kind, pod.name(), why));
        }
        if let Some(other) = pod.tree.str_at(&["spec", "nodeName"]) {
            let why = format!("pod {} is already assigned to node \"{other}\"", pod.name());
            return Err(Failure::conflict(pod.kind, pod.name(), &why));
        }
        let mut tree = pod.tree.clone();
        tree.set(&["spec", "nodeName"], Json::string(node));
        let condition = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now});
        let mut conditions: Vec<Json> =
            tree.at(&["status", "conditions"]).and_then(Json::as_array).unwrap_or(&[]).to_vec();
        conditions.retain(|c| c.str_at(&["type"]) != Some("PodScheduled"));
        conditions.push(condition.into());
        tree.set(&["status", "conditions"], Json::Array(Arc::new(conditions)));
        txn.check_size(Some(&pod), &tree)?;
        txn.put(pod.kind, tree);
        Ok(())
    })?;
    api.store.settled(written.revision).await?;
    Ok(json_response(
        StatusCode::CREATED,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_nobody_can_have_is_as_large_as_can_be() {
        let of = |value: serde_json::Value, total| share(&value.into(), total);
        assert_eq!([of(json!("50%"), 3), of(json!(2), 3), of(json!("0%"), 3)], [2, 2, 0]);
        let most = usize::MAX.div_ceil(100);
        assert_eq!(of(json!("18446744073709551615%"), 2), most);
        assert_eq!(of(json!("100%"), usize::MAX), most);
        // None is a share: as in a budget that says nothing.
        for none in [json!("99999999999999999999%"), json!("-1%"), json!("%"), json!("many"), json!(-1), json!([1])] {
            assert_eq!(of(none.clone(), 3), 0, "{none}");
        }
        assert_eq!(of(json!(u64::MAX), 3), 0, "more than a whole number of the API has");
    }
}
