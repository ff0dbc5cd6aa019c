use std::path::Path;

use argosy_api::v1alpha1::{self as v1, Workflow};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Style,
    details::details,
    list::{Columns, list},
    tree::{Filter, tree},
};

/// The final object of a recorded run.
fn golden(name: &str) -> Workflow {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/recorded/goldens-edge");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).expect("the run is in the repository");
    let golden: Value = serde_json::from_str(&text).expect("a golden is JSON");
    v1::from_value(golden["workflow"].clone()).expect("a golden holds a workflow")
}

/// The first column of a tree, without its head.
fn steps(workflow: &Workflow) -> Vec<String> {
    let text = tree(workflow, &Filter::default(), Style::default(), Timestamp::UNIX_EPOCH);
    let width = text.lines().next().and_then(|head| head.find("TEMPLATE")).expect("a head");
    let cut = |line: &str| line.chars().take(width).collect::<String>().trim_end().to_owned();
    text.lines().skip(1).map(cut).collect()
}

#[test]
fn a_tree_fits_the_terminal() {
    let long = node("w.a", "Pod", "w", "Failed", &[]);
    let workflow = workflow(&[node("w", "DAG", "", "Failed", &["w.a"]), long]);
    let drawn = |cells| tree(&workflow, &Filter::default(), Style { cells, ..Style::default() }, Timestamp::UNIX_EPOCH);
    assert!(drawn(Some(80)).contains("PODNAME") && drawn(None).contains("PODNAME"));
    let narrow = drawn(Some(42));
    assert!(!narrow.contains("PODNAME") && narrow.contains("exit code 1"), "{narrow}");
    let cut = drawn(Some(24));
    assert!(cut.lines().all(|line| line.chars().count() <= 24) && cut.contains('…'), "{cut}");
}

fn node(name: &str, kind: &str, boundary: &str, phase: &str, children: &[&str]) -> Value {
    json!({"id": name, "name": name, "displayName": name.rsplit('.').next(), "type": kind, "boundaryID": boundary,
        "phase": phase, "templateName": "t", "children": children, "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:00:07Z", "message": if phase == "Failed" { "exit code 1" } else { "" }})
}

fn workflow(nodes: &[Value]) -> Workflow {
    let nodes: serde_json::Map<_, _> =
        nodes.iter().map(|n| (n["id"].as_str().expect("an id").to_owned(), n.clone())).collect();
    let object = json!({"metadata": {"name": "w", "namespace": "argo", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"arguments": {"parameters": [{"name": "p", "value": "v"}]}, "priority": 3},
        "status": {"phase": "Failed", "message": "child failed", "progress": "1/2", "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:01:01Z", "conditions": [{"type": "Completed", "status": "True"}], "nodes": nodes}});
    v1::from_value(object).expect("a workflow")
}

#[test]
fn steps_branch_and_chain() {
    let workflow = workflow(&[
        node("w", "Steps", "", "Failed", &["w[0]"]),
        node("w[0]", "StepGroup", "w", "Succeeded", &["w[0].a"]),
        node("w[0].a", "Pod", "w", "Succeeded", &["w[1]"]),
        node("w[1]", "StepGroup", "w", "Failed", &["w[1].b", "w[1].c"]),
        node("w[1].b", "Pod", "w", "Succeeded", &[]),
        node("w[1].c", "Retry", "w", "Failed", &["w[1].c(0)", "w[1].c(1)"]),
        node("w[1].c(0)", "Pod", "w", "Failed", &[]),
        node("w[1].c(1)", "Pod", "w", "Failed", &[]),
        node("w.onExit", "Pod", "", "Succeeded", &[]),
    ]);
    let expected = " ✖ w\n ├───✔ a\n └─┬─✔ b\n   └─✖ c\n     ├─✖ c(0)\n     └─✖ c(1)\n\n ✔ onExit";
    assert_eq!(steps(&workflow).join("\n"), expected);
}

