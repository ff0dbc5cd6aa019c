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
    if workflow == node { workflow.to_owned() } else { joined(&[workflow], fnv1a(node), "") }
}

/// Whether `id` is what [`node_id`] makes of the rest, without making it.
pub fn is_node_id(id: &str, workflow: &str, node: &str) -> bool {
    if workflow == node {
        return id == workflow;
    }
    behind_hash(id, workflow, itoa::Buffer::new().format(fnv1a(node))) == Some("")
}

/// What follows the hash in a node's id; none when the id does not begin with the workflow's name and the hash.
fn behind_hash<'i>(id: &'i str, workflow: &str, hash: &str) -> Option<&'i str> {
    id.strip_prefix(workflow)?.strip_prefix('-')?.strip_prefix(hash)
}

/// The parts and the hash with hyphens between them, and what follows the hash. Names are made for every node: in one piece.
fn joined(parts: &[&str], hash: u32, behind: &str) -> String {
    let mut buffer = itoa::Buffer::new();
    let hash = buffer.format(hash);
    let bytes = parts.iter().map(|part| part.len() + 1).sum::<usize>() + hash.len() + behind.len();
    let mut text = String::with_capacity(bytes);
    for part in parts {
        text.push_str(part);
        text.push('-');
    }
    text.push_str(hash);
    text.push_str(behind);
    text
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
    let hash = fnv1a(node);
    // The number behind the id of a node whose name hashes as another's.
    let number = behind_hash(node_id, workflow, itoa::Buffer::new().format(hash)).unwrap_or_default();
    if template.is_empty() && workflow.len() <= PREFIX_BYTES_MAX {
        return joined(&[workflow], hash, number);
    }
    if workflow.len() + 1 + template.len() <= PREFIX_BYTES_MAX {
        return joined(&[workflow, template], hash, number);
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
    joined(&[&prefix[..end]], hash, number)
}

/// Whether `name` is what [`pod_name`] makes of the rest, without making it.
pub fn is_pod_name(
    name: &str,
    workflow: &str,
    node: &str,
    template: &str,
    node_id: &str,
    version: PodNameVersion,
) -> bool {
    if version == PodNameVersion::V1 || workflow == node || workflow.len() + 1 + template.len() > PREFIX_BYTES_MAX {
        return name == pod_name(workflow, node, template, node_id, version);
    }
    let mut buffer = itoa::Buffer::new();
    let hash = buffer.format(fnv1a(node));
    let number = behind_hash(node_id, workflow, hash).unwrap_or_default();
    let rest = name.strip_prefix(workflow).and_then(|rest| match template {
        "" => Some(rest),
        template => rest.strip_prefix('-')?.strip_prefix(template),
    });
    let hashed = rest.and_then(|rest| rest.strip_prefix('-')?.strip_prefix(hash));
    hashed == Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_without_being_made() {
        let long = "w".repeat(240);
        for workflow in ["w", "w-1", "", long.as_str()] {
            for node in ["w", "w.a", "w(0)", "w-1.é"] {
                for template in ["", "t", "t-1"] {
                    let id = node_id(workflow, node);
                    assert!(is_node_id(&id, workflow, node), "{id}");
                    assert!(!is_node_id(&numbered_id(&id, 2), workflow, node) && !is_node_id("", workflow, "other"));
                    for id in [id.clone(), numbered_id(&id, 2), "other".to_owned()] {
                        for version in [PodNameVersion::V1, PodNameVersion::V2] {
                            let name = pod_name(workflow, node, template, &id, version);
                            let is = |name: &str| is_pod_name(name, workflow, node, template, &id, version);
                            assert!(is(&name), "{name}");
                            for wrong in [format!("{name}0"), format!("x{name}"), name[..name.len() - 1].to_owned()] {
                                assert!(!is(&wrong), "{wrong} is not {name}");
                            }
                        }
                    }
                }
            }
        }
    }
}
