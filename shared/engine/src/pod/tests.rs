use std::collections::BTreeMap;

use arcstr::ArcStr;
use argosy_template::{Layered, Scope};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::Config;

fn pod(workflow: Value, template: Value) -> Result<Value, Error> {
    pod_with(Config::default(), workflow, template)
}

fn pod_with(config: Config, workflow: Value, template: Value) -> Result<Value, Error> {
    let workflow: Workflow = from_value(workflow).expect("the test's workflow fits");
    let template: Template = from_value(template).expect("the test's template fits");
    let config = Config { executor_image: "executor:1".to_owned(), ..config };
    let at: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
    let limit = Limit::of(&template, Some(at + jiff::SignedDuration::from_secs(90)), at);
    let shared = build(&PodInput {
        config: &config,
        workflow: &workflow,
        spec: &workflow.spec,
        template: &template,
        boundary: None,
        on_exit: false,
        key_prefix: None,
        include_result: true,
        is_limited: limit.is_some(),
    })?;
    let text = crate::json::text(&template);
    Ok(Shape::of_substituted(shared).manifest(one_pod(&text, limit, None)).expect("no tags").to_value())
}

fn one_pod<'a>(template: &str, limit: Option<Limit>, scope: Option<&'a dyn Scope>) -> Pod<'a> {
    let [node_id, node_name, pod_name, template] = ["wf-1", "wf.a", "wf-a-1", template].map(ArcStr::from);
    Pod { node_id, node_name, pod_name, limit, template, bytes_max: usize::MAX, scope }
}

fn workflow(spec: Value) -> Value {
    json!({ "metadata": { "name": "wf", "namespace": "ns", "uid": "u" }, "spec": spec })
}

fn container<'a>(pod: &'a Value, list: &str, name: &str) -> &'a Value {
    let found = pod["spec"][list].as_array().and_then(|l| l.iter().find(|c| c["name"] == name));
    found.unwrap_or_else(|| panic!("no container {name} in {list}"))
}

fn mounts(container: &Value) -> Vec<String> {
    let list = container["volumeMounts"].as_array().cloned().unwrap_or_default();
    let line = |m: &Value| {
        let sub = m["subPath"].as_str().map(|s| format!("/{s}")).unwrap_or_default();
        format!("{}{sub}:{}", m["name"].as_str().unwrap_or_default(), m["mountPath"].as_str().unwrap_or_default())
    };
    list.iter().map(line).collect()
}

#[test]
fn a_script_is_wrapped_and_its_file_is_the_last_argument() {
    let template = json!({ "name": "a", "script": { "image": "i", "command": ["sh", "-e"], "source": "true" } });
    let pod = pod(workflow(json!({})), template).expect("builds");
    let main = container(&pod, "containers", "main");
    assert_eq!(main["command"], json!(["/var/run/argo/argoexec", "main", "--", "sh", "-e"]));
    assert_eq!(main["args"], json!(["/argo/staging/script"]));
    assert!(main.get("source").is_none());
    assert_eq!(mounts(main), ["var-run-argo:/var/run/argo", "argo-staging:/argo/staging"]);
    assert_eq!(mounts(container(&pod, "containers", "wait")), ["var-run-argo:/var/run/argo"]);
    let env = |c: &Value, name: &str| c["env"].as_array().and_then(|e| e.iter().find(|v| v["name"] == name)).cloned();
    assert!(env(main, "ARGO_TEMPLATE").is_none());
    assert_eq!(env(main, "ARGO_DEADLINE").expect("set")["value"], "2026-01-02T03:05:35Z");
    let text = env(container(&pod, "initContainers", "init"), "ARGO_TEMPLATE").expect("set");
    let read: Value = serde_json::from_str(text["value"].as_str().expect("text")).expect("JSON");
    assert_eq!(read["script"]["source"], "true");
    assert_eq!(pod["spec"]["activeDeadlineSeconds"], 90);
    assert_eq!(pod["spec"]["containers"][0]["name"], "wait");
    assert_eq!(pod["metadata"]["name"], "wf-a-1");
    assert_eq!(pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"], "wf.a");
    assert_eq!(env(main, "ARGO_NODE_ID").expect("set")["value"], "wf-1");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["controller"], true);
}