#[test]
fn a_dag_lists_its_tasks_in_order_of_start_and_number() {
    let workflow = workflow(&[
        node("w", "DAG", "", "Running", &["w.a"]),
        node("w.a", "TaskGroup", "w", "Running", &["w.a(10:x)", "w.a(2:x)"]),
        node("w.a(10:x)", "Pod", "w", "Running", &["w.b"]),
        node("w.a(2:x)", "Pod", "w", "Pending", &["w.b"]),
        node("w.b", "Suspend", "w", "Running", &[]),
    ]);
    let expected = " ● w\n ├─● a\n │ ├─● a(10:x)\n │ └─◷ a(2:x)\n └─ǁ b";
    assert_eq!(steps(&workflow).join("\n"), expected);
}

#[test]
fn facts_come_before_the_tree() {
    let workflow = workflow(&[node("w", "Pod", "", "Failed", &[])]);
    let now = "2026-01-01T00:02:00Z".parse().expect("a moment");
    let text = details(&workflow, &Filter::default(), Style::default(), now);
    for line in [
        "Name:                w\n",
        "ServiceAccount:      unset (will run with the default ServiceAccount)\n",
        "Status:              Failed\n",
        "Message:             child failed\n",
        " Completed           True\n",
        "(2 minutes ago)\n",
        "Duration:            1 minute 1 second\n",
        "Progress:            1/2\n",
        "  p:                 v\n",
        "\nSTEP  TEMPLATE  PODNAME  DURATION  MESSAGE\n ✖ w  t         w        7s        exit code 1\n",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
}

#[test]
fn a_value_of_several_lines_takes_one_line_of_the_facts() {
    let mut workflow = workflow(&[]);
    workflow.spec.arguments.parameters[0].value = Some("a\nStatus: b\n".into());
    let text = details(&workflow, &Filter::default(), Style::default(), Timestamp::UNIX_EPOCH);
    assert!(text.contains("\n  p:                 a\\nStatus: b\n"), "{text}");
}

#[test]
fn the_list_has_argos_columns() {
    let workflow = workflow(&[]);
    let now = "2026-01-01T00:02:00Z".parse().expect("a moment");
    let text = list(std::slice::from_ref(&workflow), Columns::default(), Style::default(), now);
    assert_eq!(
        text,
        "NAME   STATUS   AGE   DURATION   PRIORITY   MESSAGE\nw      Failed   2m    1m         3          child failed\n"
    );
    assert_eq!(list(&[], Columns::default(), Style::default(), now), "No workflows found\n");
}

#[test]
fn every_node_of_a_recorded_run_is_in_its_tree() {
    let workflow = golden("p-daemon-nested");
    let drawn = steps(&workflow);
    // Step groups are drawn as branches, not as lines.
    let is_line = |node: &&v1::NodeStatus| node.r#type != v1::NodeType::StepGroup;
    let shown: Vec<_> = workflow.status.nodes.values().filter(is_line).collect();
    assert!(drawn.len() == shown.len() && shown.len() > 5, "{drawn:#?}");
    assert_eq!(drawn[0], " ✔ p-daemon-nested");
    for node in shown {
        assert!(drawn.iter().any(|line| line.ends_with(&format!(" {}", node.display_name))), "{drawn:#?}");
    }
    let pods = tree(&workflow, &Filter::default(), Style::default(), Timestamp::UNIX_EPOCH);
    assert!(pods.contains(" p-daemon-nested-"), "{pods}");
}

#[test]
fn a_state_says_that_somebody_is_waited_for_or_stopped_it() {
    let mut of = workflow(&[node("w", "Suspend", "", "Running", &[])]);
    let word = |workflow: &Workflow| super::state(workflow, Style::default());
    assert_eq!(word(&of), "Failed");
    of.spec.shutdown = "Stop".to_owned();
    assert_eq!(word(&of), "Failed (Terminated)");
    of.status.phase = v1::WorkflowPhase::Running;
    assert_eq!(word(&of), "Running (Suspended)");
    of.status.nodes = v1::Nodes::default();
    assert_eq!(word(&of), "Running");
    of.spec.suspend = Some(true);
    assert_eq!(word(&of), "Running (Suspended)");
}

#[test]
fn a_short_tree_stands_alone_and_may_be_ascii() {
    let workflow = workflow(&[
        node("w", "DAG", "", "Failed", &["w.a", "w.b"]),
        node("w.a", "Suspend", "w", "Running", &[]),
        node("w.b", "Pod", "w", "Failed", &[]),
    ]);
    let style = Style { ascii: true, width: super::Width::Short, ..Style::default() };
    let text = details(&workflow, &Filter::default(), style, Timestamp::UNIX_EPOCH);
    let expected = "\
STEP          TEMPLATE  PODNAME        DURATION  MESSAGE      NODENAME
 Failed w     t                                  exit code 1
 |-Suspend a  t
 `-Failed b   t         w-t-222765470  7s        exit code 1
";
    assert_eq!(text, expected);
}

#[test]
fn nodes_that_lead_in_circles_are_drawn_once() {
    let of_itself =
        workflow(&[node("w", "Retry", "", "Failed", &["w", "w(0)"]), node("w(0)", "Pod", "", "Failed", &[])]);
    assert_eq!(steps(&of_itself).join("\n"), " ✖ w\n ├─✖ w (above)\n └─✖ w(0)");
    let ring = [
        node("w", "DAG", "", "Failed", &["a"]),
        node("a", "TaskGroup", "w", "Failed", &["b"]),
        node("b", "Retry", "w", "Failed", &["a"]),
    ];
    assert_eq!(steps(&workflow(&ring)).join("\n"), " ✖ w\n ├─✖ b\n │ └─✖ a\n │   └─✖ b (above)\n └─✖ a (above)");
    for kind in ["DAG", "Steps", "Pod"] {
        let own = workflow(&[node("w", kind, "w", "Failed", &["w"])]);
        assert!(steps(&own)[0].ends_with("✖ w"), "{:?}", steps(&own));
        let two = workflow(&[node("w", kind, "x", "Failed", &["x"]), node("x", kind, "w", "Failed", &["w"])]);
        assert!(steps(&two)[0].ends_with("✖ w"), "{:?}", steps(&two));
    }
    // A filter that leaves all of a ring out ends as well.
    let filter = Filter { status: Some(v1::NodePhase::Succeeded), ..Filter::default() };
    let drawn = tree(&workflow(&ring), &filter, Style::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(drawn.lines().count(), 2, "{drawn}");
}

#[test]
fn nodes_that_lead_to_the_same_one_do_not_multiply_it() {
    let names: Vec<_> = (0..40).map(|n| if n == 0 { "w".to_owned() } else { format!("n{n}") }).collect();
    let node = |(at, name): (usize, &String)| {
        let next = names.get(at + 1).map_or("", String::as_str);
        node(name, "TaskGroup", "x", "Failed", &[next, next])
    };
    let nodes: Vec<_> = names.iter().enumerate().map(node).collect();
    assert_eq!(steps(&workflow(&nodes)).len(), 1 + 39 * 2);
}

#[test]
fn a_chain_is_drawn_however_long_it_is() {
    const LENGTH: usize = 50_000;
    let name = |n: usize| argosy_api::ArcStr::from(format!("n{n}"));
    for (kind, by_children) in [(v1::NodeType::Retry, true), (v1::NodeType::Dag, false)] {
        let node = |n: usize| {
            let status = v1::NodeStatus { id: name(n), name: name(n), r#type: kind, ..v1::NodeStatus::default() };
            let status = match n {
                _ if by_children => v1::NodeStatus { children: vec![name(n + 1)], ..status },
                0 => status,
                _ => v1::NodeStatus { boundary_id: name(n - 1), ..status },
            };
            (name(n), status)
        };
        let mut workflow = v1::Workflow::default();
        workflow.metadata.name = "n0".to_owned();
        workflow.status.nodes = (0..LENGTH).map(node).collect();
        let drawn = tree(&workflow, &Filter::default(), Style::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(drawn.lines().count(), LENGTH + 1, "{kind:?}");
        assert!(drawn.lines().last().is_some_and(|line| line.contains("◷ n49999")), "{kind:?}");
    }
}
