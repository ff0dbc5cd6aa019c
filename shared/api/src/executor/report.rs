//! What the executor reports of a step.

use serde::{Deserialize, Serialize};

use crate::v1alpha1::Outputs;

/// What the `wait` container leaves as its termination message: the results, or where they are when they are large. A message
/// that is no such JSON is text for people: what went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Report {
    /// Parameters, artifacts, result, exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// `N/M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Name of the [`WorkflowTaskResult`](crate::v1alpha1::WorkflowTaskResult) that holds the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_result: Option<String>,
    /// What went wrong, in words for people, where there are results all the same.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

impl Report {
    /// A longer message would be cut by the kubelet. Bytes.
    pub const MESSAGE_BYTES_MAX: usize = 4096;
    /// So much the kubelet keeps of all messages of a pod; each container has an equal part. Bytes.
    const POD_MESSAGES_BYTES_MAX: usize = 12 * 1024;

    /// A longer message of one of so many containers, init containers among them, would be cut by the kubelet. Bytes.
    pub fn message_bytes_max(containers: usize) -> usize {
        Self::MESSAGE_BYTES_MAX.min(Self::POD_MESSAGES_BYTES_MAX / containers.max(1))
    }

    /// Whether a message is the beginning of a report that was cut.
    pub fn is_cut(message: &str) -> bool {
        let is_end = |error: serde_json::Error| error.is_eof();
        ["{\"outputs\":", "{\"progress\":", "{\"error\":"].iter().any(|begin| message.starts_with(begin))
            && serde_json::from_str::<Self>(message).is_err_and(is_end)
    }

    /// A report that names the WorkflowTaskResult which holds the rest.
    pub fn in_task_result(name: impl Into<String>) -> Self {
        Self { task_result: Some(name.into()), ..Self::default() }
    }

    /// The report in a termination message; `None` where it is text for people.
    pub fn of_message(message: &str) -> Option<Self> {
        serde_json::from_str(message).ok()
    }

    /// The termination message.
    ///
    /// Errors: none in practice; what was read from JSON can be written as JSON.
    pub fn to_message(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_container_has_its_part_of_what_the_kubelet_keeps() {
        assert_eq!([3, 4, 12].map(Report::message_bytes_max), [4096, 3072, 1024]);
    }

    #[test]
    fn a_report_that_was_cut_is_told_from_text() {
        let outputs = Outputs { result: Some("hello".to_owned()), ..Outputs::default() };
        let message = Report { outputs: Some(outputs), ..Report::default() }.to_message().expect("JSON");
        assert!(!Report::is_cut(&message));
        assert!(Report::is_cut(&message[..message.len() - 3]));
        assert!(!Report::is_cut("open /tmp/x: no such file or directory; ") && !Report::is_cut(""));
    }
}
