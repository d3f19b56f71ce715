//! The binary as its operator meets it: what it says, what it leaves on the disk, and the status it ends with.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // clippy sees only the functions marked #[test] as tests

mod backups;
mod bad_configuration;
mod bad_places;
#[path = "../support/capture.rs"]
mod capture;
mod commands;
mod crash;
mod database;
mod deliveries;
mod erasure;
mod first_start;
mod ledger;
mod listen;
mod master_key;
mod members;
mod own_address;
mod postgres;
mod providers;
mod races;
mod shutdown;
mod support;
mod webhooks;
