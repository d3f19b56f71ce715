//! The store contract: what a database has to do for the engine, and nothing about what the engine decides.
//!
//! A use case is a [`Command`]: it says what it must read, and a pure function turns what was read into an outcome and
//! [`Changes`]. A store runs *load, decide, apply* as one transaction under one exclusive [`Scope`]. The properties every
//! store has to have:
//!
//! 1. [`Store::transact`] is atomic, durable before `Ok`, and as if the commands of one scope ran one after another.
//! 2. Counters change only by [`Add`], until they are swept or forgotten. If a guard (`at_most`) would be passed, or a record to be created exists, nothing
//!    is written and the store loads and decides again: the command then sees why.
//! 3. Absent rows are covered by the scope: two first verifications create one user.
//! 4. Commands may share a commit; a later one sees the changes of the earlier ones; one that fails or panics takes no
//!    other with it.
//! 5. Dropping the future never commits half of anything.
//! 6. Time comes from the records and arguments, never from the database.
//!
//! Whoever writes a store runs [`conformance`] against it (feature `conformance`), which checks each of these.
//!
//! **Adding a kind of record** takes three places: its type here in core (listed in `record.rs`), its table in each store,
//! one case in the conformance suite.

#[cfg(feature = "conformance")]
pub mod conformance;
mod memory;
mod record;
mod shape;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

pub use memory::MemoryStore;
pub use record::{CorruptRecord, Due, FromRecord, Key, Kind, LeaseId, Record, SmallBytes, Stored};
pub use shape::Shape;

use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::subject::BucketKey;
use crate::usage::{CounterKey, CounterRange};

/// What a command has to itself while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// One recipient: its limits, challenges, user and sessions. The bucket folds the spellings of one mailbox together,
    /// so the scope covers every subject whose limits it shares.
    Subject(TenantId, BucketKey),
    /// One tenant: its standing, settings and keys.
    Tenant(TenantId),
}

impl Scope {
    /// Whose scope.
    pub fn tenant(&self) -> TenantId {
        match self {
            Scope::Subject(tenant, _) | Scope::Tenant(tenant) => *tenant,
        }
    }
}

/// One thing to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The record with this key.
    Record(Key),
    /// The record of this kind with this alias, of whichever tenant.
    Alias(Kind, SmallBytes),
    /// Records of this kind and owner, newest id first.
    Owned {
        /// Which kind.
        kind: Kind,
        /// Whose.
        owner: SmallBytes,
        /// Only those with a smaller id: the last one of the page before.
        before: Option<SmallBytes>,
        /// At most so many.
        limit: usize,
    },
    /// A count; one that was never added to is zero.
    Counter(CounterKey),
    /// All counts of a range that were ever added to, in the order of their keys.
    Counters(CounterRange),
}

impl Read {
    /// The first `limit` records of this kind and owner.
    pub fn owned<T: Stored>(owner: SmallBytes, limit: usize) -> Self {
        Read::Owned { kind: T::KIND, owner, before: None, limit }
    }

    /// The record of this kind with this alias.
    pub fn alias<T: Stored>(alias: impl Into<SmallBytes>) -> Self {
        Read::Alias(T::KIND, alias.into())
    }
}

/// What a command reads, and the scope it needs to itself.
#[derive(Clone, Debug)]
pub struct Reads {
    /// The scope.
    pub scope: Scope,
    /// What to see.
    pub wanted: Vec<Read>,
}

/// What was read. Records that do not exist are not in it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The records found, in the order of the reads.
    pub records: Vec<Record>,
    /// The counts asked for.
    pub counters: Vec<(CounterKey, u64)>,
}

impl Snapshot {
    /// All records of a type.
    pub fn all<T: Stored + 'static>(&self) -> impl Iterator<Item = &T> {
        self.records.iter().filter_map(T::of)
    }

    /// The first record of a type, where a command reads one of it.
    pub fn one<T: Stored + 'static>(&self) -> Option<&T> {
        self.all().next()
    }

    /// The counts of a range that was read.
    pub fn counts(&self, range: CounterRange) -> impl Iterator<Item = (&CounterKey, u64)> {
        self.counters.iter().filter(move |(key, _)| range.contains(key)).map(|(key, count)| (key, *count))
    }

    /// A count; zero if it was not read.
    pub fn counter(&self, key: &CounterKey) -> u64 {
        self.counters.iter().find(|(known, _)| known == key).map_or(0, |(_, count)| *count)
    }
}

/// Adds to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add {
    /// Which count.
    pub counter: CounterKey,
    /// By how much.
    pub by: u64,
    /// The value that must not be passed; `None` for a plain count.
    pub at_most: Option<u64>,
}

impl Add {
    /// Adds one, without a guard.
    pub fn one(counter: CounterKey) -> Self {
        Self { counter, by: 1, at_most: None }
    }
}

/// What a command wants written, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Records that must not exist yet.
    pub creates: Vec<Record>,
    /// Records written whether or not they exist; of the command's own scope, or fresh.
    pub puts: Vec<Record>,
    /// Records removed.
    pub deletes: Vec<Key>,
    /// Counts added to.
    pub adds: Vec<Add>,
}

