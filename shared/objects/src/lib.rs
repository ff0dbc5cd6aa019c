//! Objects of the Kubernetes API as everybody reads them here: how the API answers, a Workflow and what is noted on it, its
//! compressed nodes, merge patches. Knows neither the bus nor who asks.

pub mod api;
pub mod compressed;
pub mod marks;
pub mod merge_patch;
pub mod names;
