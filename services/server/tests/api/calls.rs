//! Who is answered, and what of workflows is.

use axum::body::{Body, BodyDataStream};
use futures::StreamExt as _;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::World;

fn workflow(name: &str) -> Value {
    json!({"workflow": {"metadata": {"name": name, "labels": {"of": name}}, "spec": {"entrypoint": "main",
        "templates": [{"name": "main", "container": {"image": "alpine:3", "command": ["true"]}}]}}})
}

/// Every route of the swagger that is served, each with a body that it could take.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/api/v1/info"),
    ("GET", "/api/v1/userinfo"),
    ("POST", "/api/v1/tracking/event"),
    ("GET", "/api/v1/workflows/argo"),
    ("POST", "/api/v1/workflows/argo"),
    ("POST", "/api/v1/workflows/argo/lint"),
    ("POST", "/api/v1/workflows/argo/submit"),
    ("GET", "/api/v1/workflows/argo/w"),
    ("DELETE", "/api/v1/workflows/argo/w"),
    ("PUT", "/api/v1/workflows/argo/w/resubmit"),
    ("PUT", "/api/v1/workflows/argo/w/resume"),
    ("PUT", "/api/v1/workflows/argo/w/retry"),
    ("PUT", "/api/v1/workflows/argo/w/set"),
    ("PUT", "/api/v1/workflows/argo/w/stop"),
    ("PUT", "/api/v1/workflows/argo/w/suspend"),
    ("PUT", "/api/v1/workflows/argo/w/terminate"),
    ("GET", "/api/v1/workflows/argo/w/log"),
    ("GET", "/api/v1/workflows/argo/w/p/log"),
    ("GET", "/api/v1/workflow-events/argo"),
    ("GET", "/api/v1/stream/events/argo"),
    ("GET", "/api/v1/workflow-templates/argo"),
    ("POST", "/api/v1/workflow-templates/argo"),
    ("POST", "/api/v1/workflow-templates/argo/lint"),
    ("GET", "/api/v1/workflow-templates/argo/t"),
    ("PUT", "/api/v1/workflow-templates/argo/t"),
    ("DELETE", "/api/v1/workflow-templates/argo/t"),
    ("GET", "/api/v1/cluster-workflow-templates"),
    ("POST", "/api/v1/cluster-workflow-templates"),
    ("POST", "/api/v1/cluster-workflow-templates/lint"),
    ("GET", "/api/v1/cluster-workflow-templates/t"),
    ("PUT", "/api/v1/cluster-workflow-templates/t"),
    ("DELETE", "/api/v1/cluster-workflow-templates/t"),
    ("GET", "/api/v1/cron-workflows/argo"),
    ("POST", "/api/v1/cron-workflows/argo"),
    ("POST", "/api/v1/cron-workflows/argo/lint"),
    ("GET", "/api/v1/cron-workflows/argo/c"),
    ("PUT", "/api/v1/cron-workflows/argo/c"),
    ("DELETE", "/api/v1/cron-workflows/argo/c"),
    ("PUT", "/api/v1/cron-workflows/argo/c/suspend"),
    ("PUT", "/api/v1/cron-workflows/argo/c/resume"),
    ("GET", "/api/v1/workflow-event-bindings/argo"),
    ("GET", "/api/v1/archived-workflows"),
    ("GET", "/api/v1/archived-workflows-label-keys"),
    ("GET", "/api/v1/archived-workflows-label-values"),
    ("GET", "/api/v1/archived-workflows/u"),
    ("DELETE", "/api/v1/archived-workflows/u"),
    ("PUT", "/api/v1/archived-workflows/u/retry"),
    ("PUT", "/api/v1/archived-workflows/u/resubmit"),
    ("POST", "/api/v1/sync/argo"),
    ("GET", "/api/v1/sync/argo/k"),
    ("PUT", "/api/v1/sync/argo/k"),
    ("DELETE", "/api/v1/sync/argo/k"),
];

#[tokio::test]
async fn nobody_is_answered_without_a_token() {
    let world = World::new().await;
    for (method, path) in ROUTES {
        for shown in [None, Some("Bearer garbage"), Some("Basic YTpi"), Some("Bearer ")] {
            let mut request = Request::builder().method(*method).uri(*path).header("host", "localhost:2746");
            if let Some(shown) = shown {
                request = request.header("authorization", shown);
            }
            let response = world.send(request.body(Body::from("{}")).expect("a request")).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path} with {shown:?}");
        }
    }
}

