//! Kubernetes in one process: the API (`api`) and a node that runs pods (`node`), and the files of both (`private`).

pub mod api;
pub mod node;
pub mod private;
