//! The loops behind the requests: messages are sent, what has expired is removed, what was counted is written down, sender
//! domains are looked up, tenants are told what goes wrong.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use otp_core::{Error, Sent, Service};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};

use crate::http::App;

mod events;

/// Messages of which it can wait to be written down what became of them: more than are on their way at a time.
const SETTLED: usize = 256;
/// Messages claimed at a time.
const BATCH: usize = 64;
/// With so many in memory no further ones are claimed: their lease would end while they wait.
const ENOUGH: usize = 5_000;
/// How often the queue is looked through for what is to be tried again or was left behind.
const PENDING_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Records removed in one transaction, which others wait for.
const SWEEP_BATCH: usize = 500;
/// How often users are looked for whose customer does not keep them any longer.
const RETAIN_EVERY: Duration = Duration::from_secs(6 * 3600);
const FIRST_RETENTION: Duration = Duration::from_secs(600);
const DOMAINS_EVERY: Duration = Duration::from_secs(10);
/// Domains looked up at a time: as many as are at once, so that none of them waits while its lease runs.
const DOMAINS_BATCH: usize = 16;
const FLUSH_EVERY: Duration = Duration::from_secs(30);
const FLUSH_CALLS_EVERY: Duration = Duration::from_secs(5);
const FOLD_EVERY: Duration = Duration::from_secs(60);
/// Visits folded at a time.
const FOLD_BATCH: usize = 1_000;
/// How often it is looked whether calls and messages fail.
const ALARMS_EVERY: Duration = Duration::from_secs(60);
/// How often keys are looked for whose end is near.
const WARN_OF_KEYS_EVERY: Duration = Duration::from_secs(3_600);
const FIRST_WARNING: Duration = Duration::from_secs(120);
/// How often it is looked whether storage is to be measured.
const MEASURE_EVERY: Duration = Duration::from_secs(1_800);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// After a panic, which the log tells of, a loop is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// What the loops are woken by.
#[derive(Clone, Default)]
pub struct Wakes {
    /// Notified after each commit that queued a message.
    pub queued: Arc<Notify>,
    /// Notified after each commit that has something to send to an endpoint.
    pub told: Arc<Notify>,
}

/// The running loops.
pub struct Workers {
    stop: watch::Sender<bool>,
    loops: JoinSet<()>,
}

impl Workers {
    /// Starts them on the current runtime.
    pub fn start(service: Service, wakes: Wakes, app: Arc<App>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let worker = Worker { service, app, wakes, stopped, failures: 0 };
        let mut loops = JoinSet::new();
        keep_up(&mut loops, &worker, Worker::send);
        keep_up(&mut loops, &worker, Worker::fetch_due);
        keep_up(&mut loops, &worker, Worker::send_events);
        keep_up(&mut loops, &worker, Worker::sweep);
        keep_up(&mut loops, &worker, Worker::retain);
        keep_up(&mut loops, &worker, Worker::flush);
        keep_up(&mut loops, &worker, Worker::flush_calls);
        keep_up(&mut loops, &worker, Worker::fold);
        keep_up(&mut loops, &worker, Worker::measure);
        keep_up(&mut loops, &worker, Worker::check_domains);
        keep_up(&mut loops, &worker, Worker::raise_alarms);
        keep_up(&mut loops, &worker, Worker::warn_of_keys);
        Self { stop, loops }
    }

    /// Ends them after what they are doing, and after what is queued in memory was sent.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.loops.join_next().await.is_some() {}
    }
}

fn keep_up<F>(loops: &mut JoinSet<()>, worker: &Worker, work: impl Fn(Worker) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let worker = worker.clone();
    loops.spawn(async move {
        while tokio::spawn(work(worker.clone())).await.is_err() {
            sleep(RESTART_AFTER).await;
        }
    });
}

#[derive(Clone)]
struct Worker {
    service: Service,
    app: Arc<App>,
    wakes: Wakes,
    stopped: watch::Receiver<bool>,
    /// In a row.
    failures: u32,
}

impl Worker {
    async fn send(self) {
        let (sent, settling) = mpsc::channel(SETTLED);
        tokio::join!(self.clone().dispatch(sent), self.settle(settling));
    }

    /// Sends each message as a task of its own, so that a provider that is slow to answer one does not hold up the others.
    async fn dispatch(mut self, done: mpsc::Sender<Sent>) {
        let mut sending = JoinSet::new();
        let mut is_last = false;
        loop {
            // No message is sent of which it could not be written down soon that it was.
            while let Ok(room) = done.clone().try_reserve_owned() {
                let Some(parcel) = self.service.next_parcel() else { break };
                let service = self.service.clone();
                sending.spawn(async move { drop(room.send(service.send(parcel).await)) });
            }
            if is_last && sending.is_empty() {
                return;
            }
            tokio::select! {
                () = self.wakes.queued.notified() => {}
                Some(_) = sending.join_next() => {}
                _ = self.stopped.wait_for(|stopped| *stopped), if !is_last => is_last = true,
            }
        }
    }

