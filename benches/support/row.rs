//! One row of the table that `cargo xtask bench` prints.

use std::time::Duration;

/// What was measured of one thing. Rows are printed as lines of cells between tabs, which xtask collects.
pub struct Row {
    name: String,
    measured: String,
    baseline: String,
    ratio: String,
    cpu: String,
    memory: String,
}

impl Row {
    /// A row with nothing to compare it to.
    pub fn new(name: impl Into<String>, measured: impl Into<String>) -> Self {
        let none = String::new;
        Self {
            name: name.into(),
            measured: measured.into(),
            baseline: none(),
            ratio: none(),
            cpu: none(),
            memory: none(),
        }
    }

    /// What it is compared to, and how.
    pub fn against(self, baseline: impl Into<String>, ratio: impl Into<String>) -> Self {
        Self { baseline: baseline.into(), ratio: ratio.into(), ..self }
    }

    /// User and system time of one call.
    pub fn cpu(self, per_call: Duration) -> Self {
        Self { cpu: time(per_call), ..self }
    }

    /// Resident memory.
    pub fn memory(self, text: impl Into<String>) -> Self {
        Self { memory: text.into(), ..self }
    }

    /// Prints it.
    pub fn print(self) {
        let Self { name, measured, baseline, ratio, cpu, memory } = self;
        println!("row\t{name}\t{measured}\t{baseline}\t{ratio}\t{cpu}\t{memory}");
    }
}

/// A duration to three digits.
pub fn time(span: Duration) -> String {
    let nanos = span.as_nanos() as f64;
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e4 => format!("{:.2} µs", nanos / 1e3),
        ..1e5 => format!("{:.1} µs", nanos / 1e3),
        ..1e6 => format!("{:.0} µs", nanos / 1e3),
        ..1e8 => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.0} ms", nanos / 1e6),
    }
}

/// A number of calls a second.
pub fn rate(calls: usize, took: Duration) -> String {
    format!("{:.0}/s", calls as f64 / took.as_secs_f64())
}

/// How much of the baseline was reached.
pub fn percent(measured: f64, baseline: f64) -> String {
    format!("{:.0} %", 100.0 * measured / baseline)
}
