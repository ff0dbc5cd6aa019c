//! What tests share: runs recorded from Argo and how they are compared, and a little world of scripted pods in which
//! the engine runs alone, in virtual time. Never a dependency of a service.

pub mod compare;
pub mod golden;
pub mod locks;
pub mod world;
