//! `cargo xtask test`: every check that a change must pass.
//!
//! The steps share one profile and one set of features, so that cargo compiles each dependency once to check
//! and once to run.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::fuzz::{self, Extent};
use crate::postgres::{self, Postgres};
use crate::process::{cargo, root, run as run_command, run_tests, succeeds};
use crate::setup::{self, Peers};
use crate::tree;

/// A look at every operation; `cargo xtask fuzz` looks longer.
const FUZZ: Extent = Extent { time: Duration::from_secs(30), every_limit: false, seed: 20 };

/// Runs all steps and closes with the line `N passed, 0 failed`.
///
/// # Errors
/// The first step that fails, by name.
pub fn run() -> Result<()> {
    let started = Instant::now();
    let peers = step("setup", setup::run)?;
    step("format", || run_command(cargo("fmt --all --check")))?;
    step("lints", || run_command(cargo("clippy --workspace --all-targets --all-features -- -D warnings")))?;
    let postgres = step("PostgreSQL", Postgres::start)?;
    let tests = step("tests", || run_tests(with_peers(runner(), &peers, &postgres)))?;
    drop(postgres);
    step("fuzz", || fuzz::run(&peers.python, &FUZZ))?;
    let doc_tests = step("documentation tests", || run_tests(cargo("test --doc --workspace --all-features")))?;
    step("examples", || run_command(cargo("build --workspace --all-features --examples")))?;
    step("dependencies", dependencies)?;
    step("source", || tree::check(root()))?;
    step("documentation", || run_command(documentation()))?;
    println!("all steps took {:.0?}", started.elapsed());
    println!("{} passed, 0 failed", tests + doc_tests);
    Ok(())
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let started = Instant::now();
    let outcome = work().with_context(|| format!("step `{name}` failed"))?;
    println!("<== {name} took {:.1?}", started.elapsed());
    Ok(outcome)
}

fn runner() -> Command {
    if succeeds(cargo("nextest --version")) {
        return cargo("nextest run --config-file xtask/nextest.toml --workspace --all-features --run-ignored all");
    }
    println!("cargo-nextest is not installed, cargo test takes its place");
    cargo("test --workspace --all-features --lib --bins --tests -- --include-ignored")
}

fn with_peers(mut runner: Command, peers: &Peers, postgres: &Postgres) -> Command {
    runner.env("OTP_TEST_PYTHON", &peers.python).env("OTP_TEST_NODE_MODULES", &peers.node_modules);
    runner.env("OTP_TEST_PROMTOOL", &peers.promtool).env("OTP_TEST_SPECIFICATIONS", &peers.specifications);
    runner.env(postgres::URL, postgres.url());
    runner
}

fn dependencies() -> Result<()> {
    if !succeeds(cargo("deny --version")) {
        println!("skipped: cargo-deny is not installed");
        return Ok(());
    }
    run_command(cargo("fetch"))?; // cargo-deny looks at the crates of every platform, a build fetches those of one
    run_command(cargo("deny --offline check licenses bans sources"))
}

fn documentation() -> Command {
    let mut doc = cargo("doc --no-deps --workspace --all-features");
    doc.env("RUSTDOCFLAGS", "-D warnings");
    doc
}
