//! What is told of a status that cannot be written.

use crate::projection::{OBJECT_BYTES_MAX, Sizes};

/// Which limit an object is beyond, by what, and what can be done.
pub(crate) fn too_large(sizes: Sizes) -> String {
    let Sizes { metadata, spec, members } = sizes;
    format!(
        ". An object of the API may have about 1.5 MiB ({OBJECT_BYTES_MAX} bytes are used, and nodes are kept outside of it \
         beyond that); this one has {spec} bytes of spec, {metadata} of metadata and {members} of status besides its nodes. \
         Put templates into WorkflowTemplates, large values into artifacts or ConfigMaps, or raise the limit of the cluster \
         (etcd --max-request-bytes)"
    )
}

/// What an error says of its cause, to be put behind it.
pub(crate) fn cause_of(error: &dyn std::error::Error) -> String {
    error.source().map(|cause| format!(": {cause}")).unwrap_or_default()
}
