//! A server that answers, until it is told to stop.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::sockets::Sockets;
use super::stop::Signals;
use crate::listen::{self, Limits};
use crate::worker::Workers;

/// What is in flight when the server is told to stop has this long to finish.
pub(super) const DRAIN: Duration = Duration::from_secs(30);

/// Everything that runs.
pub(super) struct Running {
    pub sockets: Sockets,
    pub routes: Router,
    pub operator_routes: Router,
    pub limits: Limits,
    pub workers: Workers,
}

impl Running {
    /// Serves until a signal comes, calls `closing`, and finishes what is in flight; a second signal ends that too.
    pub async fn until_told(self, mut signals: Signals, closing: impl FnOnce()) {
        let (stop, deadline) = watch::channel(None);
        let told = async {
            signals.next().await;
            tracing::info!("stopping: no new connections, what is in flight is finished");
            closing();
            stop.send_replace(Some(Instant::now() + DRAIN));
            signals.next().await;
            tracing::warn!("told again: stopping at once");
        };
        tokio::select! {
            () = self.serve(deadline) => {}
            () = told => {}
        }
    }

    /// Requests in flight queue messages, so the workers stop after the listeners.
    async fn serve(self, deadline: watch::Receiver<Option<Instant>>) {
        let Sockets { public, operator, .. } = self.sockets;
        tokio::join!(
            listen::serve(public, self.routes, self.limits.clone(), set(deadline.clone())),
            serve_operator(operator, self.operator_routes, self.limits, deadline.clone()),
        );
        let deadline = deadline.borrow().unwrap_or_else(Instant::now);
        if timeout_at(deadline, self.workers.stop()).await.is_err() {
            tracing::warn!("some messages are still being sent: the next start tries them again");
        }
    }
}

async fn serve_operator(
    listener: Option<TcpListener>,
    routes: Router,
    limits: Limits,
    deadline: watch::Receiver<Option<Instant>>,
) {
    if let Some(listener) = listener {
        listen::serve(listener, routes, limits, set(deadline)).await;
    }
}

/// Ready when the deadline is set.
async fn set(mut deadline: watch::Receiver<Option<Instant>>) {
    let _ = deadline.wait_for(Option::is_some).await; // an error means that nobody can set it any more
}
