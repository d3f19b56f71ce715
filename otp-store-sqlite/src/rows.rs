//! Records to rows and back.

use otp_core::store::{CorruptRecord, Due, Key, Kind, LeaseId, Read, Record, SmallBytes};
use otp_core::usage::{CounterKey, CounterRange};
use otp_core::{TenantId, Timestamp};
use rusqlite::types::{FromSqlError, ValueRef};
use rusqlite::{Result, Row, Statement};

use crate::error::Failure;
use crate::statements::{Op, Prepared, Query, Stretch, waits_apart};

/// Sorts behind every id there is.
const BEHIND_ALL: [u8; 33] = [0xff; 33];

/// Appends the records that a read finds. Counters are none of its business.
pub(crate) fn load(db: &mut impl Prepared, read: &Read, found: &mut Vec<Record>) -> Result<(), Failure> {
    let outcome = match read {
        Read::Record(key) => db.with(Query::Of(key.kind, Op::Find), |find| {
            bind_key(find, key)?;
            collect(find, key.kind, found)
        })?,
        Read::Alias(kind, alias) if kind.shape().alias => db.with(Query::Of(*kind, Op::FindAlias), |find| {
            find.raw_bind_parameter(1, alias.as_slice())?;
            collect(find, *kind, found)
        })?,
        Read::Owned { kind, owner, before, limit } if kind.shape().owner => {
            db.with(Query::Of(*kind, Op::Page), |page| {
                page.raw_bind_parameter(1, owner.as_slice())?;
                page.raw_bind_parameter(2, before.as_ref().map_or(&BEHIND_ALL[..], SmallBytes::as_slice))?;
                page.raw_bind_parameter(3, clamp(*limit as u64))?;
                collect(page, *kind, found)
            })?
        }
        Read::Alias(..) | Read::Owned { .. } | Read::Counter(_) | Read::Counters(_) => Ok(()),
    };
    Ok(outcome?)
}

/// Up to `limit` records of a kind, those behind a key, in the order of id and tenant.
pub(crate) fn inventory(
    db: &mut impl Prepared,
    kind: Kind,
    after: Option<Key>,
    limit: usize,
) -> Result<Vec<Record>, Failure> {
    let mut found = Vec::new();
    let outcome = db.with(Query::Of(kind, Op::Inventory), |page| {
        page.raw_bind_parameter(1, after.as_ref().map_or(&[][..], |key| key.id.as_slice()))?;
        page.raw_bind_parameter(2, after.as_ref().map_or(&[][..], |key| key.tenant.as_bytes()))?;
        page.raw_bind_parameter(3, clamp(limit as u64))?;
        collect(page, kind, &mut found)
    })?;
    outcome?;
    Ok(found)
}

/// Up to `limit` counts, those behind a key, in the order of the keys' bytes. One that this program does not know is left out.
pub(crate) fn counts(
    db: &mut impl Prepared,
    after: Option<CounterKey>,
    limit: usize,
) -> Result<Vec<(CounterKey, u64)>, Failure> {
    let found = db.with(Query::Counts, |page| {
        page.raw_bind_parameter(1, after.map(|key| key.to_bytes()).unwrap_or_default())?;
        page.raw_bind_parameter(2, clamp(limit as u64))?;
        collect_counts(page)
    })?;
    Ok(found)
}

/// The counts of a range, in the order of the keys' bytes.
pub(crate) fn count_range(db: &mut impl Prepared, range: &CounterRange) -> Result<Vec<(CounterKey, u64)>> {
    db.with(Query::CountRange, |find| {
        find.raw_bind_parameter(1, range.first().to_bytes())?;
        find.raw_bind_parameter(2, range.end().to_bytes())?;
        collect_counts(find)
    })
}

fn collect_counts(query: &mut Statement<'_>) -> Result<Vec<(CounterKey, u64)>> {
    let (mut rows, mut found) = (query.raw_query(), Vec::new());
    while let Some(row) = rows.next()? {
        let (key, value): (Vec<u8>, i64) = (row.get(0)?, row.get(1)?);
        found.extend(CounterKey::from_bytes(&key).map(|key| (key, u64::try_from(value).unwrap_or(0))));
    }
    Ok(found)
}

/// SQLite's integers are signed; nothing of ours comes near the end of them.
pub(crate) fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn collect(query: &mut Statement<'_>, kind: Kind, found: &mut Vec<Record>) -> Result<Result<(), CorruptRecord>> {
    let mut rows = query.raw_query();
    while let Some(row) = rows.next()? {
        match record(row, kind)? {
            Ok(record) => found.push(record),
            Err(corrupt) => return Ok(Err(corrupt)),
        }
    }
    Ok(Ok(()))
}

/// Reads a row that begins with the columns of [`Op::Find`].
fn record(row: &Row<'_>, kind: Kind) -> Result<Result<Record, CorruptRecord>> {
    let due = if kind.shape().queue { due(row)? } else { Due::default() };
    let ValueRef::Text(body) = row.get_ref(0)? else { return Err(FromSqlError::InvalidType.into()) };
    // Bytes that are no UTF-8 are no JSON either, and are refused as corrupt.
    Ok(Record::from_body(kind, std::str::from_utf8(body).unwrap_or_default(), due))
}

fn due(row: &Row<'_>) -> Result<Due> {
    let at: Option<i64> = row.get(1)?;
    let lease: Option<LeaseId> = row.get(2)?;
    Ok(Due { at: at.map(Timestamp::from_millis), lease: lease.filter(|_| at.is_some()) })
}

