//! The mark that a process uses a database, so that `restore` does not take the file from under it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Held while a process uses a database file. The system takes it back when the process ends, however it ends.
pub(crate) struct InUse(#[allow(dead_code, reason = "closing the file gives the lock back")] File);

impl InUse {
    /// Marks the database as used, beside others who use it; waits while it is being replaced.
    ///
    /// # Errors
    /// When the mark, `<database>.lock`, cannot be made.
    pub fn shared(database: &Path) -> std::io::Result<Self> {
        let file = open(database)?;
        file.lock_shared()?;
        Ok(Self(file))
    }

    /// Marks the database as being replaced; `None` if anybody uses it.
    ///
    /// # Errors
    /// As [`shared`](Self::shared).
    pub fn alone(database: &Path) -> std::io::Result<Option<Self>> {
        let file = open(database)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn open(database: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(beside(database, ".lock"))
}

/// A file beside the database, named after it.
pub(crate) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
