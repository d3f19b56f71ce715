//! The reference store: everything in memory, one lock, gone with the process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Add, Changes, Decide, Due, Key, Kind, Lease, Read, Reads, Record, Settled, SmallBytes, Snapshot, Store};
use super::{Item, LeaseId, Place, StoreError};
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::usage::CounterKey;

/// How often a decision is tried again before the store gives up: each time something it had not seen was in its way.
const TRIES: usize = 16;

/// A store in memory. It shows in the plainest form what a store has to do, and the others are compared with it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

/// Nobody chooses keys that collide: they are digests and random ids.
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

#[derive(Debug, Default)]
struct Tables {
    records: Map<Key, Record>,
    owned: Map<(Kind, SmallBytes), BTreeSet<(SmallBytes, TenantId)>>,
    aliases: Map<(Kind, SmallBytes), Key>,
    due: BTreeSet<(Kind, Timestamp, Key)>,
    expiring: BTreeSet<(Timestamp, Key)>,
    counters: BTreeMap<CounterKey, u64>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn transact(&self, reads: Reads, mut decide: Decide) -> Result<(), StoreError> {
        let mut tables = self.tables();
        for _ in 0..TRIES {
            let seen = tables.load(&reads.wanted);
            let changes = catch_unwind(AssertUnwindSafe(|| decide(&seen)))
                .map_err(|_| StoreError::Corrupt("a command panicked".into()))?;
            if tables.admits(&changes) {
                tables.apply(changes);
                return Ok(());
            }
        }
        Err(StoreError::Busy)
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        Ok(self.tables().load(&wanted))
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        let mut tables = self.tables();
        let first = Key { kind: queue, tenant: TenantId::from_bytes([0; 16]), id: SmallBytes::EMPTY };
        let from = (queue, Timestamp::from_millis(i64::MIN), first);
        let is_due = |entry: &&(Kind, Timestamp, Key)| entry.0 == queue && entry.1 <= lease.now;
        let keys: Vec<Key> = tables.due.range(from..).take_while(is_due).take(limit).map(|(.., key)| *key).collect();
        let claimed = keys.iter().filter_map(|key| {
            let mut record = tables.record(key)?;
            record.set_due(Due { at: Some(lease.until), lease: Some(lease.id) });
            tables.put(record.clone());
            Some(record)
        });
        Ok(claimed.collect())
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        let mut tables = self.tables();
        let mut written = 0;
        for Settled { record, lease, also } in settled {
            if tables.holds(&record.key(), lease) {
                tables.put(record);
                tables.apply(also);
                written += 1;
            }
        }
        Ok(written)
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut tables = self.tables();
        let expired = |entry: &&(Timestamp, Key)| entry.0 < now;
        let keys: Vec<Key> = tables.expiring.iter().take_while(expired).take(limit).map(|(_, key)| *key).collect();
        keys.iter().for_each(|key| tables.delete(key));
        let room = limit - keys.len();
        let stale = |counter: &&CounterKey| counter.expires_at().is_some_and(|end| end < now);
        let counters: Vec<CounterKey> = tables.counters.keys().filter(stale).take(room).copied().collect();
        for counter in &counters {
            tables.counters.remove(counter);
        }
        Ok(keys.len() + counters.len())
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        let mut tables = self.tables();
        let theirs = |counter: &&CounterKey| counter.tenant() == tenant;
        let counters: Vec<CounterKey> = tables.counters.keys().filter(theirs).take(limit).copied().collect();
        for counter in &counters {
            tables.counters.remove(counter);
        }
        Ok(counters.len())
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        let tables = self.tables();
        let mut keys: Vec<&Key> = match after {
            Some(Place::Count(_)) => Vec::new(),
            Some(Place::Record(after)) => tables.records.keys().filter(|key| **key > after).collect(),
            None => tables.records.keys().collect(),
        };
        keys.sort_unstable();
        let records = keys
            .into_iter()
            .filter_map(|key| tables.records.get(key).cloned())
            .map(|record| Item::Record(record.into()));
        let counts = match after {
            Some(Place::Count(after)) => tables.counters.range((Bound::Excluded(after), Bound::Unbounded)),
            _ => tables.counters.range(..),
        };
        Ok(records.chain(counts.map(|(counter, count)| Item::Count(*counter, *count))).take(limit).collect())
    }
}

