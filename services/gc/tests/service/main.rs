//! The garbage collector against an API in this process, in virtual time.

mod ttl;
mod world;
