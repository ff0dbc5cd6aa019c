//! Templates, schedules, limits.

use http::StatusCode;
use serde_json::{Value, json};

use crate::World;

fn spec() -> Value {
    json!({"entrypoint": "main", "arguments": {"parameters": [{"name": "who", "value": "me"}]},
        "templates": [{"name": "main", "suspend": {}}]})
}

#[tokio::test]
async fn what_is_stored_is_created_changed_listed_and_deleted() {
    let world = World::new().await;
    let cron = json!({"schedules": ["0 0 * * *"], "workflowSpec": spec()});
    for (path, member, spec, changed) in [
        ("workflow-templates/argo", "template", spec(), "/spec/entrypoint"),
        ("cluster-workflow-templates", "template", spec(), "/spec/entrypoint"),
        ("cron-workflows/argo", "cronWorkflow", cron, "/spec/workflowSpec/entrypoint"),
    ] {
        let all = format!("/api/v1/{path}");
        let mut object = json!({"metadata": {"name": "it"}, "spec": spec});
        let created = world.ok("POST", &all, Some(json!({ member: object }))).await;
        assert_eq!(created["metadata"]["name"], "it", "{path}");
        world.ok("POST", &format!("{all}/lint"), Some(json!({ member: object }))).await;
        *object.pointer_mut(changed).expect("it is there") = json!("nowhere");
        let (status, answer) = world.ask("PUT", &format!("{all}/it"), Some(json!({ member: object }))).await;
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(3)), "{path}: {answer}");
        *object.pointer_mut(changed).expect("it is there") = json!("main");
        object["metadata"]["labels"] = json!({"new": "1"});
        let updated = world.ok("PUT", &format!("{all}/it"), Some(json!({ member: object }))).await;
        assert_eq!(updated["metadata"]["labels"]["new"], "1", "{path}");
        object["metadata"]["labels"]["new"] = json!("2");
        let updated = world.ok("PUT", &format!("{all}/"), Some(json!({ member: object }))).await;
        assert_eq!(updated["metadata"]["labels"]["new"], "2", "{path}: named by the object alone");
        assert_eq!(world.ok("GET", &all, None).await["items"][0]["metadata"]["name"], "it", "{path}");
        assert_eq!(world.ok("GET", &format!("{all}/it"), None).await["metadata"]["labels"]["new"], "2");
        world.ok("DELETE", &format!("{all}/it"), None).await;
        let (status, answer) = world.ask("GET", &format!("{all}/it"), None).await;
        assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!(5)), "{path}");
    }
}

#[tokio::test]
async fn workflows_are_submitted_from_what_is_stored() {
    let world = World::new().await;
    let template = json!({"template": {"metadata": {"name": "it"}, "spec": spec()}});
    world.ok("POST", "/api/v1/workflow-templates/argo", Some(template)).await;
    let options = json!({"parameters": ["who=you"], "labels": "a=b", "entryPoint": "main", "generateName": "mine-"});
    let body = json!({"resourceKind": "WorkflowTemplate", "resourceName": "it", "submitOptions": options});
    let made = world.ok("POST", "/api/v1/workflows/argo/submit", Some(body)).await;
    assert!(made["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("mine-")), "{made}");
    assert_eq!(made["spec"]["workflowTemplateRef"]["name"], "it");
    assert_eq!(made["spec"]["arguments"]["parameters"], json!([{"name": "who", "value": "you"}]));
    let labels = &made["metadata"]["labels"];
    assert_eq!((&labels["a"], &labels["workflows.argoproj.io/workflow-template"]), (&json!("b"), &json!("it")));
    for (kind, name, expected) in
        [("workflowtemplate", "no", StatusCode::NOT_FOUND), ("pod", "it", StatusCode::BAD_REQUEST)]
    {
        let body = json!({"resourceKind": kind, "resourceName": name});
        let (status, answer) = world.ask("POST", "/api/v1/workflows/argo/submit", Some(body)).await;
        assert_eq!(status, expected, "{answer}");
    }
}

#[tokio::test]
async fn schedules_are_suspended_and_resumed() {
    let world = World::new().await;
    let cron = json!({"cronWorkflow": {"metadata": {"name": "c"},
        "spec": {"schedules": ["* * * * *"], "workflowSpec": spec()}}});
    world.ok("POST", "/api/v1/cron-workflows/argo", Some(cron)).await;
    assert_eq!(world.ok("PUT", "/api/v1/cron-workflows/argo/c/suspend", None).await["spec"]["suspend"], true);
    assert_eq!(world.ok("PUT", "/api/v1/cron-workflows/argo/c/resume", None).await["spec"]["suspend"], false);
}

#[tokio::test]
async fn limits_of_semaphores_are_kept_in_config_maps() {
    let world = World::new().await;
    let body = |limit: i64| json!({"type": "CONFIGMAP", "cmName": "locks", "key": "k", "limit": limit});
    let made = world.ok("POST", "/api/v1/sync/argo", Some(body(2))).await;
    assert_eq!((&made["limit"], &made["cmName"]), (&json!(2), &json!("locks")));
    let (status, _) = world.ask("POST", "/api/v1/sync/argo", Some(body(3))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (status, _) = world.ask("PUT", "/api/v1/sync/argo/k", Some(body(0))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    world.ok("PUT", "/api/v1/sync/argo/k", Some(body(5))).await;
    assert_eq!(world.ok("GET", "/api/v1/sync/argo/k?cmName=locks", None).await["limit"], 5);
    world.ok("DELETE", "/api/v1/sync/argo/k?cmName=locks", None).await;
    let (status, _) = world.ask("GET", "/api/v1/sync/argo/k?cmName=locks", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
