//! One job within the writer's transaction: load, decide, admit, apply.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use otp_core::store::{Changes, Decide, Due, Kind, Lease, Read, Reads, Record, Settled, Snapshot, StoreError};
use otp_core::usage::CounterKey;
use otp_core::{TenantId, Timestamp};

use crate::error::Failure;
use crate::rows;
use crate::statements::{Op, Prepared, Query, Statements};

/// How often a decision is tried again before the store gives up.
const TRIES: usize = 16;

/// What is to be done.
pub(crate) enum Work {
    Transact(Reads, Decide),
    Claim(Kind, Lease, usize),
    Settle(Vec<Settled>),
    Sweep(Timestamp, usize),
    ForgetCounts(TenantId, usize),
}

/// What became of it.
pub(crate) enum Done {
    Transacted,
    Claimed(Vec<Record>),
    Count(usize),
}

/// A count within one transaction: what the file says, if it was asked, and what was added since. Only the sum of a batch
/// is written, so a counter that every job adds to costs one row.
#[derive(Default)]
struct Count {
    stored: Option<u64>,
    added: u64,
}

/// The open transaction, and what it has yet to write.
pub(crate) struct Transaction<'a> {
    db: Statements<'a>,
    counts: HashMap<CounterKey, Count>,
    /// Whether a user was erased whose rows may still stand in the log.
    erased: bool,
}

impl<'a> Transaction<'a> {
    pub fn new(db: Statements<'a>) -> Self {
        Self { db, counts: HashMap::new(), erased: false }
    }

    /// Whether the log still holds pages of somebody who was erased.
    pub fn has_erased(&self) -> bool {
        self.erased
    }

    /// After an erasure, empties the log. While somebody reads from it that is not possible; it is tried again after the next
    /// commit.
    pub fn forget_erased(&mut self) {
        if !self.db.in_transaction() {
            self.erased = self.db.empty_log().is_err();
        }
    }

    pub fn begin(&mut self) -> rusqlite::Result<()> {
        self.counts.clear();
        self.db.execute(Query::Begin)
    }

    pub fn commit(&mut self) -> rusqlite::Result<()> {
        self.db.execute(Query::Commit)
    }

    /// Undoes everything since [`begin`](Self::begin), unless SQLite has done so already.
    pub fn roll_back(&mut self) {
        if self.db.in_transaction() {
            // If even this fails the next `begin` says so, and nothing is committed any more.
            let _ = self.db.execute(Query::Rollback);
        }
    }

    pub fn run(&mut self, work: &mut Work) -> Result<Done, Failure> {
        match work {
            Work::Transact(reads, decide) => self.transact(reads, decide).map(|()| Done::Transacted),
            Work::Claim(queue, lease, limit) => self.claim(*queue, *lease, *limit).map(Done::Claimed),
            Work::Settle(settled) => self.settle(settled).map(Done::Count),
            Work::Sweep(now, limit) => self.sweep(*now, *limit).map(Done::Count),
            Work::ForgetCounts(tenant, limit) => self.forget_counts(*tenant, *limit).map(Done::Count),
        }
    }

    /// Nobody else writes meanwhile, so what was read stays true while the command decides again.
    fn transact(&mut self, reads: &Reads, decide: &mut Decide) -> Result<(), Failure> {
        let seen = self.load(&reads.wanted)?;
        for _ in 0..TRIES {
            let changes = catch_unwind(AssertUnwindSafe(|| decide(&seen))).map_err(|_| panicked())?;
            if self.admits(&changes)? {
                return Ok(self.apply(&changes, &seen.records)?);
            }
        }
        Err(Failure::Refused(StoreError::Busy))
    }

    fn load(&mut self, wanted: &[Read]) -> Result<Snapshot, Failure> {
        let mut seen = Snapshot::default();
        for read in wanted {
            match read {
                Read::Counter(key) => seen.counters.push((*key, self.count(key)?)),
                Read::Counters(range) => {
                    self.write_counts()?;
                    seen.counters.extend(rows::count_range(&mut self.db, range)?);
                }
                record => rows::load(&mut self.db, record, &mut seen.records)?,
            }
        }
        Ok(seen)
    }

    fn count(&mut self, key: &CounterKey) -> rusqlite::Result<u64> {
        let count = self.counts.entry(*key).or_default();
        let stored = match count.stored {
            Some(stored) => stored,
            None => *count.stored.insert(stored_count(&mut self.db, key)?),
        };
        Ok(stored.saturating_add(count.added))
    }

