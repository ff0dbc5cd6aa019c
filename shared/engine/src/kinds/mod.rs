//! The kinds of nodes, a file or folder for each (pod, suspend, steps, dag, retry), and what they share: how they are called,
//! their children and hooks.

pub(crate) mod call;
pub(crate) mod children;
pub(crate) mod composite;
pub(crate) mod dag;
pub(crate) mod hooks;
pub(crate) mod pod;
pub(crate) mod retry;
pub(crate) mod steps;
pub(crate) mod suspend;

/// Message of what ran out of time without having a pod that runs.
pub(crate) const EXCEEDED: &str = "Step exceeded its deadline";