#[test]
fn artifacts_get_mounts_unless_a_volume_of_the_users_holds_their_path() {
    let template = json!({
        "name": "a",
        "inputs": { "artifacts": [
            { "name": "in", "path": "/tmp/in", "s3": { "bucket": "b", "key": "k", "accessKeySecret": { "name": "my.s3", "key": "user" } } },
            { "name": "deep", "path": "/work/src/deep", "raw": { "data": "x" } },
            { "name": "none", "path": "/none", "optional": true },
        ] },
        "container": { "image": "i", "volumeMounts": [{ "name": "work", "mountPath": "/work" }] },
        "sidecars": [{ "name": "side", "image": "s", "mirrorVolumeMounts": true }],
    });
    let spec = json!({ "volumeClaimTemplates": [{ "metadata": { "name": "work" } }], "volumes": [{ "name": "unused", "emptyDir": {} }] });
    let pod = pod(workflow(spec), template).expect("builds");
    let secret = "argo-secret-my-s3:/argo/secret/my.s3";
    let main = container(&pod, "containers", "main");
    let wrapper = json!(["/var/run/argo/argoexec", "main", "--"]);
    assert_eq!(main["command"], wrapper);
    assert_eq!(container(&pod, "containers", "side")["command"], wrapper, "else nobody could end it");
    assert_eq!(mounts(main), ["work:/work", "var-run-argo:/var/run/argo", "input-artifacts/in:/tmp/in"]);
    let init = container(&pod, "initContainers", "init");
    assert_eq!(
        mounts(init),
        ["var-run-argo:/var/run/argo", "input-artifacts:/argo/inputs/artifacts", "work:/mainctrfs/work", secret]
    );
    let wait = container(&pod, "containers", "wait");
    assert_eq!(
        mounts(wait),
        ["var-run-argo:/var/run/argo", "work:/mainctrfs/work", "input-artifacts/in:/mainctrfs/tmp/in", secret]
    );
    let side = container(&pod, "containers", "side");
    assert_eq!(mounts(side), mounts(main));
    let names: Vec<_> = pod["spec"]["volumes"].as_array().expect("list").iter().map(|v| v["name"].clone()).collect();
    assert_eq!(names, ["var-run-argo", "input-artifacts", "argo-secret-my-s3", "work"]);
    assert_eq!(pod["spec"]["volumes"][3]["persistentVolumeClaim"]["claimName"], "wf-work");
}

#[test]
fn patches_apply_workflow_first_and_template_last() {
    let spec = json!({
        "podSpecPatch": "containers:\n- name: main\n  resources: {limits: {memory: 1Gi, cpu: 1}}\n",
        "podMetadata": { "labels": { "a": "workflow", "b": "workflow" } },
        "hostAliases": [{ "ip": "1" }], "nodeSelector": { "x": "y" }, "serviceAccountName": "sa",
    });
    let template = json!({
        "name": "a", "container": { "image": "i" }, "metadata": { "labels": { "b": "template" } }, "hostAliases": [{ "ip": "2" }],
        "podSpecPatch": r#"{"terminationGracePeriodSeconds": 3, "containers": [{"name": "main", "resources": {"limits": {"cpu": 2}}}]}"#,
    });
    let pod = pod(workflow(spec), template).expect("builds");
    assert_eq!(container(&pod, "containers", "main")["resources"], json!({ "limits": { "memory": "1Gi", "cpu": 2 } }));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 3);
    assert_eq!(pod["metadata"]["labels"]["a"], "workflow");
    assert_eq!(pod["metadata"]["labels"]["b"], "template");
    assert_eq!(pod["spec"]["hostAliases"], json!([{ "ip": "1" }, { "ip": "2" }]));
    assert_eq!(pod["spec"]["nodeSelector"], json!({ "x": "y" }));
    assert_eq!(pod["spec"]["serviceAccountName"], "sa");
    assert!(pod["spec"].get("hostNetwork").is_none());
}

