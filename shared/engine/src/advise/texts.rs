//! Finding references in texts, in tags and in expressions alike.

/// Whether a text refers to a member of `holder` (`inputs.parameters`) by this name, or may: `holder.name`,
/// `holder['name']`, or the holder as a whole.
pub(super) fn mentions(text: &str, holder: &str, name: &str) -> bool {
    text.match_indices(holder).any(|(at, _)| {
        let rest = &text[at + holder.len()..];
        match rest.chars().next() {
            Some('.') => rest[1..].strip_prefix(name).is_some_and(|after| !after.starts_with(is_name)),
            Some('[') => {
                let inner = rest[1..].trim_start_matches([' ', '\'', '"', '\\']);
                // What is no literal may be any name.
                let is_literal = inner.len() + 1 < rest.len();
                !is_literal || inner.strip_prefix(name).is_some_and(|after| !after.starts_with(is_name))
            }
            // A longer word, such as `inputs.parametersOf`.
            Some(next) if is_name(next) => false,
            Some(_) | None => true,
        }
    })
}

/// What may stand in the name of a parameter, a step or a task.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// The names that expressions (`{{=…}}`) of a text take from `holder` (`steps`, `tasks`): `steps.name.`, `steps['name']`.
pub(super) fn named_in_expressions(text: &str, holder: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (start, _) in text.match_indices("{{=") {
        let expression = &text[start..text[start..].find("}}").map_or(text.len(), |end| start + end)];
        for (at, _) in expression.match_indices(holder) {
            let before = expression[..at].chars().next_back();
            if before.is_some_and(|c| is_name(c) || matches!(c, '.' | '\'' | '"')) {
                continue;
            }
            let rest = &expression[at + holder.len()..];
            let name: String = match rest.chars().next() {
                // A name with a hyphen would be a subtraction.
                Some('.') => rest[1..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect(),
                Some('[') => {
                    let quoted = rest[1..].trim_start_matches([' ', '\\']);
                    let Some(quote @ ('\'' | '"')) = quoted.chars().next() else { continue };
                    quoted[1..].chars().take_while(|c| *c != quote && *c != '\\').collect()
                }
                Some(_) | None => continue,
            };
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// A value with variables is known only when it runs.
pub(super) fn is_dynamic(text: &str) -> bool {
    text.contains("{{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_however_they_are_written() {
        for text in [
            "{{inputs.parameters.a}}",
            "{{=inputs.parameters.a + 'x'}}",
            "{{=inputs.parameters['a']}}",
            r#"{{=inputs.parameters["a"]}}"#,
            r#"{{=inputs.parameters[\"a\"]}}"#,
            "{{=toJson(inputs.parameters)}}",
            "{{=inputs.parameters[item]}}",
        ] {
            assert!(mentions(text, "inputs.parameters", "a"), "{text}");
        }
        for text in ["a", "{{inputs.parameters.ab}}", "{{inputs.parameters.a-b}}", "{{=inputs.parameters['b']}}"] {
            assert!(!mentions(text, "inputs.parameters", "a"), "{text}");
        }
    }

    #[test]
    fn only_expressions_are_looked_into() {
        let named = |text| named_in_expressions(text, "steps");
        assert_eq!(
            named("{{=steps['a-b'].outputs.result + steps.c.outputs.result}} {{steps.d.outputs.result}}"),
            ["a-b", "c"]
        );
        assert_eq!(named("steps.a {{=x.steps.b}} {{='steps.c'}} {{=mysteps.d}}"), [""; 0]);
        assert_eq!(named("{{=steps"), [""; 0]);
    }
}
