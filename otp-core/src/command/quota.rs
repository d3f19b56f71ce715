//! The plan's quotas of a day and of a month.

use std::cmp::Reverse;

use crate::clock::Timestamp;
use crate::limit::Allowance;
use crate::plan::Plan;
use crate::store::{Read, Snapshot};
use crate::tenant::Space;
use crate::usage::{Counter, CounterKey, Span};

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
