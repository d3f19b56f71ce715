//! Deliveries on their way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, future, stream};

use super::{Delivered, Service};
use crate::clock::Timestamp;
use crate::command::{DisableEndpoint, NoteHealth, endpoint_in};
use crate::error::Error;
use crate::event::Event;
use crate::notice::Stationery;
use crate::store::{Changes, Due, FromRecord, Key, Kind, Lease, Read, Settled, Snapshot};
use crate::tenant::Tenant;
use crate::webhook::{
    Body, Delivery, DeliveryState, Endpoint, EndpointState, Entered, Failure, Health, Judged, Request, Signing,
    Subscribers, Turn, WhyDisabled, signed_headers,
};

/// How long a process has for what it claimed.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// What an attempt takes at most, with what is written down of it.
const ATTEMPT: Duration = Duration::from_secs(20);
/// Deliveries of one run that were sent and not yet written down. Those are sent again after a crash.
const UNSETTLED: usize = 16;
/// An endpoint that has taken nothing for so long is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 86_400);
/// That an endpoint fails is written down at most so often.
const NOTED_EVERY: Duration = Duration::from_secs(3_600);

/// Deliveries to one endpoint that may leave now: see [`Service::claim_webhooks`].
pub struct WebhookRun(Turn);

/// What was claimed.
#[derive(Default)]
pub struct WebhookClaim {
    /// What is to be run, all at the same time.
    pub runs: Vec<WebhookRun>,
    /// How many deliveries there were.
    pub claimed: usize,
}

/// A delivery that was sent or need not be, to be written down.
struct Tried {
    before: Delivery,
    after: Delivery,
    /// The endpoint, and what it showed of itself.
    judged: Option<(Endpoint, Judged)>,
}

