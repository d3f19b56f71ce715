//! The [`Store`] of `otp-core` on PostgreSQL 13 or newer: many servers on one database.
//!
//! ```no_run
//! # async fn connect() -> Result<(), otp_store_postgres::OpenError> {
//! use otp_core::store::Store;
//! use otp_store_postgres::{Options, PostgresStore};
//!
//! let store = PostgresStore::connect("postgres://otp:secret@localhost/otp", Options::default()).await?;
//! let shared: std::sync::Arc<dyn Store> = std::sync::Arc::new(store);
//! # Ok(())
//! # }
//! ```
//!
//! A command takes two trips to the database: the first begins, locks its scope and reads; the second writes and commits.
//! Commands that wait together share both. A scope is an advisory lock, so that it also covers rows that do not exist, and
//! of all servers one at a time has it. An answer means that the database has the commit on its disk.
//!
//! The store needs a Tokio runtime. Whatever is begun runs in tasks of its own: a caller that goes away leaves nothing half
//! done.

#![deny(missing_docs)]

mod address;
mod error;
mod inventory;
mod leases;
mod load;
mod meta;
mod pool;
mod queue;
mod rows;
mod schema;
mod session;
mod statements;
#[cfg(test)]
#[path = "../tests/support/server.rs"]
mod test_server;
mod writer;
mod writes;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use otp_core::store::{Decide, Item, Kind, Lease, Place, Read, Reads, Record, Settled, Snapshot, Store, StoreError};
use otp_core::{TenantId, Timestamp};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use error::OpenError;

use address::Address;
use error::{Broken, Tries};
use pool::Sessions;
use queue::{Job, QUEUE, Queue};
use session::Session;
use statements::Texts;
use writer::Writer;
use writes::Writes;

/// How a database is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// The schema that holds the tables; made if it is not there. Letters, digits and underscores.
    pub schema: String,
    /// Commands run in so many transactions at once, each on a connection of its own; each may hold many commands.
    pub writers: usize,
    /// Connections for everything else: reads, queues, sweeping.
    pub readers: usize,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long one statement may wait for what another transaction holds.
    pub lock_timeout: Duration,
    /// How long a transaction may wait for its server, which may be gone, before it is undone.
    pub idle_in_transaction_timeout: Duration,
}

impl Default for Options {
    /// The schema `otp`, four writers and eight readers; 2 s, 500 ms, and 5 s.
    fn default() -> Self {
        Self {
            schema: "otp".into(),
            writers: 4,
            readers: 8,
            statement_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_millis(500),
            idle_in_transaction_timeout: Duration::from_secs(5),
        }
    }
}

/// A database. Dropped, it finishes what waits, as long as its runtime lives.
pub struct PostgresStore {
    queue: Arc<Queue>,
    sessions: Arc<Sessions>,
    writers: Mutex<Vec<JoinHandle<()>>>,
    schema: Arc<str>,
}

impl PostgresStore {
    /// Connects to `postgres://USER:PASSWORD@HOST:PORT/DATABASE?...` and brings the tables to the newest schema. When
    /// several servers start together, one of them does that.
    ///
    /// `sslmode` is `disable`, `prefer` (the default: encrypted if the server can), `require` (encrypted) or `verify-full`
    /// (encrypted, and the server proves its name by a certificate that this machine or the file of `sslrootcert` trusts;
    /// `verify-ca` means the same). Use `verify-full` where others share the network.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(url: &str, options: Options) -> Result<Self, OpenError> {
        let address = Address::parse(url)?;
        schema::prepare(&address, &options).await?;
        let texts = Arc::new(Texts::new());
        let sessions = Arc::new(Sessions::new(&address, &options, options.readers, Arc::clone(&texts))?);
        let writing = Arc::new(Sessions::new(&address, &options, options.writers, texts)?);
        let writers = options.writers.max(1);
        let (queue, schema) = (Arc::new(Queue::default()), Arc::from(options.schema));
        let start = |_| {
            let writer = Writer { sessions: Arc::clone(&writing), schema: Arc::clone(&schema) };
            tokio::spawn(writer::serve(Arc::clone(&queue), writer))
        };
        let writers = Mutex::new((0..writers).map(start).collect());
        Ok(Self { queue, sessions, writers, schema })
    }

    /// What was noted about the installation under a name.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.to_owned();
        self.run(move |session| Box::pin(meta::noted(session, name.clone()))).await
    }

    /// Notes something about the installation, unless something is noted under that name; gives what is noted then.
    ///
    /// # Errors
    /// As [`Store::transact`].
    pub async fn set_meta_once(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.run(move |session| Box::pin(meta::note_once(session, name.clone(), value.clone()))).await
    }

    /// Finishes what waits, and closes the connections. What is asked for later fails.
    pub async fn close(&self) {
        self.queue.close();
        let writers = std::mem::take(&mut *self.writers.lock().unwrap_or_else(PoisonError::into_inner));
        for writer in writers {
            // It fails only if the task is gone, which is what is wanted.
            let _ = writer.await;
        }
        self.sessions.close();
    }

    /// Runs work on a connection, in a task of its own: if the caller goes away, the work still ends as it should.
    async fn run<T: Send + 'static>(
        &self,
        work: impl for<'a> Fn(&'a mut Session) -> Pending<'a, T> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        if self.sessions.waiting() >= QUEUE {
            return Err(StoreError::Busy);
        }
        let sessions = Arc::clone(&self.sessions);
        let task = tokio::spawn(async move {
            let mut tries = Tries::default();
            loop {
                match attempt(&sessions, &work).await {
                    Err(broken) if tries.allow(broken.fault) => {}
                    outcome => return outcome.map_err(|broken| broken.answer()),
                }
            }
        });
        // A task that came to grief may have done so within its commit.
        task.await.unwrap_or_else(|gone| Err(StoreError::Unknown(gone.into())))
    }
}

type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Broken>> + Send + 'a>>;

async fn attempt<T>(
    sessions: &Sessions,
    work: &impl for<'a> Fn(&'a mut Session) -> Pending<'a, T>,
) -> Result<T, Broken> {
    let mut session = sessions.session().await?;
    let outcome = work(&mut session).await;
    if outcome.is_err() {
        session.roll_back().await;
    }
    outcome
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn transact(&self, reads: Reads, decide: Decide) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job { reads, decide, reply })?;
        // Every job that is taken is answered, unless its task came to grief, perhaps within the commit.
        answer.await.unwrap_or_else(|gone| Err(StoreError::Unknown(gone.into())))
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        let wanted: Arc<[Read]> = wanted.into();
        let reading = Arc::clone(&wanted);
        let found = self.run(move |session| Box::pin(load::read(session, Arc::clone(&reading)))).await?;
        found.seen(&wanted, &Writes::default())
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        if !queue.shape().queue {
            return Ok(Vec::new());
        }
        self.run(move |session| Box::pin(leases::claim(session, queue, lease, limit))).await
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        let settled: Arc<[Settled]> = settled.into();
        self.run(move |session| Box::pin(leases::settle(session, Arc::clone(&settled)))).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.run(move |session| Box::pin(leases::sweep(session, now, limit))).await
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.run(move |session| Box::pin(leases::forget_counts(session, tenant, limit))).await
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.run(move |session| Box::pin(inventory::inventory(session, after, limit))).await
    }
}
