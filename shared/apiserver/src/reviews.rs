//! Reviews of rights: whoever reaches this server may do everything.

use serde_json::{Value, json};

use super::call::Call;
use super::failure::Result;
use super::json::Json;

/// The answer to a review posted to `path`; `None` when it is not a review's path.
pub(crate) fn review(path: &str, call: &Call) -> Option<Result<Value>> {
    let rest = path
        .strip_prefix("/apis/authorization.k8s.io/v1/")
        .or_else(|| path.strip_prefix("/apis/authentication.k8s.io/v1/"))?;
    let (kind, group) = match rest.rsplit('/').next()? {
        "selfsubjectaccessreviews" => ("SelfSubjectAccessReview", "authorization.k8s.io"),
        "subjectaccessreviews" => ("SubjectAccessReview", "authorization.k8s.io"),
        "localsubjectaccessreviews" => ("LocalSubjectAccessReview", "authorization.k8s.io"),
        "selfsubjectrulesreviews" => ("SelfSubjectRulesReview", "authorization.k8s.io"),
        "selfsubjectreviews" => ("SelfSubjectReview", "authentication.k8s.io"),
        _ => return None,
    };
    let status = match kind {
        "SelfSubjectRulesReview" => json!({"incomplete": false, "nonResourceRules": [
            {"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}),
        "SelfSubjectReview" => {
            json!({"userInfo": {"username": "local", "groups": ["system:masters"]}})
        }
        _ => json!({"allowed": true, "reason": "this server trusts all its clients"}),
    };
    Some(call.object().map(|asked| {
        json!({"kind": kind, "apiVersion": format!("{group}/v1"), "metadata": {},
            "spec": asked.get("spec").map_or_else(|| json!({}), Json::to_value), "status": status})
    }))
}
