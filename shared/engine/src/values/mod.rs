//! The values of a workflow: what texts in it refer to, and what comes of that.

pub(crate) mod aggregate;
pub(crate) mod args;
pub(crate) mod expand;
pub(crate) mod expressions;
pub(crate) mod items;
pub(crate) mod loops;
pub(crate) mod outputs;
pub(crate) mod resolve;
pub(crate) mod scope;
pub(crate) mod variables;
