//! What waits for a person, and what that person may do.

use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType, Template, Workflow};

use crate::terminal;

/// How a user calls the command line so that it finds the workflows; or why nothing does.
pub type Call = Result<String, &'static str>;

/// What to say of those steps of `workflow` that go on only when somebody lets them, and of a workflow that is suspended.
/// `call` is how the command line is called so that it finds the workflow, or why nothing does.
pub fn hints(workflow: &Workflow, call: &Call) -> Vec<String> {
    if workflow.status.phase.is_completed() || !workflow.spec.shutdown.is_empty() {
        return Vec::new();
    }
    let name = terminal::word(&workflow.metadata.name);
    let mut nodes: Vec<&NodeStatus> = workflow.status.nodes.values().filter(|node| waits(workflow, node)).collect();
    nodes.sort_by(|a, b| (a.started_at, &a.name).cmp(&(b.started_at, &b.name)));
    let is_one_of_many = nodes.len() > 1;
    let argosy = match call {
        Ok(argosy) => argosy,
        Err(why) => {
            let steps = nodes.iter().map(|node| terminal::line(&node.display_name).into_owned());
            let suspended = (workflow.spec.suspend == Some(true)).then(|| name.clone());
            let each = |step| format!("{step} waits for somebody, and nobody can reach this run: {why}");
            return steps.chain(suspended).map(each).collect();
        }
    };
    let of_step = |node: &&NodeStatus| {
        let selector =
            format!(" --node-field-selector {}", terminal::word(&format!("displayName={}", node.display_name)));
        let only = if is_one_of_many { selector.as_str() } else { "" };
        let resume = format!("{argosy} resume {name}{only}");
        let wanted = wanted(node);
        let step = terminal::line(&node.display_name);
        if wanted.is_empty() {
            return format!("{step} waits for somebody; to let it go on:\n  {resume}");
        }
        let values: String =
            wanted.iter().map(|name| format!(" -p {}", terminal::word(&format!("{name}=VALUE")))).collect();
        format!(
            "{step} waits for values; to set them, and to let it go on:\n  {argosy} node set {name}{selector}{values}\n  {resume}"
        )
    };
    let mut hints: Vec<String> = nodes.iter().map(of_step).collect();
    if workflow.spec.suspend == Some(true) {
        let shown = terminal::line(&workflow.metadata.name);
        hints.push(format!("{shown} is suspended; to let it go on:\n  {argosy} resume {name}"));
    }
    hints
}

fn waits(workflow: &Workflow, node: &NodeStatus) -> bool {
    node.r#type == NodeType::Suspend && node.phase == NodePhase::Running && !ends_by_itself(workflow, node)
}

/// True where the template says how long it waits.
fn ends_by_itself(workflow: &Workflow, node: &NodeStatus) -> bool {
    let named = |template: &&Template| template.name == node.template_name.as_str();
    let own = workflow.spec.templates.iter().map(|template| &**template).find(named);
    let of_template = workflow.status.stored_workflow_template_spec.iter().flat_map(|spec| spec.templates.iter());
    let template = own.or_else(|| of_template.map(|template| &**template).find(named));
    template.and_then(|template| template.suspend.as_ref()).is_some_and(|suspend| !suspend.duration.is_empty())
}

/// The output parameters that somebody must give, and has not given.
fn wanted(node: &NodeStatus) -> Vec<&str> {
    let parameters = node.outputs.iter().flat_map(|outputs| &outputs.parameters);
    let is_open = |from: &argosy_api::v1alpha1::ValueFrom| from.supplied.is_some() && from.default.is_none();
    let open = parameters.filter(|one| one.value.is_none() && one.value_from.as_ref().is_some_and(is_open));
    open.map(|parameter| parameter.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(spec: Value, nodes: Value) -> Vec<String> {
        let value =
            json!({ "metadata": { "name": "w" }, "spec": spec, "status": { "phase": "Running", "nodes": nodes } });
        hints(&argosy_api::v1alpha1::from_value(value).expect("a workflow"), &Ok("argosy".to_owned()))
    }

    fn node(name: &str, template: &str, outputs: Value) -> Value {
        json!({ "id": name, "name": name, "displayName": name, "type": "Suspend", "phase": "Running",
            "templateName": template, "outputs": outputs })
    }

    #[test]
    fn a_step_that_waits_for_somebody_says_what_to_do() {
        let spec = json!({ "templates": [{ "name": "t", "suspend": {} }, { "name": "timed", "suspend": { "duration": "5" } }] });
        let alone = json!({ "a": node("approve", "t", json!({})), "b": node("pause", "timed", json!({})) });
        assert_eq!(said(spec.clone(), alone), ["approve waits for somebody; to let it go on:\n  argosy resume w"]);
        let two = json!({ "a": node("a(0:x y)", "t", json!({})), "b": node("b", "t", json!({})) });
        let hints = said(spec.clone(), two);
        assert!(hints[0].ends_with("argosy resume w --node-field-selector 'displayName=a(0:x y)'"), "{hints:?}");
        let outputs = json!({ "parameters": [{ "name": "m", "valueFrom": { "supplied": {} } },
            { "name": "n", "valueFrom": { "supplied": {}, "default": "x" } }] });
        let hints = said(spec, json!({ "a": node("ask", "t", outputs) }));
        assert!(
            hints[0].contains("argosy node set w --node-field-selector displayName=ask -p m=VALUE\n  argosy resume w"),
            "{hints:?}"
        );
    }

    #[test]
    fn what_nobody_can_reach_gives_no_command() {
        let value = json!({ "metadata": { "name": "w" }, "spec": { "suspend": true },
            "status": { "phase": "Running", "nodes": { "a": node("approve", "t", json!({})) } } });
        let workflow = argosy_api::v1alpha1::from_value(value).expect("a workflow");
        let hints = hints(&workflow, &Err("why"));
        assert_eq!(hints[0], "approve waits for somebody, and nobody can reach this run: why");
        assert!(hints.len() == 2 && hints.iter().all(|hint| !hint.contains("argosy")), "{hints:?}");
    }

    #[test]
    fn a_suspended_workflow_says_so_and_others_say_nothing() {
        assert_eq!(
            said(json!({ "suspend": true }), json!({})),
            ["w is suspended; to let it go on:\n  argosy resume w"]
        );
        assert_eq!(said(json!({}), json!({})), [""; 0]);
        let stopped = said(json!({ "shutdown": "Stop" }), json!({ "a": node("a", "t", json!({})) }));
        assert_eq!(stopped, [""; 0]);
    }
}
