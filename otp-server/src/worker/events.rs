//! Events are sent to endpoints.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use otp_core::{SentEvent, Unwritten, WebhookClaim, WebhookRun};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{PENDING_EVERY, Worker, every};

/// Events, and deliveries, claimed at a time.
const BATCH: usize = 512;
/// Claims of which something is written down at the same time: what they come to has yet to find its place in memory.
const WRITING: usize = 4;
/// Deliveries of which it can wait to be written down what became of them: more than end within two moments, so that nothing
/// waits for that.
const UNSETTLED: usize = 1_024;
/// Claims of which what was put off can wait to be written down.
const PUT_OFF: usize = 64;
/// With so many in memory no further ones are claimed at once: those that take them get a moment, and another one as long as at
/// least so many leave in it.
const ENOUGH: usize = 2_048;
const MOMENT: Duration = Duration::from_millis(10);
const MANY: usize = 64;
/// How long attempts that are under way may go on when the server stops. What is cut off is sent again by the next start.
const LEFT_TO_FINISH: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) async fn send_events(self) {
        let ((sent, settling), (put_off, waiting)) = (mpsc::channel(UNSETTLED), mpsc::channel(PUT_OFF));
        tokio::join!(self.clone().claim_events(sent, put_off), self.settle_events(settling, waiting));
    }

    async fn claim_events(mut self, sent: mpsc::Sender<SentEvent>, waiting: mpsc::Sender<Vec<SentEvent>>) {
        let mut ticks = every(PENDING_EVERY, Instant::now());
        let (mut runs, writing) = (JoinSet::new(), Arc::new(Semaphore::new(WRITING)));
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => break,
                Some(_) = runs.join_next() => continue,
                () = self.wakes.told.notified() => {}
                _ = ticks.tick() => {}
            }
            let mut may_be_more = true;
            while may_be_more && !*self.stopped.borrow() {
                self.make_room().await;
                let claim = self.service.claim_webhooks(BATCH).await;
                let WebhookClaim { runs: begun, put_off, unwritten, is_more } =
                    self.done("events", claim).await.unwrap_or_default();
                may_be_more = is_more;
                begun.into_iter().for_each(|run| drop(runs.spawn(self.clone().send_run(run, sent.clone()))));
                if !put_off.is_empty() && waiting.send(put_off).await.is_err() {
                    break;
                }
                if !unwritten.is_empty() {
                    let turn = Arc::clone(&writing).acquire_owned().await;
                    runs.spawn(self.clone().send_written(unwritten, turn, sent.clone()));
                }
            }
        }
        self.service.release_webhooks();
        let finish = async { while runs.join_next().await.is_some() {} };
        let _ = timeout(LEFT_TO_FINISH, finish).await; // dropped, what is left ends
    }

    /// Claimed faster than it leaves, what waits would have to go back. What leaves slowly holds up nobody else.
    async fn make_room(&self) {
        let mut waiting = self.service.waiting_webhooks();
        while waiting >= ENOUGH {
            sleep(MOMENT).await;
            let waited = mem::replace(&mut waiting, self.service.waiting_webhooks());
            if waiting + MANY > waited {
                return;
            }
        }
    }

    /// What has to be written down first holds up nothing else.
    async fn send_written<T>(mut self, unwritten: Unwritten, turn: T, sent: mpsc::Sender<SentEvent>) {
        let written = self.service.write_webhooks(unwritten).await;
        drop(turn);
        let begun = self.done("events", written).await.unwrap_or_default();
        let mut runs: JoinSet<()> = begun.into_iter().map(|run| self.clone().send_run(run, sent.clone())).collect();
        while runs.join_next().await.is_some() {}
    }

    /// No event is sent of which it could not be written down soon that it was.
    async fn send_run(mut self, mut run: WebhookRun, sent: mpsc::Sender<SentEvent>) {
        while let Ok(room) = sent.reserve().await {
            let next = self.service.send_next(&mut run).await;
            let Some(Some(next)) = self.done("events", next).await else { return };
            room.send(next);
        }
    }

    /// Writes down what became of deliveries, and which have to wait: all of a moment in one commit. Nobody waits for it.
    async fn settle_events(mut self, mut sent: mpsc::Receiver<SentEvent>, mut waiting: mpsc::Receiver<Vec<SentEvent>>) {
        let mut settling = Vec::new();
        loop {
            tokio::select! {
                1.. = sent.recv_many(&mut settling, UNSETTLED) => {}
                Some(put_off) = waiting.recv() => settling.extend(put_off),
                else => return,
            }
            sleep(MOMENT).await;
            settling.extend(std::iter::from_fn(|| sent.try_recv().ok()));
            settling.extend(std::iter::from_fn(|| waiting.try_recv().ok()).flatten());
            let settled = self.service.settle_webhooks(mem::take(&mut settling)).await;
            if let Some(delivered) = self.done("events", settled).await {
                self.app.metrics().events_delivered(delivered);
            }
        }
    }
}
