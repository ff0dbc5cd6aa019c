//! Fields that Argo takes as they are and that make a pod which the API server refuses: the step ends with an error.
//!
//! Source: Kubernetes `pkg/apis/core/validation/validation.go`, what it says of a new pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    values::amount,
    walk::{self, Step},
};
use crate::{
    diagnostic::Diagnostic,
    load::{Document, Place},
    suggest::{self, closest},
};

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// All that is found in the templates of the document.
pub fn check(document: &Document) -> Vec<Diagnostic> {
    let volumes = volumes(document);
    let mut found = Vec::new();
    let mut own: BTreeSet<String> = BTreeSet::new();
    walk::each(document, &mut |way, value, place| {
        if walk::is_template(way) {
            own = names(value, "volumes").collect();
        }
        if !is_container(way) {
            return;
        }
        let of_container = Container { document, way, value, place };
        found.extend(of_container.pull_policy());
        found.extend(of_container.quantities());
        found.extend(of_container.ports());
        if let Some(volumes) = &volumes {
            found.extend(of_container.mounts(&volumes.union(&own).cloned().collect()));
        }
    });
    found
}

/// The volumes that all templates have; `None` where somebody else may add some.
fn volumes(document: &Document) -> Option<BTreeSet<String>> {
    let spec = match document.kind() {
        "Workflow" => document.value.get("spec")?,
        "CronWorkflow" => document.value.pointer("/spec/workflowSpec")?,
        // Those of whoever calls its templates are there, too.
        _ => return None,
    };
    let is_patched = spec.get("workflowTemplateRef").is_some() || document.source.text.contains("podSpecPatch");
    if is_patched {
        return None;
    }
    let claims = spec.get("volumeClaimTemplates").and_then(Value::as_array).into_iter().flatten();
    let claims = claims.filter_map(|claim| Some(claim.pointer("/metadata/name")?.as_str()?.to_owned()));
    let defaults = spec.get("templateDefaults").into_iter().flat_map(|template| names(template, "volumes"));
    Some(names(spec, "volumes").chain(claims).chain(defaults).collect())
}

fn names(holder: &Value, list: &str) -> impl Iterator<Item = String> {
    let items = holder.get(list).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some(item.get("name")?.as_str()?.to_owned()))
}

fn is_container(way: &[Step<'_>]) -> bool {
    let Some((_, holder)) = way.split_last() else { return false };
    let in_list = matches!((walk::key(way, 2), walk::key(way, 1)), ("containers" | "sidecars" | "initContainers", ""));
    in_list || (matches!(walk::key(way, 1), "container" | "script") && walk::is_template(holder))
}

struct Container<'a> {
    document: &'a Document,
    way: &'a [Step<'a>],
    value: &'a Value,
    place: Option<&'a Place>,
}

