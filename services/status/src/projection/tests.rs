use argosy_api::v1alpha1::{NodePhase, NodeStatus};

use super::*;

fn object(status: Value, annotation: Option<String>) -> Value {
    let mut object =
        json!({"metadata": {"uid": "u", "name": "w", "resourceVersion": "1", "annotations": {}}, "status": status});
    if let Some(text) = annotation {
        object["metadata"]["annotations"][labels::WATERMARK] = json!(text);
    }
    object
}

fn change(sequence: u64, nodes: &[(&str, NodePhase, &str)]) -> StatusChanged {
    let node = |(id, phase, message): &(&str, NodePhase, &str)| {
        NodeStatus {
            id: (*id).into(),
            name: (*id).into(),
            phase: *phase,
            message: (*message).into(),
            ..NodeStatus::default()
        }
        .into()
    };
    StatusChanged {
        observed_sequence: sequence,
        last: true,
        nodes: nodes.iter().map(node).collect(),
        ..StatusChanged::default()
    }
}

/// Folds a change that comes behind the step `previous`; with `previous` its own sequence it is an addition to it.
fn apply(fold: &mut StatusProjection, change: StatusChanged, previous: u64, part: usize, regardless: bool) -> Applied {
    let previous = Position::step(previous);
    let place = Place { position: previous.next(change.observed_sequence), previous, part };
    fold.apply(change, place, regardless)
}

/// Whether the status is another than the watermark says.
fn is_foreign(object: &Value) -> bool {
    let annotation = object["metadata"]["annotations"][labels::WATERMARK].as_str();
    annotation
        .and_then(|text| Watermark::parse(text, "u"))
        .is_some_and(|watermark| watermark.digest != digest::of_status(&object["status"]))
}

fn with_status(mut change: StatusChanged, status: Value) -> StatusChanged {
    change.workflow_status = Some(WorkflowDelta { status, ..WorkflowDelta::default() });
    change
}

