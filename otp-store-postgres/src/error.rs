//! What goes wrong with a database, told apart by what may be done about it.

use std::sync::Arc;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use otp_core::store::{CorruptRecord, StoreError};
use tokio_postgres::Error as Postgres;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// Why a database was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address of the database is not understood.
    #[error("the address of the database is not understood: {0}")]
    Address(String),
    /// No schema can have this name.
    #[error("`{0}` is no name for a schema: letters, digits and underscores")]
    Schema(String),
    /// Certificates cannot be checked as the address asks for.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server is too old.
    #[error("PostgreSQL {found} is too old, 13 is needed")]
    ServerTooOld {
        /// The version of the server.
        found: String,
    },
    /// There is no server, or it does not take the connection now.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Postgres),
    /// The server knows neither the user nor the database, or not this password.
    #[error("the database server refuses the user, the password or the name of the database")]
    Refused(#[source] Postgres),
    /// The user may not make what is needed.
    #[error("the user may not create tables there")]
    Forbidden(#[source] Postgres),
    /// Tables of some other program stand in the schema.
    #[error("the schema `{0}` holds tables of another program")]
    Foreign(String),
    /// A newer version of this program wrote the tables.
    #[error("the database has schema version {found}, this program knows versions up to {known}: use a newer program")]
    NewerSchema {
        /// The version of the tables.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// Anything else.
    #[error("the database cannot be opened")]
    Database(#[source] Postgres),
}

impl From<Postgres> for OpenError {
    fn from(error: Postgres) -> Self {
        match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => OpenError::Forbidden(error),
            Some(&SqlState::INVALID_CATALOG_NAME) => OpenError::Refused(error),
            Some(code) if code.code().starts_with("28") => OpenError::Refused(error),
            Some(code) if is_of_connection(code) => OpenError::Unreachable(error),
            Some(_) => OpenError::Database(error),
            None => OpenError::Unreachable(error),
        }
    }
}

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// One error as the source of every answer that it spoiled.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Cause(Source);

#[derive(Debug, thiserror::Error)]
#[error("the database does not answer")]
struct Silent;

/// What stopped a transaction, and where that leaves it.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub fault: Fault,
    cause: Cause,
}

/// What may be done about it. Only after [`Fault::Unknown`] may something have been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something else was in its way, which it sees when it loads again.
    Again,
    /// The connection is gone; another may do.
    Lost,
    /// The connection went while the commit was under way.
    Unknown,
    /// It would have had to wait too long.
    Busy,
    /// The rows contradict each other.
    Corrupt,
    /// Anything else.
    Unavailable,
}

impl Broken {
    fn new(fault: Fault, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { fault, cause: Cause(Arc::new(error)) }
    }

    /// Sorts what happened while no commit was on its way.
    pub fn before_commit(error: Postgres) -> Self {
        let fault = error.as_db_error().map_or(Fault::Lost, fault);
        Self::new(fault, error)
    }

    /// Sorts what a statement met that stood before the commit, when both were sent at once. If the server says that it
    /// failed, the commit did not happen; if nothing came back, it may have.
    pub fn beside_commit(error: Postgres) -> Self {
        let fault = error.as_db_error().map_or(Fault::Unknown, fault);
        Self::new(fault, error)
    }

    /// Sorts what came of the commit itself, or of a statement that commits by itself. Whoever ends the connection may do so after the commit has happened.
    pub fn at_commit(error: Postgres) -> Self {
        let fault = match error.as_db_error().map(fault) {
            None | Some(Fault::Lost) => Fault::Unknown,
            Some(fault) => fault,
        };
        Self::new(fault, error)
    }

    /// The server does not answer.
    pub fn silent(fault: Fault) -> Self {
        Self::new(fault, Silent)
    }

    pub fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::new(Fault::Corrupt, error)
    }

    pub fn answer(&self) -> StoreError {
        let cause = Box::new(self.cause.clone());
        match self.fault {
            Fault::Again | Fault::Busy => StoreError::Busy,
            Fault::Lost | Fault::Unavailable => StoreError::Unavailable(cause),
            Fault::Unknown => StoreError::Unknown(cause),
            Fault::Corrupt => StoreError::Corrupt(cause),
        }
    }
}

/// Nobody has begun anything yet.
impl From<PoolError> for Broken {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::new(Fault::Busy, error),
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                Self::before_commit(error)
            }
            PoolError::Timeout(_) => Self::new(Fault::Lost, error),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(HookError::Message(_)) => {
                Self::new(Fault::Unavailable, error)
            }
        }
    }
}

impl From<CorruptRecord> for Broken {
    fn from(error: CorruptRecord) -> Self {
        Self::corrupt(error)
    }
}