impl Service {
    /// Claims up to `limit` deliveries that are due and finds each its place: four requests to an endpoint at a time, and no
    /// more in a second than it wants. Call it until it claims less than `limit`, when [`Builder::on_delivery`] says so and
    /// every second.
    ///
    /// [`Builder::on_delivery`]: super::builder::Builder::on_delivery
    ///
    /// # Errors
    /// [`Error::Store`]; what was claimed is claimed again when its lease has ended.
    pub async fn claim_webhooks(&self, limit: usize) -> Result<WebhookClaim, Error> {
        let now = self.now();
        let lease = Lease { id: self.random().bytes(), now, until: now + LEASE };
        let claimed = self.inner.store.claim(Kind::Delivery, lease, limit).await?;
        let mut claim = WebhookClaim { runs: Vec::new(), claimed: claimed.len() };
        let (mut known, mut later) = (HashMap::new(), Vec::new());
        for delivery in claimed.into_iter().filter_map(Delivery::take) {
            let subscribers = match known.entry(delivery.space.tenant) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(self.subscribers(delivery.space.tenant).await?),
            };
            let rate = rate_of(subscribers, &delivery);
            match self.inner.lanes.enter(delivery, rate, now) {
                Entered::Begins(turn) => claim.runs.push(WebhookRun(turn)),
                Entered::Waits => {}
                Entered::Later(delivery, at) => later.push(put_off(delivery, at)),
            }
        }
        if !later.is_empty() {
            self.inner.store.settle(later).await?;
        }
        Ok(claim)
    }

    /// Sends what a run holds and what is queued behind it, one after another. What became of them is written down while the
    /// next ones are on their way.
    ///
    /// # Errors
    /// [`Error::Store`]; what was not written down is sent again when its lease has ended.
    pub async fn run_webhooks(&self, run: WebhookRun) -> Result<Delivered, Error> {
        let tried = stream::unfold((self.clone(), run), |(service, mut run)| async move {
            let delivery = service.next_in_time(&mut run)?;
            let began = service.now();
            let tried = service.try_delivery(delivery).await;
            run.0.took(service.now().since(began));
            let noting = service.clone();
            Some((async move { noting.settle_delivery(tried?).await }, (service, run)))
        });
        let count = |delivered: Delivered, delivery: Delivery| {
            future::ok(match delivery.state {
                DeliveryState::Delivered { .. } => Delivered { sent: delivered.sent + 1, ..delivered },
                DeliveryState::Pending => Delivered { retried: delivered.retried + 1, ..delivered },
                _ => Delivered { failed: delivered.failed + 1, ..delivered },
            })
        };
        tried.buffer_unordered(UNSETTLED).try_fold(Delivered::default(), count).await
    }

    /// The next one of a run. One whose lease is nearly over is left to whoever claims it next.
    fn next_in_time(&self, run: &mut WebhookRun) -> Option<Delivery> {
        let is_in_time = |delivery: &Delivery| delivery.due.at.is_some_and(|until| self.now() + ATTEMPT <= until);
        std::iter::from_fn(|| run.0.next()).find(is_in_time)
    }

    /// Sends up to `limit` deliveries that are due, and gives what they came to: for programs that have no tasks to run them in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn deliver_webhooks(&self, limit: usize) -> Result<Delivered, Error> {
        let claim = self.claim_webhooks(limit).await?;
        let runs = stream::iter(claim.runs).map(|run| self.run_webhooks(run));
        let outcomes: Vec<_> = runs.buffer_unordered(limit.max(1)).collect().await;
        let mut sum = Delivered::default();
        for outcome in outcomes {
            let delivered = outcome?;
            sum.sent += delivered.sent;
            sum.retried += delivered.retried;
            sum.failed += delivered.failed;
        }
        Ok(sum)
    }

    /// Lets go of what waits in memory, so that runs end after what they are sending: it is sent when its lease has ended, by
    /// whoever claims it then. For a program that stops.
    pub fn release_webhooks(&self) {
        self.inner.lanes.release();
    }

    /// Sends a delivery that this process holds, if there is something to send and somebody who takes it, and writes down what
    /// that came to.
    pub(super) async fn attempt(&self, delivery: Delivery) -> Result<Delivery, Error> {
        let tried = self.try_delivery(delivery).await?;
        self.settle_delivery(tried).await
    }

    async fn try_delivery(&self, delivery: Delivery) -> Result<Tried, Error> {
        let tenant = delivery.space.tenant;
        let wanted = [
            Key::new::<Tenant>(tenant, tenant.as_bytes()),
            Endpoint::key_of(tenant, delivery.endpoint),
            Key::new::<Event>(tenant, delivery.event.as_bytes()),
        ];
        let seen = self.inner.store.read(wanted.map(Read::Record).to_vec()).await?;
        let now = self.now();
        let Some((row, endpoint)) = endpoint_in(&seen, delivery.endpoint) else {
            return Ok(Tried::not(delivery, DeliveryState::Dropped { at: now }));
        };
        if !delivery.sample && endpoint.state != EndpointState::Enabled {
            return Ok(Tried::not(delivery, DeliveryState::Held));
        }
        if !delivery.sample && seen.one::<Event>().is_none() {
            return Ok(Tried::not(delivery, DeliveryState::Dropped { at: now }));
        }
        let url = endpoint.url(row).unwrap_or_default();
        // It was checked when it was written down, perhaps under another rule.
        let is_reachable = self.inner.destinations.check("url", url).is_ok();
        let outcome = match self.request(&delivery, &seen, row, &endpoint) {
            Ok(_) if !is_reachable => Err(Failure::Forbidden),
            Ok(request) => self.inner.webhooks.send(request).await,
            Err(error) => {
                tracing::error!(delivery = %delivery.id, code = error.code(), %error, "a delivery cannot be read");
                Err(Failure::Unavailable)
            }
        };
        let (after, judged) = delivery.after(now, self.now(), outcome, self.random());
        // A receiver that is tried out is not judged by it.
        let judged = (!delivery.sample).then_some((endpoint, judged));
        Ok(Tried { before: delivery, after, judged })
    }

    fn request(
        &self,
        delivery: &Delivery,
        seen: &Snapshot,
        tenant: &Tenant,
        endpoint: &Endpoint,
    ) -> Result<Request, Error> {
        let (keys, now) = (self.tenant_keys(tenant.id), self.now());
        let body = match seen.one::<Event>() {
            Some(event) if !delivery.sample => Body::of(event, &keys)?,
            _ => Body::of_sample(delivery.space, delivery.event, delivery.at, delivery.kind),
        };
        let (body, id) = (body.bytes(), delivery.event.to_string());
        let secrets = endpoint.secrets(tenant, &keys, now)?;
        let older: Vec<String> = secrets.iter().filter_map(|secret| secret.sign_older(now, &body)).collect();
        let mut headers = signed_headers(&secrets, &id, now, &body);
        let mut set = |name: &str, value: String| headers.push((name.to_owned(), value.into()));
        set("x-otp-event", delivery.kind.as_str().to_owned());
        set("x-otp-timestamp", now.as_secs().to_string());
        if secrets.iter().all(|secret| secret.signing() == Signing::Hmac) {
            let signed: String = older.iter().map(|digest| format!(",v1={digest}")).collect();
            set("x-otp-signature", format!("t={}{signed}", now.as_secs()));
        }
        let place = Endpoint::place(b"endpoint.header", endpoint.id);
        for (name, sealed) in endpoint.own.iter().flat_map(|own| &own.headers) {
            headers.push((name.clone(), keys.open_text(&place, sealed)?.into()));
        }
        Ok(Request { url: endpoint.url(tenant).unwrap_or_default().to_owned(), headers, body, within: None })
    }

    async fn settle_delivery(&self, tried: Tried) -> Result<Delivery, Error> {
        let Tried { before, after, judged } = tried;
        let lease = before.due.lease.unwrap_or_default();
        let settled = Settled { record: after.clone().into(), lease, also: Changes::none() };
        self.inner.store.settle(vec![settled]).await?;
        if let Some((endpoint, judged)) = judged {
            self.note_health(&endpoint, judged).await?;
        }
        Ok(after)
    }

    async fn note_health(&self, endpoint: &Endpoint, judged: Judged) -> Result<(), Error> {
        let now = self.now();
        let Health { failing_since, noted_at } = endpoint.health;
        let may_note = noted_at.is_none_or(|at| at + NOTED_EVERY <= now);
        let failing_since = match (judged, failing_since) {
            (Judged::Gone, _) => return self.disable(endpoint, WhyDisabled::Gone).await,
            (Judged::Refused, Some(since)) if since + GIVEN_UP_AFTER <= now => {
                return self.disable(endpoint, WhyDisabled::Failing).await;
            }
            (Judged::Taken, Some(_)) => None,
            (Judged::Refused, None) if may_note => Some(now),
            _ => return Ok(()),
        };
        let health = Health { failing_since, noted_at: Some(now) };
        self.run(NoteHealth { tenant: endpoint.tenant, endpoint: endpoint.id, health }).await
    }

    async fn disable(&self, endpoint: &Endpoint, why: WhyDisabled) -> Result<(), Error> {
        let Some(context) = self.tenant_context(endpoint.tenant).await? else { return Ok(()) };
        let stationery = Stationery::new(self.now(), self.random());
        let command = DisableEndpoint { context, endpoint: endpoint.id, why, stationery, trail: self.own_trail() };
        if self.change(command).await? {
            tracing::warn!(tenant = %endpoint.tenant, endpoint = %endpoint.id, why = why.as_str(), "an endpoint was given up");
        }
        Ok(())
    }

    /// Adds the deliveries of the events that are written with what was settled.
    pub(super) async fn tell(&self, settled: &mut [Settled]) -> Result<(), Error> {
        let mut is_any = false;
        for settled in settled.iter_mut().filter(|settled| !settled.also.puts.is_empty()) {
            let tenant = settled.record.key().tenant;
            is_any |= self.subscribers(tenant).await?.add_deliveries(&mut settled.also);
        }
        if is_any {
            (self.inner.on_delivery)();
        }
        Ok(())
    }
}

impl Tried {
    /// One that is not sent.
    fn not(delivery: Delivery, state: DeliveryState) -> Self {
        let after = Delivery { state, due: Due::default(), ..delivery.clone() };
        Self { before: delivery, after, judged: None }
    }
}

fn rate_of(subscribers: &Subscribers, delivery: &Delivery) -> Option<u32> {
    let of = |(_, endpoint): &(&Tenant, &Endpoint)| endpoint.id == delivery.endpoint;
    let (_, endpoint) = subscribers.in_mode(delivery.space.mode).find(of)?;
    endpoint.own.as_ref()?.per_second
}

fn put_off(delivery: Delivery, at: Timestamp) -> Settled {
    let lease = delivery.due.lease.unwrap_or_default();
    let due = Due { at: Some(at), lease: None };
    Settled { record: Delivery { due, ..delivery }.into(), lease, also: Changes::none() }
}
