//! Connections: how they are made, kept, and given back clean; and statements that travel together.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::TryStreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use crate::address::Address;
use crate::error::Broken;
use crate::statements::{Query, Texts};
use crate::{OpenError, Options};

/// How long a connection may take to be made.
const CONNECT_FOR: Duration = Duration::from_secs(5);

/// How long a caller waits for a connection before it is told that the store is busy.
const WAIT_FOR: Duration = Duration::from_secs(2);

/// A few connections, made when they are needed.
pub(crate) struct Sessions {
    pool: Pool,
    texts: Arc<Texts>,
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
        Ok(Self { pool, texts })
    }

    pub async fn session(&self) -> Result<Session, Broken> {
        let object = self.pool.get().await?;
        Ok(Session { object: Some(object), texts: Arc::clone(&self.texts), open: false })
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

/// One connection for a while. It goes back to the others only if no transaction is open on it; otherwise it is closed,
/// which undoes the transaction.
pub(crate) struct Session {
    object: Option<Object>,
    texts: Arc<Texts>,
    open: bool,
}

pub(crate) type Param = Box<dyn ToSql + Send + Sync>;

/// One of the statements that travel together.
pub(crate) enum Step {
    Begin,
    BeginSnapshot,
    Commit,
    Call(Query, Vec<Param>),
}

pub(crate) type Answer = Result<Vec<Row>, Error>;

enum Ready {
    Plain(&'static str),
    Prepared(Statement, Vec<Param>),
}

impl Session {
    /// Sends all of them at once, and gives what came of each, in order.
    ///
    /// # Errors
    /// When a statement could not be prepared; none of them was sent then.
    pub async fn send(&mut self, steps: Vec<Step>) -> Result<Vec<Answer>, Error> {
        let Some(object) = &self.object else { return Ok(Vec::new()) };
        let (mut ready, mut open) = (Vec::with_capacity(steps.len()), self.open);
        for step in steps {
            ready.push(match step {
                Step::Begin => Ready::Plain("BEGIN"),
                Step::BeginSnapshot => Ready::Plain("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
                Step::Commit => Ready::Plain("COMMIT"),
                Step::Call(query, params) => {
                    Ready::Prepared(object.prepare_cached(self.texts.of(query)).await?, params)
                }
            });
            open = match ready.last() {
                Some(Ready::Plain("COMMIT")) => false,
                Some(Ready::Plain(_)) => true,
                _ => open,
            };
        }
        self.open = true;
        let answers = in_order(ready.into_iter().map(|ready| ready.run(object)).collect()).await;
        // After an error nobody knows; after `COMMIT` was answered no transaction is open, even if it was undone.
        let last = answers.last().is_none_or(Result::is_ok);
        self.open = open || !last;
        Ok(answers)
    }

    /// Undoes what is open after something went wrong. If that fails too, the connection is closed.
    pub async fn roll_back(&mut self) {
        if let Some(object) = &self.object
            && self.open
            && !object.is_closed()
        {
            self.open = object.batch_execute("ROLLBACK").await.is_err();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && self.open
        {
            drop(Object::take(object));
        }
    }
}

impl Ready {
    fn run(self, object: &Object) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(async move {
            match self {
                Ready::Plain(sql) => object.batch_execute(sql).await.map(|()| Vec::new()),
                Ready::Prepared(statement, params) => {
                    let params = params.iter().map(|param| &**param as &(dyn ToSql + Sync));
                    object.query_raw(&statement, params).await?.try_collect().await
                }
            }
        })
    }
}

/// Polls futures in their order, so that what each sends when it is first polled goes out in that order.
async fn in_order<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut outputs: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs).filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(ready) => *output = Some(ready),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// The answers, if all are good.
pub(crate) fn all(answers: Vec<Answer>, sort: impl Fn(Error) -> Broken) -> Result<Vec<Vec<Row>>, Broken> {
    answers.into_iter().collect::<Result<_, _>>().map_err(sort)
}

/// The answers of statements whose last is the commit.
pub(crate) fn committed(mut answers: Vec<Answer>) -> Result<Vec<Vec<Row>>, Broken> {
    let commit = answers.pop();
    let rows = all(answers, Broken::beside_commit)?;
    match commit {
        Some(Err(error)) => Err(Broken::at_commit(error)),
        Some(Ok(_)) | None => Ok(rows),
    }
}
