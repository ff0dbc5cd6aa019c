//! Reads the few protobuf bodies that `kubectl` sends for built-in kinds.
//!
//! `kubectl create configmap`, `create secret` and `auth can-i` send protobuf and take JSON back. The
//! bodies are read with tables of field numbers; kinds without a table are refused, as 415.
//! Source: the generated `.proto` files of k8s.io/api and k8s.io/apimachinery.

use base64::Engine;
use jiff::Timestamp;
use serde_json::json;

use super::json::Json;

/// What a length-delimited or varint field means.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Bytes,
    Bool,
    Int,
    Time,
    Texts,
    TextMap,
    BytesMap,
    One(&'static [Field]),
    Many(&'static [Field]),
}

/// Number, JSON name, type.
type Field = (u64, &'static str, Type);

const OWNER: &[Field] = &[
    (1, "kind", Type::Text),
    (3, "name", Type::Text),
    (4, "uid", Type::Text),
    (5, "apiVersion", Type::Text),
    (6, "controller", Type::Bool),
    (7, "blockOwnerDeletion", Type::Bool),
];
const METADATA: &[Field] = &[
    (1, "name", Type::Text),
    (2, "generateName", Type::Text),
    (3, "namespace", Type::Text),
    (5, "uid", Type::Text),
    (6, "resourceVersion", Type::Text),
    (7, "generation", Type::Int),
    (8, "creationTimestamp", Type::Time),
    (11, "labels", Type::TextMap),
    (12, "annotations", Type::TextMap),
    (13, "ownerReferences", Type::Many(OWNER)),
    (14, "finalizers", Type::Texts),
];
const CONFIG_MAP: &[Field] = &[
    (1, "metadata", Type::One(METADATA)),
    (2, "data", Type::TextMap),
    (3, "binaryData", Type::BytesMap),
    (4, "immutable", Type::Bool),
];
const SECRET: &[Field] = &[
    (1, "metadata", Type::One(METADATA)),
    (2, "data", Type::BytesMap),
    (3, "type", Type::Text),
    (4, "stringData", Type::TextMap),
    (5, "immutable", Type::Bool),
];
const METADATA_ONLY: &[Field] = &[(1, "metadata", Type::One(METADATA))];
const RESOURCE_ATTRIBUTES: &[Field] = &[
    (1, "namespace", Type::Text),
    (2, "verb", Type::Text),
    (3, "group", Type::Text),
    (4, "version", Type::Text),
    (5, "resource", Type::Text),
    (6, "subresource", Type::Text),
    (7, "name", Type::Text),
];
const ACCESS_SPEC: &[Field] = &[
    (1, "resourceAttributes", Type::One(RESOURCE_ATTRIBUTES)),
    (2, "nonResourceAttributes", Type::One(&[(1, "path", Type::Text), (2, "verb", Type::Text)])),
];
const ACCESS_REVIEW: &[Field] = &[(1, "metadata", Type::One(METADATA)), (2, "spec", Type::One(ACCESS_SPEC))];
const RULES_REVIEW: &[Field] =
    &[(1, "metadata", Type::One(METADATA)), (2, "spec", Type::One(&[(1, "namespace", Type::Text)]))];
const DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Type::Int),
    (2, "preconditions", Type::One(&[(1, "uid", Type::Text), (2, "resourceVersion", Type::Text)])),
    (4, "propagationPolicy", Type::Text),
    (5, "dryRun", Type::Texts),
];
const EVICTION: &[Field] = &[(1, "metadata", Type::One(METADATA)), (2, "deleteOptions", Type::One(DELETE_OPTIONS))];
const ENVELOPE: &[Field] =
    &[(1, "type", Type::One(&[(1, "apiVersion", Type::Text), (2, "kind", Type::Text)])), (2, "raw", Type::Bytes)];

/// The bytes every Kubernetes protobuf body begins with.
const MAGIC: &[u8] = b"k8s\0";

fn table(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "Namespace" | "ServiceAccount" | "SelfSubjectReview" => METADATA_ONLY,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "SelfSubjectRulesReview" => RULES_REVIEW,
        "DeleteOptions" => DELETE_OPTIONS,
        "Eviction" => EVICTION,
        _ => return None,
    })
}

