//! Events reach the endpoints that want to hear of them, signed, at least once.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod endpoints;
mod events;
mod operations;
mod retries;
mod stage;
