//! Which variables an expression uses.

use serde_json::Value as Json;

use super::ast::{Binary, Kind, Node};

/// Variables that get their value only while a node runs; an expression that waits for one is not a mistake.
/// Source: Argo util/template/expression_template.go.
pub const LATE_VARIABLES: [&str; 8] = [
    "item",
    "retries",
    "lastRetry.exitCode",
    "lastRetry.status",
    "lastRetry.duration",
    "lastRetry.message",
    "workflow.status",
    "workflow.failures",
];

/// The dotted names an expression needs, in the order they stand in the text, each once: `a.b.c` gives `a`, `a.b`
/// and `a.b.c`. Of a member that may be absent (left of `??`, or with `?.`) only the base counts.
pub(crate) fn identifiers(node: &Node) -> Vec<String> {
    let mut walk = Walk { names: Vec::new(), lets: Vec::new() };
    walk.visit(node, false);
    walk.names
}

struct Walk<'a> {
    names: Vec<String>,
    lets: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn add(&mut self, name: &str) {
        if !self.names.iter().any(|n| n == name) {
            self.names.push(name.to_owned());
        }
    }

    fn visit(&mut self, node: &'a Node, guarded: bool) {
        match &node.kind {
            Kind::Ident(name) => {
                if name != "$env" && !self.lets.contains(&name.as_str()) {
                    self.add(name);
                }
            }
            Kind::Binary(..) => self.binary(node),
            Kind::Member { .. } => {
                self.member(node, guarded);
            }
            Kind::Chain(inner) => self.visit(inner, true),
            Kind::Slice { base, from, to } => {
                self.visit(base, guarded);
                for bound in [from, to].into_iter().flatten() {
                    self.visit(bound, false);
                }
            }
            Kind::Call { callee, args } => {
                self.visit(callee, guarded);
                for arg in args {
                    self.visit(arg, false);
                }
            }
            Kind::Let { name, value, body } => {
                self.visit(value, false);
                self.lets.push(name);
                self.visit(body, false);
                self.lets.pop();
            }
            _ => node.for_each_child(|child| self.visit(child, false)),
        }
    }

    fn binary(&mut self, node: &'a Node) {
        let mut pending = Vec::new();
        let mut at = node;
        let mut guarded = false;
        while let Kind::Binary(op, left, right) = &at.kind {
            pending.push(right);
            guarded = *op == Binary::Coalesce;
            at = left;
        }
        self.visit(at, guarded);
        while let Some(right) = pending.pop() {
            self.visit(right, false);
        }
    }

    /// Returns the dotted path of the member when all its parts are constant.
    fn member(&mut self, node: &'a Node, guarded: bool) -> Option<String> {
        match &node.kind {
            Kind::Ident(name) => {
                self.visit(node, guarded);
                (!self.lets.contains(&name.as_str())).then(|| name.clone())
            }
            Kind::Member { base, property, .. } => {
                let path = self.member(base, guarded);
                if let Kind::Str(name) = &property.kind {
                    let path = format!("{}.{name}", path?);
                    if !guarded {
                        self.add(&path);
                    }
                    return Some(path);
                }
                self.visit(property, false);
                None
            }
            _ => {
                self.visit(node, guarded);
                None
            }
        }
    }
}

/// The longest constant paths of variables the tree reads, each once; what lies under them may be read too.
pub(crate) fn reads(root: &Node) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut todo = vec![root];
    while let Some(node) = todo.pop() {
        match constant_path(node) {
            Some(path) if !found.contains(&path) => found.push(path),
            Some(_) => {}
            None => node.for_each_child(|child| todo.push(child)),
        }
    }
    found
}

fn constant_path(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Ident(name) => Some(name.clone()),
        Kind::Member { base, property, .. } => match &property.kind {
            Kind::Str(name) => Some(format!("{}.{name}", constant_path(base)?)),
            _ => None,
        },
        _ => None,
    }
}

/// Does the tree use `$env`?
pub(crate) fn uses_env(node: &Node) -> bool {
    let mut found = false;
    let mut todo = vec![node];
    while let Some(node) = todo.pop() {
        found |= matches!(&node.kind, Kind::Ident(name) if name == "$env");
        node.for_each_child(|child| todo.push(child));
    }
    found
}

/// Is one of the [`LATE_VARIABLES`] used, and absent from `vars`?
pub(crate) fn any_late_missing(names: &[String], vars: &Json) -> bool {
    names.iter().any(|name| LATE_VARIABLES.contains(&name.as_str()) && !super::env::has_variable(name, vars))
}
