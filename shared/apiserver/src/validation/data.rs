//! ConfigMaps and Secrets, whose keys become names of files.
//! Source: `k8s.io/kubernetes/pkg/apis/core/validation`.

use super::cause::Causes;
use super::names;
use crate::json::Json;
use crate::json_map::Map;
use crate::kinds::Kind;

/// Bytes that the values of one may have together, as they are sent. Source: `MaxSecretSize`.
const BYTES_MAX: usize = 1 << 20;

pub(super) fn check(kind: &Kind, tree: &Json, causes: &mut Causes) {
    if !kind.group.is_empty() || !matches!(kind.plural, "configmaps" | "secrets") {
        return;
    }
    let mut bytes = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in tree.get(field).and_then(Json::as_map).into_iter().flat_map(Map::iter) {
            let length = value.as_str().map_or(0, str::len);
            let is_encoded = kind.plural == "secrets" || field == "binaryData";
            bytes += if is_encoded { length / 4 * 3 } else { length };
            if let Some(why) = names::file(key) {
                causes.push((format!("{field}[{key}]"), format!("Invalid value: {key:?}: {why}")));
            }
        }
    }
    if bytes > BYTES_MAX {
        causes.push(("data".to_owned(), format!("Too long: may not be more than {BYTES_MAX} bytes")));
    }
}
