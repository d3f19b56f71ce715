//! Response times as log-linear histograms, which merge by addition.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Buckets of one power of two. With sixteen, the middle of a bucket is within 1/32 (3.2 %) of everything in it.
const PER_OCTAVE: u64 = 16;
/// Nineteen hours; what takes longer counts as that.
const LONGEST: u64 = (1 << 36) - 1;

/// A range of response times. Up to 16 µs one for each microsecond, from there on sixteen for each power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket that this falls into.
    pub fn of(took: Duration) -> Self {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST).min(LONGEST);
        if micros < PER_OCTAVE {
            return Self(micros as u16);
        }
        let octave = u64::from(micros.ilog2() - PER_OCTAVE.ilog2());
        Self(((octave + 1) * PER_OCTAVE + (micros >> octave) - PER_OCTAVE) as u16)
    }

    /// Its middle, in microseconds.
    pub fn middle(self) -> f64 {
        let index = u64::from(self.0);
        if index < PER_OCTAVE {
            return index as f64;
        }
        let octave = index / PER_OCTAVE - 1;
        let lowest = (index % PER_OCTAVE + PER_OCTAVE) << octave;
        (lowest + ((1 << octave) - 1) / 2) as f64
    }

    pub(super) const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    pub(super) const fn from_bytes(bytes: [u8; 2]) -> Self {
        Self(u16::from_be_bytes(bytes))
    }
}

/// How long calls took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency(BTreeMap<Bucket, u64>);

impl Latency {
    /// Adds so many calls.
    pub fn add(&mut self, bucket: Bucket, calls: u64) {
        *self.0.entry(bucket).or_default() += calls;
    }

    /// How many calls.
    pub fn calls(&self) -> u64 {
        self.0.values().sum()
    }

    /// The time in milliseconds within which `share` (0 to 1) of the calls were answered, to within 3.2 %; `None` without
    /// a call.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.calls() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.0.iter().find(|(_, calls)| {
            seen += **calls;
            seen >= rank
        });
        found.map(|(bucket, _)| bucket.middle() / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_bucket_is_near_everything_in_it() {
        let mut previous = Bucket(0);
        for micros in (0..70_000).chain((17..36).flat_map(|power| (0..64).map(move |part| (64 + part) << (power - 6))))
        {
            let bucket = Bucket::of(Duration::from_micros(micros));
            let error = (bucket.middle() - micros as f64).abs();
            assert!(error <= micros as f64 / 32.0, "{micros} in {bucket:?}: {}", bucket.middle());
            assert!(bucket == previous || bucket.0 == previous.0 + 1 || micros > 70_000, "{micros}");
            assert!(bucket >= previous);
            assert_eq!(Bucket::from_bytes(bucket.to_bytes()), bucket);
            previous = bucket;
        }
        assert_eq!(Bucket::of(Duration::MAX), Bucket::of(Duration::from_micros(LONGEST)));
    }

    #[test]
    fn a_quantile_is_that_of_the_sorted_calls() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        let mut calls: Vec<u64> = (1..=1_000).map(|number| number * number % 99_991 + 20).collect();
        calls.iter().for_each(|micros| latency.add(Bucket::of(Duration::from_micros(*micros)), 1));
        calls.sort_unstable();
        for share in [0.001, 0.5, 0.9, 0.95, 0.99, 1.0] {
            let exact = calls[(share * 1000.0) as usize - 1] as f64 / 1000.0;
            let found = latency.quantile(share).unwrap();
            assert!((found - exact).abs() <= exact / 32.0, "{share}: {found} for {exact}");
        }
    }
}
