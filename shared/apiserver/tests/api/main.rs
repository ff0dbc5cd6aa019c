//! The in-process API, driven through an ordinary `kube::Client`.

mod access;
mod applies;
mod deletions;
mod fields;
mod limits;
mod objects;
mod support;
mod surroundings;
mod watches;
