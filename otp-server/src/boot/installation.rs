//! Database and master key ring, which belong together: what one ring wrote, another cannot read.

use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use otp_core::secret::Digest32;
use otp_core::store::MemoryStore;
use otp_core::{Builder, KeyRing, Service, SystemRandom};

use super::administrator;
use super::database::{self, Database, make_data_dir};
use super::in_use::InUse;
use super::master_key;
use crate::config::{self, Config, Mistake, Setting};

/// An open database with the ring that it was written with.
pub(crate) struct Installation {
    /// The database.
    pub database: Database,
    /// The ring.
    pub ring: KeyRing,
    /// Where the ring was put, if it was made just now.
    pub fresh_key_file: Option<PathBuf>,
    _in_use: Option<InUse>,
}

impl Installation {
    /// Opens the database; directory, file and master key are made if there are none.
    ///
    /// # Errors
    /// What is in the way. With a ring that the data was not written with, nothing is written.
    pub async fn open(config: &Config) -> Result<Self, Mistake> {
        match &config.database {
            config::Database::Memory => Ok(Self::in_memory(config)),
            config::Database::Sqlite(path) => {
                make_place(config, path)?;
                let in_use = InUse::shared(path)
                    .map_err(|error| Mistake::of(Setting::DatabaseUrl, database::reason(path, &error.into())))?;
                Self::of(config, Some(in_use)).await
            }
            config::Database::Postgres(_) => Self::of(config, None).await,
        }
    }

    /// Opens the database, which has to be there.
    ///
    /// # Errors
    /// As [`open`](Self::open), or that there is none.
    pub async fn existing(config: &Config) -> Result<Self, Mistake> {
        if !matches!(config.database, config::Database::Postgres(_)) {
            database_file(config)?;
        }
        Self::open(config).await
    }

    fn in_memory(config: &Config) -> Self {
        let ring = config.master_key.clone().unwrap_or_else(|| KeyRing::generate(&SystemRandom));
        let database = Database::Memory(Arc::new(MemoryStore::new()));
        Self { database, ring, fresh_key_file: None, _in_use: None }
    }

    async fn of(config: &Config, in_use: Option<InUse>) -> Result<Self, Mistake> {
        // Before the database, so that a key that cannot be used makes none.
        let configured = configured_ring(config)?;
        let database = database::open(&config.database).await?;
        let written_with = WrittenWith::read(&database).await?;
        written_with.check(configured.as_ref(), config, &config.database)?;
        let (ring, fresh_key_file) = match configured {
            Some(ring) => (ring, None),
            None => {
                make_data_dir(&config.data_dir)?;
                let key_file = master_key::path(&config.data_dir);
                (master_key::create(&key_file, &SystemRandom)?, Some(key_file))
            }
        };
        written_with.note(&ring, &database).await?;
        Ok(Self { database, ring, fresh_key_file, _in_use: in_use })
    }

    /// Begins a service on it, under the URL that tokens are to name as their issuer.
    pub fn service(&self, config: &Config, issuer: &str) -> Builder {
        Service::builder(self.database.store(), self.ring.clone()).plans(config.plans.clone()).issuer(issuer)
    }

    /// As [`Database::close`].
    pub async fn close(self) {
        self.database.close().await;
    }
}

/// The database file, if it is one, and there.
pub(crate) fn database_file(config: &Config) -> Result<&Path, Mistake> {
    let path = match &config.database {
        config::Database::Sqlite(path) => path,
        config::Database::Postgres(_) => {
            let words = "PostgreSQL is backed up and restored by its own tools: `pg_dump` and `pg_restore`";
            return Err(Mistake::of(Setting::DatabaseUrl, words));
        }
        config::Database::Memory => {
            let words = "`memory:` has no data that another process could reach; use the API of the running server";
            return Err(Mistake::of(Setting::DatabaseUrl, words));
        }
    };
    existing_file(path)?;
    Ok(path)
}

