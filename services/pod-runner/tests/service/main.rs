//! The pod-runner alone, on the memory bus and the in-process API, in virtual time. What the other services do, a test does.

mod belongings;
mod collect;
mod ends;
mod manifests;
mod wishes;
mod world;
