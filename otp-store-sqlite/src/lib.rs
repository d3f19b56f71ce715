//! The [`Store`] of `otp-core` on SQLite: one file, one thread that writes, a few connections that read.
//!
//! ```
//! use otp_core::store::Store;
//! use otp_store_sqlite::SqliteStore;
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("otp.db");
//! let store = SqliteStore::open(&path)?;
//! let shared: std::sync::Arc<dyn Store> = std::sync::Arc::new(store);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Commands that wait together share one commit (`synchronous=FULL`: an answer means that the disk has it). Every method
//! but [`SqliteStore::backup`], [`SqliteStore::quick_check`] and [`SqliteStore::close`] may be called from any executor;
//! those three take as long as the disk does.
//!
//! Several processes may use one file; only commands of one process share commits.

#![deny(missing_docs)]

mod backup;
mod checkpoint;
mod connection;
mod error;
mod reader;
mod rows;
mod schema;
mod statements;
mod transaction;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use otp_core::store::{Decide, Item, Kind, Lease, Place, Read, Reads, Record, Settled, Snapshot, Store, StoreError};
use otp_core::{TenantId, Timestamp};
use rusqlite::OptionalExtension;

pub use error::{BackupError, OpenError};

use error::Failure;
use reader::Readers;
use statements::Texts;
use transaction::{Done, Work};
use writer::Writer;

/// How a database is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long to wait for another process that holds the file.
    pub busy_for: Duration,
    /// How large the file may grow, its log not counted. Beyond, writes that need room fail as if the disk were full.
    pub max_bytes: Option<u64>,
}

impl Default for Options {
    /// Five seconds, and as large as the disk.
    fn default() -> Self {
        Self { busy_for: Duration::from_secs(5), max_bytes: None }
    }
}

/// A database file. Dropped, it finishes what waits and closes the file.
pub struct SqliteStore {
    // Before the writer, so that the writer's connection is the last to close and can remove the log.
    readers: Readers,
    writer: Writer,
    path: PathBuf,
    options: Options,
}

impl SqliteStore {
    /// Opens a file, makes it if there is none, and brings it to the newest schema.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, Options::default())
    }

    /// As [`open`](Self::open).
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let texts = Arc::new(Texts::new());
        let connection = connection::writer(&path, &options)?;
        let readers = Readers::open(&path, &options, Arc::clone(&texts))?;
        let second = connection::second_writer(&path, &options)?;
        let writer = Writer::start(connection, second, texts)?;
        Ok(Self { readers, writer, path, options })
    }

    /// What was noted about the installation under a name.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let connection = self.readers.connection();
        let value = connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0));
        Ok(value.optional().map_err(Failure::from)?)
    }

    /// Notes something about the installation, unless something is noted under that name; gives what is noted then.
    /// It has a connection of its own and waits for the commands that run.
    ///
    /// # Errors
    /// As [`Store::transact`].
    pub fn set_meta_once(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let note = || {
            let connection = connection::second_writer(&self.path, &self.options)?;
            connection
                .execute("INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING", (name, value))?;
            connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
        };
        Ok(note().map_err(Failure::from)?)
    }

    /// Copies the database, as it stands at one moment, to a file that does not exist yet, readable by its owner only.
    /// The copy is checked and synced before it gets its name. Commands go on meanwhile.
    ///
    /// # Errors
    /// [`BackupError`]; nothing stands at `to` then.
    pub fn backup(&self, to: &Path) -> Result<(), BackupError> {
        backup::backup(&connection::reader(&self.path, &self.options)?, to)
    }

    /// Looks through the whole file for damage: worth its time after a crash of the machine.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with what was found, or as [`Store::read`].
    pub fn quick_check(&self) -> Result<(), StoreError> {
        let check = || backup::damage(&connection::reader(&self.path, &self.options)?);
        match check().map_err(Failure::from)? {
            Some(damage) => Err(StoreError::Corrupt(damage.into())),
            None => Ok(()),
        }
    }

    /// Finishes what waits, and writes the log into the file. What is asked to be written later fails.
    pub fn close(&self) {
        self.writer.stop();
    }

    async fn count(&self, work: Work) -> Result<usize, StoreError> {
        match self.writer.run(work).await? {
            Done::Count(count) => Ok(count),
            Done::Transacted | Done::Claimed(_) => Ok(0),
        }
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn transact(&self, reads: Reads, decide: Decide) -> Result<(), StoreError> {
        self.writer.run(Work::Transact(reads, decide)).await.map(drop)
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        self.readers.read(&wanted)
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        match self.writer.run(Work::Claim(queue, lease, limit)).await? {
            Done::Claimed(records) => Ok(records),
            Done::Transacted | Done::Count(_) => Ok(Vec::new()),
        }
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        self.count(Work::Settle(settled)).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.count(Work::Sweep(now, limit)).await
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.count(Work::ForgetCounts(tenant, limit)).await
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.readers.inventory(after, limit)
    }
}
