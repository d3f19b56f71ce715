//! The store that is configured, and what is noted beside its records.

use std::fs::DirBuilder;
use std::path::Path;
use std::sync::Arc;

use otp_core::store::{MemoryStore, Store, StoreError};
use otp_store_postgres::PostgresStore;
use otp_store_sqlite::{OpenError, SqliteStore};

use crate::config::{self, Mistake, Setting};

/// An open database.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// In a file.
    Sqlite(Arc<SqliteStore>),
    /// On a server.
    Postgres(Arc<PostgresStore>),
    /// In memory.
    Memory(Arc<MemoryStore>),
}

impl Database {
    /// What is noted about the installation under this name. Nothing is, in memory.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn note(&self, name: &str) -> Result<Option<Vec<u8>>, Mistake> {
        let noted = match self {
            Database::Sqlite(store) => store.meta(name),
            Database::Postgres(store) => store.meta(name).await,
            Database::Memory(_) => Ok(None),
        };
        noted.map_err(|error| broken(&error))
    }

    /// Notes it unless something is noted under this name; gives what is noted then.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn note_once(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, Mistake> {
        let noted = match self {
            Database::Sqlite(store) => store.set_meta_once(name, value),
            Database::Postgres(store) => store.set_meta_once(name, value).await,
            Database::Memory(_) => Ok(value.to_vec()),
        };
        noted.map_err(|error| broken(&error))
    }

    /// The store, for those who do not care which.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Database::Sqlite(store) => Arc::clone(store) as Arc<dyn Store>,
            Database::Postgres(store) => Arc::clone(store) as Arc<dyn Store>,
            Database::Memory(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// Finishes what waits to be written, and closes the file or the connections. Nothing else should use it any more: a
    /// reader that is still open keeps SQLite from putting its log away.
    pub async fn close(self) {
        match self {
            Database::Sqlite(store) => {
                if let Err(shared) = Arc::try_unwrap(store) {
                    shared.close();
                }
            }
            Database::Postgres(store) => store.close().await,
            Database::Memory(_) => {}
        }
    }
}

/// The database does not do what a start needs.
pub(super) fn broken(error: &StoreError) -> Mistake {
    let words = match error {
        StoreError::Busy => "it is locked by another process; end that process, then try again".to_owned(),
        error => {
            let cause = config::cause(error);
            format!("{error}{cause}; see whether the disk has room and this user may write the file, then try again")
        }
    };
    Mistake::of(Setting::DatabaseUrl, words)
}

/// Opens the database that is configured, and makes it if there is none.
///
/// # Errors
/// Why it cannot be used, and what to do.
pub(crate) async fn open(configured: &config::Database) -> Result<Database, Mistake> {
    match configured {
        config::Database::Sqlite(path) => Ok(Database::Sqlite(Arc::new(open_file(path)?))),
        config::Database::Postgres(url) => {
            let store = PostgresStore::connect(url.expose(), Default::default()).await;
            let store = store.map_err(|error| Mistake::of(Setting::DatabaseUrl, server_reason(configured, &error)))?;
            Ok(Database::Postgres(Arc::new(store)))
        }
        config::Database::Memory => Ok(Database::Memory(Arc::new(MemoryStore::new()))),
    }
}

/// Opens a database file, and makes it if there is none.
///
/// # Errors
/// Why it cannot be used, and what to do.
pub(crate) fn open_file(path: &Path) -> Result<SqliteStore, Mistake> {
    SqliteStore::open(path).map_err(|error| Mistake::of(Setting::DatabaseUrl, reason(path, &error)))
}

pub(super) fn reason(path: &Path, error: &OpenError) -> String {
    let cause = config::cause(error);
    let fix = match error {
        OpenError::SqliteTooOld { .. } => "; build the program with the SQLite that comes with it",
        OpenError::NotADatabase(_) => "; restore a backup with `otp-server restore FILE`, or name another file",
        OpenError::Foreign => "; name another file, as in `sqlite:./otp.db`",
        OpenError::NewerSchema { .. } => "",
        OpenError::ReadOnly(_) => "; let this user write both, or name another file",
        OpenError::Locked(_) => "; end that process, then try again",
        OpenError::DiskFull(_) => "; make room, then try again",
        _ => "; check that the path names a file in a directory that exists",
    };
    format!("{}: {error}{cause}{fix}", path.display())
}

fn server_reason(configured: &config::Database, error: &otp_store_postgres::OpenError) -> String {
    let cause = config::cause(error);
    format!("{configured}: {error}{cause}; check host, user, password and database, and that the server runs")
}

/// Makes the data directory, for its owner only, unless there is one.
pub(super) fn make_data_dir(path: &Path) -> Result<(), Mistake> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| {
        let words = format!("{} cannot be made: {error}; choose a place where this user may write", path.display());
        Mistake::of(Setting::DataDir, words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_names_the_file_and_the_fix() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied).into();
        for (error, fix) in [
            (OpenError::ReadOnly(denied()), "let this user write both"),
            (OpenError::DiskFull(denied()), "make room"),
            (OpenError::Foreign, "name another file"),
            (OpenError::SqliteTooOld { found: "3.0.0" }, "the SQLite that comes with it"),
            (OpenError::NewerSchema { found: 9, known: 1 }, "use a newer program"),
            (OpenError::Io(denied()), "check that the path"),
        ] {
            let reason = reason("data/otp.db".as_ref(), &error);
            assert!(reason.starts_with("data/otp.db: ") && reason.contains(fix), "{reason}");
        }
    }
}