impl Container<'_> {
    fn told(&self, place: Option<&Place>, field: &str, message: String, help: Option<String>) -> Diagnostic {
        let span = place.or(self.place).map(|place| place.value.clone());
        let path = format!("{}.{field}", walk::path(self.way));
        Diagnostic { span, path, help, ..Diagnostic::of_source(&self.document.source, message) }
    }

    fn part(&self, keys: &[&str]) -> Option<(&Value, Option<&Place>)> {
        let (mut value, mut place) = (self.value, self.place);
        for key in keys {
            value = value.get(key)?;
            place = place.and_then(|place| place.member(key));
        }
        Some((value, place))
    }

    fn pull_policy(&self) -> Option<Diagnostic> {
        let (value, place) = self.part(&["imagePullPolicy"])?;
        let text = value.as_str().filter(|text| is_known(text) && !PULL_POLICIES.contains(text))?;
        let help = match closest(text, PULL_POLICIES.into_iter()) {
            Some(best) => suggest::question(best),
            None => format!("write one of {}", PULL_POLICIES.join(", ")),
        };
        Some(self.told(place, "imagePullPolicy", format!("`{text}` is no policy for pulling images"), Some(help)))
    }

    fn quantities(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for list in ["limits", "requests"] {
            let Some((Value::Object(amounts), place)) = self.part(&["resources", list]) else { continue };
            for (name, value) in amounts {
                let place = place.and_then(|place| place.member(name));
                let Some(amount) = quantity(value) else { continue };
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let field = format!("resources.{list}.{name}");
                if amount < 0.0 {
                    found.push(self.told(place, &field, format!("`{text}` is less than nothing"), None));
                }
                let limit = self.part(&["resources", "limits", name]).filter(|_| list == "requests");
                if limit.and_then(|(limit, _)| quantity(limit)).is_some_and(|limit| amount > limit) {
                    found.push(self.told(place, &field, format!("`{text}` is more than the limit"), None));
                }
            }
        }
        found
    }

    fn ports(&self) -> Vec<Diagnostic> {
        let Some((Value::Array(ports), place)) = self.part(&["ports"]) else { return Vec::new() };
        let each = |(index, port): (usize, &Value)| {
            let number = port.get("containerPort")?.as_i64().filter(|number| !(1..=65535).contains(number))?;
            let place = place.and_then(|place| place.item(index)?.member("containerPort"));
            let field = format!("ports[{index}].containerPort");
            Some(self.told(place, &field, format!("{number} is no port: they go from 1 to 65535"), None))
        };
        ports.iter().enumerate().filter_map(each).collect()
    }

    fn mounts(&self, volumes: &BTreeSet<String>) -> Vec<Diagnostic> {
        let Some((Value::Array(mounts), place)) = self.part(&["volumeMounts"]) else { return Vec::new() };
        let each = |(index, mount): (usize, &Value)| {
            let name = mount.get("name")?.as_str().filter(|name| is_known(name) && !volumes.contains(*name))?;
            let help = match closest(name, volumes.iter().map(String::as_str)) {
                Some(best) => suggest::question(best),
                None => "add it to `volumes` of the template or of the spec".to_owned(),
            };
            let place = place.and_then(|place| place.item(index)?.member("name"));
            let field = format!("volumeMounts[{index}].name");
            Some(self.told(place, &field, format!("there is no volume `{name}`"), Some(help)))
        };
        mounts.iter().enumerate().filter_map(each).collect()
    }
}

/// What stands in a tag is known only at run time.
fn is_known(text: &str) -> bool {
    !text.is_empty() && !text.contains("{{")
}

fn quantity(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| amount(value.as_str()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::load::{self, Source};

    fn said(kind: &str, template: &str) -> Vec<String> {
        let text = format!(
            "kind: {kind}\nspec:\n  volumes: [{{name: shared, emptyDir: {{}}}}]\n  templates:\n  - {template}\n"
        );
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        load::text(&Arc::new(Source::new("f", text)), &mut documents, &mut problems);
        assert!(problems.is_empty(), "{template}");
        check(&documents[0]).iter().map(Diagnostic::line).collect()
    }

    #[test]
    fn what_makes_a_pod_that_is_refused_is_told() {
        for (template, words) in [
            (
                "{container: {imagePullPolicy: always}}",
                "f:5:35: spec.templates[0].container.imagePullPolicy: `always` is no",
            ),
            ("{script: {imagePullPolicy: Sometimes}}", "write one of Always"),
            ("{container: {resources: {limits: {cpu: '-1'}}}}", "resources.limits.cpu: `-1` is less than nothing"),
            (
                "{container: {resources: {limits: {cpu: 1}, requests: {cpu: 1500m}}}}",
                "requests.cpu: `1500m` is more than the limit",
            ),
            ("{sidecars: [{ports: [{containerPort: 70000}]}]}", "sidecars[0].ports[0].containerPort: 70000 is no port"),
            (
                "{initContainers: [{volumeMounts: [{name: share}]}]}",
                "volumeMounts[0].name: there is no volume `share` (did you mean `shared`?)",
            ),
            ("{containerSet: {containers: [{volumeMounts: [{name: other}]}]}}", "add it to `volumes`"),
        ] {
            let found = said("Workflow", template);
            assert!(found.len() == 1 && found[0].contains(words), "{template}: {found:?}");
        }
    }

    #[test]
    fn what_may_be_well_is_not_told() {
        for template in [
            "{container: {imagePullPolicy: '{{inputs.parameters.p}}', volumeMounts: [{name: '{{workflow.name}}'}]}}",
            "{volumes: [{name: own}], container: {imagePullPolicy: Never, volumeMounts: [{name: own}, {name: shared}]}}",
            "{container: {resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m, memory: 512Mi}}}}",
            "{podSpecPatch: '', container: {volumeMounts: [{name: other}]}}",
        ] {
            assert_eq!(said("Workflow", template), [""; 0], "{template}");
        }
        assert_eq!(said("WorkflowTemplate", "{container: {volumeMounts: [{name: other}]}}"), [""; 0]);
    }
}
