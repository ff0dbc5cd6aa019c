//! The kinds of nodes, a file for each, and what calls them.

pub(crate) mod assess;
pub(crate) mod call;
pub(crate) mod children;
pub(crate) mod dag;
pub(crate) mod pod;
pub(crate) mod retry;
pub(crate) mod steps;
pub(crate) mod suspend;
