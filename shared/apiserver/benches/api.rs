//! What a request through `kube::Client` costs, the client's own work included.

use argosy_apiserver::{Options, Server};
use divan::Bencher;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};

fn main() {
    divan::main();
}

struct World {
    runtime: tokio::runtime::Runtime,
    api: Api<DynamicObject>,
    _server: Server,
}

fn world() -> World {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = Server::new(Options { body_bytes_max: 256 << 20, ..Options::default() });
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Workflow"));
    let api = runtime.block_on(async { Api::namespaced_with(server.client("argo"), "argo", &resource) });
    World { runtime, api, _server: server }
}

fn node(i: usize) -> Value {
    json!({"id": format!("wf-{i}"), "name": format!("wf.step({i})"), "displayName": format!("step({i})"),
        "type": "Pod", "templateName": "main", "phase": "Running", "startedAt": "2026-01-02T03:04:05Z",
        "boundaryID": "wf", "progress": "0/1", "children": []})
}

fn workflow(nodes: usize) -> DynamicObject {
    let nodes: Map<String, Value> = (0..nodes).map(|i| (format!("wf-{i}"), node(i))).collect();
    serde_json::from_value(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"generateName": "wf-"}, "spec": {"entrypoint": "main",
            "templates": [{"name": "main", "container": {"image": "busybox", "command": ["true"]}}]},
        "status": {"phase": "Running", "nodes": nodes}}))
    .expect("a valid workflow")
}

#[divan::bench]
fn create(bencher: Bencher<'_, '_>) {
    let world = world();
    let object = workflow(1);
    bencher.bench_local(|| world.runtime.block_on(world.api.create(&PostParams::default(), &object)).expect("created"));
}

/// One node of many changes; the answer is metadata only.
#[divan::bench(args = [1, 1_000, 100_000], sample_count = 50)]
fn patch_one_node(bencher: Bencher<'_, '_>, nodes: usize) {
    let world = world();
    let made = world.runtime.block_on(world.api.create(&PostParams::default(), &workflow(nodes))).expect("created");
    let name = made.metadata.name.expect("a name");
    let mut count = 0usize;
    bencher.bench_local(|| {
        count += 1;
        let patch = json!({"status": {"nodes": {format!("wf-{}", count % nodes): {"progress": count.to_string()}}}});
        world
            .runtime
            .block_on(world.api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&patch)))
            .expect("patched")
    });
}
