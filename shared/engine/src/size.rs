//! How large things are as JSON: what does not fit into a message of the bus must not be decided.

use std::{borrow::Cow, io};

use argosy_api::v1alpha1::{Artifact, Inputs, Outputs, Parameter};
use serde::Serialize;

/// Bytes of a message of a node or a workflow; the rest is cut off.
pub(crate) const MESSAGE_BYTES_MAX: usize = 32 * 1024;
/// Bytes of JSON of a node besides its texts, at most.
pub(crate) const NODE_AROUND: usize = 4 * 1024;
/// What to do about it.
pub(crate) const ADVICE: &str = "Pass large values as artifacts; an operator can raise the limit with \
    --message-bytes-max, if the bus takes such messages";

/// Bytes of JSON that a node's message takes at most. Messages are text with few characters that need more than two.
pub(crate) fn bound_of_message() -> usize {
    MESSAGE_BYTES_MAX * 2
}

/// Put where a message was cut.
const CUT: &str = "… (cut)";
/// Bytes of JSON that a byte of text takes at most: `\u0000`.
const ESCAPED_MAX: usize = 6;
/// Bytes of JSON around the texts of a parameter, at most.
const AROUND: usize = 128;

/// Bytes of JSON.
pub(crate) fn of(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Our own types always have a JSON form, and counting does not fail.
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

/// At least the bytes of JSON that a text takes, without writing it.
pub(crate) fn bound(text: &str) -> usize {
    text.len().saturating_mul(ESCAPED_MAX)
}

/// Whether inputs are certainly smaller than `limit`, told by a look at their texts; most are.
pub(crate) fn inputs_fit(inputs: &Inputs, limit: usize) -> bool {
    fits(&inputs.parameters, &inputs.artifacts, None, limit) || of(inputs) <= limit
}

/// The same of outputs.
pub(crate) fn outputs_fit(outputs: &Outputs, limit: usize) -> bool {
    fits(&outputs.parameters, &outputs.artifacts, outputs.result.as_deref(), limit) || of(outputs) <= limit
}

/// Whether outputs are certainly smaller than `limit` together with inputs, told by a look at their texts.
pub(crate) fn outputs_fit_beside(outputs: &Outputs, inputs: Option<&Inputs>, limit: usize) -> bool {
    let half = limit / 2;
    let inputs_fit = inputs.is_none_or(|inputs| fits(&inputs.parameters, &inputs.artifacts, None, half));
    inputs_fit && fits(&outputs.parameters, &outputs.artifacts, outputs.result.as_deref(), half)
}

/// About the bytes that inputs take in memory: those of their texts.
pub(crate) fn of_inputs(inputs: &Inputs) -> usize {
    of_values(&inputs.parameters, &inputs.artifacts)
}

/// The same of outputs.
pub(crate) fn of_outputs(outputs: &Outputs) -> usize {
    of_values(&outputs.parameters, &outputs.artifacts) + outputs.result.as_ref().map_or(0, String::len)
}

fn of_values(parameters: &[Parameter], artifacts: &[Artifact]) -> usize {
    let texts = |p: &Parameter| {
        p.name.len() + p.value.as_deref().map_or(0, str::len) + p.default.as_deref().map_or(0, str::len)
    };
    let artifacts = if artifacts.is_empty() { 0 } else { of(&artifacts) };
    parameters.iter().map(texts).sum::<usize>() + artifacts
}

fn fits(parameters: &[Parameter], artifacts: &[Artifact], result: Option<&str>, limit: usize) -> bool {
    let is_plain = |p: &Parameter| p.value_from.is_none() && p.r#enum.is_empty() && p.description.is_none();
    if !artifacts.is_empty() || !parameters.iter().all(is_plain) {
        return false;
    }
    let texts = |p: &Parameter| {
        let value = p.value.as_deref().map_or(0, bound) + p.default.as_deref().map_or(0, bound);
        bound(&p.name) + bound(&p.global_name) + value + AROUND
    };
    parameters.iter().map(texts).sum::<usize>() + result.map_or(0, bound) <= limit
}

/// A message at most [`MESSAGE_BYTES_MAX`] long. Some quote what a user wrote.
pub(crate) fn cut(message: &str) -> Cow<'_, str> {
    if message.len() <= MESSAGE_BYTES_MAX {
        return Cow::Borrowed(message);
    }
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX - CUT.len());
    Cow::Owned(format!("{}{CUT}", &message[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        for shift in 0..4 {
            let long = format!("{}{}", "x".repeat(shift), "😀".repeat(MESSAGE_BYTES_MAX / 4 + 1));
            let short = cut(&long);
            assert!(short.len() <= MESSAGE_BYTES_MAX && short.ends_with(CUT), "shift {shift}");
        }
    }

    #[test]
    fn a_bound_is_never_too_small() {
        let value = "\u{1}\"\\é😀\n".repeat(50);
        let parameter = Parameter { name: "é\"".into(), value: Some(value.as_str().into()), ..Parameter::default() };
        let inputs = Inputs { parameters: vec![parameter; 3], artifacts: Vec::new() };
        let exact = of(&inputs);
        assert!(inputs_fit(&inputs, exact) && !inputs_fit(&inputs, exact - 1));
    }
}