impl Changes {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Nothing yet, but servers are told that what they cached of tenants and keys has changed.
    pub(crate) fn of_configuration() -> Self {
        Self { adds: vec![Add::one(CounterKey::CONFIGURATION)], ..Self::default() }
    }

    /// Writes a record.
    pub fn put(&mut self, record: impl Into<Record>) {
        self.puts.push(record.into());
    }

    /// Creates a record; if it exists, the command decides again.
    pub fn create(&mut self, record: impl Into<Record>) {
        self.creates.push(record.into());
    }
}

/// A decision, as a store runs it: pure, may run again, and the last run counts.
pub type Decide = Box<dyn FnMut(&Snapshot) -> Changes + Send>;

/// A use case.
pub trait Command: Send + 'static {
    /// What it comes to.
    type Outcome: Send + 'static;

    /// What has to be read for it.
    fn reads(&self) -> Reads;

    /// Whether it may write lines of the audit trail: where their chain ends is then read with the rest.
    fn is_recorded(&self) -> bool {
        false
    }

    /// The scope whose chain takes those lines: its own, or that of the tenant that it makes.
    fn recorded_in(&self) -> Scope {
        self.reads().scope
    }

    /// Decides: no clock, no randomness, no I/O. Everything it needs was gathered before.
    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes);
}

/// Runs a command and gives its outcome, once the changes are durable.
///
/// # Errors
/// As [`Store::transact`].
pub async fn run<C: Command>(store: &dyn Store, command: C) -> Result<C::Outcome, StoreError> {
    let reads = command.reads();
    let slot = Arc::new(Mutex::new(None));
    let filled = Arc::clone(&slot);
    let decide = Box::new(move |seen: &Snapshot| {
        let (outcome, changes) = command.decide(seen);
        *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        changes
    });
    store.transact(reads, decide).await?;
    let outcome = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome.ok_or_else(|| StoreError::Corrupt("the store committed without deciding".into()))
}

/// Work claimed from a queue until a time; afterwards somebody else may claim it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Whose lease.
    pub id: LeaseId,
    /// When it begins.
    pub now: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// What became of one claimed record.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The record's new state, with the owner and the alias that it had; its [`Due`] says whether it stays in the queue. An event
    /// never changes: of one that leaves only its place is written.
    pub record: Record,
    /// The lease it was claimed under.
    pub lease: LeaseId,
    /// What else is written with it.
    pub also: Changes,
}

/// One thing that a store holds.
#[derive(Clone, Debug)]
pub enum Item {
    /// A record.
    Record(Box<Record>),
    /// A count that was added to, and what it stands at.
    Count(CounterKey, u64),
}

/// Where an [`Item`] stands among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A record's.
    Record(Key),
    /// A count's.
    Count(CounterKey),
}

impl Item {
    /// Where it stands.
    pub fn place(&self) -> Place {
        match self {
            Item::Record(record) => Place::Record(record.key()),
            Item::Count(counter, _) => Place::Count(*counter),
        }
    }
}

/// What went wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much waits already; nothing happened.
    #[error("the store is busy")]
    Busy,
    /// The database cannot be reached or written; nothing happened.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke during the commit, which may have happened: nothing may be handed out.
    #[error("the outcome of a commit is unknown")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is stored cannot be understood.
    #[error("the store holds what cannot be read")]
    Corrupt(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A database. Used as `Arc<dyn Store>`; see the [module](self) for what it has to guarantee.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Loads, decides and applies as one durable transaction under the scope.
    ///
    /// # Errors
    /// [`StoreError`]; only after [`StoreError::Unknown`] may the changes have been written.
    async fn transact(&self, reads: Reads, decide: Decide) -> Result<(), StoreError>;

    /// Reads committed state at one point in time, off the write path.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError>;

    /// Takes up to `limit` records of a queue that are due, earliest first; until the lease ends or the record is
    /// settled, nobody else gets them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// Writes what became of claimed records. One whose lease has passed to another is skipped, with what goes with it.
    /// Gives how many were written.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError>;

    /// Removes up to `limit` records and counts that expired before `now`; gives how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// Removes up to `limit` counts of a tenant, of both its modes; gives how many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError>;

    /// Up to `limit` of all things stored, those that stand behind `after`: the records, kind by kind in the order of
    /// [`Kind::ALL`], then the counts, each in an order of the store's own that never changes; of records by tenant and id, or
    /// by id and tenant. What is written meanwhile may or may not be among them. For copies, for checks of the whole, and for
    /// whoever looks on.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError>;
}

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn transact(&self, reads: Reads, decide: Decide) -> Result<(), StoreError> {
        (**self).transact(reads, decide).await
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        (**self).read(wanted).await
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        (**self).claim(queue, lease, limit).await
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        (**self).settle(settled).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        (**self).sweep(now, limit).await
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        (**self).forget_counts(tenant, limit).await
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        (**self).inventory(after, limit).await
    }
}
