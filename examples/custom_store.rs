//! A store of one's own that passes the conformance suite: everything in memory, and every commit appended to a file as
//! one line of JSON, synced before it is acknowledged. Opening the file replays it.
//!
//! `cargo run -p otp-examples --example custom_store`, and `cargo test -p otp-examples --example custom_store` for the suite
//!
//! It shows what a store has to do, in the plainest way: look-ups are scans where a real one has indexes, the file is never
//! compacted, one lock stands for every scope, and a call blocks its thread while the disk writes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use otp_core::store::{
    Changes, Decide, Due, Item, Key, Kind, Lease, LeaseId, Place, Read, Reads, Record, Settled, SmallBytes, Snapshot,
    Store, StoreError,
};
use otp_core::usage::CounterKey;
use otp_core::{
    Address, KeyRing, Mode, NewTenant, OtpRequest, OtpVerification, Service, SystemRandom, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};

/// How often a decision is tried again: each time something it had not seen was in its way.
const TRIES: usize = 16;

/// The store.
pub struct JsonLines(Mutex<State>);

struct State {
    tables: Tables,
    log: File,
    /// After a write that failed nobody knows what the file holds, until it is read again.
    is_broken: bool,
}

#[derive(Default)]
struct Tables {
    records: BTreeMap<Key, Record>,
    counts: BTreeMap<CounterKey, u64>,
}

/// One thing that a commit does.
#[allow(clippy::large_enum_variant)] // a change lives for a moment; a box would cost more than it saves
enum Change {
    Put(Record),
    Delete(Key),
    Add(CounterKey, u64),
    Forget(CounterKey),
}

impl JsonLines {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// When the file cannot be read or written, is in use, or holds something else.
    pub fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let mut log = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        log.try_lock()?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        // A line without its end was being written when the process died: nobody was told that it is there.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        log.set_len(whole as u64)?;
        log.sync_all()?;
        let mut tables = Tables::default();
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            for written in serde_json::from_slice::<Vec<Written>>(line)? {
                tables.apply(written.read()?);
            }
        }
        Ok(Self(Mutex::new(State { tables, log, is_broken: false })))
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        // Nothing is left half done when a command panics: it is caught before anything changes.
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_broken { Err(StoreError::Unavailable("the file has to be opened again".into())) } else { Ok(state) }
    }
}

#[async_trait::async_trait]
impl Store for JsonLines {
    async fn transact(&self, reads: Reads, mut decide: Decide) -> Result<(), StoreError> {
        let mut state = self.state()?;
        for _ in 0..TRIES {
            let seen = state.tables.load(&reads.wanted);
            let changes = catch_unwind(AssertUnwindSafe(|| decide(&seen)))
                .map_err(|_| StoreError::Corrupt("a command panicked".into()))?;
            if state.tables.admits(&changes) {
                return state.commit(flat(changes));
            }
        }
        Err(StoreError::Busy)
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        Ok(self.state()?.tables.load(&wanted))
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        let mut state = self.state()?;
        let due_at = |record: &&Record| record.due().at;
        let is_due = |record: &&Record| record.due().at.is_some_and(|at| at <= lease.now);
        let mut due: Vec<&Record> = state.tables.of_kind(queue).filter(is_due).collect();
        due.sort_by_key(due_at);
        let mut claimed: Vec<Record> = due.into_iter().take(limit).cloned().collect();
        for record in &mut claimed {
            record.set_due(Due { at: Some(lease.until), lease: Some(lease.id) });
        }
        state.commit(claimed.iter().cloned().map(Change::Put).collect())?;
        Ok(claimed)
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        let mut state = self.state()?;
        let mut written = 0;
        for Settled { record, lease, also } in settled {
            let stored = state.tables.records.get(&record.key());
            if stored.is_some_and(|stored| stored.due().lease == Some(lease)) {
                let mut changes = flat(also);
                changes.push(Change::Put(record));
                state.commit(changes)?;
                written += 1;
            }
        }
        Ok(written)
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut state = self.state()?;
        let has_expired = |at: Option<Timestamp>| at.is_some_and(|at| at < now);
        let records = state.tables.records.iter().filter(|(_, record)| has_expired(record.expires_at()));
        let records = records.map(|(key, _)| Change::Delete(*key));
        let counts = state.tables.counts.keys().filter(|count| has_expired(count.expires_at()));
        let removed: Vec<Change> = records.chain(counts.map(|count| Change::Forget(*count))).take(limit).collect();
        let count = removed.len();
        state.commit(removed)?;
        Ok(count)
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        let mut state = self.state()?;
        let theirs = state.tables.counts.keys().filter(|count| count.tenant() == tenant);
        let removed: Vec<Change> = theirs.map(|count| Change::Forget(*count)).take(limit).collect();
        let count = removed.len();
        state.commit(removed)?;
        Ok(count)
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        let state = self.state()?;
        let records = state.tables.records.values().cloned().map(|record| Item::Record(record.into()));
        let counts = state.tables.counts.iter().map(|(counter, count)| Item::Count(*counter, *count));
        // Both are sorted maps, and the key of a record begins with its kind.
        let is_behind = |item: &Item| match (after, item.place()) {
            (Some(Place::Record(after)), Place::Record(key)) => key > after,
            (Some(Place::Count(_)), Place::Record(_)) => false,
            (Some(Place::Count(after)), Place::Count(counter)) => counter > after,
            (None, _) | (Some(Place::Record(_)), Place::Count(_)) => true,
        };
        Ok(records.chain(counts).filter(is_behind).take(limit).collect())
    }
}

