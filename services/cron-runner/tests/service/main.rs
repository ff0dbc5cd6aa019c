//! The cron-runner against an API in this process, by a clock that the tests set: restarts, replicas, and machines that sleep.

mod policies;
mod turns;
mod world;
