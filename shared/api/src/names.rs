//! Node ids and pod names, exactly as Argo's.

/// FNV-1a, 32 bits.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The id of the node `node` of workflow `workflow`: the workflow's name for its root, else
/// `<workflow>-<FNV-1a-32 of the node's name>`.
///
/// Source: Argo `Workflow.NodeID`.
pub fn node_id(workflow: &str, node: &str) -> String {
    if workflow == node { workflow.to_owned() } else { format!("{workflow}-{}", fnv1a(node)) }
}

/// The id of a further node, the `number`th, whose name hashes as that of the node `id`. Differs: Argo takes it for the
/// same node.
pub fn numbered_id(id: &str, number: u32) -> String {
    format!("{id}-{number}")
}

/// Which rule makes pod names; stands in the workflow's annotation `pod-name-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodNameVersion {
    /// The pod's name is the node's id.
    V1,
    /// The pod's name carries the template's name.
    V2,
}

/// Longest prefix in front of the hash: 253 less a hyphen and ten digits.
const PREFIX_BYTES_MAX: usize = 253 - 11;

/// The name of the pod of `node`, whose template is `template` (empty for an inline one).
///
/// Source: Argo `workflow/util/pod_name.go`.
pub fn pod_name(workflow: &str, node: &str, template: &str, node_id: &str, version: PodNameVersion) -> String {
    if version == PodNameVersion::V1 {
        return node_id.to_owned();
    }
    if workflow == node {
        return workflow.to_owned();
    }
    let mut prefix = workflow.to_owned();
    if !template.is_empty() {
        prefix.push('-');
        prefix.push_str(template);
    }
    let mut end = prefix.len().min(PREFIX_BYTES_MAX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    prefix.truncate(end);
    // The number behind the id of a node whose name hashes as another's.
    let number = node_id.strip_prefix(self::node_id(workflow, node).as_str()).unwrap_or_default();
    format!("{prefix}-{}{number}", fnv1a(node))
}