/// The object in a body; `None` when it is damaged or of a kind without a table.
pub(crate) fn parse(body: &[u8]) -> Option<Json> {
    let envelope = message(body.strip_prefix(MAGIC)?, ENVELOPE)?;
    let kind = envelope.str_at(&["type", "kind"])?;
    let raw = envelope.str_at(&["raw"]).unwrap_or("");
    let raw = base64::engine::general_purpose::STANDARD.decode(raw).ok()?;
    let mut tree = message(&raw, table(kind)?)?;
    tree.set(&["kind"], Json::string(kind));
    let api_version = envelope.str_at(&["type", "apiVersion"])?;
    tree.set(&["apiVersion"], Json::string(api_version));
    Some(tree)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
    *bytes = rest;
    Some(taken)
}

fn text(bytes: &[u8]) -> Option<Json> {
    std::str::from_utf8(bytes).ok().map(Json::string)
}

fn encoded(bytes: &[u8]) -> Json {
    Json::string(base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn message(mut bytes: &[u8], fields: &[Field]) -> Option<Json> {
    let mut out = Json::object();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = fields.iter().find(|f| f.0 == tag >> 3);
        match tag & 7 {
            0 => {
                let value = varint(&mut bytes)?;
                match field {
                    Some((_, name, Type::Bool)) => out.set(&[name], Json::Bool(value != 0)),
                    // Negative numbers are written as their two's complement.
                    Some((_, name, Type::Int)) => {
                        out.set(&[name], json!(value.cast_signed()).into());
                    }
                    _ => {}
                }
            }
            1 => {
                take(&mut bytes, 8)?;
            }
            5 => {
                take(&mut bytes, 4)?;
            }
            2 => {
                let length = varint(&mut bytes)?;
                let content = take(&mut bytes, length)?;
                if let Some((_, name, field_type)) = field {
                    content_field(&mut out, name, *field_type, content)?;
                }
            }
            _ => return None,
        }
    }
    Some(out)
}

fn content_field(out: &mut Json, name: &str, field_type: Type, content: &[u8]) -> Option<()> {
    match field_type {
        // Go writes empty text too; JSON leaves it out.
        Type::Text if content.is_empty() => {}
        Type::Text => out.set(&[name], text(content)?),
        Type::Bytes => out.set(&[name], encoded(content)),
        Type::Time => {
            let time = message(content, &[(1, "seconds", Type::Int)])?;
            let secs = time.get("seconds").and_then(Json::as_i64);
            if let Some(time) = secs.and_then(|secs| Timestamp::from_second(secs).ok()) {
                out.set(&[name], Json::string(time.to_string()));
            }
        }
        Type::Texts => push(out, name, text(content)?),
        Type::Many(fields) => push(out, name, message(content, fields)?),
        Type::One(fields) => out.set(&[name], message(content, fields)?),
        Type::TextMap => {
            let entry = message(content, &[(1, "k", Type::Text), (2, "v", Type::Text)])?;
            let value = entry.str_at(&["v"]).unwrap_or("");
            out.set(&[name, entry.str_at(&["k"])?], Json::string(value));
        }
        Type::BytesMap => {
            let entry = message(content, &[(1, "k", Type::Text), (2, "v", Type::Bytes)])?;
            let value = entry.str_at(&["v"]).unwrap_or("");
            out.set(&[name, entry.str_at(&["k"])?], Json::string(value));
        }
        Type::Bool | Type::Int => return None,
    }
    Some(())
}

fn push(out: &mut Json, name: &str, item: Json) {
    let mut items = out.get(name).and_then(Json::as_array).unwrap_or(&[]).to_vec();
    items.push(item);
    out.set(&[name], Json::Array(std::sync::Arc::new(items)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        let mut out = vec![number << 3 | 2, length];
        out.extend_from_slice(content);
        out
    }

    #[test]
    fn a_secret_is_read_and_damage_is_not() {
        let entry = [field(1, b"a"), field(2, b"1")].concat();
        let secret =
            [field(1, &[field(1, b"s"), field(3, b"")].concat()), field(2, &entry), field(3, b"Opaque")].concat();
        let of_type = [field(1, b"v1"), field(2, b"Secret")].concat();
        let body = [MAGIC.to_vec(), field(1, &of_type), field(2, &secret)].concat();
        let tree = parse(&body).expect("readable");
        assert_eq!(
            tree.to_value(),
            json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": "s"}, "data": {"a": "MQ=="}})
        );
        for cut in 5..body.len() {
            assert!(parse(&body[..cut]).is_none_or(|t| t.to_value() != tree.to_value()));
        }
    }
}
