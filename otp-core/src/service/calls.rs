//! Calls of the API. They have no commit of their own: they are counted in memory and written down every few seconds, so
//! that a process that dies loses what it counted since.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::{Service, lock};
use crate::call::{Call, CallError, RECENT};
use crate::clock::Timestamp;
use crate::command::{AddCounts, NoteErrors};
use crate::error::Error;
use crate::metrics::share;
use crate::store::{Add, Read, StoreError};
use crate::tenant::Space;
use crate::usage::{Bucket, Counter, CounterKey, CounterRange, ErrorCategory, Latency, Route, Span};

/// Counts that are kept in memory. More are not begun until these are written down.
const COUNTS: usize = 100_000;
/// Spaces whose errors are kept in memory.
const SPACES: usize = 1_000;
/// Counts that are written in one commit.
const BATCH: usize = 1_000;

/// What was counted since the last flush.
#[derive(Default)]
pub(super) struct NotedCalls {
    counts: HashMap<CounterKey, u64>,
    errors: HashMap<Space, Vec<CallError>>,
}

impl NotedCalls {
    fn add(&mut self, counter: CounterKey, by: u64) {
        let has_room = self.counts.len() < COUNTS;
        match self.counts.entry(counter) {
            Entry::Occupied(mut count) => *count.get_mut() += by,
            Entry::Vacant(count) if has_room => drop(count.insert(by)),
            Entry::Vacant(_) => {}
        }
    }

    fn add_error(&mut self, space: Space, error: CallError) {
        if self.errors.len() >= SPACES && !self.errors.contains_key(&space) {
            return;
        }
        let errors = self.errors.entry(space).or_default();
        if errors.len() == RECENT {
            errors.remove(0);
        }
        errors.push(error);
    }
}

/// The calls of about the last five minutes, on all servers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecentCalls {
    /// How many.
    pub calls: u64,
    /// How many of them were answered with an error.
    pub failed: u64,
    /// Those among all, 0 to 1; `None` without a call.
    pub error_rate: Option<f64>,
    /// How many failed by a [fault](Call::is_faulty).
    pub faulty: u64,
    /// Milliseconds within which 95 of 100 calls were answered; `None` without a call.
    pub p95: Option<f64>,
    /// Since when they were counted.
    pub since: Timestamp,
}

impl Service {
    /// Notes a call that was answered for somebody of this space. Cheap: nothing is written before
    /// [`flush_calls`](Self::flush_calls).
    pub fn note_call(&self, space: Space, call: Call) {
        let now = self.now();
        let (bucket, micros) = (Bucket::of(call.took), u64::try_from(call.took.as_micros()).unwrap_or(u64::MAX));
        let mut noted = lock(&self.inner.calls);
        let mut add = |counter, span, by| noted.add(CounterKey::at(space, counter, span, now), by);
        for span in [Span::Hour, Span::FiveMinutes] {
            add(Counter::ApiCalls, span, 1);
            if call.error.is_some() {
                add(Counter::FailedCalls, span, 1);
            }
        }
        if call.is_faulty() {
            add(Counter::FaultyCalls, Span::FiveMinutes, 1);
        }
        add(Counter::CallMicros, Span::Hour, micros);
        add(Counter::RouteMicros(call.route), Span::Hour, micros);
        add(Counter::ResponseTimes(bucket, call.route), Span::Hour, 1);
        add(Counter::ResponseTimes(bucket, Route::ALL), Span::FiveMinutes, 1);
        if call.is_alarming() {
            self.note_trouble(space);
        }
        if let Some((category, code)) = call.error {
            add(Counter::Errors(category, call.route), Span::Hour, 1);
            drop(noted);
            self.note_error(space, category, code, call.route);
        }
    }

    /// Keeps an error among the last ones. Its code names nothing personal.
    pub(super) fn note_error(&self, space: Space, category: ErrorCategory, code: &str, route: Route) {
        let (code, route) = (code.to_owned(), route.as_str().to_owned());
        lock(&self.inner.calls).add_error(space, CallError { at: self.now(), category, code, route });
    }

    /// Writes down what was noted of calls. Call it every few seconds, and at the end.
    ///
    /// # Errors
    /// [`Error::Store`]; what was certainly not written is noted again.
    pub async fn flush_calls(&self) -> Result<(), Error> {
        let noted = std::mem::take(&mut *lock(&self.inner.calls));
        let mut outcome = Ok(());
        let counts: Vec<(CounterKey, u64)> = noted.counts.into_iter().collect();
        for counts in counts.chunks(BATCH) {
            let adds = counts.iter().map(|(counter, by)| Add { counter: *counter, by: *by, at_most: None });
            if let Err(error) = self.run(AddCounts(adds.collect())).await {
                if is_undone(&error) {
                    let mut again = lock(&self.inner.calls);
                    counts.iter().for_each(|(counter, by)| again.add(*counter, *by));
                }
                outcome = Err(error);
            }
        }
        for (space, mut errors) in noted.errors {
            errors.reverse();
            if let Err(error) = self.run(NoteErrors { space, errors: errors.clone() }).await {
                if is_undone(&error) {
                    let mut again = lock(&self.inner.calls);
                    errors.into_iter().rev().for_each(|error| again.add_error(space, error));
                }
                outcome = Err(error);
            }
        }
        outcome
    }

    /// How the calls of a space have fared lately: between five and ten minutes, as far as servers have written it down.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn recent_calls(&self, space: Space) -> Result<RecentCalls, Error> {
        let now = self.now();
        let from = Span::FiveMinutes.start(now) - Duration::from_secs(300);
        let range = |counter| CounterRange::new(space, counter, Span::FiveMinutes, from, Span::FiveMinutes.end(now));
        let times = Counter::ResponseTimes(Bucket::of(Duration::ZERO), Route::ALL);
        let wanted = [Counter::ApiCalls, Counter::FailedCalls, times, Counter::FaultyCalls].map(range);
        let seen = self.inner.store.read(wanted.map(Read::Counters).to_vec()).await?;
        let sum = |range| seen.counts(range).map(|(_, count)| count).sum();
        let [calls, failed, faulty] = [wanted[0], wanted[1], wanted[3]].map(sum);
        let mut latency = Latency::default();
        for (key, count) in seen.counts(wanted[2]) {
            if let Counter::ResponseTimes(bucket, _) = key.counter {
                latency.add(bucket, count);
            }
        }
        let (error_rate, p95) = (share(failed, calls), latency.quantile(0.95));
        Ok(RecentCalls { calls, failed, error_rate, faulty, p95, since: from })
    }
}

/// Whether nothing was written.
fn is_undone(error: &Error) -> bool {
    !matches!(error, Error::Store(StoreError::Unknown(_)))
}
