//! The environment and the command line of a container.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::Client;

use super::fields::{self, Error, Kind};

/// The environment that `env` and `envFrom` ask for, in order.
/// Errors: an object, key or field that is not optional is missing.
pub async fn environment(
    client: &Client,
    pod: &Pod,
    node: &str,
    container: &Container,
) -> Result<BTreeMap<String, String>, Error> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut env = BTreeMap::new();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let (kind, name, optional) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => (Kind::ConfigMap, &map.name, map.optional),
            (None, Some(secret)) => (Kind::Secret, &secret.name, secret.optional),
            (None, None) => continue,
        };
        let data = fields::data(client, kind, namespace, name, optional.unwrap_or(false)).await?;
        for (key, value) in data.unwrap_or_default() {
            env.insert(format!("{prefix}{key}"), String::from_utf8_lossy(&value).into_owned());
        }
    }
    for variable in container.env.iter().flatten() {
        let Some(from) = &variable.value_from else {
            let value = expand(variable.value.as_deref().unwrap_or_default(), &env);
            env.insert(variable.name.clone(), value);
            continue;
        };
        let bytes = if let Some(map) = &from.config_map_key_ref {
            fields::key(client, Kind::ConfigMap, namespace, &map.name, &map.key, map.optional.unwrap_or(false)).await?
        } else if let Some(secret) = &from.secret_key_ref {
            let optional = secret.optional.unwrap_or(false);
            fields::key(client, Kind::Secret, namespace, &secret.name, &secret.key, optional).await?
        } else if let Some(field) = &from.field_ref {
            Some(fields::field(pod, node, &field.field_path)?.into_bytes())
        } else {
            let resource = from.resource_field_ref.as_ref();
            resource.map(|r| resource_field(container, &r.resource).into_bytes())
        };
        if let Some(bytes) = bytes {
            env.insert(variable.name.clone(), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(env)
}

/// `limits.cpu` and the like, as written; 0 when there is none.
fn resource_field(container: &Container, path: &str) -> String {
    let resources = container.resources.as_ref();
    let (kind, name) = path.split_once('.').unwrap_or(("", path));
    let map = match kind {
        "limits" => resources.and_then(|r| r.limits.as_ref()),
        "requests" => resources.and_then(|r| r.requests.as_ref()),
        _ => None,
    };
    map.and_then(|map| map.get(name)).map_or("0".into(), |quantity| quantity.0.clone())
}

/// Replaces `$(NAME)` by the variable's value; unknown names stay, and `$$` is a plain `$`.
/// Source: Kubernetes `third_party/forked/golang/expansion`.
pub fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match env.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_variables_are_expanded() {
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let of = |text: &str| expand(text, &env);
        assert_eq!(of("a$(A)b $(B) $$(A) $A $(A"), "a1b $(B) $(A) $A $(A");
    }
}
