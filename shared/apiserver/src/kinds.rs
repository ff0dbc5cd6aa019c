//! The resources served: names, scope, and how the server treats each.

/// What the server does to objects of a kind besides storing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Stored as sent.
    Plain,
    Namespace,
    Pod,
    Secret,
    PersistentVolumeClaim,
    CustomResourceDefinition,
}

/// One served resource.
#[derive(Debug)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version within the group, such as `v1`.
    pub version: &'static str,
    /// Plural name used in paths.
    pub plural: &'static str,
    /// Kind name, such as `Pod`.
    pub kind: &'static str,
    /// Short names for command lines.
    pub short: &'static [&'static str],
    /// Categories, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `status` is written through its own subresource only.
    pub status: bool,
    /// Whether `metadata.generation` counts changes.
    pub generation: bool,
    pub(crate) flavor: Flavor,
    pub(crate) index: usize,
}

impl Kind {
    /// `group/version`, or the version alone for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Singular name: the kind in lower case.
    pub fn singular(&self) -> String {
        self.kind.to_ascii_lowercase()
    }

    /// `plural.group`, or the plural alone for the core group; used in error messages.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether this is a custom resource, for which strategic merge is not offered.
    pub fn is_custom(&self) -> bool {
        self.group == ARGO
    }
}

/// The API group of Argo Workflows.
pub const ARGO: &str = "argoproj.io";

const PLAIN: Kind = Kind {
    group: "",
    version: "v1",
    plural: "",
    kind: "",
    short: &[],
    categories: &[],
    namespaced: true,
    status: false,
    generation: false,
    flavor: Flavor::Plain,
    index: 0,
};

const fn core(plural: &'static str, kind: &'static str, short: &'static [&'static str]) -> Kind {
    Kind { plural, kind, short, ..PLAIN }
}

const fn argo(plural: &'static str, kind: &'static str, short: &'static [&'static str]) -> Kind {
    Kind { group: ARGO, version: "v1alpha1", generation: true, ..core(plural, kind, short) }
}

const fn grouped(group: &'static str, base: Kind) -> Kind {
    Kind { group, ..base }
}

const fn with_status(base: Kind) -> Kind {
    Kind { status: true, generation: true, ..base }
}

const fn all(base: Kind) -> Kind {
    Kind { categories: &["all"], ..base }
}

const fn cluster(base: Kind) -> Kind {
    Kind { namespaced: false, ..base }
}

const fn flavored(flavor: Flavor, base: Kind) -> Kind {
    Kind { flavor, ..base }
}

const COUNT: usize = 27;

const fn numbered(mut kinds: [Kind; COUNT]) -> [Kind; COUNT] {
    let mut i = 0;
    while i < COUNT {
        kinds[i].index = i;
        i += 1;
    }
    kinds
}

/// Every served resource. The order is stored nowhere: durable records name the resource.
pub static KINDS: [Kind; COUNT] = numbered([
    flavored(Flavor::Namespace, cluster(with_status(core("namespaces", "Namespace", &["ns"])))),
    flavored(Flavor::Pod, all(with_status(core("pods", "Pod", &["po"])))),
    core("configmaps", "ConfigMap", &["cm"]),
    flavored(Flavor::Secret, core("secrets", "Secret", &[])),
    flavored(
        Flavor::PersistentVolumeClaim,
        with_status(core("persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"])),
    ),
    core("serviceaccounts", "ServiceAccount", &["sa"]),
    core("events", "Event", &["ev"]),
    with_status(core("resourcequotas", "ResourceQuota", &["quota"])),
    all(with_status(core("services", "Service", &["svc"]))),
    cluster(with_status(core("nodes", "Node", &["no"]))),
    argo("workflows", "Workflow", &["wf"]),
    argo("workflowtemplates", "WorkflowTemplate", &["wftmpl"]),
    cluster(argo("clusterworkflowtemplates", "ClusterWorkflowTemplate", &["clusterwftmpl", "cwft"])),
    argo("cronworkflows", "CronWorkflow", &["cwf", "cronwf"]),
    argo("workflowtaskresults", "WorkflowTaskResult", &[]),
    with_status(argo("workflowtasksets", "WorkflowTaskSet", &["wfts"])),
    with_status(argo("workflowartifactgctasks", "WorkflowArtifactGCTask", &["wfat"])),
    argo("workfloweventbindings", "WorkflowEventBinding", &["wfeb"]),
    grouped("policy", with_status(core("poddisruptionbudgets", "PodDisruptionBudget", &["pdb"]))),
    grouped("coordination.k8s.io", core("leases", "Lease", &[])),
    grouped("batch", all(with_status(core("jobs", "Job", &[])))),
    grouped("apps", all(with_status(core("deployments", "Deployment", &["deploy"])))),
    grouped("apps", all(with_status(core("statefulsets", "StatefulSet", &["sts"])))),
    // Without the short name: it means those of the core group, and kubectl would warn of the second meaning.
    grouped("events.k8s.io", core("events", "Event", &[])),
    flavored(
        Flavor::CustomResourceDefinition,
        grouped(
            "apiextensions.k8s.io",
            cluster(with_status(core("customresourcedefinitions", "CustomResourceDefinition", &["crd", "crds"]))),
        ),
    ),
    grouped("rbac.authorization.k8s.io", core("roles", "Role", &[])),
    grouped("rbac.authorization.k8s.io", core("rolebindings", "RoleBinding", &[])),
]);

/// The resource at `group/version/plural`.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.plural == plural && k.group == group && k.version == version)
}

/// The resource of a `kind` in a group.
pub(crate) fn find_by_kind(group: &str, kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.kind == kind && k.group == group)
}

/// The namespaces resource.
pub(crate) fn namespaces() -> &'static Kind {
    &KINDS[0]
}
