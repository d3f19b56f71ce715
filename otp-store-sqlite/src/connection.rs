//! How connections are opened.

use std::fs::OpenOptions;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::{OpenError, Options, schema};

/// Before this version a checkpoint could overwrite frames that were still needed.
const OLDEST: i32 = 3_051_003;

/// What the writer keeps of the file in memory: the inner pages of its trees. KiB.
const WRITER_CACHE: i64 = 8_192;

/// The same for each reader.
const READER_CACHE: i64 = 2_048;

/// Pages of the log after which a commit copies them into the file: four times as many as when the
/// [thread for that](crate::checkpoint) begins, so that it only happens if the thread does not get on.
const CHECKPOINT_AFTER: i64 = 16_384;

/// The log's file is cut to this length when a burst is over: 64 MiB.
const LOG_KEPT: i64 = 64 << 20;

/// Opens the file for writing, makes it if there is none, and brings it to the newest schema.
pub(crate) fn writer(path: &Path, options: &Options) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < OLDEST {
        return Err(OpenError::SqliteTooOld { found: rusqlite::version() });
    }
    create(path)?;
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE, options)?;
    // Before anything changes in the file, such as its journal mode.
    schema::version(&connection)?;
    let set = |name: &str, value: i64| connection.pragma_update(None, name, value);
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    set("wal_autocheckpoint", CHECKPOINT_AFTER)?;
    set("journal_size_limit", LOG_KEPT)?;
    if let Some(bytes) = options.max_bytes {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        set("max_page_count", (bytes / page.unsigned_abs()).max(1).try_into().unwrap_or(i64::MAX))?;
    }
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Opens the file for reading; it has to have a writer.
pub(crate) fn reader(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE, options)
}

/// A second connection that writes, for what is written once.
pub(crate) fn second_writer(path: &Path, options: &Options) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, READER_CACHE, options)
}

fn open(path: &Path, mode: OpenFlags, cache: i64, options: &Options) -> rusqlite::Result<Connection> {
    // No connection is used by two threads at a time, so SQLite need not lock; and no path is taken for a URI.
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(options.busy_for)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Without these macOS leaves what was synced in the drive's cache; elsewhere they do nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    // What is deleted is overwritten, so that who was erased is not found in the free parts of the file. It costs the sweep
    // one more write of a page that has become empty; commands seldom empty one.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    Ok(connection)
}

/// Makes an empty file that nobody else may read. SQLite gives its log and index the mode of the file.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_that_the_disk_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("otp.db");
        let options = Options::default();
        let first = writer(&path, &options).unwrap();
        let setting = |connection: &Connection, name: &str| -> String {
            connection.pragma_query_value(None, name, |row| row.get_ref(0).map(|value| format!("{value:?}"))).unwrap()
        };
        let others = [second_writer(&path, &options).unwrap(), reader(&path, &options).unwrap()];
        for connection in others.iter().chain([&first]) {
            for (name, value) in [
                ("synchronous", "Integer(2)"),
                ("fullfsync", "Integer(1)"),
                ("foreign_keys", "Integer(1)"),
                ("secure_delete", "Integer(1)"),
                ("trusted_schema", "Integer(0)"),
                ("mmap_size", "Integer(0)"),
            ] {
                assert_eq!(setting(connection, name), value, "{name}");
            }
            let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
            assert_eq!(journal, "wal");
        }
        let written = others[1].execute("DELETE FROM meta", []).unwrap_err();
        assert_eq!(written.sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly));
    }
}