/// Writes as an API server would, and checks that the object's digest is that of its status.
fn write(fold: &mut StatusProjection, object: &mut Value) -> Value {
    let patch = fold.patch().expect("folds can be written");
    assert_eq!(patch["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
    merge(object, &patch);
    let version = object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok()).unwrap_or(0) + 1;
    object["metadata"]["resourceVersion"] = json!(version.to_string());
    let metadata = object["metadata"].to_string().len();
    fold.written(version.to_string(), metadata);
    assert!(!is_foreign(object), "{object}");
    patch
}

#[test]
fn a_write_carries_only_what_changed() {
    let mut object = object(Value::Null, None);
    let mut fold = StatusProjection::of_object(&object, None).expect("readable");
    let first = change(5, &[("a", NodePhase::Running, "waits"), ("b", NodePhase::Pending, "")]);
    assert_eq!(
        apply(&mut fold, with_status(first, json!({"phase": "Running", "message": "x"})), 0, 0, false),
        Applied::Folded
    );
    write(&mut fold, &mut object);
    assert_eq!(
        object["metadata"]["annotations"][labels::WATERMARK].as_str().map(|text| text.starts_with("5:")),
        Some(true)
    );
    let second = with_status(change(7, &[("a", NodePhase::Succeeded, "")]), json!({"message": null}));
    assert_eq!(apply(&mut fold, second, 5, 0, false), Applied::Folded);
    let patch = write(&mut fold, &mut object);
    assert_eq!(patch["status"], json!({"message": null, "nodes": {"a": {"phase": "Succeeded", "message": null}}}));
    assert_eq!(object["status"]["nodes"]["b"]["phase"], "Pending");
    let again = StatusProjection::of_object(&object, None).expect("readable");
    assert_eq!((again.position(), again.nodes_digest), (Position::step(7), fold.nodes_digest));
}

#[test]
fn events_that_come_twice_or_out_of_order_change_nothing() {
    let object = object(Value::Null, None);
    let mut fold = StatusProjection::of_object(&object, None).expect("readable");
    assert_eq!(apply(&mut fold, change(7, &[("a", NodePhase::Succeeded, "")]), 5, 0, false), Applied::Gap);
    assert_eq!(apply(&mut fold, change(5, &[("a", NodePhase::Running, "")]), 0, 0, false), Applied::Folded);
    assert_eq!(apply(&mut fold, change(7, &[("a", NodePhase::Succeeded, "")]), 5, 0, false), Applied::Folded);
    assert_eq!(apply(&mut fold, change(5, &[("a", NodePhase::Running, "")]), 0, 0, false), Applied::Known);
    let patch = fold.patch().expect("writable");
    assert_eq!(patch["status"]["nodes"]["a"]["phase"], "Succeeded");
    assert_eq!(apply(&mut fold, change(20, &[]), 11, 0, true), Applied::Folded);
}

#[test]
fn a_repeat_does_not_undo_an_edit_but_a_rebuilt_workflow_may_add() {
    let mut object = object(Value::Null, None);
    let mut fold = StatusProjection::of_object(&object, None).expect("readable");
    let first = || change(5, &[("pause", NodePhase::Running, "")]);
    assert_eq!(apply(&mut fold, first(), 0, 0, false), Applied::Folded);
    write(&mut fold, &mut object);
    object["status"]["nodes"]["pause"]["phase"] = json!("Succeeded");
    let mut fold = StatusProjection::of_object(&object, None).expect("readable");
    assert_eq!(apply(&mut fold, first(), 0, 0, false), Applied::Known);
    assert_eq!(apply(&mut fold, change(5, &[("next", NodePhase::Pending, "")]), 5, 0, false), Applied::Folded);
    write(&mut fold, &mut object);
    assert_eq!(object["status"]["nodes"]["pause"]["phase"], "Succeeded");
    assert_eq!(object["status"]["nodes"]["next"]["phase"], "Pending");
}

#[test]
fn an_addition_that_comes_late_is_waited_for() {
    // The next step came first, as the addition was handed out to a process that died.
    let mut fold = StatusProjection::of_object(&object(Value::Null, None), None).expect("readable");
    assert_eq!(apply(&mut fold, change(11, &[("a", NodePhase::Failed, "")]), 0, 0, false), Applied::Folded);
    let added = Position::step(11).next(11);
    let next = Place { position: added.next(20), previous: added, part: 0 };
    assert_eq!(fold.apply(change(20, &[("b", NodePhase::Running, "")]), next, false), Applied::Gap);
    assert_eq!(apply(&mut fold, change(11, &[("b", NodePhase::Pending, "")]), 11, 0, false), Applied::Folded);
    assert_eq!(fold.apply(change(20, &[("b", NodePhase::Running, "")]), next, false), Applied::Folded);
    assert_eq!(fold.patch().expect("writable")["status"]["nodes"]["b"]["phase"], "Running");
}

#[test]
fn a_step_in_parts_is_folded_whole() {
    let part = |id: &str, last: bool| StatusChanged { last, ..change(5, &[(id, NodePhase::Running, "")]) };
    let mut fold = StatusProjection::of_object(&object(Value::Null, None), None).expect("readable");
    assert_eq!(apply(&mut fold, part("a", false), 0, 0, false), Applied::Folded);
    assert!(!fold.is_ahead() && fold.is_in_parts());
    assert_eq!(apply(&mut fold, part("c", true), 0, 2, false), Applied::Gap);
    assert_eq!(apply(&mut fold, part("b", false), 0, 1, false), Applied::Folded);
    assert_eq!(apply(&mut fold, part("a", false), 0, 0, false), Applied::Known);
    assert_eq!(apply(&mut fold, part("c", true), 0, 2, false), Applied::Folded);
    assert!(fold.is_ahead() && !fold.is_in_parts());
    fold.apply_pending();
    assert_eq!(fold.nodes.len(), 3);
}

#[test]
fn what_another_owner_wrote_is_found_in_the_object() {
    let mut other = StatusProjection::of_object(&object(json!({}), None), None).expect("an object");
    let mut fold = StatusProjection::of_object(&object(json!({}), None), None).expect("an object");
    let mut object = object(json!({}), None);
    apply(&mut other, change(5, &[("a", NodePhase::Running, "")]), 0, 0, false);
    write(&mut other, &mut object);
    // The other has acknowledged the event at 5: it does not come again.
    let place = Place { position: Position::step(5).next(7), previous: Position::step(5), part: 0 };
    let next = change(7, &[("a", NodePhase::Succeeded, "")]);
    assert!(fold.is_gap(place));
    assert_eq!(fold.apply(next.clone(), place, false), Applied::Gap);
    fold.rebase(&object, None).expect("an object");
    assert!(!fold.is_gap(place));
    assert_eq!(fold.apply(next, place, false), Applied::Folded);
}

#[test]
fn parts_of_a_step_that_the_object_has_whole_are_let_go() {
    let mut fold = StatusProjection::of_object(&object(json!({}), None), None).expect("an object");
    let part = StatusChanged { last: false, ..change(5, &[("a", NodePhase::Running, "")]) };
    apply(&mut fold, part, 0, 0, false);
    assert!(fold.is_in_parts());
    let watermark = Watermark { sequence: 5, additions: 0, digest: 0 }.written("u");
    fold.rebase(&object(json!({}), Some(watermark)), None).expect("an object");
    assert!(!fold.is_in_parts());
}

#[test]
fn a_conflict_keeps_both_sides() {
    let mut object = object(Value::Null, None);
    let mut fold = StatusProjection::of_object(&object, None).expect("readable");
    apply(&mut fold, change(5, &[("a", NodePhase::Running, ""), ("b", NodePhase::Running, "")]), 0, 0, false);
    write(&mut fold, &mut object);
    apply(&mut fold, change(6, &[("a", NodePhase::Succeeded, "")]), 5, 0, false);
    object["status"]["nodes"]["b"]["message"] = json!("edited");
    object["metadata"]["resourceVersion"] = json!("77");
    assert!(is_foreign(&object));
    fold.rebase(&object, None).expect("readable");
    write(&mut fold, &mut object);
    assert_eq!(object["status"]["nodes"]["a"]["phase"], "Succeeded");
    assert_eq!(object["status"]["nodes"]["b"]["message"], "edited");
    // Of one node, too, of which only a list grew.
    let growth = Growth { node: "b".into(), list: NodeList::Children, from: 0, ids: vec!["c".into()] };
    apply(&mut fold, StatusChanged { grown: vec![growth], ..change(7, &[]) }, 6, 0, false);
    object["status"]["nodes"]["b"]["phase"] = json!("Succeeded");
    object["metadata"]["resourceVersion"] = json!("99");
    fold.rebase(&object, None).expect("readable");
    write(&mut fold, &mut object);
    assert_eq!(object["status"]["nodes"]["b"]["phase"], "Succeeded");
    assert_eq!(object["status"]["nodes"]["b"]["children"], json!(["c"]));
    // Another writer is further: ours is in there already.
    let mut behind = StatusProjection::of_object(&json!({"metadata": {"uid": "u"}}), None).expect("readable");
    apply(&mut behind, change(3, &[("a", NodePhase::Pending, "")]), 0, 0, false);
    behind.rebase(&object, None).expect("readable");
    assert!(!behind.is_ahead());
}

#[test]
fn what_an_edit_took_away_comes_back_with_the_same_value() {
    let mut object = object(Value::Null, None);
    let mut fold = StatusProjection::of_object(&object, None).expect("readable");
    let end = || {
        let status = json!({"phase": "Failed", "finishedAt": "t", "conditions": [{"type": "Completed"}]});
        with_status(change(5, &[("a", NodePhase::Failed, "")]), status)
    };
    apply(&mut fold, end(), 0, 0, false);
    write(&mut fold, &mut object);
    // A retry within the second in which the workflow ended: the end that follows says the same.
    object["status"] = json!({"phase": "", "nodes": {"a": {"id": "a", "name": "a", "phase": "Running"}}});
    object["metadata"]["resourceVersion"] = json!("77");
    apply(&mut fold, StatusChanged { observed_sequence: 9, ..end() }, 5, 0, false);
    fold.rebase(&object, None).expect("readable");
    write(&mut fold, &mut object);
    assert_eq!(object["status"]["finishedAt"], "t");
    assert_eq!(object["status"]["conditions"], json!([{"type": "Completed"}]));
    assert_eq!(object["status"]["nodes"]["a"]["phase"], "Failed");
}

#[test]
fn a_list_that_an_edit_took_away_comes_back_as_it_was() {
    let mut object = object(Value::Null, None);
    let mut fold = StatusProjection::of_object(&object, None).expect("readable");
    let grown = |sequence, nodes: &[(&str, NodePhase, &str)]| {
        let growth = Growth { node: "group".into(), list: NodeList::Children, from: 0, ids: vec!["a".into()] };
        StatusChanged { grown: vec![growth], ..change(sequence, nodes) }
    };
    apply(&mut fold, grown(5, &[("group", NodePhase::Failed, "")]), 0, 0, false);
    write(&mut fold, &mut object);
    // A retry takes the group's step away, and has the group run again; the step that follows is the same.
    let group = json!({"id": "group", "name": "group", "phase": "Running", "outboundNodes": ["b"]});
    object["status"]["nodes"] = json!({ "group": group });
    object["metadata"]["resourceVersion"] = json!("77");
    apply(&mut fold, grown(9, &[]), 5, 0, false);
    fold.rebase(&object, None).expect("readable");
    write(&mut fold, &mut object);
    let group = &object["status"]["nodes"]["group"];
    assert_eq!((&group["children"], &group["phase"]), (&json!(["a"]), &json!("Running")));
    assert_eq!(group["outboundNodes"], json!(["b"]), "of that list nothing was told");
}

#[test]
fn a_large_status_is_compressed_and_stays_so() {
    let mut object = object(json!({"nodes": {"old": {"id": "old", "name": "old", "type": "Pod"}}}), None);
    let mut fold = StatusProjection::of_object(&object, None).expect("readable");
    let mut big = change(5, &[]);
    for n in 0..3000 {
        let node = NodeStatus { id: format!("n{n}").into(), name: "x".repeat(400).into(), ..NodeStatus::default() };
        big.nodes.push(node.into());
    }
    apply(&mut fold, big, 0, 0, false);
    write(&mut fold, &mut object);
    assert!(object["status"].get("nodes").is_none());
    assert!(object.to_string().len() < BYTES_MAX);
    let mut again = StatusProjection::of_object(&object, None).expect("readable");
    assert_eq!((again.nodes.len(), again.nodes_digest), (3001, fold.nodes_digest));
    apply(&mut again, change(6, &[("n1", NodePhase::Succeeded, "")]), 5, 0, false);
    write(&mut again, &mut object);
    assert!(StatusProjection::of_object(&object, None).expect("readable").nodes["n1"].contains("Succeeded"));
}

#[test]
fn lists_grow_and_a_repeat_is_harmless() {
    let growth = |from: usize, ids: &[&str]| Growth {
        node: "wf".into(),
        list: NodeList::Children,
        from,
        ids: ids.iter().map(|id| ArcStr::from(*id)).collect(),
    };
    let mut fold =
        StatusProjection::of_object(&json!({"metadata": {"uid": "u", "resourceVersion": "1"}}), None).expect("reads");
    let grown =
        |sequence, growth| StatusChanged { grown: vec![growth], ..change(sequence, &[("wf", NodePhase::Running, "")]) };
    apply(&mut fold, grown(1, growth(0, &["a", "b"])), 0, 0, false);
    apply(&mut fold, grown(2, growth(2, &["c"])), 1, 0, false);
    apply(&mut fold, grown(2, growth(2, &["c"])), 1, 0, false);
    apply(&mut fold, change(3, &[("wf", NodePhase::Succeeded, "")]), 2, 0, false);
    let patch = fold.patch().expect("a patch");
    assert_eq!(patch["status"]["nodes"]["wf"]["children"], json!(["a", "b", "c"]));
    assert_eq!(patch["status"]["nodes"]["wf"]["phase"], "Succeeded");
}