/// The file has to be there.
pub(crate) fn existing_file(path: &Path) -> Result<(), Mistake> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let words =
                format!("there is no database at {}; correct the path, or start the server once", path.display());
            Err(Mistake::of(Setting::DatabaseUrl, words))
        }
        _ => Ok(()),
    }
}

/// The ring of the variable, or else of the file; `None` if there is neither.
pub(crate) fn configured_ring(config: &Config) -> Result<Option<KeyRing>, Mistake> {
    match &config.master_key {
        Some(ring) => Ok(Some(ring.clone())),
        None => master_key::load(&master_key::path(&config.data_dir)),
    }
}

/// Makes the data directory, if that is where something is going to be put.
pub(crate) fn make_place(config: &Config, database: &Path) -> Result<(), Mistake> {
    if config.master_key.is_none() || database.starts_with(&config.data_dir) {
        make_data_dir(&config.data_dir)?;
    }
    Ok(())
}

/// The marks of all keys that ever wrote to a database, oldest first.
pub(crate) struct WrittenWith(Vec<Digest32>);

impl WrittenWith {
    pub async fn read(database: &Database) -> Result<Self, Mistake> {
        let mut marks = Vec::new();
        while let Some(mark) = database.note(&note_name(marks.len())).await? {
            let mark = mark.try_into().map_err(|_| {
                Mistake::of(Setting::DatabaseUrl, "the mark of its master key is damaged; restore a backup")
            })?;
            marks.push(Digest32(mark));
        }
        Ok(Self(marks))
    }

    /// Whether anything was written.
    pub fn is_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// Refuses a ring that lacks a key that something was written with, and no ring where one is needed.
    pub fn check(&self, ring: Option<&KeyRing>, config: &Config, database: impl Display) -> Result<(), Mistake> {
        let known: Vec<_> = ring.iter().flat_map(|ring| ring.fingerprints()).collect();
        if self.0.iter().all(|mark| known.contains(mark)) {
            return Ok(());
        }
        let file = master_key::path(&config.data_dir);
        let words = match ring {
            None => {
                format!("the master key of {database} is missing; put {} back from its copy, or set it", file.display())
            }
            Some(_) => format!(
                "this is not the master key that {database} was written with, or a key of its ring is missing; set the one \
                 that belongs to it"
            ),
        };
        Err(Mistake::of(Setting::MasterKey, format_args!("{words}: nothing else opens the data")))
    }

    /// Notes the key that is written with from now on. Where it is noted already this is a write too, of nothing: a file
    /// that cannot be written is found here, and not by the first request.
    async fn note(&self, ring: &KeyRing, database: &Database) -> Result<(), Mistake> {
        let newest = ring.fingerprint();
        let first = self.0.iter().position(|mark| *mark == newest).unwrap_or(self.0.len());
        // Another process may note a key of its own at the same time.
        for number in first.. {
            if database.note_once(&note_name(number), &newest.0).await? == newest.0 {
                break;
            }
        }
        Ok(())
    }
}

/// Copies what is noted of an installation beside its records.
///
/// # Errors
/// When a database cannot be read or written, or when the target belongs to another installation.
pub(crate) async fn copy_notes(source: &Database, target: &Database) -> Result<(), Mistake> {
    let marks = WrittenWith::read(source).await?.0.into_iter().enumerate();
    let mut notes: Vec<_> = marks.map(|(number, mark)| (note_name(number), mark.0.to_vec())).collect();
    let administrator = source.note(administrator::NOTE).await?;
    notes.extend(administrator.map(|digest| (administrator::NOTE.to_owned(), digest)));
    for (name, value) in notes {
        if target.note_once(&name, &value).await? != value {
            let words = "the target belongs to another installation; name an empty one";
            return Err(Mistake::of(Setting::DatabaseUrl, words));
        }
    }
    Ok(())
}

fn note_name(number: usize) -> String {
    format!("master_key.{number}")
}
