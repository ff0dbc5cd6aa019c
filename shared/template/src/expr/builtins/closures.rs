//! Builtins that evaluate a closure for each item.

use std::collections::BTreeMap;

use super::super::ast::Node;
use super::super::error::Fail;
use super::super::eval::{Eval, Pointer};
use super::super::ops;
use super::super::value::Value;
use super::lists::{ascending, sort_pairs};

/// Calls `name(list, body, rest…)`.
pub(crate) fn call<'a>(
    eval: &mut Eval<'a>,
    name: &str,
    list: &Value,
    body: &'a Node,
    rest: &[Value],
) -> Result<Value, Fail> {
    let items = items(name, list)?;
    let budget = eval.budget;
    budget.list(items.len())?;
    let mut each =
        |index: usize, acc: Option<Value>| eval.apply(body, Pointer { item: items[index].clone(), index, acc });
    let every = 0..items.len();
    match name {
        "all" | "none" | "any" => {
            for i in every {
                let holds = ops::truth(&each(i, None)?)?;
                match (name, holds) {
                    ("all", false) | ("none", true) => return Ok(Value::Bool(false)),
                    ("any", true) => return Ok(Value::Bool(true)),
                    _ => {}
                }
            }
            Ok(Value::Bool(name != "any"))
        }
        "one" | "count" | "filter" => {
            let mut kept = Vec::new();
            for i in every {
                if ops::truth(&each(i, None)?)? {
                    kept.push(items[i].clone());
                }
            }
            Ok(match name {
                "one" => Value::Bool(kept.len() == 1),
                "count" => Value::Int(kept.len() as i64),
                _ => Value::array(kept),
            })
        }
        "map" => Ok(Value::array(every.map(|i| each(i, None)).collect::<Result<_, _>>()?)),
        "find" | "findIndex" => find(items, name, every, each),
        "findLast" | "findLastIndex" => find(items, name, every.rev(), each),
        "sum" => {
            let mut total = Value::Int(0);
            for i in every {
                total = ops::binary(super::super::ast::Binary::Add, &each(i, None)?, &total)?;
            }
            Ok(total)
        }
        "groupBy" => {
            let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for i in every {
                let key = each(i, None)?;
                budget.made_of(&key, 24)?;
                groups.entry(key.display()).or_default().push(items[i].clone());
            }
            Ok(Value::map(groups.into_iter().map(|(k, v)| (k, Value::array(v))).collect()))
        }
        "sortBy" => {
            let order = rest.first().and_then(Value::as_str).unwrap_or("asc");
            let ascending = ascending(order)?;
            let mut pairs = Vec::new();
            for i in every {
                pairs.push((each(i, None)?, items[i].clone()));
            }
            sort_pairs(&mut pairs, ascending)?;
            Ok(Value::array(pairs.into_iter().map(|(_, item)| item).collect()))
        }
        "reduce" => {
            let (mut acc, skip) = match (rest.first(), items.first()) {
                (Some(start), _) => (start.clone(), 0),
                (None, Some(first)) => (first.clone(), 1),
                (None, None) => {
                    return Err(Fail::run("reduce of empty array with no initial value"));
                }
            };
            for i in every.skip(skip) {
                acc = each(i, Some(acc))?;
                budget.depth(&acc)?;
            }
            Ok(acc)
        }
        other => Err(Fail::run(format!("{other} takes no closure"))),
    }
}

/// `sum(list)` and `count(list)` without a closure.
pub(crate) fn without_closure(name: &str, list: &Value) -> Result<Value, Fail> {
    let items = items(name, list)?;
    if name == "count" {
        let mut count = 0;
        for item in items {
            count += i64::from(ops::truth(item)?);
        }
        return Ok(Value::Int(count));
    }
    let add = super::super::ast::Binary::Add;
    items.iter().try_fold(Value::Int(0), |total, item| ops::binary(add, item, &total))
}

fn items<'v>(name: &str, list: &'v Value) -> Result<&'v [Value], Fail> {
    match list {
        Value::Array(items) => Ok(items),
        other => Err(super::invalid(name, std::slice::from_ref(other))),
    }
}

fn find(
    items: &[Value],
    name: &str,
    order: impl Iterator<Item = usize>,
    mut each: impl FnMut(usize, Option<Value>) -> Result<Value, Fail>,
) -> Result<Value, Fail> {
    let index = name.ends_with("Index");
    for i in order {
        if ops::truth(&each(i, None)?)? {
            return Ok(if index { Value::Int(i as i64) } else { items[i].clone() });
        }
    }
    Ok(Value::Nil)
}
