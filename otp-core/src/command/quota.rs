//! The plan's quotas of a day and of a month.

use std::cmp::Reverse;

use crate::clock::Timestamp;
use crate::event::EventData;
use crate::limit::Allowance;
use crate::plan::Plan;
use crate::store::{Read, Snapshot};
use crate::tenant::Space;
use crate::usage::{Counter, CounterKey, Span};

/// Percent of a quota at which its tenant is warned.
const WARNED_AT: u64 = 80;

/// A count at which the tenant is told how much of its quota is used.
pub(crate) struct Reached {
    pub span: Span,
    pub used: u64,
    pub limit: u64,
    pub renewed_at: Timestamp,
}

impl Reached {
    /// What is told.
    pub fn event(&self) -> EventData {
        let period = if self.span == Span::Day { "day" } else { "month" }.to_owned();
        let Self { used, limit, renewed_at, .. } = *self;
        match used < limit {
            true => EventData::QuotaWarning { period, used, limit, renewed_at },
            false => EventData::QuotaExceeded { period, used, limit, renewed_at },
        }
    }
}

/// The quotas of a space at a time.
pub(crate) struct Quotas<'a> {
    pub plan: &'a Plan,
    pub space: Space,
    pub now: Timestamp,
}

impl Quotas<'_> {
    /// The count of codes asked for.
    pub fn requests(&self, span: Span) -> CounterKey {
        CounterKey::at(self.space, Counter::OtpRequests, span, self.now)
    }

    /// What has to be read to know what is left.
    pub fn reads(&self) -> [Read; 2] {
        [Span::Day, Span::Month].map(|span| Read::Counter(self.requests(span)))
    }

    /// The limit of a span, where one applies.
    pub fn limit(&self, span: Span) -> Option<u64> {
        let limit = match span {
            Span::Day => self.plan.otp_per_day,
            Span::Month => self.plan.otp_per_month,
            Span::FiveMinutes | Span::Hour | Span::Ever => None,
        };
        limit.filter(|_| self.space.is_billed())
    }

    /// The count that the next request makes, if it is one to tell of.
    pub fn reached(&self, seen: &Snapshot, span: Span) -> Option<Reached> {
        let (used, limit) = (self.next(seen, span), self.limit(span)?);
        let is_told = used == limit || used == warned_at(limit);
        is_told.then(|| Reached { span, used, limit, renewed_at: span.end(self.now) })
    }

    /// What the next request must not count beyond: not past the limit, and not onto or past a count that is told of
    /// without knowing it. So of racing requests exactly one tells.
    pub fn ceiling(&self, seen: &Snapshot, span: Span) -> Option<u64> {
        let (used, limit) = (self.next(seen, span), self.limit(span)?);
        let told = warned_at(limit);
        let steps = [told.saturating_sub(1), told, limit.saturating_sub(1)];
        Some(steps.into_iter().find(|step| used <= *step).unwrap_or(limit))
    }

    fn next(&self, seen: &Snapshot, span: Span) -> u64 {
        seen.counter(&self.requests(span)) + 1
    }

    /// What is left, of the nearer of day and month; `None` where no quota applies.
    pub fn left(&self, seen: &Snapshot) -> Option<Allowance> {
        let allowance = |span: Span| {
            let limit = self.limit(span)?;
            let remaining = limit.saturating_sub(seen.counter(&self.requests(span)));
            Some(Allowance { limit, remaining, reset_at: span.end(self.now) })
        };
        // Of two that are used up, the one that is renewed later is the one to wait for.
        let nearer = |allowance: &Allowance| (allowance.remaining, Reverse(allowance.reset_at));
        [Span::Day, Span::Month].into_iter().filter_map(allowance).min_by_key(nearer)
    }
}

fn warned_at(limit: u64) -> u64 {
    limit / 100 * WARNED_AT + (limit % 100 * WARNED_AT).div_ceil(100)
}
