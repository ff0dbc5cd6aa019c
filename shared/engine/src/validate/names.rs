//! Names: of templates, steps and tasks, and of parameters and artifacts.

use std::collections::HashSet;

use foldhash::fast::RandomState;

const NAME_CHARS_MAX: usize = 128;

/// What is wrong with the name of a template, step or task.
pub(super) fn template_name(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("name is required".to_owned());
    }
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if name.len() > NAME_CHARS_MAX {
        return Some(format!("'{name}' is invalid: must be no more than {NAME_CHARS_MAX} characters"));
    }
    let text = "name must consist of alpha-numeric characters or '-', and must start with an alpha-numeric character (e.g. My-name1-2, 123-NAME)";
    (!well_formed).then(|| format!("'{name}' is invalid: {text}"))
}

fn parameter_name(name: &str) -> Option<String> {
    if name.contains("{{") {
        // Only the run will know it.
        return None;
    }
    let well_formed = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let text =
        "Parameter/Artifact name must consist of alpha-numeric characters, '_' or '-' e.g. my_param_1, MY-PARAM-1";
    (!well_formed).then(|| format!("'{name}' is invalid: {text}"))
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