/// A command's changes one after another. Whether they are admitted was asked before.
fn flat(changes: Changes) -> Vec<Change> {
    let puts = changes.creates.into_iter().chain(changes.puts).map(Change::Put);
    let deletes = changes.deletes.into_iter().map(Change::Delete);
    let adds = changes.adds.into_iter().map(|add| Change::Add(add.counter, add.by));
    puts.chain(deletes).chain(adds).collect()
}

impl State {
    /// Durable first, visible then.
    fn commit(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.append(&changes) {
            self.is_broken = true;
            return Err(StoreError::Unknown(error.into()));
        }
        changes.into_iter().for_each(|change| self.tables.apply(change));
        Ok(())
    }

    fn append(&mut self, changes: &[Change]) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(&changes.iter().map(Written::from).collect::<Vec<_>>())?;
        line.push(b'\n');
        self.log.write_all(&line)?;
        self.log.sync_data()
    }
}

impl Tables {
    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        self.records.values().filter(move |record| record.key().kind == kind)
    }

    fn load(&self, wanted: &[Read]) -> Snapshot {
        let mut seen = Snapshot::default();
        for read in wanted {
            match read {
                Read::Record(key) => seen.records.extend(self.records.get(key).cloned()),
                Read::Alias(kind, alias) => {
                    let named = |record: &&Record| record.alias() == Some(*alias);
                    seen.records.extend(self.of_kind(*kind).find(named).cloned());
                }
                Read::Owned { kind, owner, before, limit } => {
                    let on_page = |record: &&Record| {
                        record.owner() == Some(*owner) && before.is_none_or(|before| record.key().id < before)
                    };
                    let mut page: Vec<&Record> = self.of_kind(*kind).filter(on_page).collect();
                    page.sort_by_key(|record| Reverse(record.key().id));
                    seen.records.extend(page.into_iter().take(*limit).cloned());
                }
                Read::Counter(key) => seen.counters.push((*key, self.count(key))),
                Read::Counters(range) => {
                    let counts = self.counts.range(range.first()..range.end());
                    seen.counters.extend(counts.map(|(key, count)| (*key, *count)));
                }
            }
        }
        seen
    }

    fn count(&self, key: &CounterKey) -> u64 {
        self.counts.get(key).copied().unwrap_or(0)
    }

    /// Whether no guard would be passed, and nothing exists that is to be created.
    fn admits(&self, changes: &Changes) -> bool {
        let absent = |record: &Record| !self.records.contains_key(&record.key());
        let mut sums = BTreeMap::new();
        changes.creates.iter().all(absent)
            && changes.adds.iter().all(|add| {
                let sum = sums.entry(add.counter).or_insert_with(|| self.count(&add.counter));
                *sum += add.by;
                add.at_most.is_none_or(|most| *sum <= most)
            })
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Put(record) => drop(self.records.insert(record.key(), record)),
            Change::Delete(key) => drop(self.records.remove(&key)),
            Change::Add(counter, by) => *self.counts.entry(counter).or_default() += by,
            Change::Forget(counter) => drop(self.counts.remove(&counter)),
        }
    }
}

