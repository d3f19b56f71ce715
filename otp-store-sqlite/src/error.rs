//! What goes wrong with a database file, told apart by what its operator has to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use otp_core::store::{CorruptRecord, StoreError};
use rusqlite::{Error as Sqlite, ErrorCode, ffi};

/// Why a database was not opened. Nothing in the file was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The SQLite that the program is linked with can corrupt databases in WAL mode.
    #[error("SQLite {found} is too old, 3.51.3 is needed: earlier ones can corrupt a database in WAL mode")]
    SqliteTooOld {
        /// The version that is linked.
        found: &'static str,
    },
    /// The file is no SQLite database, or is damaged.
    #[error("the file is not a database, or is damaged")]
    NotADatabase(#[source] Sqlite),
    /// The file is a database of some other program.
    #[error("the file is a database of another program")]
    Foreign,
    /// A newer version of this program wrote the file.
    #[error("the database has schema version {found}, this program knows versions up to {known}: use a newer program")]
    NewerSchema {
        /// The version of the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The file or its directory may not be written.
    #[error("the database or its directory cannot be written")]
    ReadOnly(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another process holds the file.
    #[error("the database is locked by another process")]
    Locked(#[source] Sqlite),
    /// There is no room.
    #[error("there is no room on the disk")]
    DiskFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else.
    #[error("the database cannot be opened")]
    Io(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Sqlite> for OpenError {
    fn from(error: Sqlite) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::NotADatabase(error),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::ReadOnly(error.into()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked(error),
            Some(ErrorCode::DiskFull) => OpenError::DiskFull(error.into()),
            _ => OpenError::Io(error.into()),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly(error.into()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::DiskFull(error.into()),
            _ => OpenError::Io(error.into()),
        }
    }
}

/// Why there is no backup. Nothing is left at the target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The target exists; a backup never replaces anything.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The database could not be read, or the copy not be written.
    #[error("the copy could not be made")]
    Sqlite(#[from] Sqlite),
    /// The copy could not be put in its place.
    #[error("the copy could not be put in its place")]
    Io(#[from] io::Error),
    /// The copy did not pass its check.
    #[error("the copy is damaged: {0}")]
    Damaged(String),
}

/// What stopped one job of a transaction.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This job alone; it has written nothing that would have to be undone.
    Refused(StoreError),
    /// The whole transaction: what it has written is in doubt until it is rolled back.
    Sql(Sqlite),
}

impl From<Sqlite> for Failure {
    fn from(error: Sqlite) -> Self {
        Failure::Sql(error)
    }
}

impl From<CorruptRecord> for Failure {
    fn from(error: CorruptRecord) -> Self {
        Failure::Refused(StoreError::Corrupt(error.into()))
    }
}

/// Sorts an error outside the writer.
impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::Sql(error) => store_error(&Arc::new(error)),
        }
    }
}

/// One error of SQLite as the source of every answer it spoiled.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Cause(Arc<Sqlite>);

/// Sorts an error of a transaction that was rolled back.
pub(crate) fn store_error(error: &Arc<Sqlite>) -> StoreError {
    let cause = Cause(Arc::clone(error)).into();
    match (&**error, error.sqlite_error_code()) {
        (_, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => StoreError::Busy,
        (_, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation))
        | (Sqlite::FromSqlConversionFailure(..) | Sqlite::InvalidColumnType(..), _) => StoreError::Corrupt(cause),
        _ => StoreError::Unavailable(cause),
    }
}

/// Sorts an error of `COMMIT`. When only the sync failed, the whole transaction may stand in the log, and may come back
/// to life if the process ends before the next one overwrites it.
pub(crate) fn commit_error(error: &Arc<Sqlite>) -> StoreError {
    match error.sqlite_extended_error_code() {
        Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => {
            StoreError::Unknown(Cause(Arc::clone(error)).into())
        }
        _ => store_error(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: i32) -> Arc<Sqlite> {
        Arc::new(Sqlite::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn commands_are_told_what_happened() {
        let told = |error: StoreError| match error {
            StoreError::Busy => "busy",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Unknown(_) => "unknown",
            StoreError::Corrupt(_) => "corrupt",
        };
        for (code, at_work, at_commit) in [
            (ffi::SQLITE_BUSY, "busy", "busy"),
            (ffi::SQLITE_BUSY_RECOVERY, "busy", "busy"),
            (ffi::SQLITE_LOCKED, "busy", "busy"),
            (ffi::SQLITE_FULL, "unavailable", "unavailable"),
            (ffi::SQLITE_READONLY, "unavailable", "unavailable"),
            (ffi::SQLITE_CANTOPEN, "unavailable", "unavailable"),
            (ffi::SQLITE_IOERR_WRITE, "unavailable", "unavailable"),
            (ffi::SQLITE_IOERR_FSYNC, "unavailable", "unknown"),
            (ffi::SQLITE_CORRUPT, "corrupt", "corrupt"),
            (ffi::SQLITE_NOTADB, "corrupt", "corrupt"),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, "corrupt", "corrupt"),
        ] {
            assert_eq!(told(store_error(&sqlite(code))), at_work, "{code}");
            assert_eq!(told(commit_error(&sqlite(code))), at_commit, "{code}");
        }
    }

    #[test]
    fn an_operator_is_told_what_to_do() {
        let open = |code: i32| OpenError::from(Sqlite::SqliteFailure(ffi::Error::new(code), None));
        assert!(matches!(open(ffi::SQLITE_READONLY_DIRECTORY), OpenError::ReadOnly(_)));
        assert!(matches!(open(ffi::SQLITE_PERM), OpenError::ReadOnly(_)));
        assert!(matches!(open(ffi::SQLITE_FULL), OpenError::DiskFull(_)));
        assert!(matches!(open(ffi::SQLITE_BUSY), OpenError::Locked(_)));
        assert!(matches!(open(ffi::SQLITE_CANTOPEN), OpenError::Io(_)));
        let of_files = |kind: io::ErrorKind| OpenError::from(io::Error::from(kind));
        assert!(matches!(of_files(io::ErrorKind::ReadOnlyFilesystem), OpenError::ReadOnly(_)));
        assert!(matches!(of_files(io::ErrorKind::StorageFull), OpenError::DiskFull(_)));
        assert!(matches!(of_files(io::ErrorKind::NotFound), OpenError::Io(_)));
    }
}
