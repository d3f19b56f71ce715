//! Alarms: what a tenant is told of without asking, when its calls or its messages go wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::EventData;
use crate::notice::{About, Notice};
use crate::service::RecentCalls;

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// Too many calls fail.
    ErrorRate,
    /// Calls take too long.
    Latency,
    /// Messages are given up.
    Undelivered,
}

impl AlarmKind {
    /// For how long it is not raised again.
    pub const fn rest(self) -> Duration {
        match self {
            AlarmKind::ErrorRate | AlarmKind::Latency => Duration::from_secs(3_600),
            AlarmKind::Undelivered => Duration::from_secs(86_400),
        }
    }
}

/// Of fewer calls no share is told: of three, one that fails says nothing.
const FEWEST_CALLS: u64 = 20;
/// Above so many faulty ones among a hundred calls an alarm is raised.
const FAULTY_PERCENT: u64 = 5;
/// What 95 of 100 calls should not take longer than.
pub(crate) const SLOWEST: Duration = Duration::from_millis(500);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Alarm {
    ErrorRate(RecentCalls),
    Latency { p95: f64 },
    Undelivered { failed: u64 },
}

impl Alarm {
    /// What goes wrong with these calls and with the messages of the last day, of which so many were given up.
    pub fn all(calls: RecentCalls, undelivered: u64) -> Vec<Self> {
        let tells = calls.calls >= FEWEST_CALLS;
        let is_faulty = tells && calls.faulty * 100 > calls.calls * FAULTY_PERCENT;
        let slow = calls.p95.filter(|p95| tells && *p95 > millis(SLOWEST));
        let error_rate = is_faulty.then_some(Alarm::ErrorRate(calls));
        let undelivered = (undelivered > 0).then_some(Alarm::Undelivered { failed: undelivered });
        error_rate.into_iter().chain(slow.map(|p95| Alarm::Latency { p95 })).chain(undelivered).collect()
    }

    /// What it is about.
    pub const fn kind(&self) -> AlarmKind {
        match self {
            Alarm::ErrorRate(_) => AlarmKind::ErrorRate,
            Alarm::Latency { .. } => AlarmKind::Latency,
            Alarm::Undelivered { .. } => AlarmKind::Undelivered,
        }
    }

    /// Its event. Latency has none, and messages that were given up have one each.
    pub fn event(&self) -> Option<EventData> {
        let Alarm::ErrorRate(calls) = self else { return None };
        Some(EventData::ErrorRateHigh {
            failed: calls.faulty,
            requests: calls.calls,
            error_rate: calls.faulty as f64 / calls.calls as f64,
            since: calls.since,
        })
    }

    /// Its mail.
    pub fn notice(&self, about: About) -> Notice {
        match *self {
            Alarm::ErrorRate(calls) => Notice::ErrorRate { about, failed: calls.faulty, requests: calls.calls },
            Alarm::Latency { p95 } => {
                Notice::Latency { about, p95_millis: p95.ceil() as u64, limit_millis: millis(SLOWEST) as u64 }
            }
            Alarm::Undelivered { failed } => Notice::Undelivered { about, failed },
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
