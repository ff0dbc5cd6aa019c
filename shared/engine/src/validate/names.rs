//! Names: of templates, steps and tasks, and of parameters and artifacts.

use std::collections::HashSet;

use foldhash::fast::RandomState;

const NAME_CHARS_MAX: usize = 128;

/// What is wrong with the name of a template, step or task, which is there.
pub(super) fn template_name(name: &str) -> Option<String> {
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let text = "name must consist of alpha-numeric characters or '-', and must start with an alpha-numeric character (e.g. My-name1-2, 123-NAME)";
    let length = format!("must be no more than {NAME_CHARS_MAX} characters");
    let wrong = [(name.len() > NAME_CHARS_MAX).then_some(length.as_str()), (!well_formed).then_some(text)];
    let wrong: Vec<&str> = wrong.into_iter().flatten().collect();
    (!wrong.is_empty()).then(|| format!("'{name}' is invalid: {}", wrong.join(";")))
}

const PARAMETER_RULE: &str =
    "Parameter/Artifact name must consist of alpha-numeric characters, '_' or '-' e.g. my_param_1, MY-PARAM-1";

fn is_parameter_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn parameter_name(name: &str) -> Option<String> {
    // One with a tag only the run will know.
    let is_fine = name.contains("{{") || is_parameter_name(name);
    (!is_fine).then(|| format!("'{name}' is invalid: {PARAMETER_RULE}"))
}

/// What is wrong with a name under which an output is known everywhere, if it has one.
pub(super) fn global_name(name: &str) -> Option<&'static str> {
    let is_fine = name.is_empty() || name.contains("{{") || is_parameter_name(name);
    (!is_fine).then_some(PARAMETER_RULE)
}

/// Checks the names of a list that stands at `place`, which is followed by the index.
pub(super) fn list<'a>(place: &str, names: impl Iterator<Item = &'a str>, are_templates: bool) -> Vec<String> {
    let mut seen: HashSet<&str, RandomState> = HashSet::default();
    let mut problems = Vec::new();
    for (index, name) in names.enumerate() {
        let at = || format!("{place}[{index}].name");
        let wrong = if are_templates { template_name(name) } else { parameter_name(name) };
        if name.is_empty() {
            problems.push(format!("{} is required", at()));
        } else if let Some(wrong) = wrong {
            problems.push(format!("{}: {wrong}", at()));
        } else if !seen.insert(name) {
            problems.push(format!("{} '{name}' is not unique", at()));
        }
    }
    problems
}
