use serde_json::{Value, json};

use super::*;
use crate::kinds;

/// What is said of an object; nothing where it may be stored.
fn said(plural: &str, value: Value) -> String {
    let kind = kinds::KINDS.iter().find(|kind| kind.plural == plural).expect("served");
    check(kind, None, &Json::from(value)).err().map_or_else(String::new, |failure| failure.message)
}

fn workflow(metadata: Value) -> String {
    let mut value = json!({"metadata": {"name": "x"}, "spec": {}});
    for (key, member) in metadata.as_object().expect("members") {
        value["metadata"][key] = member.clone();
    }
    said("workflows", value)
}

#[test]
fn metadata_that_a_client_cannot_read_is_refused() {
    assert_eq!(workflow(json!({"labels": {"a/b": "c", "d": ""}, "annotations": null, "finalizers": ["a.b/c"]})), "");
    let wrong = [
        json!({"labels": "."}),
        json!({"labels": {"a": 1}}),
        json!({"labels": {"a": null}}),
        json!({"annotations": ["a"]}),
        json!({"annotations": {"a": {}}}),
        json!({"finalizers": "a"}),
        json!({"finalizers": [1]}),
        json!({"ownerReferences": {}}),
        json!({"ownerReferences": [1]}),
        json!({"generateName": 1}),
        json!({"uid": []}),
        json!({"generation": "x"}),
        json!({"creationTimestamp": "yesterday"}),
        json!({"deletionGracePeriodSeconds": "long"}),
        json!({"managedFields": "m"}),
        json!({"managedFields": [{"manager": 1}]}),
    ];
    for metadata in wrong {
        let text = workflow(metadata.clone());
        assert!(text.contains("cannot be"), "{metadata}: {text:?}");
    }
    let wrong = [
        (json!({"labels": {"a b": "c"}}), "metadata.labels: Invalid value: \"a b\""),
        (json!({"labels": {"a": "../b"}}), "metadata.labels: Invalid value: \"../b\""),
        (json!({"labels": {"a": "b".repeat(64)}}), "no more than 63"),
        (json!({"annotations": {"/a": ""}}), "metadata.annotations"),
        (json!({"annotations": {"a": "b".repeat(1 << 18)}}), "Too long"),
        (json!({"finalizers": [""]}), "metadata.finalizers"),
        (json!({"ownerReferences": [{"kind": "K"}]}), "metadata.ownerReferences[0].uid"),
    ];
    for (metadata, expected) in wrong {
        let text = workflow(metadata.clone());
        assert!(text.contains(expected), "{text:?} without {expected:?}");
    }
}

#[test]
fn custom_kinds_have_the_schema_of_their_definitions() {
    let metadata = json!({"name": "x"});
    for (value, expected) in [
        (json!({"metadata": metadata}), "spec: Required value"),
        (json!({"metadata": metadata, "spec": null}), "must be of type object: \"null\""),
        (json!({"metadata": metadata, "spec": "s"}), "spec in body must be of type object: \"string\""),
        (json!({"metadata": metadata, "spec": {}, "status": []}), "status in body must be of type object: \"array\""),
        (json!({"metadata": metadata, "spec": {"templates": "odd, and for its readers"}}), ""),
    ] {
        let text = said("workflows", value);
        assert!(text.contains(expected) && text.is_empty() == expected.is_empty(), "{text:?} for {expected:?}");
    }
    assert_eq!(said("workflowtaskresults", json!({"metadata": metadata, "outputs": {}})), "");
}

#[test]
fn built_in_kinds_have_types() {
    let metadata = json!({"name": "x"});
    for (plural, rest) in [
        ("configmaps", json!({"data": "d"})),
        ("configmaps", json!({"data": {"a": 1}})),
        ("secrets", json!({"data": {"a": "not base64"}})),
        ("pods", json!({"spec": {"containers": "c"}})),
        ("pods", json!({"spec": {"containers": []}, "status": {"phase": 1}})),
        ("persistentvolumeclaims", json!({"spec": "s"})),
        ("serviceaccounts", json!({"secrets": 1})),
        ("resourcequotas", json!({"spec": {"hard": []}})),
    ] {
        let mut value = rest;
        value["metadata"] = metadata.clone();
        let text = said(plural, value.clone());
        assert!(text.contains("cannot be handled as a"), "{value}: {text:?}");
    }
}

#[test]
fn keys_that_become_files_are_names_of_files() {
    for plural in ["configmaps", "secrets"] {
        let of = |key: &str| said(plural, json!({"metadata": {"name": "x"}, "data": {key: "YQ=="}}));
        for key in ["a", "a.b_c-D", ".hidden", "a..b"] {
            assert_eq!(of(key), "", "{key}");
        }
        for key in ["../../x", "..", ".", "..a", "a/b", "", "a b", "é", "a\0"] {
            assert!(of(key).contains("is invalid: data["), "{key}");
        }
        let large = said(plural, json!({"metadata": {"name": "x"}, "data": {"a": "AAAA".repeat(1 << 19)}}));
        assert!(large.contains("may not be more than 1048576 bytes"), "{}", &large[..80]);
    }
}

#[test]
fn names_and_paths_in_a_pod_stay_where_they_are() {
    let pod = |spec: Value| said("pods", json!({"metadata": {"name": "p"}, "spec": spec}));
    let mount = |mount: Value| json!({"containers": [{"name": "main", "volumeMounts": [mount]}], "volumes": [{"name": "v", "emptyDir": {}}]});
    assert_eq!(pod(mount(json!({"name": "v", "mountPath": "/a", "subPath": "b/c"}))), "");
    for (spec, expected) in [
        (json!({"containers": [{"name": "../../../../tmp/x"}]}), "spec.containers[0].name: Invalid value"),
        (json!({"initContainers": [{"name": "a/b"}], "containers": []}), "spec.initContainers[0].name"),
        (json!({"containers": [{"name": "Main"}]}), "RFC 1123 label"),
        (json!({"containers": [{"name": "a"}, {"name": "a"}]}), "Duplicate value"),
        (json!({"containers": [{"image": "i"}]}), "spec.containers[0].name: Required value"),
        (json!({"containers": [], "volumes": [{"name": "/tmp/x"}]}), "spec.volumes[0].name: Invalid value"),
        (json!({"containers": [], "volumes": [{"name": "."}]}), "spec.volumes[0].name: Invalid value"),
        (json!({"containers": [], "hostname": "é".repeat(40)}), "spec.hostname"),
        (mount(json!({"name": "v", "mountPath": "/a", "subPath": "../b"})), "must not contain '..'"),
        (mount(json!({"name": "v", "mountPath": "/a", "subPath": "/b"})), "must be a relative path"),
        (mount(json!({"name": "w", "mountPath": "/a"})), "Not found"),
        (mount(json!({"name": "v"})), "mountPath: Required value"),
        (
            json!({"containers": [], "activeDeadlineSeconds": 0}),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        (
            json!({"containers": [], "volumes": [{"name": "v", "secret": {"items": [{"key": "k", "path": "a/../../b"}]}}]}),
            "spec.volumes[0].secret.items[0].path",
        ),
        (
            json!({"containers": [], "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"items": [{"key": "k", "path": "/b"}]}}]}}]}),
            "sources[0].configMap.items[0].path",
        ),
    ] {
        let text = pod(spec.clone());
        assert!(text.contains(expected), "{spec}: {text:?}");
    }
}
