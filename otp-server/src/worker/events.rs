//! Events are sent to endpoints.

use std::time::Duration;

use otp_core::{WebhookClaim, WebhookRun};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{PENDING_EVERY, Worker, every};

/// Deliveries claimed at a time.
const BATCH: usize = 256;
/// How long attempts that are under way may go on when the server stops. What is cut off is sent again by the next start.
const LEFT_TO_FINISH: Duration = Duration::from_secs(5);

impl Worker {
    pub(super) async fn send_events(mut self) {
        let mut ticks = every(PENDING_EVERY, Instant::now());
        let mut runs = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => break,
                Some(_) = runs.join_next() => continue,
                () = self.wakes.told.notified() => {}
                _ = ticks.tick() => {}
            }
            let mut is_more = true;
            while is_more && !*self.stopped.borrow() {
                let claim = self.service.claim_webhooks(BATCH).await;
                let WebhookClaim { runs: begun, claimed } = self.done("events", claim).await.unwrap_or_default();
                is_more = claimed == BATCH;
                begun.into_iter().for_each(|run| drop(runs.spawn(self.clone().send_run(run))));
            }
        }
        self.service.release_webhooks();
        let finish = async { while runs.join_next().await.is_some() {} };
        let _ = timeout(LEFT_TO_FINISH, finish).await; // dropped, what is left ends
    }

    async fn send_run(mut self, run: WebhookRun) {
        let outcome = self.service.run_webhooks(run).await;
        if let Some(delivered) = self.done("events", outcome).await {
            self.app.metrics().events_delivered(delivered);
        }
    }
}
