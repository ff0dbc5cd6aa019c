//! Watches.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::watcher;
use serde_json::json;

use crate::support::{server, workflow, workflows};

fn word(event: &WatchEvent<DynamicObject>) -> String {
    let name = |o: &DynamicObject| o.metadata.name.clone().unwrap_or_default();
    match event {
        WatchEvent::Added(o) => format!("+{}", name(o)),
        WatchEvent::Modified(o) => format!("~{}", name(o)),
        WatchEvent::Deleted(o) => format!("-{}", name(o)),
        WatchEvent::Bookmark(b) => format!("#{}", b.metadata.resource_version),
        WatchEvent::Error(e) => format!("!{}", e.code),
    }
}

async fn words(api: &Api<DynamicObject>, params: WatchParams, version: &str) -> Vec<String> {
    let stream = api.watch(&params.timeout(1), version).await.expect("watch starts");
    stream.map_ok(|e| word(&e)).try_collect().await.expect("no broken lines")
}

async fn label(api: &Api<DynamicObject>, name: &str, value: Option<&str>) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"l": value}}}));
    api.patch(name, &PatchParams::default(), &patch).await.expect("patched");
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_everything_after_its_revision() {
    let server = server();
    let api = workflows(&server);
    api.create(&PostParams::default(), &workflow("a")).await.expect("created");
    let from = server.revision().to_string();
    label(&api, "a", Some("x")).await;
    api.create(&PostParams::default(), &workflow("b")).await.expect("created");
    api.delete("a", &DeleteParams::default()).await.expect("deleted");
    label(&api, "b", Some("y")).await;
    let plain = WatchParams::default().disable_bookmarks();
    assert_eq!(words(&api, plain.clone(), &from).await, ["~a", "+b", "-a", "~b"]);
    // Through a selector, objects come and go as they start and stop to match.
    let selected = plain.clone().labels("l=x");
    assert_eq!(words(&api, selected, &from).await, ["+a", "-a"]);
    let selected = plain.clone().labels("!l");
    assert_eq!(words(&api, selected, &from).await, ["-a", "+b", "-b"]);
    // Without a revision a watch begins with what there is.
    assert_eq!(words(&api, plain.clone(), "0").await, ["+b"]);
    server.compact_history();
    assert_eq!(words(&api, plain, &from).await, ["!410"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_sends_bookmarks_and_ends_in_time() {
    let server = server();
    let api = workflows(&server);
    let version = server.revision().to_string();
    let stream = api.watch(&WatchParams::default().timeout(100), &version).await.expect("watch starts");
    let words: Vec<String> = stream.map_ok(|e| word(&e)).try_collect().await.expect("no broken lines");
    assert_eq!(words, [format!("#{version}")]);
}

#[tokio::test(start_paused = true)]
async fn watchers_follow_by_lists_and_by_streams() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let server = server();
        let api = workflows(&server);
        api.create(&PostParams::default(), &workflow("a")).await.expect("created");
        let mut events = Box::pin(watcher(api.clone(), config));
        let mut seen = Vec::new();
        let mut extra = Some(workflow("b"));
        while seen.last() != Some(&"-a".to_owned()) {
            let event = tokio::time::timeout(Duration::from_secs(5), events.next())
                .await
                .expect("an event in time")
                .expect("watchers never end")
                .expect("no error");
            let name = |o: DynamicObject| o.metadata.name.unwrap_or_default();
            match event {
                watcher::Event::Init => seen.push("init".to_owned()),
                watcher::Event::InitApply(o) => seen.push(format!("+{}", name(o))),
                watcher::Event::InitDone => {
                    seen.push("done".to_owned());
                    let extra = extra.take().expect("listed once");
                    api.create(&PostParams::default(), &extra).await.expect("created");
                    api.delete("a", &DeleteParams::default()).await.expect("deleted");
                }
                watcher::Event::Apply(o) => seen.push(format!("~{}", name(o))),
                watcher::Event::Delete(o) => seen.push(format!("-{}", name(o))),
            }
        }
        assert_eq!(seen, ["init", "+a", "done", "~b", "-a"]);
    }
}
