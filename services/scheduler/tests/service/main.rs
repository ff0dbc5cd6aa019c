//! The scheduler alone, on the memory bus and the in-process API, in virtual time. What the other services do, a test does.

mod bus;
mod end;
mod foreign;
mod leave;
mod newer;
mod purge;
mod unanswered;
mod world;
