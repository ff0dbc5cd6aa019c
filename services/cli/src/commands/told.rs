//! What is wrong with an operation on a workflow or its suspended steps, in words of the command line.

use argosy_engine::ops::{retry, suspend};

/// The error, as a user reads it who knows flags and steps.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Told(String);

impl From<suspend::Error> for Told {
    fn from(error: suspend::Error) -> Self {
        use suspend::Error as E;
        Self(match &error {
            E::NothingSelected { selector } if selector.is_empty() => {
                "no step of this workflow waits for somebody".to_owned()
            }
            E::NothingSelected { selector } => {
                format!("no step that waits for somebody matches --node-field-selector {selector}")
            }
            E::ParameterMissing { name } => format!(
                "{error}: set it with `argosy node set WORKFLOW --node-field-selector displayName=STEP -p {name}=VALUE`"
            ),
            E::NoParametersExpected | E::ParameterNotExpected { .. } | E::ParameterSet { .. } => {
                format!("{error}: leave it out of -p")
            }
            E::Phase { .. } => format!("{error}: --phase takes Succeeded, Failed or Error"),
            E::Selector(_) => format!("--node-field-selector: {error}"),
            E::Overrides(_) | E::Completed { .. } => error.to_string(),
        })
    }
}

impl From<retry::Error> for Told {
    fn from(error: retry::Error) -> Self {
        use retry::Error as E;
        Self(match &error {
            E::Succeeded => "it has succeeded; to run some of its steps again all the same, select them: --restart-successful --node-field-selector displayName=STEP; `argosy resubmit` runs all of it as a new workflow".to_owned(),
            E::Phase { phase } => {
                let phase = if phase.as_str().is_empty() { "Pending" } else { phase.as_str() };
                format!("it is {phase}: only workflows that have ended are retried")
            }
            E::Selector(_) => format!("--node-field-selector: {error}"),
            E::NotMemoizable => "--memoized: only of a workflow that has failed something is left to do".to_owned(),
            E::Overrides(_) => error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_flags() {
        let told = |error: suspend::Error| Told::from(error).to_string();
        let selected = |selector: &str| told(suspend::Error::NothingSelected { selector: selector.to_owned() });
        assert_eq!(selected(""), "no step of this workflow waits for somebody");
        assert!(selected("displayName=a").ends_with("matches --node-field-selector displayName=a"));
        assert!(told(suspend::Error::ParameterMissing { name: "m".to_owned() }).ends_with("-p m=VALUE`"));
    }
}
