//! Values: what steps, tasks, pods, hooks and outputs are given, by runs of the engine alone with scripted pods.

#[path = "values/data.rs"]
mod data;
#[path = "values/hooks.rs"]
mod hooks;
#[path = "values/inputs.rs"]
mod inputs;
#[path = "values/items.rs"]
mod items;
#[path = "values/limits.rs"]
mod limits;
#[path = "values/metadata.rs"]
mod metadata;
#[path = "values/mistakes.rs"]
mod mistakes;
#[path = "values/outputs.rs"]
mod outputs;
#[path = "values/refused.rs"]
mod refused;
#[path = "values/run.rs"]
mod run;
