//! `cargo xtask bench`: builds the server and the benchmarks, runs them, and prints their rows as one table.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process::{self, cargo};

/// Those that take no disk first.
const BENCHES: [&str; 12] = [
    "passcode",
    "totp",
    "token",
    "api_key",
    "decide",
    "memory_store",
    "sqlite_store",
    "sqlite_flatness",
    "postgres_store",
    "delivery",
    "webhooks",
    "http",
];
/// Named in every step, so that cargo chooses the same features of their dependencies and builds these once.
const BUILT: &str = "--profile fast -p otp-server -p otp-benches";
const COLUMNS: [&str; 6] = ["name", "measured", "baseline", "ratio", "CPU per call", "memory"];

type Cells = Vec<String>;

/// Runs the benchmarks whose name contains `filter`, or all of them.
///
/// # Errors
/// When no name contains it, when something does not build, or when a benchmark fails. None fails for being slow.
pub fn run(filter: Option<&str>) -> Result<()> {
    let chosen: Vec<_> = BENCHES.into_iter().filter(|name| name.contains(filter.unwrap_or_default())).collect();
    ensure!(!chosen.is_empty(), "there is no such benchmark, but {}", BENCHES.join(", "));
    process::run(cargo(&format!("build {BUILT} --bin otp-server --benches")))?;
    let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
    for name in chosen {
        rows.extend(rows_of(name)?);
    }
    println!();
    lines(&rows).iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Runs one with its output shown, except its rows.
fn rows_of(name: &str) -> Result<Vec<Cells>> {
    let mut bench: Command = cargo(&format!("bench --quiet {BUILT} --bench {name}"));
    let mut running = bench.stdout(Stdio::piped()).spawn().context("`cargo bench` could not be started")?;
    let output = running.stdout.take().context("a bench without output")?;
    let mut rows = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        match cells(&line) {
            Some(row) => rows.push(row),
            None => println!("{line}"),
        }
    }
    let status = running.wait()?;
    ensure!(status.success(), "the benchmark `{name}` ended with {status}");
    Ok(rows)
}

/// The cells of a line that is a row.
fn cells(line: &str) -> Option<Cells> {
    let row: Cells = line.strip_prefix("row\t")?.split('\t').map(str::to_owned).collect();
    (row.len() == COLUMNS.len()).then_some(row)
}

/// The rows with their columns aligned.
fn lines(rows: &[Cells]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &Cells| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_all_its_cells() {
        let row = cells("row\tdecide/request\t2.1 µs\t\t\t\t").unwrap();
        assert_eq!((row.len(), row[0].as_str(), row[1].as_str(), row[5].as_str()), (6, "decide/request", "2.1 µs", ""));
        assert_eq!(cells("row\tcut off"), None);
        assert_eq!(cells("decide/request  time: [2.0 µs 2.1 µs 2.2 µs]"), None);
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let row = |name: &str, measured: &str| [name, measured, "", "80 %", "", ""].map(str::to_owned).to_vec();
        let lines = lines(&[row("a", "2.1 µs"), row("longer", "11/s")]);
        assert_eq!(lines, ["a       2.1 µs    80 %", "longer  11/s      80 %"]);
    }
}
