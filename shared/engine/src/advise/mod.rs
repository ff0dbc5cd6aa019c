//! What can be read and run, and yet cannot work or is surely not meant. Argo says nothing of it.
//!
//! Each piece of advice has a rule with a name, so that people can silence the rule. Whatever cannot be known before the run,
//! such as what stands in a variable, is passed over: there is no advice on a guess.

mod advice;
mod containers;
mod flow;
mod references;
mod secrets;
#[cfg(test)]
mod tests;
mod texts;
mod unused;

use argosy_api::v1alpha1::WorkflowSpec;

pub use advice::{Advice, Rule};

/// What the spec is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A Workflow, or what a CronWorkflow runs: nothing outside calls its templates.
    Workflow,
    /// A WorkflowTemplate or ClusterWorkflowTemplate, whose templates others may call.
    Template,
}

/// All advice on a spec that is valid, in the order of the rules.
pub fn spec(subject: Subject, spec: &WorkflowSpec) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut say = |rule, path: String, message: String| found.push(Advice { rule, path, message });
    unused::check(subject == Subject::Workflow, spec, &mut say);
    flow::check(spec, &mut say);
    references::check(spec, &mut say);
    containers::check(spec, &mut say);
    secrets::check(spec, &mut say);
    found.sort_by_key(|advice| advice.rule);
    found
}
