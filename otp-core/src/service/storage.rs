//! How much each tenant's records take, measured once a day.

use std::collections::HashMap;
use std::task::Poll;

use super::Service;
use crate::call::StorageUse;
use crate::command::{BeginMeasuring, NoteStorage};
use crate::error::Error;
use crate::id::TenantId;
use crate::store::Item;

/// What is read at once.
const PAGE: usize = 500;

impl Service {
    /// Measures what the records of all tenants take, unless that was begun today in UTC; tells whether it was done. Call
    /// it every hour or so. One that is broken off is done again the next day.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn measure_storage(&self) -> Result<bool, Error> {
        let at = self.now();
        if !self.run(BeginMeasuring { now: at }).await? {
            return Ok(false);
        }
        let mut sums: HashMap<TenantId, u64> = HashMap::new();
        let mut after = None;
        loop {
            let page = self.inner.store.inventory(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            for item in &page {
                let (tenant, bytes) = size(item);
                *sums.entry(tenant).or_default() += bytes;
            }
            let_others().await;
        }
        sums.remove(&StorageUse::INSTALLATION);
        for (tenant, bytes) in sums {
            self.run(NoteStorage { tenant, at, bytes }).await?;
        }
        Ok(true)
    }
}

/// Key and body, without what the database adds.
fn size(item: &Item) -> (TenantId, u64) {
    match item {
        Item::Record(record) => {
            let key = record.key();
            (key.tenant, (key.tenant.as_bytes().len() + key.id.as_slice().len() + record.body().len()) as u64)
        }
        Item::Count(counter, _) => (counter.tenant(), (counter.to_bytes().len() + size_of::<u64>()) as u64),
    }
}

/// Gives way once: a store may answer without ever waiting.
pub(super) async fn let_others() {
    let mut has_waited = false;
    std::future::poll_fn(|context| match std::mem::replace(&mut has_waited, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