#[test]
fn mistakes_of_the_user_are_named() {
    let unknown =
        json!({ "name": "a", "container": { "image": "i", "volumeMounts": [{ "name": "v", "mountPath": "/v" }] } });
    let error = pod(workflow(json!({})), unknown).expect_err("no such volume");
    assert_eq!(error.to_string(), "volume 'v' not found in workflow spec");
    let no_map = json!({ "name": "a", "container": { "image": "i" }, "podSpecPatch": "[]" });
    assert!(matches!(pod(workflow(json!({})), no_map), Err(Error::PatchNotAMap { .. })));
    assert!(matches!(pod(workflow(json!({})), json!({ "name": "s", "suspend": {} })), Err(Error::NotAPod { .. })));
}

fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

fn tagged(template: &str) -> (Workflow, Template) {
    (from_value(workflow(json!({}))).expect("fits"), serde_json::from_str(template).expect("fits"))
}

fn tree(workflow: &Workflow, template: &Template) -> Value {
    let config = Config { executor_image: "executor:1".to_owned(), ..Config::default() };
    let input = PodInput {
        config: &config,
        workflow,
        spec: &workflow.spec,
        template,
        boundary: None,
        on_exit: false,
        key_prefix: None,
        include_result: false,
        is_limited: false,
    };
    build(&input).expect("builds")
}

