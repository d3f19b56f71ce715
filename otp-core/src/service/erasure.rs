//! Tenants that their owners have ended are erased when their time has come.

use std::collections::BTreeMap;

use super::storage::let_others;
use super::{Client, Service};
use crate::audit::Actor;
use crate::command::{ErasePage, FinishErasure};
use crate::error::Error;
use crate::id::TenantId;
use crate::member::Membership;
use crate::store::{FromRecord, Item, Key, Kind, Read, Stored};
use crate::tenant::Tenant;

/// What is read at once, and removed at once of one tenant.
const PAGE: usize = 500;
/// Tenants that one read gives.
const TENANTS: usize = 200;

impl Service {
    /// Erases the tenants that were ended by an owner 30 days ago: every record of every kind, then what was counted, the
    /// tenant itself last, so that a run that was broken off is done again. Gives how many. Once a day is
    /// enough; where nothing is due it costs a list of the tenants, else a look at all that is stored.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn erase_tenants(&self) -> Result<usize, Error> {
        let due = self.tenants_to_erase().await?;
        if due.is_empty() {
            return Ok(0);
        }
        let mut after = None;
        loop {
            let page = self.inner.store.inventory(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            let place = last.place();
            for (tenant, keys) in held(&due, &page) {
                self.run(ErasePage { tenant, keys, now: self.now() }).await?;
            }
            after = Some(place);
            let_others().await;
        }
        for tenant in &due {
            while self.inner.store.forget_counts(*tenant, PAGE).await? > 0 {
                let_others().await;
            }
            let trail = self.trail_of_installation(Actor::Service, &Client::default());
            self.change(FinishErasure { tenant: *tenant, trail }).await?;
        }
        Ok(due.len())
    }

    async fn tenants_to_erase(&self) -> Result<Vec<TenantId>, Error> {
        let (mut due, mut before) = (Vec::new(), None);
        loop {
            let page = Read::Owned { kind: Kind::Tenant, owner: Tenant::ALL, before, limit: TENANTS };
            let seen = self.inner.store.read(vec![page]).await?;
            let is_due = |tenant: &&Tenant| tenant.is_to_be_erased(self.now());
            due.extend(seen.all::<Tenant>().filter(is_due).map(|tenant| tenant.id));
            before = seen.all::<Tenant>().last().map(|tenant| tenant.id.as_bytes().into());
            if seen.all::<Tenant>().count() < TENANTS {
                return Ok(due);
            }
        }
    }
}

/// What of a page is held of these tenants, each member's seat with its membership.
fn held(due: &[TenantId], page: &[Item]) -> BTreeMap<TenantId, Vec<Key>> {
    let mut held: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for item in page {
        let Item::Record(record) = item else { continue };
        let key = record.key();
        if key.kind != Kind::Tenant && due.contains(&key.tenant) {
            let keys = held.entry(key.tenant).or_default();
            keys.push(key);
            keys.extend(Membership::of(record).map(|membership| membership.seat().key()));
        }
    }
    held
}
