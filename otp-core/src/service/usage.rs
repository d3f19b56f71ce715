//! What a tenant has used, and what its plan includes.

use super::{Caller, Service};
use crate::call::StorageUse;
use crate::clock::Timestamp;
use crate::command::Quotas;
use crate::error::Error;
use crate::id::TenantId;
use crate::metrics::Metrics;
use crate::period::{Period, PeriodQuery};
use crate::plan::{Feature, Plan};
use crate::store::Read;
use crate::usage::{Counter, CounterKey, Span};

/// What was used of one limit of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// The limit; `None` without one.
    pub limit: Option<u64>,
    /// How much of it is used.
    pub used: u64,
    /// When it is renewed, if it is.
    pub reset_at: Option<Timestamp>,
}

impl QuotaUse {
    /// What is left; `None` without a limit.
    pub fn remaining(&self) -> Option<u64> {
        Some(self.limit?.saturating_sub(self.used))
    }
}

/// A day in UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageDay {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// What was counted.
    pub metrics: Metrics,
    /// Bytes of all records of the tenant, both modes, as measured last before the day's end; `None` before the first
    /// measuring.
    pub storage_used: Option<u64>,
    /// Until when it is counted.
    pub last_updated: Timestamp,
}

/// What a tenant has used.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageView {
    /// Whose usage.
    pub tenant: TenantId,
    /// The month in UTC, `YYYY-MM`.
    pub month: String,
    /// The whole month.
    pub metrics: Metrics,
    /// Its days up to today, the earliest first.
    pub days: Vec<UsageDay>,
    /// When storage was measured last.
    pub storage_measured_at: Option<Timestamp>,
    /// Codes asked for today.
    pub requests_today: QuotaUse,
    /// Codes asked for this month.
    pub requests_this_month: QuotaUse,
    /// Users there are.
    pub users: QuotaUse,
}

/// A tenant's plan, and the next one on offer.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanView {
    /// The plan.
    pub plan: Plan,
    /// The next one.
    pub next: Option<Plan>,
    /// What the next one would add.
    pub added: Vec<Feature>,
}

impl Service {
    /// What the tenant has used this month, in the caller's mode.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn usage(&self, caller: &Caller) -> Result<UsageView, Error> {
        caller.may_manage()?;
        let (now, space) = (self.now(), caller.space);
        let today = now.to_string()[..10].to_owned();
        let query = PeriodQuery { start_date: Some(format!("{}-01", &today[..7])), ..PeriodQuery::default() };
        let period = Period::parse(&query, now)?;
        let (metrics, windows) = self.metrics(space, &period).await?;
        let context = self.current(caller).await?;
        let quotas = Quotas { plan: &context.plan, space, now };
        let [users, erased] =
            [Counter::Users, Counter::UsersErased].map(|counter| CounterKey::at(space, counter, Span::Ever, now));
        let mut wanted = vec![Read::Record(StorageUse::key_of(space.tenant))];
        wanted.extend([users, erased].map(Read::Counter));
        wanted.extend(quotas.reads());
        let seen = self.inner.store.read(wanted).await?;
        let storage = seen.one::<StorageUse>();
        let requests = |span: Span| QuotaUse {
            limit: quotas.limit(span),
            used: seen.counter(&quotas.requests(span)),
            reset_at: Some(span.end(now)),
        };
        let days = period.windows.iter().zip(windows).map(|(window, metrics)| UsageDay {
            date: window.label.clone(),
            metrics,
            storage_used: storage.and_then(|storage| storage.before(window.until)).map(|(_, bytes)| bytes),
            last_updated: window.until.min(now),
        });
        Ok(UsageView {
            tenant: space.tenant,
            month: today[..7].to_owned(),
            metrics,
            days: days.collect(),
            storage_measured_at: storage.and_then(|storage| storage.measured.last()).map(|(at, _)| *at),
            requests_today: requests(Span::Day),
            requests_this_month: requests(Span::Month),
            users: QuotaUse {
                limit: context.plan.users.filter(|_| space.is_billed()),
                used: seen.counter(&users).saturating_sub(seen.counter(&erased)),
                reset_at: None,
            },
        })
    }

    /// The tenant's plan.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn plan(&self, caller: &Caller) -> Result<PlanView, Error> {
        caller.may_manage()?;
        let plan = self.current(caller).await?.plan.clone();
        let next = self.inner.plans.after(&plan.name).cloned();
        let offered = next.iter().flat_map(|next| next.features.iter().copied());
        let added = offered.filter(|feature| !plan.features.contains(feature)).collect();
        Ok(PlanView { plan, next, added })
    }
}
