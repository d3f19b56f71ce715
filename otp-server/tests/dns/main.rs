//! The DNS as the server asks it, against a real name server (bind9) that the tests start on loopback.

#![allow(clippy::unwrap_used)] // clippy sees only the functions marked #[test] as tests

mod answers;
mod domains;
mod named;
