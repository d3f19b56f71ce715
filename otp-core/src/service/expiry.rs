//! Keys that end by themselves: their tenants are told a week before.

use std::collections::BTreeMap;

use super::Service;
use crate::api_key::ApiKey;
use crate::command::{KEYS, WarnOfKeys};
use crate::error::Error;
use crate::id::{EventId, KeyId, TenantId};
use crate::store::{Kind, Read};
use crate::tenant::{Tenant, TenantStatus};

/// Tenants whose keys one read gives.
const TENANTS: usize = 50;

impl Service {
    /// Tells tenants, by the event `api_key.expiring`, of the keys that end within seven days: once of each, and not of an
    /// end that was no further ahead when it was set. Gives how many were told of. Call it every hour; several at a time,
    /// by several servers, do no harm.
    ///
    /// # Errors
    /// [`Error::Store`]; the next call goes on with what is left.
    pub async fn warn_of_expiring_keys(&self) -> Result<usize, Error> {
        let (mut told, mut before) = (0, None);
        loop {
            let page = Read::Owned { kind: Kind::Tenant, owner: Tenant::ALL, before, limit: TENANTS };
            let seen = self.inner.store.read(vec![page]).await?;
            let tenants: Vec<&Tenant> = seen.all().collect();
            for (tenant, keys) in self.expiring_keys(&tenants).await? {
                told += self.run(WarnOfKeys { tenant, keys, now: self.now() }).await?;
            }
            before = tenants.last().map(|tenant| tenant.id.as_bytes().into());
            if tenants.len() < TENANTS {
                return Ok(told);
            }
        }
    }

    async fn expiring_keys(&self, tenants: &[&Tenant]) -> Result<BTreeMap<TenantId, Vec<(KeyId, EventId)>>, Error> {
        let open = tenants.iter().filter(|tenant| tenant.status != TenantStatus::Cancelled);
        let keys = open.map(|tenant| Read::owned::<ApiKey>(tenant.id.as_bytes().into(), KEYS));
        let (seen, now) = (self.inner.store.read(keys.collect()).await?, self.now());
        let mut expiring: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for key in seen.all::<ApiKey>().filter(|key| key.is_expiring(now)) {
            expiring.entry(key.tenant).or_default().push((key.id, EventId::new(now, self.random())));
        }
        Ok(expiring)
    }
}
