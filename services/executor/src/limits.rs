//! How much the executor takes from a step.

use argosy_beneath::Limits as TreeLimits;

/// An output parameter, and all outputs of a step together as JSON. Bytes. It leaves room in a message of NATS (1 MiB) for
/// what is around them. Argo has no number of its own; there, what etcd takes (1.5 MiB) is the end.
const OUTPUTS_BYTES_MAX: u64 = 768 * 1024;
/// Memory of one `jqFilter` or JSONPath. Bytes.
const FILTER_MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Processor time of one `jqFilter` or JSONPath. Seconds.
const FILTER_CPU_SECS_MAX: u64 = 5;
/// A manifest that is an artifact. Bytes; what the API server would take.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 3 * 1024 * 1024;
/// The end of the progress file that is looked at. Bytes.
pub(crate) const PROGRESS_BYTES_MAX: u64 = 64 * 1024;
/// A file that the executor itself wrote for a later part of it, such as the template. Bytes.
pub(crate) const OWN_BYTES_MAX: u64 = 64 * 1024 * 1024;

const OUTPUTS: &str = "ARGOSY_OUTPUT_BYTES_MAX";
const ARTIFACT: &str = "ARGOSY_ARTIFACT_BYTES_MAX";
const FILTER_MEMORY: &str = "ARGOSY_FILTER_MEMORY_BYTES_MAX";
const FILTER_CPU: &str = "ARGOSY_FILTER_CPU_SECONDS_MAX";

/// Limits that whoever runs Argosy may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an output parameter, and of all outputs of a step together as JSON. `ARGOSY_OUTPUT_BYTES_MAX`.
    pub outputs_bytes_max: u64,
    /// Bytes of an artifact, unpacked. `ARGOSY_ARTIFACT_BYTES_MAX`.
    pub artifact_bytes_max: u64,
    /// Bytes of memory of a `jqFilter` or JSONPath. `ARGOSY_FILTER_MEMORY_BYTES_MAX`.
    pub filter_memory_bytes_max: u64,
    /// Seconds of processor time of a `jqFilter` or JSONPath. `ARGOSY_FILTER_CPU_SECONDS_MAX`.
    pub filter_cpu_secs_max: u64,
}

/// A limit that is no number.
#[derive(Debug, thiserror::Error)]
#[error("{variable} must be a whole number above 0, not {given:?}")]
pub struct BadLimit {
    variable: &'static str,
    given: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            outputs_bytes_max: OUTPUTS_BYTES_MAX,
            artifact_bytes_max: argosy_artifacts::BYTES_MAX,
            filter_memory_bytes_max: FILTER_MEMORY_BYTES_MAX,
            filter_cpu_secs_max: FILTER_CPU_SECS_MAX,
        }
    }
}

impl Limits {
    /// The defaults, and what the environment of this process says instead. Steps cannot change it.
    /// Errors: a variable is no number above 0.
    pub fn from_env() -> Result<Self, BadLimit> {
        Self::of(|variable| std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned()))
    }

    fn of(get: impl Fn(&str) -> Option<String>) -> Result<Self, BadLimit> {
        let read = |variable: &'static str, default| match get(variable) {
            None => Ok(default),
            Some(given) => match given.parse() {
                Ok(limit) if limit > 0 => Ok(limit),
                _ => Err(BadLimit { variable, given }),
            },
        };
        let default = Self::default();
        Ok(Self {
            outputs_bytes_max: read(OUTPUTS, default.outputs_bytes_max)?,
            artifact_bytes_max: read(ARTIFACT, default.artifact_bytes_max)?,
            filter_memory_bytes_max: read(FILTER_MEMORY, default.filter_memory_bytes_max)?,
            filter_cpu_secs_max: read(FILTER_CPU, default.filter_cpu_secs_max)?,
        })
    }

    /// What an artifact may have.
    pub(crate) fn artifact(&self) -> TreeLimits {
        argosy_artifacts::limits(
            self.artifact_bytes_max,
            "; set ARGOSY_ARTIFACT_BYTES_MAX where Argosy runs to allow more",
        )
    }

    /// What a file that becomes a parameter may have, where a copy is needed to read it.
    pub(crate) fn parameter(&self) -> TreeLimits {
        TreeLimits {
            bytes_max: self.outputs_bytes_max,
            entries_max: 1,
            depth_max: 1,
            what: "the output parameter",
            raise: RAISE_OUTPUTS,
        }
    }
}

/// How the limit of outputs is raised; the end of a sentence.
pub(crate) const RAISE_OUTPUTS: &str =
    "; keep large data in an artifact, or set ARGOSY_OUTPUT_BYTES_MAX where Argosy runs to allow more";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_the_environment() {
        let set = |value: &'static str| Limits::of(move |variable| (variable == OUTPUTS).then(|| value.to_owned()));
        assert_eq!(set("100").expect("a number").outputs_bytes_max, 100);
        assert_eq!(Limits::of(|_| None).expect("defaults"), Limits::default());
        for bad in ["", "0", "-1", "1M"] {
            let text = set(bad).expect_err(bad).to_string();
            assert!(text.starts_with("ARGOSY_OUTPUT_BYTES_MAX must be"), "{text}");
        }
    }
}
