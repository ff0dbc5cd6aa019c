//! `argosy run` and `argosy lint` as somebody meets them who has never used them.

mod flags;
mod interrupted;
mod kept;
mod lint;
mod order;
mod pipes;
mod support;
mod tails;
mod waiting;
