//! A store that notes what is written, so that the same can be written by hand.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use otp_core::store::{
    Changes, Decide, Due, Item, Key, Kind, Lease, MemoryStore, Place, Read, Reads, Record, Settled, SmallBytes,
    Snapshot, Store, StoreError,
};
use otp_core::usage::CounterKey;
use otp_core::{TenantId, Timestamp};

/// What one command writes: rows as a store has them, with nothing left to be turned into text.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The records.
    pub puts: Vec<Put>,
    /// The counts.
    pub adds: Vec<(CounterKey, u64)>,
}

/// One record's row.
#[derive(Clone, Debug)]
pub struct Put {
    /// Kind, tenant and id.
    pub key: Key,
    /// Whether the row is inserted; else it is there and is updated.
    pub is_new: bool,
    /// What lists are asked by.
    pub owner: Option<SmallBytes>,
    /// The second key.
    pub alias: Option<SmallBytes>,
    /// The place in the queue.
    pub due: Due,
    /// The end.
    pub expires_at: Option<Timestamp>,
    /// The rest.
    pub body: Arc<str>,
}

impl Put {
    fn of(record: &Record, is_new: bool) -> Self {
        Self {
            key: record.key(),
            is_new,
            owner: record.owner(),
            alias: record.alias(),
            due: record.due(),
            expires_at: record.expires_at(),
            body: record.body().into(),
        }
    }
}

/// [`MemoryStore`], and what was written to it.
#[derive(Default)]
pub struct Capture {
    store: MemoryStore,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    known: HashSet<Key>,
    written: Vec<Rows>,
}

impl Capture {
    /// What was written since the last time, one entry a command.
    pub fn written(&self) -> Vec<Rows> {
        std::mem::take(&mut self.seen().written)
    }

    fn note(&self, changes: &Changes, settled: Option<&Record>) {
        let mut seen = self.seen();
        let records = changes.creates.iter().chain(&changes.puts).chain(settled);
        let puts = records.map(|record| Put::of(record, seen.known.insert(record.key()))).collect();
        let adds = changes.adds.iter().map(|add| (add.counter, add.by)).collect();
        seen.written.push(Rows { puts, adds });
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Capture {
    async fn transact(&self, reads: Reads, mut decide: Decide) -> Result<(), StoreError> {
        let last = Arc::new(Mutex::new(Changes::none()));
        let slot = Arc::clone(&last);
        let decide = move |seen: &Snapshot| {
            let changes = decide(seen);
            slot.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&changes);
            changes
        };
        self.store.transact(reads, Box::new(decide)).await?;
        self.note(&last.lock().unwrap_or_else(PoisonError::into_inner), None);
        Ok(())
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        self.store.read(wanted).await
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.store.claim(queue, lease, limit).await
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        settled.iter().for_each(|settled| self.note(&settled.also, Some(&settled.record)));
        self.store.settle(settled).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.sweep(now, limit).await
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.store.forget_counts(tenant, limit).await
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.store.inventory(after, limit).await
    }
}
