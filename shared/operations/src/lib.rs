//! What people ask for, done on the objects of an API server: the engine's operations on whole workflows, with what has to
//! be read before and deleted beside. The command line and the server do the same with it.

mod from;
mod library;
mod random;
mod retry;
mod stop;

pub use from::{Template, UnknownKind};
pub use library::{ENDLESS, checked};
pub use random::name_suffix;
pub use retry::retry;
pub use stop::stop;
