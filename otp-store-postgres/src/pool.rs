//! How connections are made and kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use tokio::time::Instant;

use crate::address::Address;
use crate::error::{Broken, Fault};
use crate::session::Session;
use crate::statements::Texts;
use crate::{OpenError, Options};

/// How long a connection may take to be made.
const CONNECT_FOR: Duration = Duration::from_secs(5);

/// How long a caller waits for a connection before it is told that the store is busy.
const WAIT_FOR: Duration = Duration::from_secs(2);

/// How long no connection is tried after one was refused.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the longest time of a statement is waited for all the answers of a trip, before the server is taken for gone.
const STATEMENTS_A_TRIP: u32 = 4;

/// A few connections, made when they are needed.
pub(crate) struct Sessions {
    pool: Pool,
    texts: Arc<Texts>,
    trip_for: Duration,
    failed_at: Mutex<Option<Instant>>,
}

impl Sessions {
    pub fn new(address: &Address, options: &Options, size: usize, texts: Arc<Texts>) -> Result<Self, OpenError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(address.config.clone(), address.tls.clone(), recycling);
        let settings: Arc<str> = settings(options).into();
        let set_up = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        });
        let timeouts = Timeouts { wait: Some(WAIT_FOR), create: Some(CONNECT_FOR), recycle: Some(CONNECT_FOR) };
        let pool = Pool::builder(manager)
            .max_size(size.max(1))
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .post_create(set_up);
        let pool = pool.build().map_err(|error| OpenError::Address(error.to_string()))?;
        let trip_for = options.statement_timeout * STATEMENTS_A_TRIP;
        Ok(Self { pool, texts, trip_for, failed_at: Mutex::default() })
    }

    /// A connection that is free, or a new one. A server that takes none is left in peace for a moment: one that shuts
    /// down or recovers has to turn away everybody who knocks, and comes to nothing else if that never ends.
    pub async fn session(&self) -> Result<Session, Broken> {
        if self.pool.status().available == 0 && self.has_just_failed() {
            return Err(Broken::silent(Fault::Unavailable));
        }
        let object = self.pool.get().await.inspect_err(|error| self.note(error))?;
        Ok(Session::new(object, Arc::clone(&self.texts), self.trip_for))
    }

    fn has_just_failed(&self) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|at| at.elapsed() < PAUSE)
    }

    fn note(&self, error: &PoolError) {
        if !matches!(error, PoolError::Timeout(TimeoutType::Wait) | PoolError::Closed) {
            *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// How many wait for a connection.
    pub fn waiting(&self) -> usize {
        self.pool.status().waiting
    }

    pub fn close(&self) {
        self.pool.close();
    }
}

/// What every connection is set to. The plans are settled: each statement has an index to go by, and the sizes of tables
/// that the planner knows are those of the last time that somebody counted.
pub(crate) fn settings(options: &Options) -> String {
    format!(
        "SET search_path TO \"{}\"; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; SET default_transaction_isolation = 'read committed'; \
         SET client_min_messages = 'warning'; SET jit = off; SET plan_cache_mode = 'force_generic_plan'; \
         SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        options.schema,
        options.statement_timeout.as_millis(),
        options.lock_timeout.as_millis(),
        options.idle_in_transaction_timeout.as_millis(),
    )
}
