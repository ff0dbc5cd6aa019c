//! How large an object is as JSON, and by how much a change makes it larger, without looking at what both forms share.

use std::io;

use super::json::Json;
use super::json_map::Map;

/// Bytes of `value` as compact JSON.
pub(super) fn encoded(value: &Json) -> usize {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("a JSON tree has only string keys and finite numbers");
    count.0
}

/// Bytes of `new` less those of `old`.
pub(super) fn grown(old: &Json, new: &Json) -> isize {
    if old.same(new) {
        return 0;
    }
    match (old, new) {
        (Json::Object(a), Json::Object(b)) => {
            let mut grown = separators(b) - separators(a);
            a.differences(b, &mut |key, a, b| {
                grown += match (a, b) {
                    (Some(a), Some(b)) => self::grown(a, b),
                    (Some(a), None) => -member(key, a),
                    (None, Some(b)) => member(key, b),
                    (None, None) => 0,
                };
            });
            grown
        }
        _ => signed(encoded(new)) - signed(encoded(old)),
    }
}

/// `"key":value`
fn member(key: &str, value: &Json) -> isize {
    signed(encoded(&Json::string(key)) + 1 + encoded(value))
}

/// The commas.
fn separators(map: &Map) -> isize {
    signed(map.len().saturating_sub(1))
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn growth_is_the_difference_of_the_sizes() {
        let nodes: Value =
            (0..600).map(|n| (format!("n{n}"), json!({"phase": "Running"}))).collect::<serde_json::Map<_, _>>().into();
        let mut big = Json::from(json!({"status": {"nodes": nodes}, "list": [1, "\n\u{1}é"]}));
        let forms = [
            json!(null),
            json!({}),
            json!({"a": 1}),
            json!({"a": {"b": [1, 2.5, true, null]}, "c": "x\"y"}),
            json!([1]),
            json!("t"),
        ];
        for a in &forms {
            for b in &forms {
                let (a, b) = (Json::from(a.clone()), Json::from(b.clone()));
                assert_eq!(grown(&a, &b), signed(b.to_vec().len()) - signed(a.to_vec().len()), "{a:?} {b:?}");
            }
        }
        let before = big.clone();
        big.set(&["status", "nodes", "n7"], json!({"phase": "Failed", "message": "é\t"}).into());
        big.set(&["status", "nodes", "new\"key"], json!(1).into());
        big.remove(&["status", "nodes", "n8"]);
        assert_eq!(grown(&before, &big), signed(big.to_vec().len()) - signed(before.to_vec().len()));
        assert_eq!(encoded(&big), big.to_vec().len());
    }
}
