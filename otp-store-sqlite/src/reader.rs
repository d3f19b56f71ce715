//! Reading connections. A look-up takes a few microseconds, less than handing it to another thread: it runs where it is
//! asked for.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use otp_core::store::{Item, Kind, Place, Read, Snapshot, StoreError};
use rusqlite::Connection;

use crate::connection;
use crate::error::Failure;
use crate::rows;
use crate::statements::{Cached, Prepared, Query, Texts};
use crate::transaction::stored_count;
use crate::{OpenError, Options};

/// More would help only on more cores than one writer can keep busy.
const CONNECTIONS: usize = 4;

/// A few connections that only read.
pub(crate) struct Readers {
    connections: Vec<Mutex<Connection>>,
    next: AtomicUsize,
    texts: Arc<Texts>,
}

impl Readers {
    pub fn open(path: &Path, options: &Options, texts: Arc<Texts>) -> Result<Self, OpenError> {
        let connections = (0..CONNECTIONS).map(|_| connection::reader(path, options).map(Mutex::new));
        Ok(Self { connections: connections.collect::<Result<_, _>>()?, next: AtomicUsize::new(0), texts })
    }

    /// Any connection, a free one if there is one.
    pub fn connection(&self) -> MutexGuard<'_, Connection> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = |offset| &self.connections[(first + offset) % CONNECTIONS];
        let free = (0..CONNECTIONS).find_map(|offset| in_turn(offset).try_lock().ok());
        // A panic cannot leave a connection in disorder: whatever it had open is closed as the stack unwinds.
        free.unwrap_or_else(|| in_turn(0).lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn read(&self, wanted: &[Read]) -> Result<Snapshot, StoreError> {
        let connection = self.connection();
        let mut db = Cached { connection: &connection, texts: &self.texts };
        if wanted.len() <= 1 {
            return Ok(load(&mut db, wanted)?);
        }
        db.execute(Query::Snapshot).map_err(Failure::from)?;
        let seen = load(&mut db, wanted);
        // Nothing was written; what matters is that the next read sees what was committed since.
        let ended = db.execute(Query::Rollback).map_err(Failure::from);
        let seen = seen?;
        ended?;
        Ok(seen)
    }
}

impl Readers {
    pub fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        let connection = self.connection();
        let mut db = Cached { connection: &connection, texts: &self.texts };
        let mut found = Vec::new();
        if !matches!(after, Some(Place::Count(_))) {
            let after = match after {
                Some(Place::Record(key)) => Some(key),
                _ => None,
            };
            let from = after.map_or(Kind::ALL[0], |key| key.kind);
            for kind in Kind::ALL.iter().filter(|kind| **kind >= from) {
                let after = after.filter(|key| key.kind == *kind);
                let records = rows::inventory(&mut db, *kind, after, limit - found.len())?;
                found.extend(records.into_iter().map(|record| Item::Record(record.into())));
            }
        }
        let after = match after {
            Some(Place::Count(counter)) => Some(counter),
            _ => None,
        };
        let counts = rows::counts(&mut db, after, limit - found.len())?;
        found.extend(counts.into_iter().map(|(counter, count)| Item::Count(counter, count)));
        Ok(found)
    }
}

fn load(db: &mut impl Prepared, wanted: &[Read]) -> Result<Snapshot, Failure> {
    let mut seen = Snapshot::default();
    for read in wanted {
        match read {
            Read::Counter(key) => seen.counters.push((*key, stored_count(db, key)?)),
            Read::Counters(range) => seen.counters.extend(rows::count_range(db, range)?),
            record => rows::load(db, record, &mut seen.records)?,
        }
    }
    Ok(seen)
}
