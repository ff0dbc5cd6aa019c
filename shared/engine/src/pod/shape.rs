//! What the pods of one template have in common, so that it is built once and not for every pod.

use std::{borrow::Cow, sync::Arc};

use arcstr::ArcStr;
use argosy_api::{
    message::{Filling, Manifest, mark, mark_index},
    v1alpha1::{IntOrString, Template},
};
use argosy_template::{
    Scope,
    tags::{self, Options},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::size;

/// Where in a pod's own values each thing stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own {
    PodName,
    NodeId,
    NodeName,
    /// JSON text of the template.
    Template,
    /// The moment of the deadline, as text.
    Deadline,
    /// Seconds until the deadline.
    SecondsLeft,
}

/// Texts with tags have the indices from here on.
const TEXTS: usize = 6;

impl Own {
    pub fn mark(self) -> String {
        mark(self as usize)
    }
}

/// When a pod must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub ends_by: Timestamp,
    /// At least 1, as Kubernetes demands, unless the template itself says less.
    pub seconds_left: i64,
}

impl Limit {
    /// The earlier of `deadline` and the template's `activeDeadlineSeconds`, counted from `now`.
    pub fn of(template: &Template, deadline: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let seconds = template.active_deadline_seconds.as_ref().and_then(IntOrString::as_int);
        let own = seconds.and_then(|s| now.checked_add(SignedDuration::from_secs(s)).ok());
        let ends_by = [own, deadline].into_iter().flatten().min()?;
        let left = ends_by.duration_since(now).as_secs();
        let seconds_left = if seconds.is_some_and(|seconds| seconds < 1) { left } else { left.max(1) };
        Some(Self { ends_by, seconds_left })
    }
}

/// One pod.
#[derive(Clone)]
pub struct Pod<'a> {
    pub node_id: ArcStr,
    pub node_name: ArcStr,
    pub pod_name: ArcStr,
    pub limit: Option<Limit>,
    /// JSON text of the template of this very pod, fully substituted.
    pub template: ArcStr,
    /// Bytes of JSON that its manifest may take.
    pub bytes_max: usize,
    /// All variables. None when the shape has no tags.
    pub scope: Option<&'a dyn Scope>,
}

/// A manifest with marks for what is each pod's own.
#[derive(Clone, Debug)]
pub struct Shape {
    tree: Arc<Value>,
    /// Texts with tags, in the order of their marks.
    texts: Vec<Box<str>>,
    weight: Arc<Weight>,
}

/// How large the manifests of a shape are.
#[derive(Debug)]
struct Weight {
    /// Bytes of the tree as JSON, its marks included.
    tree: usize,
    /// How often the mark of each of a pod's own values stands there.
    marks: Vec<usize>,
}

impl Weight {
    fn of(tree: &Value, values: usize) -> Arc<Self> {
        let mut weight = Self { tree: size::of(tree), marks: vec![0; values] };
        weight.count(tree);
        Arc::new(weight)
    }

    fn count(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                if let Some(count) = mark_index(text).and_then(|index| self.marks.get_mut(index)) {
                    *count += 1;
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.count(item)),
            Value::Object(members) => members.values().for_each(|value| self.count(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Bytes of a manifest: at most so many, and, if that is more than `limit`, just so many.
    fn with(&self, own: &[Filling], limit: usize) -> usize {
        let sum = |of: &dyn Fn(&Filling) -> usize| {
            let values = own.iter().zip(&self.marks).map(|(value, count)| of(value).saturating_mul(*count));
            values.fold(self.tree, usize::saturating_add)
        };
        let bound = sum(&|value| match value {
            Filling::Text(text) => size::bound(text),
            Filling::Number(_) | Filling::Null => 0,
        });
        if bound <= limit { bound } else { sum(&|value| size::of(value)) }
    }
}

impl Shape {
    /// The shape that [`super::build`] gave for a fully substituted template.
    pub fn of_substituted(tree: Value) -> Self {
        Self { weight: Weight::of(&tree, TEXTS), tree: Arc::new(tree), texts: Vec::new() }
    }

    /// The shape that [`super::build`] gave for a template with tags. None when a tag stands where it may decide over
    /// more than the text around it: in a name or path that volumes are matched by, or in a key.
    pub fn of_tagged(mut tree: Value) -> Option<Self> {
        let mut texts = Vec::new();
        let is_shapely = lift(&mut tree, &mut texts);
        is_shapely.then(|| Self { weight: Weight::of(&tree, TEXTS + texts.len()), tree: Arc::new(tree), texts })
    }

    /// There are no tags in it, hence nothing that a pod's scopes could say.
    pub fn is_literal(&self) -> bool {
        self.texts.is_empty()
    }

    /// The manifest of one pod. Errors: a text that cannot be rendered; then the template cannot either. A manifest that is
    /// larger than it may be.
    pub fn manifest(&self, pod: Pod<'_>) -> Result<Manifest, String> {
        let mut own = vec![
            Filling::Text(pod.pod_name),
            Filling::Text(pod.node_id),
            Filling::Text(pod.node_name),
            Filling::Text(pod.template),
            pod.limit.map_or(Filling::Null, |limit| Filling::Text(arcstr::format!("{:.0}", limit.ends_by))),
            pod.limit.map_or(Filling::Null, |limit| Filling::Number(limit.seconds_left)),
        ];
        for text in &self.texts {
            let text = match pod.scope {
                Some(scope) => tags::render(text, scope, &Options::once()).map_err(|e| e.to_string())?,
                None => Cow::Borrowed(&**text),
            };
            own.push(Filling::Text(text.into_owned().into()));
        }
        let bytes = self.weight.with(&own, pod.bytes_max);
        if bytes > pod.bytes_max {
            let limit = pod.bytes_max;
            return Err(format!("the manifest of the pod takes {bytes} bytes, of {limit} at most. {}", size::ADVICE));
        }
        Ok(Manifest::new(self.tree.clone(), own))
    }
}

/// Whether pods of the template may be built from it with its tags. Artifacts become volumes by what their values are; a
/// patch is parsed after substitution; a data template is an argument as JSON.
pub(crate) fn is_shapely(template: &Template) -> bool {
    template.inputs.artifacts.is_empty() && template.data.is_none() && !tags::has_tags(&template.pod_spec_patch)
}

fn lift(value: &mut Value, texts: &mut Vec<Box<str>>) -> bool {
    match value {
        Value::String(text) if tags::has_tags(text) => {
            let mark = mark(TEXTS + texts.len());
            texts.push(std::mem::replace(text, mark).into_boxed_str());
            true
        }
        Value::Array(items) => items.iter_mut().all(|item| lift(item, texts)),
        Value::Object(members) => members.iter_mut().all(|(key, value)| {
            let decides = matches!(key.as_str(), "volumes" | "volumeMounts") && crate::tagged::mentions_tags(value);
            !decides && !tags::has_tags(key) && lift(value, texts)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
