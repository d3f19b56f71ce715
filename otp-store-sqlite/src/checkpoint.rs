//! Copying the log into the file, on a thread of its own with a connection of its own, so that commits do not wait for it.
//!
//! What is committed meanwhile stays behind in the log, so the log would never begin anew. The rest is short by then: the
//! writer copies that itself, between two commits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Result};

/// Pages of the log from which on they are copied: 16 MiB, so that a page that many commits change is copied once.
const BEGIN_AT: i64 = 4_096;
/// A rest that the writer copies itself: in about the time of a commit.
const SHORT: i64 = 1_024;
/// Commits between two looks at the log.
const LOOK_EVERY: u32 = 16;
/// Passes of the thread, each over what was committed during the one before.
const PASSES: usize = 2;

/// The writer's side of it.
pub(crate) struct Checkpoints<'a> {
    connection: &'a Connection,
    commits: u32,
    copier: Copier,
}

/// The thread.
struct Copier {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Held while the thread copies.
    copying: Mutex<()>,
    /// Whether it has copied something since the writer looked.
    has_copied: AtomicBool,
}

/// Pages in the log, and how many of them stand in the file as well.
struct Log {
    pages: i64,
    copied: i64,
}

impl<'a> Checkpoints<'a> {
    /// Starts the thread. `connection` is the writer's.
    pub fn start(connection: &'a Connection, second: Connection) -> std::io::Result<Self> {
        Ok(Self { connection, commits: 0, copier: Copier::start(second)? })
    }

    /// To be called after each commit. Failures are of no consequence: the log grows on, until SQLite's own threshold.
    pub fn after_commit(&mut self) {
        self.commits += 1;
        let has_copied = self.copier.shared.has_copied.swap(false, Ordering::Relaxed);
        if !has_copied && self.commits < LOOK_EVERY {
            return;
        }
        self.commits = 0;
        match checkpoint(self.connection, "NOOP") {
            Ok(log) if log.pages < BEGIN_AT => {}
            Ok(log) if log.pages - log.copied <= SHORT => drop(checkpoint(self.connection, "PASSIVE")),
            Ok(_) => self.copier.wake(),
            Err(_) => {}
        }
    }

    /// Keeps the thread from copying as long as the guard lives, and waits for what it is at.
    pub fn pause(&self) -> MutexGuard<'_, ()> {
        self.copier.shared.pause()
    }
}

impl Shared {
    fn pause(&self) -> MutexGuard<'_, ()> {
        self.copying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Copier {
    fn start(connection: Connection) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        let copy = move || copy(&connection, &woken, &its);
        let thread = thread::Builder::new().name("otp-sqlite-log".into()).spawn(copy)?;
        Ok(Self { wake: Some(wake), thread: Some(thread), shared })
    }

    fn wake(&self) {
        // If it is awake already that is enough.
        self.wake.as_ref().map(|wake| wake.try_send(()));
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, nothing would be lost.
            let _ = thread.join();
        }
    }
}

fn copy(connection: &Connection, woken: &Receiver<()>, shared: &Shared) {
    while woken.recv().is_ok() {
        for _ in 0..PASSES {
            let _copying = shared.pause();
            // What fails now is tried again when the writer has looked again.
            let _ = checkpoint(connection, "PASSIVE");
        }
        shared.has_copied.store(true, Ordering::Relaxed);
    }
}

/// What SQLite says of its log, after copying what the mode says (<https://sqlite.org/pragma.html#pragma_wal_checkpoint>).
fn checkpoint(connection: &Connection, mode: &str) -> Result<Log> {
    let mut statement = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    statement.query_row([], |row| Ok(Log { pages: row.get(1)?, copied: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, connection};

    #[test]
    fn a_log_that_has_grown_is_copied_and_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otp.db");
        let options = Options::default();
        let writer = connection::writer(&path, &options).unwrap();
        // Nothing else copies, and nothing waits for the disk.
        writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        writer.pragma_update(None, "synchronous", "OFF").unwrap();
        writer.execute_batch("CREATE TABLE filler (body BLOB)").unwrap();
        let fill = |bytes: u32| writer.execute("INSERT INTO filler VALUES (zeroblob(?1))", [bytes]).unwrap();
        let pages = || checkpoint(&writer, "NOOP").unwrap().pages;
        while pages() < 2 * BEGIN_AT {
            fill(400_000);
        }
        let mut checkpoints = Checkpoints::start(&writer, connection::second_writer(&path, &options).unwrap()).unwrap();
        let mut commits = 0;
        while pages() >= BEGIN_AT {
            fill(1);
            checkpoints.after_commit();
            thread::yield_now();
            commits += 1;
            assert!(commits < 100_000, "the log grows and grows");
        }
        drop(checkpoints);
        assert_eq!(crate::backup::damage(&writer).unwrap(), None);
    }
}
