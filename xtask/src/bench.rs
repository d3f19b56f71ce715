//! `cargo xtask bench`: the benchmarks of `otp-benches`.

use anyhow::Result;

use crate::process::{self, cargo};

/// Runs the benchmarks whose name contains `filter`, or all of them.
pub fn run(filter: Option<&str>) -> Result<()> {
    let mut benches = cargo("bench --profile fast -p otp-benches");
    if let Some(filter) = filter {
        benches.args(["--", filter]);
    }
    process::run(benches)
}
