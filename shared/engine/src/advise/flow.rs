//! Conditions that never hold, and attempts that never end.

use argosy_api::v1alpha1::{RetryStrategy, WorkflowSpec};
use argosy_template::when;

use super::{
    advice::{Rule, Say, templates},
    texts::is_dynamic,
};

pub(super) fn check(spec: &WorkflowSpec, say: &mut Say<'_>) {
    for (path, template) in templates(spec) {
        for (g, group) in template.steps.iter().enumerate() {
            for (s, step) in group.steps.iter().enumerate() {
                condition(&format!("{path}.steps[{g}][{s}].when"), &step.when, say);
            }
        }
        for (t, task) in template.dag.iter().flat_map(|dag| &dag.tasks).enumerate() {
            condition(&format!("{path}.dag.tasks[{t}].when"), &task.when, say);
        }
        retry(&format!("{path}.retryStrategy"), template.retry_strategy.as_deref(), say);
    }
    retry("retryStrategy", spec.retry_strategy.as_ref(), say);
    let defaults = spec.template_defaults.as_deref().and_then(|template| template.retry_strategy.as_deref());
    retry("templateDefaults.retryStrategy", defaults, say);
}

fn condition(path: &str, text: &str, say: &mut Say<'_>) {
    if !text.trim().is_empty() && !is_dynamic(text) && when::evaluate(text) == Ok(false) {
        let message = format!("`{text}` is always false: this never runs");
        say(Rule::WhenFalse, path.to_owned(), message);
    }
}

fn retry(path: &str, strategy: Option<&RetryStrategy>, say: &mut Say<'_>) {
    let Some(strategy) = strategy else { return };
    let is_bounded = strategy.limit.is_some()
        || !strategy.expression.is_empty()
        || strategy.backoff.as_ref().is_some_and(|backoff| !backoff.max_duration.is_empty());
    if !is_bounded {
        let message = "a step that always fails is tried again for ever: give it a `limit`".to_owned();
        say(Rule::EndlessRetry, path.to_owned(), message);
    }
}
