//! The workflow as a whole: how it begins, goes on, is changed from outside and ends.

pub(crate) mod disruptions;
pub(crate) mod due;
pub(crate) mod edits;
pub(crate) mod finish;
pub(crate) mod growth;
pub(crate) mod hooks;
pub(crate) mod limits;
pub(crate) mod locks;
pub(crate) mod lookups;
pub(crate) mod memoize;
pub(crate) mod metadata;
pub(crate) mod metrics;
pub(crate) mod nodes;
pub(crate) mod prepare;
pub(crate) mod refusal;
pub(crate) mod strays;
pub(crate) mod waits;
pub(crate) mod why;
