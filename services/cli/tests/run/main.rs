//! `argosy run` and `argosy lint` as somebody meets them who has never used them.

mod pipes;
mod support;
mod tails;