impl Tables {
    fn load(&self, wanted: &[Read]) -> Snapshot {
        let mut seen = Snapshot::default();
        for read in wanted {
            match read {
                Read::Record(key) => seen.records.extend(self.record(key)),
                Read::Alias(kind, alias) => {
                    let key = self.aliases.get(&(*kind, *alias));
                    seen.records.extend(key.and_then(|key| self.record(key)));
                }
                Read::Owned { kind, owner, before, limit } => {
                    let page = self.page(*kind, *owner, *before, *limit);
                    seen.records.extend(page);
                }
                Read::Counter(key) => seen.counters.push((*key, self.count(key))),
                Read::Counters(range) => {
                    let counts = self.counters.range(range.first()..range.end());
                    seen.counters.extend(counts.map(|(key, count)| (*key, *count)));
                }
            }
        }
        seen
    }

    fn record(&self, key: &Key) -> Option<Record> {
        self.records.get(key).cloned()
    }

    fn page(&self, kind: Kind, owner: SmallBytes, before: Option<SmallBytes>, limit: usize) -> Vec<Record> {
        let Some(ids) = self.owned.get(&(kind, owner)) else { return Vec::new() };
        let newest_first = ids.iter().rev().filter(|(id, _)| before.is_none_or(|before| *id < before));
        let record = |&(id, tenant): &(SmallBytes, TenantId)| self.record(&Key { kind, tenant, id });
        newest_first.take(limit).filter_map(record).collect()
    }

    fn count(&self, key: &CounterKey) -> u64 {
        self.counters.get(key).copied().unwrap_or(0)
    }

    fn admits(&self, changes: &Changes) -> bool {
        let fits = |add: &Add| add.at_most.is_none_or(|most| self.count(&add.counter) + add.by <= most);
        let absent = |record: &Record| !self.records.contains_key(&record.key());
        changes.adds.iter().all(fits) && changes.creates.iter().all(absent)
    }

    fn apply(&mut self, changes: Changes) {
        changes.creates.into_iter().chain(changes.puts).for_each(|record| self.put(record));
        changes.deletes.iter().for_each(|key| self.delete(key));
        for add in changes.adds {
            *self.counters.entry(add.counter).or_default() += add.by;
        }
    }

    fn put(&mut self, record: Record) {
        let key = record.key();
        if let Some(present) = self.records.get_mut(&key) {
            let stays = present.owner() == record.owner()
                && present.alias() == record.alias()
                && present.due().at == record.due().at
                && present.expires_at() == record.expires_at();
            if stays {
                *present = record;
                return;
            }
            self.delete(&key);
        }
        if let Some(owner) = record.owner() {
            self.owned.entry((key.kind, owner)).or_default().insert((key.id, key.tenant));
        }
        if let Some(alias) = record.alias() {
            self.aliases.insert((key.kind, alias), key);
        }
        if let Some(at) = record.due().at {
            self.due.insert((key.kind, at, key));
        }
        if let Some(at) = record.expires_at() {
            self.expiring.insert((at, key));
        }
        self.records.insert(key, record);
    }

    fn delete(&mut self, key: &Key) {
        let Some(record) = self.records.remove(key) else { return };
        if let Some(owner) = record.owner() {
            let ids = self.owned.entry((key.kind, owner)).or_default();
            ids.remove(&(key.id, key.tenant));
            if ids.is_empty() {
                self.owned.remove(&(key.kind, owner));
            }
        }
        if let Some(alias) = record.alias() {
            self.aliases.remove(&(key.kind, alias));
        }
        if let Some(at) = record.due().at {
            self.due.remove(&(key.kind, at, *key));
        }
        if let Some(at) = record.expires_at() {
            self.expiring.remove(&(at, *key));
        }
    }

    fn holds(&self, key: &Key, lease: LeaseId) -> bool {
        self.records.get(key).is_some_and(|record| record.due().lease == Some(lease))
    }
}