    fn admits(&mut self, changes: &Changes) -> rusqlite::Result<bool> {
        for (index, add) in changes.adds.iter().enumerate() {
            let Some(most) = add.at_most else { continue };
            let same = changes.adds[..=index].iter().filter(|earlier| earlier.counter == add.counter);
            let sum: u64 = same.map(|add| add.by).fold(0, u64::saturating_add);
            if self.count(&add.counter)?.saturating_add(sum) > most {
                return Ok(false);
            }
        }
        for record in &changes.creates {
            if rows::exists(&mut self.db, &record.key())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `seen` are records that are known to exist.
    fn apply(&mut self, changes: &Changes, seen: &[Record]) -> rusqlite::Result<()> {
        for record in changes.creates.iter().chain(&changes.puts) {
            if seen.iter().any(|seen| is_found_alike(seen, record)) {
                rows::update(&mut self.db, record)?;
            } else {
                rows::put(&mut self.db, record)?;
            }
        }
        for key in &changes.deletes {
            rows::delete(&mut self.db, key)?;
            self.erased |= key.kind == Kind::User;
        }
        for add in &changes.adds {
            let count = self.counts.entry(add.counter).or_default();
            count.added = count.added.saturating_add(add.by);
        }
        Ok(())
    }

    /// A row that cannot be read is leased like the others: it must not keep what stands behind it from being claimed.
    fn claim(&mut self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, Failure> {
        if !queue.shape().queue {
            return Ok(Vec::new());
        }
        let due = Due { at: Some(lease.until), lease: Some(lease.id) };
        let (mut claimed, mut unreadable) = (Vec::new(), None);
        let found = rows::due_records(&mut self.db, queue, lease.now, limit)?;
        if !found.is_empty() {
            rows::lease(&mut self.db, queue, lease.now, limit, due)?;
        }
        for record in found {
            match record {
                Ok(mut record) => {
                    record.set_due(due);
                    claimed.push(record);
                }
                Err(corrupt) => unreadable = Some(corrupt),
            }
        }
        match unreadable {
            Some(corrupt) if claimed.is_empty() => Err(corrupt.into()),
            _ => Ok(claimed),
        }
    }

    fn settle(&mut self, settled: &[Settled]) -> Result<usize, Failure> {
        let mut written = 0;
        for Settled { record, lease, also } in settled {
            if rows::settle(&mut self.db, record, lease)? {
                self.apply(also, &[])?;
                written += 1;
            }
        }
        Ok(written)
    }

    fn sweep(&mut self, now: Timestamp, limit: usize) -> Result<usize, Failure> {
        let mut removed = 0;
        for kind in Kind::ALL.iter().filter(|kind| kind.shape().expires) {
            removed += rows::sweep(&mut self.db, Query::Of(*kind, Op::Sweep), now, limit - removed)?;
        }
        self.write_counts()?;
        removed += rows::sweep(&mut self.db, Query::SweepCounters, now, limit - removed)?;
        Ok(removed)
    }

    fn forget_counts(&mut self, tenant: TenantId, limit: usize) -> Result<usize, Failure> {
        self.write_counts()?;
        Ok(rows::forget_counts(&mut self.db, tenant, limit)?)
    }

    /// Writes what was added to the counts, and forgets what they were.
    pub fn write_counts(&mut self) -> rusqlite::Result<()> {
        for (key, count) in self.counts.drain().filter(|(_, count)| count.added > 0) {
            self.db.with(Query::AddTo, |add| {
                add.raw_bind_parameter(1, key.to_bytes())?;
                add.raw_bind_parameter(2, rows::clamp(count.added))?;
                add.raw_bind_parameter(3, key.expires_at().map(Timestamp::as_millis))?;
                add.raw_execute().map(drop)
            })?;
        }
        Ok(())
    }
}

fn panicked() -> Failure {
    Failure::Refused(StoreError::Corrupt("a command panicked".into()))
}

/// Whether it is the same record, with the same owner and alias.
fn is_found_alike(one: &Record, other: &Record) -> bool {
    one.key() == other.key() && one.owner() == other.owner() && one.alias() == other.alias()
}

/// What the file says of a count.
pub(crate) fn stored_count(db: &mut impl Prepared, key: &CounterKey) -> rusqlite::Result<u64> {
    db.with(Query::Count, |count| {
        count.raw_bind_parameter(1, key.to_bytes())?;
        let value = count.raw_query().next()?.map(|row| row.get::<_, i64>(0)).transpose()?;
        Ok(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
    })
}
