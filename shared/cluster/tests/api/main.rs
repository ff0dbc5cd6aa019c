//! The in-process API, driven through an ordinary `kube::Client`.

mod objects;
mod support;
mod watches;
