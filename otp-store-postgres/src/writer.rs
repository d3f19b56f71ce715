//! The tasks that run commands. Each takes a command, then whatever else waits with another scope, and runs them all in
//! one transaction of two trips: while it commits, the next batch gathers, so nobody waits for a timer and a busy database
//! makes larger batches. A caller that goes away leaves its command to its task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use otp_core::store::StoreError;

use crate::error::{Broken, Fault, Tries};
use crate::load::{Found, Load};
use crate::pool::Sessions;
use crate::queue::{Job, Queue};
use crate::session::{Param, Session, Step};
use crate::statements::{Query, scope_key};
use crate::writes::Writes;

/// How often a batch is tried together when something was in its way, before each command is tried alone.
const TRIES_TOGETHER: usize = 3;

/// Takes commands until the queue is closed and empty.
pub(crate) async fn serve(queue: Arc<Queue>, writer: Writer) {
    while let Some((_taken, jobs)) = queue.batch().await {
        writer.run(jobs).await;
    }
}

/// How many of a batch may each wait in vain for what another transaction holds.
const WAITS: usize = 3;

pub(crate) struct Writer {
    pub sessions: Arc<Sessions>,
    pub schema: Arc<str>,
}

/// What became of one command within a transaction that committed.
enum Verdict {
    Done,
    Failed(StoreError),
    /// What it must not meet is there: it has to load again.
    Again,
}

impl Writer {
    /// Runs jobs of distinct scopes in one transaction; if that breaks for what may be the fault of one, each in its own,
    /// so that only those fail that have to. If it turns out that none can succeed, the rest is not kept waiting.
    async fn run(&self, mut jobs: Vec<Job>) {
        if jobs.len() > 1 {
            jobs = self.run_together(jobs).await;
        }
        let mut waits = 0;
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            let Some(broken) = self.run_alone(job).await else { continue };
            waits += usize::from(broken.fault == Fault::Busy);
            if broken.fault == Fault::Lost || waits == WAITS {
                jobs.by_ref().for_each(|job| job.answer(Err(broken.answer())));
            }
        }
    }

    /// Answers jobs, or gives back those that have to be run alone.
    async fn run_together(&self, mut jobs: Vec<Job>) -> Vec<Job> {
        let mut tries = Tries::default();
        for _ in 0..TRIES_TOGETHER {
            let broken = match self.attempt(&mut jobs).await {
                Ok(verdicts) => return settle(jobs, verdicts),
                Err(broken) => broken,
            };
            if tries.allow(broken.fault) {
                continue;
            }
            if matches!(broken.fault, Fault::Lost | Fault::Unknown) {
                jobs.into_iter().for_each(|job| job.answer(Err(broken.answer())));
                return Vec::new();
            }
            break;
        }
        jobs
    }

    /// Answers a job, and gives what broke its transaction, if something did.
    async fn run_alone(&self, job: Job) -> Option<Broken> {
        let (mut job, mut tries) = ([job], Tries::default());
        let (answer, broken) = loop {
            match self.attempt(&mut job).await {
                Ok(mut verdicts) => match verdicts.pop() {
                    Some(Verdict::Done) | None => break (Ok(()), None),
                    Some(Verdict::Failed(error)) => break (Err(error), None),
                    Some(Verdict::Again) if tries.allow(Fault::Again) => {}
                    Some(Verdict::Again) => break (Err(StoreError::Busy), None),
                },
                Err(broken) if tries.allow(broken.fault) => {}
                Err(broken) => break (Err(broken.answer()), Some(broken)),
            }
        };
        let [job] = job;
        job.answer(answer);
        broken
    }

    async fn attempt(&self, jobs: &mut [Job]) -> Result<Vec<Verdict>, Broken> {
        let mut session = self.sessions.session().await?;
        let outcome = self.transact(&mut session, jobs).await;
        if outcome.is_err() {
            session.roll_back().await;
        }
        outcome
    }

    async fn transact(&self, session: &mut Session, jobs: &mut [Job]) -> Result<Vec<Verdict>, Broken> {
        let locks = jobs.iter().map(|job| scope_key(&self.schema, &job.reads.scope)).collect();
        let load = Load::of(jobs.iter().flat_map(|job| &job.reads.wanted));
        let found = begin(session, locks, load).await?;
        let mut writes = Writes::default();
        let verdicts = jobs.iter_mut().map(|job| decide(job, &found, &mut writes)).collect();
        let outcome = session.commit(writes.steps()).await;
        // Where nothing was to be written, nothing is in doubt.
        if writes.is_empty() {
            return Ok(verdicts);
        }
        outcome.map(|()| verdicts)
    }
}

/// The first trip: the scopes are locked in the order that every server takes them, and then everything is read, each
/// statement by itself and so as it stands after the locks were taken.
async fn begin(session: &mut Session, mut locks: Vec<i64>, load: Load) -> Result<Found, Broken> {
    locks.sort_unstable();
    let locks: Param = Box::new(locks);
    let mut steps = vec![Step::Begin, Step::Call(Query::Lock, vec![locks])];
    steps.extend(load.steps());
    let mut answers = session.look(steps).await?;
    load.found(answers.split_off(2))
}

fn decide(job: &mut Job, found: &Found, writes: &mut Writes) -> Verdict {
    let seen = match found.seen(&job.reads.wanted, writes) {
        Ok(seen) => seen,
        Err(error) => return Verdict::Failed(error),
    };
    let Ok(changes) = catch_unwind(AssertUnwindSafe(|| (job.decide)(&seen))) else {
        return Verdict::Failed(StoreError::Corrupt("a command panicked".into()));
    };
    match writes.admit(changes, &seen, |counter| found.count(counter)) {
        true => Verdict::Done,
        false => Verdict::Again,
    }
}

/// Answers what is decided, and gives back what is not.
fn settle(jobs: Vec<Job>, verdicts: Vec<Verdict>) -> Vec<Job> {
    let mut left = Vec::new();
    for (job, verdict) in jobs.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Done => job.answer(Ok(())),
            Verdict::Failed(error) => job.answer(Err(error)),
            Verdict::Again => left.push(job),
        }
    }
    left
}
