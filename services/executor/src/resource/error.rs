//! Why a resource template fails, in the words of `kubectl` and Argo.

/// Where `kubectl` would have read the manifest from, as its messages name it.
pub(super) const MANIFEST: &str = "/tmp/manifest.yaml";

/// Why a resource template fails. The text becomes the step's message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a template of this kind.
    #[error("the template has no resource")]
    NoResource,
    /// Neither a manifest nor flags.
    #[error("Must provide at least one of flags or manifest.")]
    Nothing,
    /// An action that there is not.
    #[error("error: unknown command \"{action}\" for \"kubectl\"")]
    Action { action: String },
    /// A flag that there is not, or that has no meaning here.
    #[error("no more retries unknown flag: {flag}\nSee 'kubectl {action} --help' for usage.")]
    Flag { flag: String, action: String },
    /// A flag without its value.
    #[error("error: flag needs an argument: {flag}")]
    FlagValue { flag: String },
    /// The manifest is no YAML.
    #[error("error: error parsing {MANIFEST}: {source}")]
    Manifest { source: Box<serde_saphyr::Error> },
    /// The manifest is no object of Kubernetes.
    #[error("error: unable to decode \"{MANIFEST}\": {what}")]
    Decode { what: String },
    /// A member of an object that should be an object itself.
    #[error("error: unable to decode \"{MANIFEST}\": {member} must be an object, not {found}")]
    NoObject { member: &'static str, found: String },
    /// What reads it takes it for no object at all.
    #[error(
        "no more retries error: error validating \"{MANIFEST}\": error validating data: invalid object to validate; if you choose to ignore these errors, turn validation off with --validate=false"
    )]
    NoMap,
    /// Of a manifest that lies elsewhere.
    #[error("{}", source.to_string().replace(MANIFEST, path))]
    Elsewhere { path: String, source: Box<Error> },
    /// A manifest that is an artifact is too large.
    #[error("error: \"{MANIFEST}\" has more than {bytes_max} bytes, which no API server takes")]
    Large { bytes_max: u64 },
    /// An object without a name.
    #[error("error: resource name may not be empty")]
    NoName,
    /// The action needs a manifest.
    #[error("error: must specify one of -f and -k")]
    NoManifest,
    /// A manifest without objects.
    #[error("error: no objects passed to {action}")]
    NoObjects { action: &'static str },
    /// The flags name a type only.
    #[error("error: resource(s) were provided, but no name was specified")]
    NoNameOrSelector,
    /// The API server does not have the kind.
    #[error(
        "error: resource mapping not found for name: \"{name}\" namespace: \"{namespace}\" from \"{MANIFEST}\": no matches for kind \"{kind}\" in version \"{version}\"\nensure CRDs are installed first"
    )]
    NoKind { name: String, namespace: String, kind: String, version: String },
    /// The API server does not have a type of this name.
    #[error("error: the server doesn't have a resource type \"{word}\"")]
    NoType { word: String },
    /// A `mergeStrategy` that there is not.
    #[error("error: --type must be one of [json merge strategic], not \"{strategy}\"")]
    Strategy { strategy: String },
    /// The patch is no JSON patch.
    #[error("error: unable to parse the patch: {source}")]
    Patch { source: serde_json::Error },
    /// The API server refuses; `doing` stands before its message.
    #[error("{}", refusal(doing, source))]
    Refused { doing: String, source: Box<kube::Error> },
    /// The object cannot be watched.
    #[error("watch {name}: {source}")]
    Watch { name: String, source: Box<kube::runtime::watcher::Error> },
    /// A condition is no selector.
    #[error("{which} condition '{text}' failed to parse: {what}")]
    Condition { which: &'static str, text: String, what: String },
    /// The failure condition holds.
    #[error("failure condition '{requirement}' evaluated true")]
    Failed { requirement: String },
    /// The object is gone before a condition holds.
    #[error("The resource has been deleted while its status was still being checked")]
    Deleted,
    /// A JSONPath that cannot be read.
    #[error("error: error parsing jsonpath {text}, {what}")]
    JsonPath { text: String, what: String },
    /// No jq filter.
    #[error("{what}")]
    Jq { what: String },
    /// A jq filter that does not fit the object.
    #[error("jqFilter \"{filter}\": {what}")]
    JqRun { filter: String, what: String },
    /// What was done cannot be written as JSON, or read again.
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