#[tokio::test]
async fn foreign_names_and_pages_are_not_answered() {
    let world = World::new().await;
    for (name, value) in
        [("host", "evil.example"), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]
    {
        let mut request = world.request("GET", "/api/v1/workflows/argo", None);
        request.headers_mut().insert(name, value.parse().expect("a value"));
        assert_eq!(world.send(request).await.status(), StatusCode::FORBIDDEN, "{name}: {value}");
    }
}

#[tokio::test]
async fn workflows_are_created_listed_read_and_deleted() {
    let world = World::new().await;
    let created = world.ok("POST", "/api/v1/workflows/argo", Some(workflow("one"))).await;
    assert_eq!((&created["kind"], &created["metadata"]["namespace"]), (&json!("Workflow"), &json!("argo")));
    assert!(created["metadata"]["labels"]["workflows.argoproj.io/creator"].is_string(), "{created}");
    assert!(created["metadata"].get("managedFields").is_none());
    world.ok("POST", "/api/v1/workflows/argo", Some(workflow("two"))).await;
    let (status, again) = world.ask("POST", "/api/v1/workflows/argo", Some(workflow("two"))).await;
    assert_eq!((status, &again["code"]), (StatusCode::CONFLICT, &json!(6)));
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().expect("items");
        let mut names: Vec<String> =
            items.iter().filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned).collect();
        names.sort();
        names
    };
    let all = world.ok("GET", "/api/v1/workflows/argo?fields=items.metadata.name", None).await;
    assert_eq!(names(&all), ["one", "two"]);
    assert_eq!(all["items"][0].as_object().expect("an item").len(), 1, "{all}");
    for (query, expected) in [
        ("listOptions.labelSelector=of%3Done", vec!["one"]),
        ("listOptions.fieldSelector=metadata.name%3Dtwo", vec!["two"]),
        ("nameFilter=Contains&listOptions.fieldSelector=metadata.name%3Dw", vec!["two"]),
        ("nameFilter=Prefix&listOptions.fieldSelector=metadata.name%3Do", vec!["one"]),
        ("nameFilter=NotEquals&listOptions.fieldSelector=metadata.name%3Done", vec!["two"]),
        ("createdAfter=2999-01-01T00:00:00Z", vec![]),
    ] {
        assert_eq!(
            names(&world.ok("GET", &format!("/api/v1/workflows/argo?{query}"), None).await),
            expected,
            "{query}"
        );
    }
    let first = world.ok("GET", "/api/v1/workflows/?listOptions.limit=1", None).await;
    assert_eq!(first["metadata"], json!({"continue": "1", "remainingItemCount": 1}));
    let second = world.ok("GET", "/api/v1/workflows/?listOptions.limit=1&listOptions.continue=1", None).await;
    assert_eq!((names(&second).len(), second["metadata"].get("continue")), (1, None));
    assert_eq!(world.ok("GET", "/api/v1/workflows/argo/one", None).await["metadata"]["name"], "one");
    let (status, other) = world.ask("GET", "/api/v1/workflows/argo/one?uid=another", None).await;
    assert_eq!((status, &other["code"]), (StatusCode::NOT_FOUND, &json!(5)));
    world.ok("DELETE", "/api/v1/workflows/argo/one", None).await;
    let (status, gone) = world.ask("GET", "/api/v1/workflows/argo/one", None).await;
    assert_eq!((status, &gone["message"]), (StatusCode::NOT_FOUND, &json!("workflows.argoproj.io \"one\" not found")));
}

