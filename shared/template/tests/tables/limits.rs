//! What users' texts may ask for: each case asks for far more, and must be told so, at once and by the limit's name.

use std::collections::BTreeMap;

use argosy_template::{
    Limits, Options, Scope,
    expr::{self, Env, Program},
    limits::DEPTH_MAX,
    render, render_value, sequence, when,
};
use serde_json::{Value, json};

fn eval(text: &str, limits: Limits) -> Result<expr::Value, expr::Error> {
    let text_of_a_million = "x".repeat(1_000_000);
    let vars = json!({"big": text_of_a_million, "list": (0..1000).collect::<Vec<i32>>(), "json": "[1,[2,[3]]]"});
    Program::compile(text)?.run(&Env::new(&vars).with_functions().with_limits(limits))
}

fn refused(text: &str, why: &str) {
    match eval(text, Limits::default()) {
        Err(error @ expr::Error::Limit { .. }) => assert!(error.to_string().contains(why), "{text}: {error}"),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn steps_of_an_evaluation_are_counted() {
    for text in [
        "count(1..1000000, count(1..1000000, # > 5) > 0)",
        "all(1..999999, any(1..999999, # < 0) || true)",
        "map(1..2000, map(1..2000, #))",
        "sum(map(1..1000, len(filter(1..10000, # > 3))))",
        "reduce(1..999999, #acc + 1 + 1 + 1)",
        "uniq(1..900000)",
        "count(list, # in (1..100000) && big contains 'y')",
        "filter(1..1000, sprig.has(#, 1..900000))",
        "map(1..10000, sprig.regexMatch('x+y', repeat('x', 10000)))",
        "map(1..10000, 'x' matches 'x+' + string(#))",
        "count(1..1000, big == big + '')",
        "sprig.trimAll(big, big)",
        "map(1..1000, sprig.untilStep(0, 900000, 1))",
        "jsonpath(toJson(map(1..20000, [[[[#]]]])), '$..*..*..*..*')",
    ] {
        match eval(text, Limits::default()) {
            Err(error @ expr::Error::Limit { .. }) => {
                assert!(error.to_string().contains("raise the limit with --"), "{error}")
            }
            other => panic!("{text}: {:?}", other.map(|_| "an answer")),
        }
    }
}

#[test]
fn bytes_that_an_evaluation_makes_are_counted_before_they_are_made() {
    for text in [
        "reduce(1..36, #acc + #acc, 'x')",
        "replace(repeat('a', 999999), 'a', repeat('b', 999999))",
        "sprig.replace('a', sprig.repeat(999999, 'b'), sprig.repeat(999999, 'a'))",
        "join(map(1..1000, big), big)",
        "sprig.join(big, map(1..1000, 'x'))",
        r"sprig.indent(900000, join(map(1..1000, '\n'), ''))",
        "sprig.regexReplaceAll('x', big, big)",
        "sprig.regexReplaceAll('x+', big, repeat('$0', 1000))",
        "map(1..1000, big)",
        "map(1..200, split(big, ''))",
        "map(1..1000, fromJSON('[' + repeat('0,', 400000) + '0]'))",
        "sprig.wrapWith(1, big, big)",
        "map(1..100, toJSON(list) + big)",
    ] {
        refused(text, "--expression-bytes");
    }
}

#[test]
fn what_is_shared_counts_as_often_as_it_is_there() {
    let doubled: String = (0..50).map(|i| format!("let a{} = [a{i}, a{i}]; ", i + 1)).collect();
    for end in ["a50", "string(a50)", "a50 == a50", "toJson(a50)", "len(flatten(a50))", "asInt(a50)", "{'k': 1}[a50]"] {
        match eval(&format!("let a0 = [0, 0]; {doubled}{end}"), Limits::default()) {
            Err(expr::Error::Limit { .. }) => {}
            Err(expr::Error::Check { .. } | expr::Error::Syntax { .. }) if end != "a50" => {}
            other => panic!("{end}: {:?}", other.map(|_| "an answer")),
        }
    }
    refused("reduce(1..40, [#acc, #acc], 0)", "--expression-steps");
}

#[test]
fn values_are_nested_to_a_depth() {
    refused("reduce(1..100000, [#acc], 0)", &format!("nested deeper than {DEPTH_MAX} levels"));
    refused("reduce(1..100000, sprig.dict('k', #acc), 0)", &format!("nested deeper than {DEPTH_MAX} levels"));
    let deep = format!("jsonpath(json, '$[?(@{}')", "[?(@".repeat(100_000));
    assert!(eval(&deep, Limits::default()).is_err());
}

#[test]
fn what_people_write_is_far_below_the_limits() {
    for text in [
        "count(1..100000, # > 5)",
        "join(map(list, string(#)), ',')",
        "sprig.uniq(list)",
        "len(reduce(list, concat(#acc, [#]), []))",
        "toJson(filter(list, # % 2 == 0))",
        "sprig.sha256sum(big)",
        "replace(big, 'x', 'yy')",
        "len(split(repeat('a,', 50000), ','))",
        "len(filter(1..10000, string(#) matches '^[0-9]+7$'))",
    ] {
        // Numbers of JSON are floats, which have no remainder.
        let text = text.replace("# % 2", "int(#) % 2");
        if let Err(error) = eval(&text, Limits::default()) {
            panic!("{text}: {error}");
        }
    }
}

/// A scope with limits of its own.
struct Small(BTreeMap<String, String>, Limits);

impl Scope for Small {
    fn get(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        Scope::get(&self.0, name)
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Scope::keys(&self.0)
    }

    fn limits(&self) -> Limits {
        self.1
    }
}

fn small(limits: Limits) -> Small {
    Small(BTreeMap::from([("v".to_owned(), "0123456789".repeat(10))]), limits)
}

#[test]
fn rendered_text_has_a_limit_for_all_texts_of_an_object() {
    let scope = small(Limits { text_bytes: 1_000, ..Limits::default() });
    let why = "takes more than 1000 bytes (an operator can raise the limit with --text-bytes";
    let error = render(&"{{v}}".repeat(11), &scope, &Options::lenient()).expect_err("too long").to_string();
    assert!(error.contains(why), "{error}");
    assert!(render(&"{{v}}".repeat(9), &scope, &Options::lenient()).is_ok());
    let mut object = Value::Array(vec![json!("{{v}} {{v}} {{v}}"); 4]);
    let error = render_value(&mut object, &scope, &Options::lenient()).expect_err("too long").to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_limit_is_an_error_even_where_failures_leave_the_text() {
    let scope = small(Limits { expression_steps: 100, ..Limits::default() });
    let error = render("{{=count(1..1000, # > 3)}}", &scope, &Options::lenient()).expect_err("too long").to_string();
    assert!(
        error.contains("takes more than 100 steps (an operator can raise the limit with --expression-steps"),
        "{error}"
    );
}

#[test]
fn expressions_of_one_text_share_a_budget() {
    let scope = small(Limits { expression_steps: 10_000, ..Limits::default() });
    let one = "{{=count(1..1000, # > 3)}}";
    assert!(render(one, &scope, &Options::lenient()).is_ok());
    assert!(render(&one.repeat(10), &scope, &Options::lenient()).is_err());
}

#[test]
fn conditions_make_no_more_text_than_they_may() {
    let long = vec![format!("'{}'", "x".repeat(1_000)); 1_000].join(" + ");
    let error = when::evaluate(&format!("{long} == ''")).expect_err("too much").to_string();
    assert!(error.contains("--expression-bytes"), "{error}");
    assert_eq!(when::evaluate("'a' + 'b' == 'ab'"), Ok(true));
}

#[test]
fn a_sequence_has_no_more_items_than_a_loop() {
    let error = sequence::expand(None, None, Some("1000000000"), None).expect_err("too many").to_string();
    assert!(
        error.contains(
            "the loop has 1000000000 items, more than 100000 (an operator can raise the limit with --loop-items"
        ),
        "{error}"
    );
    assert_eq!(sequence::expand_within(None, None, Some("3"), None, 3).map(|items| items.len()), Ok(3));
    assert!(sequence::expand_within(None, None, Some("4"), None, 3).is_err());
}

#[test]
fn nested_tags_are_resolved_in_one_pass_and_what_is_put_in_is_not_looked_at() {
    let scope = BTreeMap::from([
        ("env".to_owned(), "dev".to_owned()),
        ("kind".to_owned(), "env".to_owned()),
        ("host.dev".to_owned(), "{{secret}}".to_owned()),
        ("evil".to_owned(), "dev}} {{secret".to_owned()),
        ("secret".to_owned(), "TOP".to_owned()),
    ]);
    let once = |text: &str| render(text, &scope, &Options::once()).map(|t| t.into_owned());
    assert_eq!(once("{{host.{{env}}}}!"), Ok("{{secret}}!".to_owned()));
    assert_eq!(once("{{host.{{{{kind}}}}}}"), Ok("{{secret}}".to_owned()));
    assert_eq!(once("{{host.{{evil}}}}"), Ok("{{host.dev}} {{secret}}".to_owned()));
    assert_eq!(once("{{host.{{nope}}}} {{env}}"), Ok("{{host.{{nope}}}} dev".to_owned()));
    assert_eq!(once("{{{{env}}"), Ok("{{{{env}}".to_owned()));
    let kept = Options { keep_expressions: true, ..Options::once() };
    assert_eq!(render("{{=1 + 1}} {{env}}", &scope, &kept).map(|t| t.into_owned()), Ok("{{=1 + 1}} dev".to_owned()));
}
