//! The in-process API, driven through an ordinary `kube::Client`.

mod applies;
mod deletions;
mod objects;
mod support;
mod surroundings;
mod watches;
