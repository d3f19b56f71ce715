//! The HTTP contract: what a client may rely on, tried through the routes themselves.
//!
//! `harness` puts the routes on a memory store with a clock that moves when told to, and checks on every answer what all
//! answers have in common, its description in `/openapi.json` included. The other files mirror the routes; `sockets` runs
//! the same routes behind the server's own accept loop.

#![allow(clippy::unwrap_used)] // clippy sees only the functions marked #[test] as tests

mod analytics;
mod apps;
mod audit;
mod authenticators;
mod bodies;
mod call;
mod callbacks;
mod codes;
mod configuration;
mod cors;
mod crew;
mod customers;
mod document;
mod domains;
mod factors;
mod harness;
mod hooks;
mod idempotency;
mod keys;
mod layers;
mod limits;
mod member_factor;
mod members;
mod messages;
mod onboarding;
mod pages;
mod peers;
mod phones;
mod principals;
mod sessions;
mod signup;
mod sockets;
mod statuses;
mod store;
mod strangers;
mod templates;
mod totp;
mod totp_named;
mod users;
mod webhooks;
mod zone;