/// A [`Change`] as the file has it. What a record consists of is its body; where it stands in its queue comes beside it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Put { kind: String, due_at: Option<Timestamp>, lease: Option<LeaseId>, body: String },
    Delete { kind: String, tenant: TenantId, id: Vec<u8> },
    Add(CounterKey, u64),
    Forget(CounterKey),
}

impl From<&Change> for Written {
    fn from(change: &Change) -> Self {
        match change {
            Change::Put(record) => {
                let (kind, due) = (record.key().kind.name().to_owned(), record.due());
                Written::Put { kind, due_at: due.at, lease: due.lease, body: record.body() }
            }
            Change::Delete(Key { kind, tenant, id }) => {
                Written::Delete { kind: kind.name().to_owned(), tenant: *tenant, id: id.as_slice().to_vec() }
            }
            Change::Add(counter, by) => Written::Add(*counter, *by),
            Change::Forget(counter) => Written::Forget(*counter),
        }
    }
}

impl Written {
    fn read(self) -> Result<Change, Box<dyn Error>> {
        Ok(match self {
            Written::Put { kind, due_at, lease, body } => {
                Change::Put(Record::from_body(kind_named(&kind)?, &body, Due { at: due_at, lease })?)
            }
            Written::Delete { kind, tenant, id } => {
                Change::Delete(Key { kind: kind_named(&kind)?, tenant, id: SmallBytes::try_from_slice(&id)? })
            }
            Written::Add(counter, by) => Change::Add(counter, by),
            Written::Forget(counter) => Change::Forget(counter),
        })
    }
}

fn kind_named(name: &str) -> Result<Kind, Box<dyn Error>> {
    let found = Kind::ALL.iter().find(|kind| kind.name() == name);
    Ok(*found.ok_or_else(|| format!("there is no kind of record called {name}"))?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("otp.jsonl");
    let keys = KeyRing::generate(&SystemRandom);
    let service = Service::builder(JsonLines::open(&path)?, keys.clone()).build();
    let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await?.id;
    println!("first time: new user {}", sign_in(&service, tenant).await?);
    drop(service);

    let service = Service::builder(JsonLines::open(&path)?, keys).build();
    println!("opened again: new user {}", sign_in(&service, tenant).await?);
    println!("{} lines in the file", std::fs::read_to_string(&path)?.lines().count());
    Ok(())
}

/// Signs Ann in, and tells whether she is new.
async fn sign_in(service: &Service, tenant: TenantId) -> Result<bool, Box<dyn Error>> {
    let caller = service.program(tenant, Mode::Test).await?;
    let ann = Address::Email("ann@example.org".parse()?);
    let challenge = service.request_otp(&caller, OtpRequest::to(ann)).await?.value;
    let code = challenge.code.ok_or("test mode shows the code")?;
    let verification = OtpVerification::of(challenge.challenge_id, code.expose());
    Ok(service.verify_otp(&caller, verification).await?.value.is_new_user)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use otp_core::store::conformance::Fixture;

    use super::*;

    struct OneFile(tempfile::TempDir);

    impl Fixture for OneFile {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(JsonLines::open(&self.0.path().join("otp.jsonl")).unwrap())
        }
    }

    otp_core::conformance_tests!(OneFile(tempfile::tempdir().unwrap()));

    #[test]
    fn runs() {
        main().unwrap();
    }
}