fn fault(error: &DbError) -> Fault {
    let code = error.code();
    match *code {
        // Guards divide by zero.
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED | SqlState::DIVISION_BY_ZERO => {
            Fault::Again
        }
        // A record that was to be created exists. Nothing else violates a primary key.
        SqlState::UNIQUE_VIOLATION if error.constraint().is_some_and(|name| name.ends_with("_pkey")) => Fault::Again,
        SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => Fault::Busy,
        _ if code.code().starts_with("23") => Fault::Corrupt,
        _ if is_of_connection(code) || ends_the_connection(error) => Fault::Lost,
        _ => Fault::Unavailable,
    }
}

fn ends_the_connection(error: &DbError) -> bool {
    matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

/// Shutting down, starting up, too many connections, or cut off.
fn is_of_connection(code: &SqlState) -> bool {
    matches!(*code, SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::CANNOT_CONNECT_NOW)
        || *code == SqlState::TOO_MANY_CONNECTIONS
        || code.code().starts_with("08")
}

/// How often a decision, or a transaction that others were in the way of, is tried before the store gives up.
const TRIES: usize = 16;

/// What was tried already.
#[derive(Default)]
pub(crate) struct Tries {
    again: usize,
    lost: usize,
}

impl Tries {
    /// Counts a try that broke, and says whether there may be another.
    pub fn allow(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Again => {
                self.again += 1;
                self.again < TRIES
            }
            Fault::Lost => {
                self.lost += 1;
                self.lost < 2
            }
            Fault::Unknown | Fault::Busy | Fault::Corrupt | Fault::Unavailable => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::{Client, NoTls};

    use super::*;
    use crate::test_server;

    async fn connect() -> Client {
        let (client, connection) = tokio_postgres::connect(test_server::url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn raised(client: &Client, code: &str, constraint: &str) -> Postgres {
        let raise =
            format!("RAISE EXCEPTION USING ERRCODE = '{code}', CONSTRAINT = '{constraint}', MESSAGE = 'raised'");
        client.batch_execute(&format!("DO $$ BEGIN {raise}; END $$")).await.unwrap_err()
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: run cargo xtask test"]
    async fn commands_are_told_what_happened() {
        let client = connect().await;
        for (code, constraint, before, beside, at) in [
            ("40001", "", Fault::Again, Fault::Again, Fault::Again),
            ("40P01", "", Fault::Again, Fault::Again, Fault::Again),
            ("22012", "", Fault::Again, Fault::Again, Fault::Again),
            ("23505", "user_pkey", Fault::Again, Fault::Again, Fault::Again),
            ("23505", "user_alias", Fault::Corrupt, Fault::Corrupt, Fault::Corrupt),
            ("23502", "", Fault::Corrupt, Fault::Corrupt, Fault::Corrupt),
            ("55P03", "", Fault::Busy, Fault::Busy, Fault::Busy),
            ("57014", "", Fault::Busy, Fault::Busy, Fault::Busy),
            ("57P01", "", Fault::Lost, Fault::Lost, Fault::Unknown),
            ("57P02", "", Fault::Lost, Fault::Lost, Fault::Unknown),
            ("57P03", "", Fault::Lost, Fault::Lost, Fault::Unknown),
            ("08006", "", Fault::Lost, Fault::Lost, Fault::Unknown),
            ("53300", "", Fault::Lost, Fault::Lost, Fault::Unknown),
            ("53100", "", Fault::Unavailable, Fault::Unavailable, Fault::Unavailable),
            ("25006", "", Fault::Unavailable, Fault::Unavailable, Fault::Unavailable),
        ] {
            let [one, two, three] = [
                raised(&client, code, constraint),
                raised(&client, code, constraint),
                raised(&client, code, constraint),
            ];
            assert_eq!(Broken::before_commit(one.await).fault, before, "{code}");
            assert_eq!(Broken::beside_commit(two.await).fault, beside, "{code}");
            assert_eq!(Broken::at_commit(three.await).fault, at, "{code}");
        }
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: run cargo xtask test"]
    async fn a_connection_that_ends_without_a_word_is_in_doubt_once_a_commit_was_sent() {
        type Sort = fn(Postgres) -> Broken;
        for (sort, fault) in [
            (Broken::before_commit as Sort, Fault::Lost),
            (Broken::beside_commit, Fault::Unknown),
            (Broken::at_commit, Fault::Unknown),
        ] {
            let client = connect().await;
            let ended = client.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())").await.unwrap_err();
            assert!(matches!(Broken::before_commit(ended).fault, Fault::Lost));
            let after = loop {
                if let Err(error) = client.batch_execute("SELECT 1").await {
                    break error;
                }
            };
            let broken = sort(after);
            assert_eq!(broken.fault, fault);
            let source = std::error::Error::source(&broken.answer()).map(ToString::to_string);
            assert!(source.is_some_and(|source| source.contains("closed")), "each answer keeps its source");
        }
    }
}
