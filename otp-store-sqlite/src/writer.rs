//! The one thread that writes. It takes a job, then whatever else waits, and runs them all in one transaction: while it
//! commits, the next batch gathers, so nobody waits for a timer and a busy disk makes larger batches.

use std::sync::mpsc::{Receiver, SyncSender, TryIter, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use otp_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::checkpoint::Checkpoints;
use crate::error::{Failure, commit_error, store_error};
use crate::statements::{Statements, Texts};
use crate::transaction::{Done, Transaction, Work};

/// Jobs that may wait; beyond, a caller is told so at once instead of waiting for an answer it gives up on.
pub(crate) const QUEUE: usize = 1_024;

/// Jobs that share a commit at most, so that the first of them does not wait long.
const BATCH: usize = 256;

type Answer = Result<Done, StoreError>;

struct Job {
    work: Work,
    reply: oneshot::Sender<Answer>,
}

enum Order {
    Run(Job),
    Stop,
}

/// The handle of the writing thread; dropped, it lets the thread finish what waits.
pub(crate) struct Writer {
    orders: SyncSender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// `second` is another connection to the file, for the log.
    pub fn start(connection: Connection, second: Connection, texts: Arc<Texts>) -> std::io::Result<Self> {
        let (orders, queue) = sync_channel(QUEUE);
        let serve = move || serve(&connection, second, &texts, &queue);
        let thread = thread::Builder::new().name("otp-sqlite".into()).spawn(serve)?;
        Ok(Self { orders, thread: Mutex::new(Some(thread)) })
    }

    /// Queues work and waits for its commit. If the future is dropped before the work begins, it never does; after that,
    /// it is done as if somebody waited.
    pub async fn run(&self, work: Work) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.orders.try_send(Order::Run(Job { work, reply })).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => closed(),
        })?;
        // Every job that is taken is answered, unless the thread came to grief, perhaps within the commit.
        answer.await.unwrap_or_else(|gone| Err(StoreError::Unknown(gone.into())))
    }

    /// Lets the thread finish what waits, and waits for its end. What is queued later is refused.
    pub fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Both fail only if the thread is gone, which is what is wanted.
            let _ = self.orders.send(Order::Stop);
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store was closed".into())
}

fn serve(connection: &Connection, second: Connection, texts: &Texts, queue: &Receiver<Order>) {
    // Without the thread SQLite copies the log by itself, within a commit.
    let mut checkpoints = Checkpoints::start(connection, second).ok();
    let mut transaction = Transaction::new(Statements::new(connection, texts));
    let mut stopped = false;
    while !stopped && let Ok(first) = queue.recv() {
        let (batch, last) = gather(first, queue.try_iter());
        stopped = last;
        run(&mut transaction, batch);
        if let Some(checkpoints) = &mut checkpoints {
            checkpoints.after_commit();
        }
        if transaction.has_erased() {
            let _paused = checkpoints.as_ref().map(Checkpoints::pause);
            transaction.forget_erased();
        }
    }
    for order in queue.try_iter() {
        if let Order::Run(job) = order {
            job.answer(Err(closed()));
        }
    }
    drop(transaction);
    drop(checkpoints);
    // A reader may be in the way; the log is then read again at the next start.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

/// The batch that begins with `first`, and whether it is the last.
fn gather(first: Order, waiting: TryIter<'_, Order>) -> (Vec<Job>, bool) {
    let mut batch = Vec::new();
    for order in std::iter::once(first).chain(waiting.take(BATCH - 1)) {
        match order {
            // Nobody waits for it any more: an overloaded store does not do it either.
            Order::Run(job) if job.reply.is_closed() => {}
            Order::Run(job) => batch.push(job),
            Order::Stop => return (batch, true),
        }
    }
    (batch, false)
}

/// Why a transaction was rolled back.
struct Broken {
    at: Step,
    error: Arc<rusqlite::Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Work,
    Commit,
}

impl Broken {
    fn answer(&self) -> StoreError {
        match self.at {
            Step::Begin | Step::Work => store_error(&self.error),
            Step::Commit => commit_error(&self.error),
        }
    }

    /// Whether other jobs may fare better by themselves. Not if none could even begin, and not after a commit that may
    /// have happened.
    fn may_be_one_jobs_fault(&self) -> bool {
        self.at != Step::Begin && !matches!(self.answer(), StoreError::Unknown(_))
    }
}

/// Runs jobs in one transaction; if that breaks, each in its own, so that only those fail that have to.
fn run(transaction: &mut Transaction<'_>, batch: Vec<Job>) {
    let Err((batch, broken)) = run_together(transaction, batch) else { return };
    if batch.len() == 1 || !broken.may_be_one_jobs_fault() {
        return fail(batch, &broken);
    }
    let mut jobs = batch.into_iter();
    while let Some(job) = jobs.next() {
        if let Err((mut failed, broken)) = run_together(transaction, vec![job]) {
            if !broken.may_be_one_jobs_fault() {
                failed.extend(jobs.by_ref());
            }
            fail(failed, &broken);
        }
    }
}

/// Runs jobs in one transaction and answers them, or gives them back.
fn run_together(transaction: &mut Transaction<'_>, mut batch: Vec<Job>) -> Result<(), (Vec<Job>, Broken)> {
    if batch.is_empty() {
        return Ok(());
    }
    match attempt(transaction, &mut batch) {
        Ok(answers) => {
            batch.into_iter().zip(answers).for_each(|(job, answer)| job.answer(answer));
            Ok(())
        }
        Err((at, error)) => {
            transaction.roll_back();
            Err((batch, Broken { at, error: Arc::new(error) }))
        }
    }
}

fn attempt(transaction: &mut Transaction<'_>, batch: &mut [Job]) -> Result<Vec<Answer>, (Step, rusqlite::Error)> {
    transaction.begin().map_err(|error| (Step::Begin, error))?;
    let mut answers = Vec::with_capacity(batch.len());
    for job in batch {
        match transaction.run(&mut job.work) {
            Ok(done) => answers.push(Ok(done)),
            Err(Failure::Refused(error)) => answers.push(Err(error)),
            Err(Failure::Sql(error)) => return Err((Step::Work, error)),
        }
    }
    transaction.write_counts().map_err(|error| (Step::Work, error))?;
    transaction.commit().map_err(|error| (Step::Commit, error))?;
    Ok(answers)
}

fn fail(jobs: Vec<Job>, broken: &Broken) {
    jobs.into_iter().for_each(|job| job.answer(Err(broken.answer())));
}

impl Job {
    /// Whoever asked may be gone; what was done stays done.
    fn answer(self, answer: Answer) {
        let _ = self.reply.send(answer);
    }
}
