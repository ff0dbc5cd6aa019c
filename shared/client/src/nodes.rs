//! The nodes of a large status, which its object has compressed.

use std::fmt;

use argosy_objects::compressed;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Bytes that the decompressed nodes of a status may have. 100,000 nodes have fewer; an object's 1.5 MB can hold a
/// thousand times as many that are none.
const NODES_BYTES_MAX: usize = 64 << 20;
/// Values in them: a node has some twenty.
const NODES_VALUES_MAX: usize = 4_000_000;

/// Compressed nodes cannot be shown or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// They are not what a controller writes.
    #[error("decompress")]
    Compressed(#[source] compressed::Error),
    /// They are too long.
    #[error("decompressed they have more than {0} bytes")]
    TooLong(usize),
    /// They are too many.
    #[error("they have more than {0} values")]
    TooMany(usize),
    /// They cannot be compressed.
    #[error("compress")]
    Compress(#[source] compressed::Error),
    /// They are no JSON.
    #[error("they are not JSON")]
    NotJson(#[source] serde_json::Error),
    /// They are JSON of another kind.
    #[error("they are no mapping")]
    NoMapping,
}

/// The nodes that the text holds.
///
/// Errors: it holds none, or more than can be shown.
pub fn decompressed(text: &str) -> Result<Value, Error> {
    within(text, NODES_BYTES_MAX, NODES_VALUES_MAX)
}

/// The text that holds these nodes, as JSON.
///
/// Errors: none in practice; memory does not fail.
pub fn compressed(nodes: &[u8]) -> Result<String, Error> {
    compressed::encode(nodes).map_err(Error::Compress)
}

fn within(text: &str, bytes_max: usize, values_max: usize) -> Result<Value, Error> {
    let nodes = compressed::decode(text).map_err(Error::Compressed)?;
    if nodes.len() > bytes_max {
        return Err(Error::TooLong(bytes_max));
    }
    // As values they take many times the memory that they have as text: counted first.
    let mut left = values_max;
    let counted = Counted(&mut left).deserialize(&mut serde_json::Deserializer::from_slice(&nodes));
    if left == 0 {
        return Err(Error::TooMany(values_max));
    }
    counted.map_err(Error::NotJson)?;
    let nodes: Value = serde_json::from_slice(&nodes).map_err(Error::NotJson)?;
    if nodes.is_object() { Ok(nodes) } else { Err(Error::NoMapping) }
}

/// Reads a value and forgets it, and counts those in it down.
struct Counted<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.0 = self.0.saturating_sub(1);
        if *self.0 == 0 {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Counted(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_key::<IgnoredAny>()?.is_some() {
            members.next_value_seed(Counted(&mut *self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_would_fill_the_memory_are_not_read() {
        let encode = |json: &str| compressed::encode(json.as_bytes()).expect("memory");
        let read = |json: &str| within(&encode(json), 1000, 100);
        let good = read(r#"{"a":{"phase":"Failed","x":[1,2.5,true,null,"t"]}}"#).expect("nodes");
        assert_eq!(good["a"]["phase"], "Failed");
        let said = |json: &str| read(json).expect_err("refused").to_string();
        assert!(said(&" ".repeat(1001)).contains("more than 1000 bytes"));
        for many in [format!("[{}0]", "0,".repeat(100)), format!("{{\"a\":{{{}\"b\":0}}}}", "\"b\":0,".repeat(100))] {
            assert!(said(&many).contains("more than 100 values"), "{many}");
        }
        for garbage in ["{", "[]", "", &"[".repeat(90)] {
            said(garbage);
        }
        for garbage in ["*", "AAAA"] {
            within(garbage, 1000, 100).expect_err("refused");
        }
    }
}
