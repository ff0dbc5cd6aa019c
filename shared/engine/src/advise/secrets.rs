//! Secrets in plain text, where everybody who may read the workflow reads them. The message never repeats one.

use argosy_api::v1alpha1::{Parameter, WorkflowSpec};
use serde_json::Value;

use super::{
    advice::{Rule, Say, templates},
    containers::containers,
    texts::is_dynamic,
};

/// Words in the names of variables and parameters that hold secrets.
const WORDS: [&str; 9] =
    ["password", "passwd", "secret", "token", "apikey", "accesskey", "privatekey", "credential", "passphrase"];
/// How such names go on where they only say where the secret is, or of which kind.
const HARMLESS: [&str; 10] = ["name", "path", "file", "ref", "key", "url", "id", "type", "ttl", "namespace"];
/// How values begin that are secrets whatever their name is, and how long they are at least.
const FORMS: [(&str, usize); 6] =
    [("AKIA", 20), ("ASIA", 20), ("ghp_", 40), ("github_pat_", 40), ("glpat-", 26), ("xoxb-", 30)];

pub(super) fn check(spec: &WorkflowSpec, say: &mut Say<'_>) {
    parameters("arguments", &spec.arguments.parameters, say);
    for (path, template) in templates(spec) {
        parameters(&format!("{path}.inputs"), &template.inputs.parameters, say);
        for (field, container) in containers(template) {
            for (i, variable) in container.env.iter().enumerate() {
                let text = |key: &str| variable.get(key).and_then(Value::as_str).unwrap_or_default();
                if is_secret(text("name"), text("value")) {
                    let message = format!(
                        "`{}` looks like a secret in plain text: take it from a Secret with `valueFrom.secretKeyRef`",
                        text("name")
                    );
                    say(Rule::PlainSecret, format!("{path}.{field}.env[{i}]"), message);
                }
            }
            let words = container.command.iter().chain(&container.args);
            let script = template.script.as_ref().filter(|_| field == "script").map(|script| &script.source);
            if words.chain(script).any(|text| holds_secret(text)) {
                let message = "there is a secret in plain text: take it from a Secret".to_owned();
                say(Rule::PlainSecret, format!("{path}.{field}"), message);
            }
        }
    }
}

fn parameters(path: &str, parameters: &[Parameter], say: &mut Say<'_>) {
    for (i, parameter) in parameters.iter().enumerate() {
        let mut values = parameter.value.iter().chain(&parameter.default);
        if values.any(|value| is_secret(&parameter.name, &value.to_string())) {
            let message = format!(
                "`{}` looks like a secret in plain text: let the container take it from a Secret, as parameters stand in the \
                 workflow's status",
                parameter.name
            );
            say(Rule::PlainSecret, format!("{path}.parameters[{i}]"), message);
        }
    }
}

/// A variable by this name with this value holds a secret.
fn is_secret(name: &str, value: &str) -> bool {
    if value.is_empty() || is_dynamic(value) || value.starts_with('/') {
        return false;
    }
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let is_named = WORDS.iter().any(|word| plain.contains(word))
        && !HARMLESS.iter().any(|end| plain.ends_with(end) && !WORDS.iter().any(|word| plain.ends_with(word)));
    let is_setting = matches!(value, "true" | "false") || value.parse::<f64>().is_ok();
    (is_named && !is_setting) || holds_secret(value)
}

/// A text with a key of a known form in it.
fn holds_secret(text: &str) -> bool {
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let has = |(form, length): &(&str, usize)| {
        text.match_indices(form).any(|(at, _)| {
            let is_start = !text[..at].ends_with(is_key);
            is_start && text[at..].chars().take_while(|c| is_key(*c)).count() >= *length
        })
    };
    FORMS.iter().any(has) || (text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_their_names_and_forms() {
        let secrets = [
            ("DB_PASSWORD", "hunter2"),
            ("apiKey", "abc"),
            ("GITHUB_TOKEN", "x"),
            ("aws-secret-access-key", "abc"),
            ("X", "AKIAIOSFODNN7EXAMPLE"),
            ("X", "-----BEGIN RSA PRIVATE KEY-----\nMII"),
        ];
        for (name, value) in secrets {
            assert!(is_secret(name, value), "{name}={value}");
        }
        let harmless = [
            ("DB_PASSWORD", ""),
            ("DB_PASSWORD", "{{inputs.parameters.p}}"),
            ("PASSWORD_FILE", "x"),
            ("TOKEN_PATH", "/var/token"),
            ("SECRET_NAME", "my-secret"),
            ("TOKEN", "/var/run/token"),
            ("MAX_TOKENS", "4096"),
            ("USE_TOKEN", "true"),
            ("NAME", "AKIA"),
            ("USER", "me"),
        ];
        for (name, value) in harmless {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }
}
