//! Phases and kinds as values of flags: told from others, and completed by shells.

use argosy_api::v1alpha1::NodePhase;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Of workflows.
const WORKFLOW: [&str; 5] = ["Pending", "Running", "Succeeded", "Failed", "Error"];
/// Of nodes.
const NODE: [&str; 7] = ["Pending", "Running", "Succeeded", "Skipped", "Failed", "Error", "Omitted"];
/// Those that somebody may give to a node that waits.
const GIVEN: [&str; 3] = ["Succeeded", "Failed", "Error"];

/// A phase of a workflow.
pub fn workflow() -> PossibleValuesParser {
    PossibleValuesParser::new(WORKFLOW)
}

/// A phase of a node.
pub fn node() -> impl TypedValueParser<Value = NodePhase> {
    PossibleValuesParser::new(NODE).try_map(|text| text.parse::<NodePhase>())
}

/// A phase that somebody may give to a node.
pub fn given() -> impl TypedValueParser<Value = NodePhase> {
    PossibleValuesParser::new(GIVEN).try_map(|text| text.parse::<NodePhase>())
}
