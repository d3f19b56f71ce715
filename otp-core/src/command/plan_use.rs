//! What a tenant uses of its plan, held against another plan.

use super::quota::Quotas;
use crate::clock::Timestamp;
use crate::error::{Error, InvalidField};
use crate::id::TenantId;
use crate::plan::{Feature, Plan};
use crate::store::{Read, Snapshot};
use crate::tenant::{Mode, Space, Tenant};
use crate::usage::{Counter, CounterKey, Span};

/// A tenant's use at a time, and the plan that it is to fit in.
pub(super) struct InUse<'a> {
    pub tenant: TenantId,
    pub plan: &'a Plan,
    pub now: Timestamp,
}

impl InUse<'_> {
    /// What has to be read to know.
    pub fn reads(&self) -> Vec<Read> {
        let mut reads: Vec<Read> = self.users().map(Read::Counter).into();
        reads.extend(self.quotas().reads());
        reads
    }

    /// What does not fit, by the name of its limit.
    pub fn above(&self, tenant: &Tenant, seen: &Snapshot) -> Vec<InvalidField> {
        let quotas = self.quotas();
        let requests = |span| (seen.counter(&quotas.requests(span)), quotas.limit(span));
        let ((day, per_day), (month, per_month)) = (requests(Span::Day), requests(Span::Month));
        let [there, erased] = self.users().map(|counter| seen.counter(&counter));
        let counted = [
            ("users", there.saturating_sub(erased), self.plan.users),
            ("otpRequestsPerDay", day, per_day),
            ("otpRequestsPerMonth", month, per_month),
        ];
        let above = |(field, used, limit): (&'static str, u64, Option<u64>)| {
            let limit = limit.filter(|limit| used > *limit)?;
            Some(below_use(field, format!("{used} are in use, the plan allows {limit}")))
        };
        let mut all: Vec<InvalidField> = counted.into_iter().filter_map(above).collect();
        if tenant.settings.webhook.url.is_some() && !self.plan.features.contains(&Feature::Webhooks) {
            all.push(below_use("webhookUrl", "events are sent to it, and the plan has no webhooks".to_owned()));
        }
        let is_asked = tenant.settings.hooks.targets().iter().any(|(_, target)| target.url.is_some());
        if is_asked && !self.plan.features.contains(&Feature::Webhooks) {
            all.push(below_use("hooks", "a service is asked by hooks, and the plan has no webhooks".to_owned()));
        }
        all
    }

    fn quotas(&self) -> Quotas<'_> {
        Quotas { plan: self.plan, space: self.space(), now: self.now }
    }

    /// Those that ever were, and those of them that were erased.
    fn users(&self) -> [CounterKey; 2] {
        [Counter::Users, Counter::UsersErased]
            .map(|counter| CounterKey::at(self.space(), counter, Span::Ever, self.now))
    }

    fn space(&self) -> Space {
        Space { tenant: self.tenant, mode: Mode::Live }
    }
}

fn below_use(field: &'static str, message: String) -> InvalidField {
    Error::invalid_field("plan_below_use", field, message)
}
