//! Copies of a database that is in use.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::error::BackupError;

/// Copies the database as it stands at one moment to a file that does not exist yet. Either the whole, checked copy stands
/// there afterwards, or nothing.
pub(crate) fn backup(connection: &Connection, to: &Path) -> Result<(), BackupError> {
    if to.try_exists()? {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let unfinished = beside(to)?;
    let outcome = copy(connection, &unfinished).and_then(|()| Ok(fs::rename(&unfinished, to)?));
    if outcome.is_err() {
        // The first error is the one to be told.
        let _ = fs::remove_file(&unfinished);
        return outcome;
    }
    sync_directory(to)
}

/// The name the copy has until it is whole.
fn beside(to: &Path) -> Result<PathBuf, BackupError> {
    let Some(name) = to.file_name() else {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "the target is not a file name").into());
    };
    let mut unfinished = name.to_owned();
    unfinished.push(".unfinished");
    Ok(to.with_file_name(unfinished))
}

fn copy(connection: &Connection, to: &Path) -> Result<(), BackupError> {
    // SQLite takes an empty file for a new database and keeps the mode that we give it.
    create(to)?;
    let name = to.to_str().ok_or_else(|| std::io::Error::new(ErrorKind::InvalidInput, "the target is not UTF-8"))?;
    // Rows keep their numbers, also where there are gaps.
    connection.execute("VACUUM INTO ?1", [name])?;
    if let Some(damage) = damage(&Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_ONLY)?)? {
        return Err(BackupError::Damaged(damage));
    }
    File::open(to)?.sync_all()?;
    Ok(())
}

fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes the new name durable.
fn sync_directory(file: &Path) -> Result<(), BackupError> {
    #[cfg(unix)]
    {
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Looks through the whole file; gives what is wrong with it.
pub(crate) fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    Ok(Some(found).filter(|found| found != "ok"))
}
