//! Which fields a kind has, as kubectl shows them, and what becomes of those that it does not have.

use argosy_apiserver::Server;
use kube::client::Body;
use serde_json::{Value, json};

use crate::support::server;

const WORKFLOWS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows";

/// The code of the answer to such a request, its warnings, and its message where it is a refusal.
async fn send(server: &Server, method: &str, path: &str, media: &str, body: &Value) -> (u16, Vec<String>, String) {
    let request = http::Request::builder().method(method).uri(path).header("content-type", media);
    let request = request.body(Body::from(body.to_string().into_bytes())).expect("a request");
    let response = server.client("argo").send(request).await.expect("answered");
    let code = response.status().as_u16();
    let warnings = response.headers().get_all("warning").iter();
    let warnings = warnings.map(|value| value.to_str().expect("text").to_owned()).collect();
    let body = response.into_body().collect_bytes().await.expect("a body");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    (code, warnings, body["message"].as_str().unwrap_or_default().to_owned())
}

fn workflow(name: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "contaner": {"image": "i"}}], "a\"b": 1},
    })
}

#[tokio::test]
async fn fields_that_a_kind_does_not_have_are_warned_of_or_refused_as_asked() {
    let server = server();
    let json = "application/json";
    let unknown = ["spec.a\"b", "spec.templates[0].contaner"];
    let warnings: Vec<String> =
        [r#"299 - "unknown field \"spec.a\"b\"""#, r#"299 - "unknown field \"spec.templates[0].contaner\"""#]
            .map(str::to_owned)
            .into();
    let strict = format!("strict decoding error: unknown field \"{}\", unknown field \"{}\"", unknown[0], unknown[1]);
    let post = async |name: &str, asked: &str| {
        send(&server, "POST", &format!("{WORKFLOWS}{asked}"), json, &workflow(name)).await
    };
    assert_eq!(post("a", "?fieldValidation=Warn").await, (201, warnings.clone(), String::new()));
    assert_eq!(post("b", "").await, (201, warnings.clone(), String::new()));
    assert_eq!(post("c", "?fieldValidation=Ignore").await, (201, Vec::new(), String::new()));
    let refused = format!("Workflow in version \"v1alpha1\" cannot be handled as a Workflow: {strict}");
    assert_eq!(post("d", "?fieldValidation=Strict").await, (400, Vec::new(), refused));
    assert_eq!(post("d", "?fieldValidation=Perhaps").await.0, 400);
    // It is not there.
    assert_eq!(send(&server, "PUT", &format!("{WORKFLOWS}/d"), json, &workflow("d")).await.0, 404);
    let put = send(&server, "PUT", &format!("{WORKFLOWS}/a?fieldValidation=Warn"), json, &workflow("a")).await;
    assert_eq!(put, (200, warnings, String::new()));
}

#[tokio::test]
async fn a_patch_is_looked_at_when_that_is_asked_for() {
    let server = server();
    assert_eq!(send(&server, "POST", WORKFLOWS, "application/json", &workflow("a")).await.0, 201);
    let patch = async |media: &str, query: &str, body: &Value| {
        send(&server, "PATCH", &format!("{WORKFLOWS}/a?{query}"), media, body).await
    };
    let merge = "application/merge-patch+json";
    let body = json!({"spec": {"suspnd": true, "suspend": null}, "metadata": {"labels": {"a": null}}});
    let warnings = vec![r#"299 - "unknown field \"spec.suspnd\"""#.to_owned()];
    assert_eq!(patch(merge, "", &body).await, (200, Vec::new(), String::new()));
    assert_eq!(patch(merge, "fieldValidation=Warn", &body).await, (200, warnings.clone(), String::new()));
    let (code, _, message) = patch(merge, "fieldValidation=Strict", &body).await;
    assert_eq!(code, 422);
    assert!(message.ends_with("strict decoding error: unknown field \"spec.suspnd\""), "{message}");
    let mut whole = body.clone();
    (whole["apiVersion"], whole["kind"]) = (json!("argoproj.io/v1alpha1"), json!("Workflow"));
    let apply = "application/apply-patch+yaml";
    let applied = patch(apply, "fieldManager=m&force=true&fieldValidation=Warn", &whole).await;
    assert_eq!(applied, (200, warnings, String::new()));
}

/// The schema that `kubectl explain` finds for a kind.
async fn schema(server: &Server, kind: &str) -> (Value, Value) {
    let request = http::Request::get("/openapi/v3/apis/argoproj.io/v1alpha1").body(Vec::new()).expect("a request");
    let document: Value = server.client("argo").request(request).await.expect("a document");
    let gvk = json!({"group": "argoproj.io", "version": "v1alpha1", "kind": kind});
    let schemas = document["components"]["schemas"].as_object().expect("schemas").clone();
    let found = schemas.values().find(|schema| schema["x-kubernetes-group-version-kind"][0] == gvk);
    (found.expect("a schema").clone(), document)
}

#[tokio::test]
async fn kinds_are_explained_down_to_their_last_field() {
    let server = server();
    let (workflow, document) = schema(&server, "Workflow").await;
    let templates = &workflow["properties"]["spec"]["properties"]["templates"];
    assert!(
        templates["description"].as_str().is_some_and(|text| text.contains("list of workflow templates")),
        "{templates}"
    );
    let image = &templates["items"]["properties"]["container"]["properties"]["image"];
    assert_eq!(image["type"], "string");
    assert!(image["description"].is_string());
    let metadata = workflow["properties"]["metadata"]["allOf"][0]["$ref"].as_str().expect("a reference");
    let metadata = &document["components"]["schemas"][metadata.rsplit('/').next().expect("a name")];
    assert!(metadata["properties"]["labels"]["description"].is_string(), "{metadata}");
    for kind in
        ["WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow", "WorkflowTaskSet", "WorkflowEventBinding"]
    {
        let (schema, _) = schema(&server, kind).await;
        assert!(
            schema["properties"]["spec"]["properties"].as_object().is_some_and(|fields| !fields.is_empty()),
            "{kind}"
        );
    }
}
