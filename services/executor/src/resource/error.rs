//! Why a resource template fails, in the words of `kubectl` and Argo.

use super::MANIFEST;

/// Why a resource template fails. The text becomes the step's message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the template has no resource")]
    NoResource,
    #[error("Must provide at least one of flags or manifest.")]
    Nothing,
    #[error("error: unknown command \"{action}\" for \"kubectl\"")]
    Action { action: String },
    #[error("error: unknown flag: {flag}")]
    Flag { flag: String },
    #[error("error: flag needs an argument: {flag}")]
    FlagValue { flag: String },
    #[error("error: error parsing {MANIFEST}: {source}")]
    Manifest { source: Box<serde_saphyr::Error> },
    #[error("error: unable to decode \"{MANIFEST}\": {what}")]
    Decode { what: String },
    #[error("error: resource name may not be empty")]
    NoName,
    #[error("error: must specify one of -f and -k")]
    NoManifest,
    #[error("error: no objects passed to {action}")]
    NoObjects { action: &'static str },
    #[error("error: resource(s) were provided, but no name was specified")]
    NoNameOrSelector,
    #[error(
        "error: resource mapping not found for name: \"{name}\" namespace: \"{namespace}\" from \"{MANIFEST}\": no matches for kind \"{kind}\" in version \"{version}\"\nensure CRDs are installed first"
    )]
    NoKind { name: String, namespace: String, kind: String, version: String },
    #[error("error: the server doesn't have a resource type \"{word}\"")]
    NoType { word: String },
    #[error("error: --type must be one of [json merge strategic], not \"{strategy}\"")]
    Strategy { strategy: String },
    #[error("error: unable to parse the patch: {source}")]
    Patch { source: serde_json::Error },
    #[error("{}", refusal(doing, source))]
    Refused { doing: String, source: Box<kube::Error> },
    #[error("watch {name}: {source}")]
    Watch { name: String, source: Box<kube::runtime::watcher::Error> },
    #[error("{which} condition '{text}' failed to parse: {what}")]
    Condition { which: &'static str, text: String, what: String },
    #[error("failure condition '{requirement}' evaluated true")]
    Failed { requirement: String },
    #[error("The resource has been deleted while its status was still being checked")]
    Deleted,
    #[error("error: error parsing jsonpath {text}, {what}")]
    JsonPath { text: String, what: String },
    #[error("jqFilter \"{filter}\" is not supported yet in this build: only paths such as .a.b[0] are")]
    Jq { filter: String },
    #[error("jqFilter \"{filter}\": {what}")]
    JqRun { filter: String, what: String },
    #[error("note what was done: {source}")]
    Encode { source: serde_json::Error },
}

impl Error {
    /// A refusal by the API server. `doing` is put before its message, where `kubectl` has a prefix.
    pub(super) fn refused(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Refused { doing, source: Box::new(source) }
    }
}

fn refusal(doing: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.reason.is_empty() => {
            format!("Error from server: {doing}{}", status.message)
        }
        kube::Error::Api(status) => format!("Error from server ({}): {doing}{}", status.reason, status.message),
        other => format!("error: {doing}{other}"),
    }
}
