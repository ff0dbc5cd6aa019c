//! Kubernetes in one process: the API (`api`) and a node that runs pods (`node`).

pub mod api;
pub mod node;
