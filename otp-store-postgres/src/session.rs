//! One connection: statements that travel together, and what is known of the transaction that is open on it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use crate::error::{Broken, Fault};
use crate::statements::{Query, Texts};

/// A connection for a while. It goes back to the others only if no transaction is open on it; otherwise it is closed, which
/// undoes the transaction.
pub(crate) struct Session {
    object: Option<Object>,
    texts: Arc<Texts>,
    trip_for: Duration,
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

/// The rows of each statement of a trip.
pub(crate) type Answers = Vec<Vec<Row>>;

type Answer = Result<Vec<Row>, Error>;

enum Ready {
    Begin(&'static str),
    Commit,
    Prepared(Statement, Vec<Param>),
}

impl Session {
    pub fn new(object: Object, texts: Arc<Texts>, trip_for: Duration) -> Self {
        Self { object: Some(object), texts, trip_for, open: false }
    }

    /// Runs statements that change nothing by themselves.
    pub async fn look(&mut self, steps: Vec<Step>) -> Result<Answers, Broken> {
        let answers = self.send(steps, Fault::Unavailable).await?;
        answers.into_iter().collect::<Result<_, _>>().map_err(Broken::before_commit)
    }

    /// Runs statements each of which commits by itself.
    pub async fn write_alone(&mut self, steps: Vec<Step>) -> Result<Answers, Broken> {
        let answers = self.send(steps, Fault::Unknown).await?;
        answers.into_iter().collect::<Result<_, _>>().map_err(Broken::at_commit)
    }

    /// Runs the last statements of a transaction, and commits it: all of them have to succeed, because the server takes
    /// `COMMIT` for `ROLLBACK` without a complaint when one before it failed.
    pub async fn commit(&mut self, mut steps: Vec<Step>) -> Result<(), Broken> {
        steps.push(Step::Commit);
        let mut answers = self.send(steps, Fault::Unknown).await?;
        let commit = answers.pop();
        answers.into_iter().collect::<Result<Answers, _>>().map_err(Broken::beside_commit)?;
        commit.transpose().map(drop).map_err(Broken::at_commit)
    }

    /// Undoes what is open after something went wrong. If that fails too, the connection is closed.
    pub async fn roll_back(&mut self) {
        if let Some(object) = &self.object
            && self.open
            && !object.is_closed()
        {
            let undone = timeout(self.trip_for, object.batch_execute("ROLLBACK")).await;
            self.open = !matches!(undone, Ok(Ok(())));
        }
    }

    /// Sends all of them at once, and gives what came of each, in order. A server that does not answer, alive or not, is
    /// not waited for; what that comes to is `silence`.
    async fn send(&mut self, steps: Vec<Step>, silence: Fault) -> Result<Vec<Answer>, Broken> {
        let Some(object) = &self.object else { return Err(Broken::silent(silence)) };
        let ready = timeout(self.trip_for, prepare(object, &self.texts, steps)).await;
        let ready = ready.map_err(|_| Broken::silent(Fault::Unavailable))?.map_err(Broken::before_commit)?;
        let open = ready.iter().fold(self.open, |open, ready| match ready {
            Ready::Begin(_) => true,
            Ready::Commit => false,
            Ready::Prepared(..) => open,
        });
        // Until the answers are there, and if the last is an error, nobody knows.
        self.open = true;
        let trip = in_order(ready.into_iter().map(|ready| ready.run(object)).collect());
        let Ok(answers) = timeout(self.trip_for, trip).await else {
            self.object.take().map(Object::take);
            return Err(Broken::silent(silence));
        };
        self.open = open || answers.last().is_some_and(Result::is_err);
        Ok(answers)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.open {
            self.object.take().map(Object::take);
        }
    }
}

/// Takes a trip for each statement that the connection has not seen before.
async fn prepare(object: &Object, texts: &Texts, steps: Vec<Step>) -> Result<Vec<Ready>, Error> {
    let mut ready = Vec::with_capacity(steps.len());
    for step in steps {
        ready.push(match step {
            Step::Begin => Ready::Begin("BEGIN"),
            Step::BeginSnapshot => Ready::Begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            Step::Commit => Ready::Commit,
            Step::Call(query, params) => Ready::Prepared(object.prepare_cached(texts.of(query)).await?, params),
        });
    }
    Ok(ready)
}

impl Ready {
    fn run(self, object: &Object) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(async move {
            match self {
                Ready::Begin(sql) => object.batch_execute(sql).await.map(|()| Vec::new()),
                Ready::Commit => object.batch_execute("COMMIT").await.map(|()| Vec::new()),
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