    /// Writes down what became of messages: all that ended while the last ones were written, in one commit.
    async fn settle(mut self, mut done: mpsc::Receiver<Sent>) {
        let mut sent = Vec::new();
        while done.recv_many(&mut sent, SETTLED).await > 0 {
            let settled = self.service.settle(mem::take(&mut sent)).await;
            if let Some(delivered) = self.done("deliver", settled).await {
                self.app.metrics().delivered(delivered);
            }
            self.wakes.queued.notify_one(); // there is room again
        }
    }

    async fn fetch_due(mut self) {
        let mut ticks = every(PENDING_EVERY, Instant::now());
        while self.waits_for(&mut ticks).await {
            while self.service.outbox().waiting < ENOUGH {
                let fetched = self.done("fetch", self.service.fetch_due(BATCH).await).await;
                if fetched.is_some_and(|count| count > 0) {
                    self.wakes.queued.notify_one();
                }
                if fetched != Some(BATCH) {
                    break;
                }
            }
        }
    }

    async fn sweep(mut self) {
        let mut ticks = every(SWEEP_EVERY, Instant::now() + SWEEP_EVERY);
        while self.waits_for(&mut ticks).await {
            if let Some(behind) = self.service.standstill() {
                tracing::warn!(
                    ?behind,
                    "the clock is behind the time noted in the database, and time stands still until it has caught up"
                );
            }
            while self.done("sweep", self.service.sweep(SWEEP_BATCH).await).await == Some(SWEEP_BATCH) {}
        }
    }

    async fn retain(mut self) {
        let mut ticks = every(RETAIN_EVERY, Instant::now() + FIRST_RETENTION);
        while self.waits_for(&mut ticks).await {
            let Some(mut round) = self.done("retention", self.service.retention_round().await).await else { continue };
            while !*self.stopped.borrow() {
                let step = self.service.continue_retention(&mut round).await;
                if self.done("retention", step).await.flatten().is_none() {
                    break;
                }
            }
            let mut stopped = self.stopped.clone();
            let erased = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                erased = self.service.erase_tenants() => erased,
            };
            self.done("erase customers", erased).await;
        }
    }

    async fn flush(mut self) {
        let mut ticks = every(FLUSH_EVERY, Instant::now() + FLUSH_EVERY);
        while self.waits_for(&mut ticks).await {
            self.done("flush", self.service.flush_key_uses().await).await;
        }
    }

    async fn flush_calls(mut self) {
        let mut ticks = every(FLUSH_CALLS_EVERY, Instant::now() + FLUSH_CALLS_EVERY);
        while self.waits_for(&mut ticks).await {
            self.done("count calls", self.service.flush_calls().await).await;
        }
    }

    async fn fold(mut self) {
        let mut ticks = every(FOLD_EVERY, Instant::now() + FOLD_EVERY);
        while self.waits_for(&mut ticks).await {
            while self.done("fold", self.service.fold_visits(FOLD_BATCH).await).await == Some(FOLD_BATCH) {}
        }
    }

    async fn measure(mut self) {
        let mut ticks = every(MEASURE_EVERY, Instant::now() + FOLD_EVERY);
        while self.waits_for(&mut ticks).await {
            let mut stopped = self.stopped.clone();
            let measured = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                measured = self.service.measure_storage() => measured,
            };
            self.done("measure", measured).await;
        }
    }

    async fn check_domains(mut self) {
        let mut ticks = every(DOMAINS_EVERY, Instant::now());
        while self.waits_for(&mut ticks).await {
            let mut is_more = true;
            while is_more && !*self.stopped.borrow() {
                let checked = self.service.check_due_domains(DOMAINS_BATCH).await;
                is_more = self.done("domains", checked).await == Some(DOMAINS_BATCH);
            }
        }
    }

    async fn raise_alarms(mut self) {
        let mut ticks = every(ALARMS_EVERY, Instant::now() + ALARMS_EVERY);
        while self.waits_for(&mut ticks).await {
            self.done("alarms", self.service.raise_alarms().await).await;
        }
    }

    async fn warn_of_keys(mut self) {
        let mut ticks = every(WARN_OF_KEYS_EVERY, Instant::now() + FIRST_WARNING);
        while self.waits_for(&mut ticks).await {
            let mut stopped = self.stopped.clone();
            let warned = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                warned = self.service.warn_of_expiring_keys() => warned,
            };
            self.done("keys that expire", warned).await;
        }
    }

    /// Whether there is another round: after the next tick, unless the work is to stop.
    async fn waits_for(&mut self, ticks: &mut Interval) -> bool {
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stopped| *stopped) => false,
            _ = ticks.tick() => true,
        }
    }

    /// What was done; after an error `None`, and not before a rest, which grows with every further one.
    async fn done<T>(&mut self, work: &'static str, outcome: Result<T, Error>) -> Option<T> {
        match outcome {
            Ok(done) => {
                self.failures = 0;
                Some(done)
            }
            Err(error) => {
                let rest = Duration::from_secs(1 << self.failures.min(5)).min(LONGEST_BACKOFF);
                self.failures = self.failures.saturating_add(1);
                tracing::error!(work, code = error.code(), %error, "background work failed, it is tried again");
                let _ = timeout(rest, self.stopped.wait_for(|stopped| *stopped)).await; // stopping needs no rest
                None
            }
        }
    }
}

fn every(period: Duration, start: Instant) -> Interval {
    let mut ticks = interval_at(start, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests;
