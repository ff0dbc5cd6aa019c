//! What happens to pods, as `kubectl describe pod` shows it.

use std::time::Duration;

use anyhow::{Context, Result};
use argosy_node::Runtime;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::World;

/// Reasons and messages of the Events of a pod, once one has such a reason.
async fn told(world: &World, pod: &str, reason: &str) -> Result<Vec<(String, String)>> {
    let events: Api<Event> = Api::default_namespaced(world.client.clone());
    let about = ListParams::default().fields(&format!("involvedObject.kind=Pod,involvedObject.name={pod}"));
    let found = async {
        loop {
            let events = events.list(&about).await?.items;
            if events.iter().any(|event| event.reason.as_deref() == Some(reason)) {
                let told = events.into_iter().map(|e| (e.reason.unwrap_or_default(), e.message.unwrap_or_default()));
                let mut told: Vec<_> = told.collect();
                told.sort();
                return Ok(told);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.with_context(|| format!("events of {pod}"))?
}

#[tokio::test]
async fn what_happens_to_pods_is_recorded() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    let of = |command: &str| json!({"containers": [{"name": "main", "image": "busybox", "command": [command]}]});
    world.create("good", of("true")).await?;
    world.create("bad", of("/no/such/program")).await?;
    let mut unfit = of("true");
    unfit["nodeSelector"] = json!({"kubernetes.io/arch": "no-such-arch"});
    world.create("unfit", unfit).await?;
    let good = told(&world, "good", "Started").await?;
    let expected = [("Scheduled", "Successfully assigned default/good to test"), ("Started", "Started container main")];
    assert_eq!(good, expected.map(|(reason, message)| (reason.to_owned(), message.to_owned())));
    let bad = told(&world, "bad", "Failed").await?;
    assert!(bad.iter().any(|(reason, text)| reason == "Failed" && text.starts_with("Error: ")), "{bad:?}");
    let unfit = told(&world, "unfit", "FailedScheduling").await?;
    assert!(unfit[0].0 == "FailedScheduling" && unfit[0].1.starts_with("0/1 nodes are available"), "{unfit:?}");
    world.end().await
}
