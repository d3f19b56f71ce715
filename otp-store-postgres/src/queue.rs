//! The commands that wait, and the tenants that are taken: in one process no two transactions run for the same tenant. They
//! would only wait for each other at the tenant's counts; together they add to them once.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use otp_core::TenantId;
use otp_core::store::{Decide, Reads, Scope, StoreError};
use tokio::sync::{Notify, oneshot};

/// Commands that may wait; beyond, a caller is told so at once instead of waiting for an answer it gives up on.
pub(crate) const QUEUE: usize = 1_024;

/// Commands that share a commit at most, so that the first of them does not wait long.
const BATCH: usize = 256;

/// One command.
pub(crate) struct Job {
    pub reads: Reads,
    pub decide: Decide,
    pub reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Job {
    /// Whoever asked may be gone; what was done stays done.
    pub fn answer(self, answer: Result<(), StoreError>) {
        let _ = self.reply.send(answer);
    }
}

fn tenant(scope: &Scope) -> TenantId {
    match scope {
        Scope::Subject(tenant, _) | Scope::Tenant(tenant) => *tenant,
    }
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    taken: HashSet<TenantId>,
    closed: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Unavailable("the store was closed".into()));
        }
        if state.waiting.len() >= QUEUE {
            return Err(StoreError::Busy);
        }
        // Whoever has the tenant looks for more when it is done.
        let can_be_taken = !state.taken.contains(&tenant(&job.reads.scope));
        state.waiting.push_back(job);
        drop(state);
        if can_be_taken {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Waits for commands and takes some of distinct scopes, whose tenants nobody has; none when the queue is closed and empty.
    pub async fn batch(self: &Arc<Self>) -> Option<(Batch, Vec<Job>)> {
        loop {
            let notified = self.ready.notified();
            let (batch, jobs) = self.take();
            if !jobs.is_empty() {
                return Some((batch, jobs));
            }
            if self.is_finished() {
                return None;
            }
            notified.await;
        }
    }

    fn take(self: &Arc<Self>) -> (Batch, Vec<Job>) {
        let mut state = self.state();
        let State { waiting, taken, .. } = &mut *state;
        let (mut scopes, mut tenants) = (HashSet::new(), HashSet::new());
        let (mut jobs, mut left) = (Vec::new(), VecDeque::new());
        while jobs.len() < BATCH
            && let Some(job) = waiting.pop_front()
        {
            let tenant = tenant(&job.reads.scope);
            if job.reply.is_closed() {
                // Nobody waits for it any more: an overloaded store does not do it either.
            } else if !taken.contains(&tenant) && scopes.insert(job.reads.scope) {
                tenants.insert(tenant);
                jobs.push(job);
            } else {
                left.push_back(job);
            }
        }
        left.append(waiting);
        *waiting = left;
        taken.extend(&tenants);
        let more = !jobs.is_empty() && !waiting.is_empty();
        drop(state);
        if more {
            self.ready.notify_one();
        }
        (Batch { queue: Arc::clone(self), tenants }, jobs)
    }

    fn is_finished(&self) -> bool {
        let state = self.state();
        state.closed && state.waiting.is_empty()
    }

    /// Takes no more commands; those that wait are done.
    pub fn close(&self) {
        self.state().closed = true;
        self.ready.notify_waiters();
    }
}

/// The tenants of some commands, which are free again when it is dropped.
pub(crate) struct Batch {
    queue: Arc<Queue>,
    tenants: HashSet<TenantId>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.tenants.is_empty() {
            return;
        }
        let mut state = self.queue.state();
        for tenant in &self.tenants {
            state.taken.remove(tenant);
        }
        let (waits, closed) = (!state.waiting.is_empty(), state.closed);
        drop(state);
        if closed {
            self.queue.ready.notify_waiters();
        } else if waits {
            self.queue.ready.notify_one();
        }
    }
}
