//! What was measured of one sort of call. Runs of two things that are compared take turns, so that whatever else the
//! machine does meanwhile falls on both.

use std::time::Duration;

use crate::row::{percent, rate, time};

/// So often the compared ones take turns.
pub const TURNS: usize = 4;

/// Calls of one sort, so far.
#[derive(Default)]
pub struct Run {
    /// How many.
    pub calls: usize,
    /// From the first to the last of each turn.
    pub took: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// How long each took, where that is known.
    pub spans: Vec<Duration>,
    /// Commits that they shared, where that is known.
    pub commits: u32,
}

impl Run {
    /// Adds another turn.
    pub fn add(&mut self, turn: Run) {
        self.calls += turn.calls;
        self.took += turn.took;
        self.cpu += turn.cpu;
        self.spans.extend(turn.spans);
        self.commits += turn.commits;
    }

    /// Calls a second.
    pub fn per_second(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64()
    }

    /// User and system time of one call.
    pub fn cpu_per_call(&self) -> Duration {
        self.cpu / self.calls as u32
    }

    /// Calls that shared a commit.
    pub fn per_commit(&self) -> f64 {
        self.calls as f64 / f64::from(self.commits)
    }

    /// What `share` of the calls did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut spans = self.spans.clone();
        spans.sort_unstable();
        let last = spans.len().saturating_sub(1);
        spans.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }

    /// Rate, median and 99th percentile.
    pub fn words(&self) -> String {
        let [p50, p99] = [0.5, 0.99].map(|share| time(self.quantile(share)));
        format!("{}, p50 {p50}, p99 {p99}", rate(self.calls, self.took))
    }

    /// Its calls a second as a share of the other's.
    pub fn rate_beside(&self, base: &Run) -> String {
        percent(self.per_second(), base.per_second())
    }

    /// Its processor time as a share of the other's.
    pub fn cpu_beside(&self, base: &Run) -> String {
        percent(self.cpu_per_call().as_secs_f64(), base.cpu_per_call().as_secs_f64())
    }
}