#[test]
fn a_pod_built_from_a_template_with_tags_is_the_one_built_after_substitution() {
    let text = r#"{
        "name": "a", "inputs": {"parameters": [{"name": "p", "value": "VALUE"}]}, "metadata": {"labels": {"l": "x-{{p}}"}},
        "container": {"image": "{{p}}", "args": ["{{ q }} {{p}}", "plain"], "env": [{"name": "E", "value": "{{p}}"}]},
        "sidecars": [{"name": "s", "image": "i", "args": ["{{p}}{{p}}"]}], "nodeSelector": {"n": "{{p}}"}
    }"#;
    let (first, second) = (one("q", "{{p}}"), one("p", "it \"is\""));
    let (workflow, with_tags) = tagged(text);
    let (_, substituted) = tagged(&text.replace("{{p}}", r#"it \"is\""#).replace("{{ q }}", "{{p}}"));
    let shape = Shape::of_tagged(tree(&workflow, &with_tags)).expect("tags only in plain places");
    let template = crate::json::text(&substituted);
    let whole = Shape::of_substituted(tree(&workflow, &substituted)).manifest(one_pod(&template, None, None));
    let scope = Layered::new([&first as &dyn Scope, &second]);
    let made = shape.manifest(one_pod(&template, None, Some(&scope)));
    let (made, whole) = (made.expect("renders"), whole.expect("renders"));
    assert_eq!(made.to_value(), whole.to_value());
    assert_eq!(container(&made.to_value(), "containers", "main")["args"], json!(["{{p}} it \"is\"", "plain"]));
}

#[test]
fn tags_that_decide_over_volumes_make_no_shape() {
    let (workflow, template) = tagged(
        r#"{"name": "a", "container": {"image": "i", "volumeMounts": [{"name": "v", "mountPath": "/{{p}}"}]}, "volumes": [{"name": "v", "emptyDir": {}}]}"#,
    );
    assert!(Shape::of_tagged(tree(&workflow, &template)).is_none());
}

#[test]
fn pods_with_artifacts_know_the_repository_and_see_its_secrets() {
    let s3 = json!({"bucket": "b", "keyFormat": "{{workflow.name}}", "accessKeySecret": {"name": "s", "key": "k"}});
    let repository = json!({ "s3": s3 });
    let config = || Config {
        artifact_repository: Some(from_value(repository.clone()).expect("a repository")),
        ..Config::default()
    };
    let told = |pod: &Value, list: &str, name: &str| {
        let container = container(pod, list, name);
        let env =
            container["env"].as_array().and_then(|env| env.iter().find(|v| v["name"] == "ARGOSY_ARTIFACT_REPOSITORY"));
        (
            env.map(|variable| variable["value"].clone()),
            mounts(container).iter().any(|mount| mount.contains("/argo/secret/s")),
        )
    };
    let with =
        json!({"name": "a", "container": {"image": "i"}, "outputs": {"artifacts": [{"name": "o", "path": "/o"}]}});
    let pod = pod_with(config(), workflow(json!({})), with).expect("builds");
    let text = json!({"s3": {"bucket": "b", "accessKeySecret": {"name": "s", "key": "k"}}}).to_string();
    assert_eq!(told(&pod, "initContainers", "init"), (Some(json!(text)), true));
    assert_eq!(told(&pod, "containers", "wait"), (Some(json!(text)), true));
    assert_eq!(told(&pod, "containers", "main"), (None, false));
    let without = json!({"name": "a", "container": {"image": "i"}});
    let pod = pod_with(config(), workflow(json!({})), without).expect("builds");
    assert_eq!(told(&pod, "containers", "wait"), (None, false));
    let data =
        json!({"name": "a", "data": {"source": {"artifactPaths": {"name": "p", "s3": {}}}, "transformation": []}});
    let pod = pod_with(config(), workflow(json!({})), data).expect("builds");
    assert_eq!(told(&pod, "containers", "main"), (Some(json!(text)), true));
}

#[test]
fn the_installation_says_what_containers_have_beside_what_they_need() {
    let config = Config {
        executor: Some(json!({"image": "argoexec:v4", "args": ["--loglevel", "debug"], "imagePullPolicy": "Always",
            "resources": {"requests": {"cpu": "10m"}}, "env": [{"name": "HTTP_PROXY", "value": "p"}]})),
        main_container: Some(
            json!({"imagePullPolicy": "IfNotPresent", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}),
        ),
        instance_id: "two".to_owned(),
        ..Config::default()
    };
    let template = json!({"name": "a", "container": {"image": "i", "command": ["c"], "env": [{"name": "B", "value": "2"}],
        "resources": {"requests": {"cpu": "2"}}}, "sidecars": [{"name": "s", "image": "s", "command": ["x"]}]});
    let pod = pod_with(config, workflow(json!({})), template).expect("builds");
    assert_eq!(pod["metadata"]["labels"]["workflows.argoproj.io/controller-instanceid"], "two");
    let variable = |container: &Value, name: &str| {
        let env = container["env"].as_array().cloned().unwrap_or_default();
        env.iter().find(|variable| variable["name"] == name).map(|variable| variable["value"].clone())
    };
    for (list, name) in [("initContainers", "init"), ("containers", "wait")] {
        let ours = container(&pod, list, name);
        assert_eq!((&ours["image"], &ours["imagePullPolicy"]), (&json!("executor:1"), &json!("Always")), "{name}");
        assert_eq!(ours["resources"]["requests"]["cpu"], "10m", "{name}");
        assert_eq!((variable(ours, "HTTP_PROXY"), ours.get("args")), (Some(json!("p")), None), "{name}");
    }
    let main = container(&pod, "containers", "main");
    assert_eq!((&main["image"], &main["imagePullPolicy"]), (&json!("i"), &json!("IfNotPresent")));
    assert_eq!(main["resources"]["requests"], json!({"cpu": "2", "memory": "1Gi"}), "its own go first");
    assert_eq!([variable(main, "A"), variable(main, "B")], [Some(json!("1")), Some(json!("2"))]);
    let sidecar = container(&pod, "containers", "s");
    assert_eq!(
        (sidecar.get("imagePullPolicy"), variable(sidecar, "A")),
        (None, None),
        "a sidecar is no main container"
    );
}
