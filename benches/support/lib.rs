//! What the benchmarks share: rows of the table, a service to measure, a bare SQLite writer, servers and their load.

#![deny(missing_docs)]
#![allow(clippy::disallowed_methods)] // measures real time

pub mod arrivals;
pub mod backstage;
pub mod capture;
pub mod child;
pub mod floor;
pub mod harness;
pub mod load;
pub mod pipelined;
pub mod race;
pub mod raw;
pub mod remote;
pub mod row;
pub mod run;
pub mod tenants;
pub mod world;