#[tokio::test]
async fn mistakes_are_told_in_argos_words() {
    let world = World::new().await;
    let mut wrong = workflow("wrong");
    wrong["workflow"]["spec"]["entrypoint"] = json!("mian");
    for path in ["/api/v1/workflows/argo", "/api/v1/workflows/argo/lint"] {
        let (status, answer) = world.ask("POST", path, Some(wrong.clone())).await;
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(3)), "{answer}");
        assert!(answer["message"].as_str().is_some_and(|text| text.contains("mian")), "{answer}");
    }
    for (body, part) in [
        (json!({}), "not found in the request body"),
        (json!([]), "no JSON object"),
        (json!({"workflow": 7}), "not an object"),
        (json!({"workflow": {"metadata": {"namespace": "other"}, "spec": {}}}), "namespace other"),
        (json!({"workflow": {"metadata": {"name": "w"}, "spec": {"templates": 7}}}), "cannot be read"),
    ] {
        let (status, answer) = world.ask("POST", "/api/v1/workflows/argo", Some(body.clone())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert!(answer["message"].as_str().is_some_and(|text| text.contains(part)), "{body}: {answer}");
    }
    let huge = json!({"workflow": {"metadata": {"name": "w"}, "spec": {"x": "x".repeat(5 << 20)}}});
    let (status, _) = world.ask("POST", "/api/v1/workflows/argo", Some(huge)).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let (status, answer) = world.ask("GET", "/api/v1/nothing", None).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!(5)));
    let (status, _) = world.ask("GET", "/api/v1/workflows/argo?listOptions.limit=x", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let world = World::new().await;
    let mut dry = workflow("dry");
    dry["serverDryRun"] = json!(true);
    assert_eq!(world.ok("POST", "/api/v1/workflows/argo", Some(dry)).await["metadata"]["name"], "dry");
    assert_eq!(world.ok("GET", "/api/v1/workflows/argo", None).await["items"], json!([]));
}

/// The next event of a stream, without heartbeats.
async fn next(stream: &mut BodyDataStream, before: &mut String) -> Value {
    loop {
        if let Some((event, rest)) = before.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            *before = rest;
            if let Some(data) = event.strip_prefix("data: ") {
                return serde_json::from_str(data).expect("JSON");
            }
            continue;
        }
        let piece = stream.next().await.expect("the stream goes on").expect("it can be read");
        before.push_str(&String::from_utf8_lossy(&piece));
    }
}

#[tokio::test]
async fn changes_come_as_server_sent_events() {
    let world = World::new().await;
    world.ok("POST", "/api/v1/workflows/argo", Some(workflow("seen"))).await;
    let mut request =
        world.request("GET", "/api/v1/workflow-events/argo?fields=result.object.metadata.name,result.type", None);
    request.headers_mut().insert("accept", "text/event-stream".parse().expect("a value"));
    let response = world.send(request).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut stream, mut before) = (response.into_body().into_data_stream(), String::new());
    let event = next(&mut stream, &mut before).await;
    assert_eq!(event, json!({"result": {"type": "ADDED", "object": {"metadata": {"name": "seen"}}}}));
    world.ok("PUT", "/api/v1/workflows/argo/seen/suspend", None).await;
    assert_eq!(next(&mut stream, &mut before).await["result"]["type"], "MODIFIED");
    world.ok("DELETE", "/api/v1/workflows/argo/seen", None).await;
    assert_eq!(next(&mut stream, &mut before).await["result"]["type"], "DELETED");
    world.closing.cancel();
    assert!(stream.next().await.is_none(), "it ends with the server");
}

#[tokio::test]
async fn the_server_tells_of_itself_and_of_the_caller() {
    let world = World::new().await;
    let version = world.ok("GET", "/api/v1/version", None).await;
    for member in ["version", "buildDate", "gitCommit", "gitTag", "gitTreeState", "goVersion", "compiler", "platform"] {
        assert!(version[member].is_string(), "{member}");
    }
    assert!(world.ok("GET", "/api/v1/userinfo", None).await["subject"].as_str().is_some_and(|name| !name.is_empty()));
    assert_eq!(world.ok("GET", "/api/v1/info", None).await["managedNamespace"], "");
    assert_eq!(world.ok("GET", "/api/v1/archived-workflows", None).await["items"], json!([]));
}

#[tokio::test]
async fn a_name_that_is_none_becomes_no_other_path_at_the_kubernetes_api() {
    let world = World::new().await;
    for odd in ["%2E%2E%2Fsecrets%2Fs", "a%2Fb", "a%3Fwatch=true", "%22", "%C3%A4", "a%20b"] {
        for path in [
            format!("/api/v1/workflows/argo/{odd}"),
            format!("/api/v1/workflows/{odd}/w"),
            format!("/api/v1/workflows/{odd}"),
            format!("/api/v1/workflow-templates/argo/{odd}"),
            format!("/api/v1/cluster-workflow-templates/{odd}"),
            format!("/api/v1/cron-workflows/{odd}/c"),
            format!("/api/v1/sync/argo/k?cmName={odd}"),
            format!("/api/v1/sync/{odd}/k?cmName=m"),
            format!("/api/v1/workflow-event-bindings/{odd}"),
        ] {
            let (status, answer) = world.ask("GET", &path, None).await;
            assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(3)), "{path}: {answer}");
        }
    }
}
