//! Reports on what a tenant's users and programs did.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Caller, Service};
use crate::call::{CallError, RecentErrors};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::{Metrics, average_millis, share};
use crate::period::{Period, PeriodQuery};
use crate::plan::Feature;
use crate::store::{Read, Snapshot};
use crate::tenant::Space;
use crate::usage::{Bucket, Counter, CounterRange, ErrorCategory, Latency, Route, Span};

/// What happened in a period.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The period.
    pub period: Period,
    /// All of it.
    pub whole: Metrics,
    /// Each of its windows.
    pub windows: Vec<Metrics>,
}

/// Response times of one route, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteTimes {
    /// The mean.
    pub avg: f64,
    /// Half of the calls took no longer. This and those that follow are right to within 3.2 %.
    pub p50: f64,
    /// 95 of 100 calls took no longer.
    pub p95: f64,
    /// 99 of 100 calls took no longer.
    pub p99: f64,
}

/// What is going on.
#[derive(Clone, Debug, PartialEq)]
pub struct Realtime {
    /// This clock hour.
    pub current_hour: Metrics,
    /// This clock hour and the 23 before.
    pub last_24_hours: Metrics,
    /// Response times by route, of this clock hour and the one before.
    pub response_times: BTreeMap<String, RouteTimes>,
    /// Calls answered with an error among all, of this clock hour and the one before; `None` without a call.
    pub error_rate: Option<f64>,
    /// As of when.
    pub at: Timestamp,
}

/// What went wrong in a period.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorReport {
    /// The period.
    pub period: Period,
    /// How many errors.
    pub total: u64,
    /// By category; each is there.
    pub by_category: BTreeMap<ErrorCategory, u64>,
    /// By route; only those with errors.
    pub by_route: BTreeMap<String, u64>,
    /// The last hundred, newest first, of whichever time.
    pub recent: Vec<CallError>,
}

impl Service {
    /// What happened in a period.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::PlanLimit`] without the feature, [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn analytics(&self, caller: &Caller, query: &PeriodQuery) -> Result<Report, Error> {
        self.may_analyse(caller).await?;
        let period = Period::parse(query, self.now())?;
        let (mut whole, mut windows) = self.metrics(caller.space, &period).await?;
        let unique = self.unique_users(caller.space, &period).await?;
        whole.unique_users = unique.whole;
        for ((metrics, window), unique) in windows.iter_mut().zip(&period.windows).zip(unique.windows) {
            let is_hour = Span::Hour.end(window.from) == window.until;
            metrics.unique_users = unique.or(is_hour.then_some(metrics.hourly_users));
        }
        Ok(Report { period, whole, windows })
    }

    async fn may_analyse(&self, caller: &Caller) -> Result<(), Error> {
        caller.may_manage()?;
        match self.current(caller).await?.plan.features.contains(&Feature::Analytics) {
            true => Ok(()),
            false => Err(Error::PlanLimit("analytics")),
        }
    }

    /// The counts of a period and of each of its windows, all as of one moment; without unique users.
    pub(super) async fn metrics(&self, space: Space, period: &Period) -> Result<(Metrics, Vec<Metrics>), Error> {
        let range = |counter| CounterRange::new(space, counter, Span::Hour, period.from(), period.until());
        let seen = self.inner.store.read(Metrics::COUNTERS.map(range).map(Read::Counters).to_vec()).await?;
        let (mut whole, mut windows) = (Metrics::default(), vec![Metrics::default(); period.windows.len()]);
        for (key, count) in &seen.counters {
            whole.add(key.counter, *count);
            if let Some(window) = period.window_of(key.starts_at) {
                windows[window].add(key.counter, *count);
            }
        }
        Ok((whole, windows))
    }

    /// What is going on now, as far as servers have written it down: calls are, every few seconds.
    ///
    /// # Errors
    /// [`Error::PlanLimit`] without the feature, [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn realtime(&self, caller: &Caller) -> Result<Realtime, Error> {
        self.may_analyse(caller).await?;
        let now = self.now();
        let (this_hour, until) = (Span::Hour.start(now), Span::Hour.end(now));
        let since = |hours: u64| this_hour - Duration::from_secs(hours * 3_600);
        let range = |counter, from| CounterRange::new(caller.space, counter, Span::Hour, from, until);
        let times = Counter::ResponseTimes(Bucket::of(Duration::ZERO), Route::ALL);
        let lately = [times, Counter::RouteMicros(Route::ALL), Counter::FailedCalls].map(|of| range(of, since(1)));
        let calls = range(Counter::ApiCalls, since(1));
        let mut wanted = Metrics::COUNTERS.map(|counter| Read::Counters(range(counter, since(23)))).to_vec();
        wanted.extend(lately.map(Read::Counters));
        let seen = self.inner.store.read(wanted).await?;
        let [mut current_hour, mut last_24_hours] = [Metrics::default(), Metrics::default()];
        for (key, count) in &seen.counters {
            last_24_hours.add(key.counter, *count);
            if key.starts_at == this_hour {
                current_hour.add(key.counter, *count);
            }
        }
        current_hour.unique_users = Some(current_hour.hourly_users);
        let [failed, calls] = [lately[2], calls].map(|range| seen.counts(range).map(|(_, count)| count).sum());
        let error_rate = share(failed, calls);
        let response_times = route_times(&seen, lately[0], lately[1]);
        Ok(Realtime { current_hour, last_24_hours, response_times, error_rate, at: now })
    }

    /// What went wrong in a period.
    ///
    /// # Errors
    /// As [`analytics`](Self::analytics).
    pub async fn errors(&self, caller: &Caller, query: &PeriodQuery) -> Result<ErrorReport, Error> {
        self.may_analyse(caller).await?;
        let period = Period::parse(query, self.now())?;
        let any = Counter::Errors(ErrorCategory::Internal, Route::ALL);
        let range = CounterRange::new(caller.space, any, Span::Hour, period.from(), period.until());
        let recent = Read::Record(RecentErrors::key_of(caller.space));
        let seen = self.inner.store.read(vec![Read::Counters(range), recent]).await?;
        let mut by_category: BTreeMap<_, u64> = ErrorCategory::ALL.map(|category| (category, 0)).into();
        let mut by_route: BTreeMap<String, u64> = BTreeMap::new();
        for (key, count) in seen.counts(range) {
            let Counter::Errors(category, route) = key.counter else { continue };
            *by_category.entry(category).or_default() += count;
            *by_route.entry(route.as_str().to_owned()).or_default() += count;
        }
        let total = by_category.values().sum();
        let recent = seen.one::<RecentErrors>().map(|recent| recent.errors.clone()).unwrap_or_default();
        Ok(ErrorReport { period, total, by_category, by_route, recent })
    }
}

fn route_times(seen: &Snapshot, times: CounterRange, micros: CounterRange) -> BTreeMap<String, RouteTimes> {
    let mut routes: BTreeMap<Route, (Latency, u64)> = BTreeMap::new();
    for (key, count) in seen.counts(times).chain(seen.counts(micros)) {
        match key.counter {
            Counter::ResponseTimes(bucket, route) => routes.entry(route).or_default().0.add(bucket, count),
            Counter::RouteMicros(route) => routes.entry(route).or_default().1 += count,
            _ => {}
        }
    }
    let told = |(route, (latency, micros)): (Route, (Latency, u64))| {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| latency.quantile(share));
        let avg = average_millis(micros, latency.calls())?;
        Some((route.as_str().to_owned(), RouteTimes { avg, p50: p50?, p95: p95?, p99: p99? }))
    };
    routes.into_iter().filter_map(told).collect()
}