fn bind_key(statement: &mut Statement<'_>, key: &Key) -> Result<()> {
    statement.raw_bind_parameter(1, key.id.as_slice())?;
    statement.raw_bind_parameter(2, &key.tenant.as_bytes()[..])
}

fn bind_due(statement: &mut Statement<'_>, due: Due) -> Result<()> {
    statement.raw_bind_parameter(6, due.at.map(Timestamp::as_millis))?;
    statement.raw_bind_parameter(7, due.lease.as_ref().map(|lease| &lease[..]))
}

/// Writes a record whether or not it exists.
pub(crate) fn put(db: &mut impl Prepared, record: &Record) -> Result<()> {
    let key = record.key();
    let shape = key.kind.shape();
    db.with(Query::Of(key.kind, Op::Put), |put| {
        if shape.owner {
            put.raw_bind_parameter(4, record.owner().as_ref().map(SmallBytes::as_slice))?;
        }
        if shape.alias {
            put.raw_bind_parameter(5, record.alias().as_ref().map(SmallBytes::as_slice))?;
        }
        write(put, &key, record).map(drop)
    })
}

/// Writes a record that exists and keeps its owner and its alias.
pub(crate) fn update(db: &mut impl Prepared, record: &Record) -> Result<()> {
    let key = record.key();
    db.with(Query::Of(key.kind, Op::Update), |update| write(update, &key, record).map(drop))
}

/// Gives how many rows that is.
fn write(statement: &mut Statement<'_>, key: &Key, record: &Record) -> Result<usize> {
    let shape = key.kind.shape();
    bind_key(statement, key)?;
    statement.raw_bind_parameter(3, record.body())?;
    if shape.queue {
        bind_due(statement, record.due())?;
    }
    if shape.expires {
        statement.raw_bind_parameter(8, record.expires_at().map(Timestamp::as_millis))?;
    }
    statement.raw_execute()
}

/// Removes a record if it exists.
pub(crate) fn delete(db: &mut impl Prepared, key: &Key) -> Result<()> {
    db.with(Query::Of(key.kind, Op::Delete), |delete| {
        bind_key(delete, key)?;
        delete.raw_execute().map(drop)
    })
}

/// Whether a record exists.
pub(crate) fn exists(db: &mut impl Prepared, key: &Key) -> Result<bool> {
    db.with(Query::Of(key.kind, Op::Exists), |exists| {
        bind_key(exists, key)?;
        Ok(exists.raw_query().next()?.is_some())
    })
}

/// Writes a record of a queue, if it is still under this lease; gives whether it is. What stands apart and leaves is as it was:
/// only its place is taken away.
pub(crate) fn settle(db: &mut impl Prepared, record: &Record, lease: &LeaseId) -> Result<bool> {
    let key = record.key();
    if !key.kind.shape().queue {
        return Ok(false);
    }
    let leaves = waits_apart(key.kind) && record.due().at.is_none();
    let op = if leaves { Op::Leave } else { Op::Settle };
    db.with(Query::Of(key.kind, op), |settle| {
        settle.raw_bind_parameter(9, &lease[..])?;
        if leaves {
            bind_key(settle, &key)?;
            return Ok(settle.raw_execute()? > 0);
        }
        Ok(write(settle, &key, record)? > 0)
    })
}

/// What of a queue is due, earliest first, if it can be read.
pub(crate) fn due_records(
    db: &mut impl Prepared,
    queue: Kind,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Result<Record, CorruptRecord>>> {
    db.with(Query::Of(queue, Op::Due), |find| {
        find.raw_bind_parameter(1, now.as_millis())?;
        find.raw_bind_parameter(2, clamp(limit as u64))?;
        let mut rows = find.raw_query();
        let (mut found, mut stretch) = (Vec::new(), Stretch::default());
        while let Some(row) = rows.next()? {
            found.push(record(row, queue)?);
            stretch.step();
        }
        Ok(found)
    })
}

/// Puts what [`due_records`] finds under a lease, changing nothing else of it.
pub(crate) fn lease(db: &mut impl Prepared, queue: Kind, now: Timestamp, limit: usize, due: Due) -> Result<()> {
    db.with(Query::Of(queue, Op::Lease), |lease| {
        lease.raw_bind_parameter(1, now.as_millis())?;
        lease.raw_bind_parameter(2, clamp(limit as u64))?;
        bind_due(lease, due)?;
        lease.raw_execute().map(drop)
    })
}

/// Removes up to `limit` counts of a tenant; gives how many.
pub(crate) fn forget_counts(db: &mut impl Prepared, tenant: TenantId, limit: usize) -> Result<usize> {
    // Behind the tenant stands the mode, which is a letter.
    let past = [tenant.as_bytes().as_slice(), &[0xff]].concat();
    db.with(Query::ForgetCounters, |forget| {
        forget.raw_bind_parameter(1, tenant.as_bytes().as_slice())?;
        forget.raw_bind_parameter(2, past.as_slice())?;
        forget.raw_bind_parameter(3, clamp(limit as u64))?;
        forget.raw_execute()
    })
}

/// Removes up to `limit` rows that expired before `now`; gives how many.
pub(crate) fn sweep(db: &mut impl Prepared, query: Query, now: Timestamp, limit: usize) -> Result<usize> {
    db.with(query, |sweep| {
        sweep.raw_bind_parameter(1, now.as_millis())?;
        sweep.raw_bind_parameter(2, clamp(limit as u64))?;
        sweep.raw_execute()
    })
}
