//! `migrate`, `backup` and `restore`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use otp_core::{Clock, SystemClock};
use otp_store_sqlite::{BackupError, SqliteStore};

use super::output::print;
use super::{Failure, tell_of_key};
use crate::boot::{
    self, Database, InUse, Installation, WrittenWith, beside, configured_ring, database_file, make_place, open_file,
};
use crate::config::{self, Config, Mistake, Setting};

pub(super) fn migrate(config: &Config) -> Result<(), Failure> {
    boot::runtime()?.block_on(async {
        let installation = Installation::open(config).await?;
        tell_of_key(&installation);
        installation.close().await;
        Ok::<_, Mistake>(())
    })?;
    print("The database has the newest schema.\n");
    Ok(())
}

/// Copies the database as it stands at one moment. The master key is not part of it.
#[derive(Args)]
#[command(after_help = "\
Example:
  otp-server backup /var/backups/otp-$(date +%F).db

Keep the master key too, in another place: without it a backup cannot be read, beside it the backup is open to whoever
finds both.")]
pub(super) struct Backup {
    /// The file to make; it must not exist
    file: PathBuf,
}

impl Backup {
    pub fn run(&self, config: &Config) -> Result<(), Failure> {
        let database = database_file(config)?;
        let _in_use = mark(InUse::shared(database), database)?;
        open_file(database)?.backup(&self.file).map_err(|error| Failure::Refused(self.reason(&error)))?;
        print(&format!(
            "{} is a copy of {}. It does not hold the master key.\n",
            self.file.display(),
            database.display()
        ));
        Ok(())
    }

    fn reason(&self, error: &BackupError) -> String {
        let fix = match error {
            BackupError::Exists(_) => "a backup replaces nothing: choose another name",
            _ => "check that the directory exists, may be written and has room",
        };
        let cause = config::cause(error);
        format!("no backup at {}: {error}{cause}; {fix}", self.file.display())
    }
}

/// Checks a backup, then puts it in the place of the database. A database that is there is kept beside it.
#[derive(Args)]
#[command(after_help = "\
Example:
  otp-server restore /var/backups/otp-2027-01-31.db --force")]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// Also if there is a database, which is put aside
    #[arg(long)]
    force: bool,
}

impl Restore {
    pub fn run(&self, config: &Config) -> Result<(), Failure> {
        let config::Database::Sqlite(database) = &config.database else {
            let words = "it is no file to restore to; name one, or use `pg_restore` for PostgreSQL";
            return Err(Failure::Refused(Mistake::of(Setting::DatabaseUrl, words).to_string()));
        };
        let mut backup = File::open(&self.file).map_err(|error| {
            Failure::Refused(format!("{} cannot be read: {error}; correct the path", self.file.display()))
        })?;
        make_place(config, database)?;
        let _alone = alone(database)?;
        if database.exists() && !self.force {
            let words = format!("there is a database at {}; add --force to put it aside", database.display());
            return Err(Failure::Refused(words));
        }
        let candidate = beside(database, ".restoring");
        let outcome = self.stage(&mut backup, &candidate, config).and_then(|()| swap(&candidate, database));
        if outcome.is_err() {
            let _ = fs::remove_file(&candidate); // the first error is the one to be told
        }
        match outcome? {
            Some(kept) => {
                print(&format!("{} is restored. What was there is in {}.\n", database.display(), kept.display()))
            }
            None => print(&format!("{} is restored.\n", database.display())),
        }
        Ok(())
    }

    /// A checked copy of the backup, beside the database.
    fn stage(&self, backup: &mut File, candidate: &Path, config: &Config) -> Result<(), Failure> {
        let copied = copy(backup, candidate);
        copied.map_err(|error| Failure::Refused(format!("{} cannot be written: {error}", candidate.display())))?;
        let refuse =
            |words: String| Failure::Refused(format!("{} is no backup to restore: {words}", self.file.display()));
        let store = Arc::new(SqliteStore::open(candidate).map_err(|error| refuse(error.to_string()))?);
        store.quick_check().map_err(|error| refuse(error.to_string()))?;
        let written_with = boot::runtime()?.block_on(WrittenWith::read(&Database::Sqlite(store)))?;
        Ok(written_with.check(configured_ring(config)?.as_ref(), config, self.file.display())?)
    }
}

/// Keeps servers away from a file, which must not be used by one now.
pub(super) fn alone(database: &Path) -> Result<InUse, Failure> {
    let in_use =
        || Failure::Refused(format!("{} is in use by another process; stop the server first", database.display()));
    mark(InUse::alone(database), database)?.ok_or_else(in_use)
}

fn mark<T>(mark: io::Result<T>, database: &Path) -> Result<T, Failure> {
    mark.map_err(|error| {
        Failure::Refused(format!("{} cannot be marked as used: {error}; let this user write there", database.display()))
    })
}

fn copy(backup: &mut File, to: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut copy = options.open(to)?;
    io::copy(backup, &mut copy)?;
    copy.sync_all()
}

/// Gives the database's name to the candidate, in one step; tells where the former database is kept.
fn swap(candidate: &Path, database: &Path) -> Result<Option<PathBuf>, Failure> {
    let kept = put_aside(database).and_then(|kept| {
        fs::rename(candidate, database)?;
        sync_directory(database)?;
        Ok(kept)
    });
    kept.map_err(|error| Failure::Refused(format!("{} cannot be replaced: {error}", database.display())))
}

/// The database stays in its place too, so that at no moment there is none and a start would make an empty one. Its log
/// must not stay: the next start would take it for the log of the new file.
fn put_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    drop(SqliteStore::open(database)); // empties the log, if the file is sound
    let kept = beside(database, &format!(".replaced-{}", SystemClock::default().now().as_secs()));
    fs::hard_link(database, &kept)?;
    there_or_not(fs::rename(beside(database, "-wal"), beside(&kept, "-wal")))?;
    there_or_not(fs::remove_file(beside(database, "-shm")))?;
    Ok(Some(kept))
}

fn there_or_not(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn sync_directory(file: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
