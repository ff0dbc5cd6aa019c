//! What callers rely on: layers, absent outputs, times, borrowing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use argosy_template::expr::{Env, Program, eval_bool, expand};
use argosy_template::{Entry, Error, Layered, Options, Scope, Tag, Template, render, render_value, tags};
use serde_json::json;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn the_nearest_layer_wins() {
    let near = map(&[("inputs.parameters.a", "near")]);
    let far = map(&[("inputs.parameters.a", "far"), ("inputs.parameters.b", "B"), ("inputs-x", "no")]);
    let scope = Layered::new([&near as &dyn Scope, &far]);
    let text = "{{inputs.parameters.a}} {{inputs.parameters.b}} {{=toJson(inputs)}}";
    let got = render(text, &scope, &Options::strict()).unwrap();
    assert_eq!(got, r#"near B {"parameters":{"a":"near","b":"B"}}"#);
}

#[test]
fn an_absent_output_is_nil_in_expressions_and_an_error_in_tags() {
    let scope: BTreeMap<String, Option<String>> = BTreeMap::from([
        ("steps.a.outputs.result".into(), None),
        ("steps.b.outputs.result".into(), Some("here".into())),
    ]);
    let text = "{{=steps.a.outputs.result ?? steps.b.outputs.result}}";
    assert_eq!(render(text, &scope, &Options::strict()).unwrap(), "here");
    let error = render("{{steps.a.outputs.result}}", &scope, &Options::lenient()).unwrap_err();
    assert_eq!(error, Error::Absent { name: "steps.a.outputs.result".into() });
}

struct Clocked(jiff::Timestamp);

impl Scope for Clocked {
    fn get(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(["cronworkflow.lastScheduledTime"].into_iter())
    }
    fn entry(&self, name: &str) -> Option<Entry<'_>> {
        (name == "cronworkflow.lastScheduledTime").then_some(Entry::Time(self.0))
    }
    fn now(&self) -> Option<jiff::Timestamp> {
        self.0.checked_add(jiff::SignedDuration::from_secs(400)).ok()
    }
}

#[test]
fn times_are_times() {
    let scope = Clocked("2026-01-01T00:00:00Z".parse().unwrap());
    let text = "{{=cronworkflow.lastScheduledTime == nil || \
                (now() - cronworkflow.lastScheduledTime).Seconds() > 360}}";
    assert_eq!(render(text, &scope, &Options::strict()).unwrap(), "true");
}

#[test]
fn text_and_trees_without_tags_are_not_copied() {
    let scope = map(&[]);
    assert!(matches!(render("plain } {", &scope, &Options::strict()).unwrap(), Cow::Borrowed(_)));
    let template = Template::compile("plain");
    assert!(matches!(template.render(&scope, &Options::strict()).unwrap(), Cow::Borrowed(_)));
    assert!(!render_value(&mut json!({"a": [1, "b"]}), &scope, &Options::strict()).unwrap());
}

#[test]
fn keys_are_rendered_and_open_tags_go_on_to_the_next_string() {
    let scope = map(&[("k", "key"), ("v", "value")]);
    let mut tree = json!({"{{k}}": "{{v}}"});
    assert!(render_value(&mut tree, &scope, &Options::strict()).unwrap());
    assert_eq!(tree, json!({"key": "value"}));
    // As in JSON text: the tag that `{{` opens ends in the next string, and the name inside it is replaced.
    let mut tree = json!(["{{ x", "{{v}} {{k}}"]);
    render_value(&mut tree, &scope, &Options::lenient()).unwrap();
    assert_eq!(tree, json!(["{{ x", "value key"]));
    let error = render_value(&mut json!(["{{ x", "y"]), &scope, &Options::lenient()).unwrap_err();
    assert!(matches!(error, Error::Unclosed { .. }));
}

#[test]
fn a_compiled_template_gives_what_render_gives() {
    let scope = map(&[("a", "1")]);
    for text in ["{{a}}", "x {{a}} {{=a + '2'}} {{no}}", "{{=1 +}}", "{{a", "{{=no}}"] {
        for opts in [Options::strict(), Options::lenient()] {
            let once = render(text, &scope, &opts).map(Cow::into_owned);
            assert_eq!(Template::compile(text).render(&scope, &opts).map(Cow::into_owned), once, "{text}");
        }
    }
}

#[test]
fn tags_are_listed() {
    let found = tags("{{ a }} {{=b + 1}} {{x-{{c}}}} {{open");
    let simple = |name: &str| Tag::Simple(name.into());
    assert_eq!(found, [simple("a"), Tag::Expression("b + 1".into()), simple("c")]);
}

#[test]
fn depends_is_evaluated_on_nested_booleans() {
    let results = json!({"a_b": {"Succeeded": true, "Failed": false}, "c": {"Succeeded": false, "Failed": true}});
    assert!(eval_bool("(a_b.Succeeded || a_b.Failed) && !c.Succeeded", &results).unwrap());
    assert!(!eval_bool("a_b.Failed || c.Succeeded", &results).unwrap());
    assert!(eval_bool("a_b.Nope", &results).is_err());
}

#[test]
fn a_parent_loses_its_value_to_its_children() {
    let flat = [("a", json!({"x": 1})), ("a-b", json!(2)), ("a.b", json!(3)), ("a.b.c", json!(4))];
    assert_eq!(expand(flat), json!({"a": {"b": {"c": 4}}, "a-b": 2}));
}

#[test]
fn without_a_clock_now_fails() {
    let vars = json!({});
    let program = Program::compile("now().Year() > 2000").unwrap();
    assert!(program.run(&Env::new(&vars)).is_err());
}
