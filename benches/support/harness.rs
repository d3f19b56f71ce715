//! Criterion as the benches use it, and its results as rows.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use criterion::Criterion;
use serde_json::Value;

use crate::row::{Row, percent, time};

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/criterion");

/// Criterion, and where it writes.
pub struct Harness {
    /// What benchmarks are added to.
    pub criterion: Criterion,
    started_at: SystemTime,
}

impl Default for Harness {
    /// With the arguments of the command line.
    fn default() -> Self {
        let criterion = Criterion::default()
            .without_plots()
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(3))
            .sample_size(30)
            .output_directory(Path::new(RESULTS))
            .configure_from_args();
        Self { criterion, started_at: SystemTime::now() }
    }
}

impl Harness {
    /// The median of a benchmark of this run; `None` if a filter left it out.
    pub fn median(&self, id: &str) -> Option<Duration> {
        let path: PathBuf = [RESULTS, id, "new", "estimates.json"].iter().collect();
        let written_at = path.metadata().and_then(|file| file.modified()).ok()?;
        if written_at < self.started_at {
            return None;
        }
        let estimates: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        Some(Duration::from_secs_f64(estimates["median"]["point_estimate"].as_f64()? / 1e9))
    }

    /// Prints the row of one benchmark beside another, with the processor time of a call where that was counted.
    pub fn row(&self, id: &str, baseline: &str, words: &str, cpu: Option<Duration>) {
        let (Some(measured), Some(base)) = (self.median(id), self.median(baseline)) else { return };
        let ratio = percent(base.as_secs_f64(), measured.as_secs_f64());
        let row = Row::new(id, time(measured)).against(format!("{words} {}", time(base)), ratio);
        cpu.into_iter().fold(row, Row::cpu).print();
    }

    /// Prints the row of one benchmark, and how much of it is not the other.
    pub fn row_over(&self, id: &str, baseline: &str, words: &str) {
        let (Some(measured), Some(base)) = (self.median(id), self.median(baseline)) else { return };
        let over = measured.saturating_sub(base);
        Row::new(id, time(measured)).against(format!("{words} {}", time(base)), format!("+{}", time(over))).print();
    }

    /// Prints the row of one benchmark by itself.
    pub fn row_alone(&self, id: &str) {
        if let Some(measured) = self.median(id) {
            Row::new(id, time(measured)).print();
        }
    }
}
