//! Deliveries are sent, and what became of them is written down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::dispatch::event_of;
use super::{Delivered, Service};
use crate::clock::Timestamp;
use crate::command::{DisableEndpoint, NoteHealth};
use crate::error::Error;
use crate::event::Event;
use crate::id::{EndpointId, TenantId};
use crate::notice::Stationery;
use crate::store::{Changes, Due, FromRecord, LeaseId, Read, Settled};
use crate::tenant::Tenant;
use crate::webhook::{
    Body, Delivery, DeliveryState, Departure, Endpoint, EndpointState, Failure, Health, Judged, Request, Signing,
    SigningSecret, Subscriber, WhyDisabled, signed_headers,
};

/// An endpoint that has taken nothing for so long is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 86_400);
/// That an endpoint fails is written down at most so often.
const NOTED_EVERY: Duration = Duration::from_secs(3_600);
/// An event that was read longer ago is looked at again before it leaves: it may be erased.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// A delivery that was sent, need not be or has to wait: to be written down.
#[must_use = "what is not written down is sent again"]
pub struct SentEvent {
    lease: LeaseId,
    after: Delivery,
    /// The event, if it is what the lease is on.
    event: Option<Arc<Event>>,
    /// What the endpoint showed of itself.
    judged: Option<Judged>,
}

/// A delivery that can leave at once, or of which it is clear that it need not.
pub(super) enum Ready {
    /// Signed at this time.
    Request { departure: Departure, request: Result<Request, Failure>, at: Timestamp },
    /// How it stands instead.
    Unsent(Departure, DeliveryState),
}

impl Service {
    /// Makes a delivery that this process holds ready to be sent, if there is something to send and somebody who takes it.
    pub(super) async fn prepare(&self, departure: Departure) -> Result<Ready, Error> {
        let now = self.now();
        let event = self.still_there(&departure, now).await?;
        let delivery = &departure.delivery;
        let subscribers = self.subscribers(delivery.space.tenant).await?;
        let Some((tenant, subscriber)) = subscribers.find(delivery.endpoint) else {
            return Ok(Ready::Unsent(departure, DeliveryState::Dropped { at: now }));
        };
        if !delivery.sample && subscriber.endpoint.state != EndpointState::Enabled {
            return Ok(Ready::Unsent(departure, DeliveryState::Held));
        }
        if !delivery.sample && event.is_none() {
            return Ok(Ready::Unsent(departure, DeliveryState::Dropped { at: now }));
        }
        let request = match self.request(delivery, event.as_deref(), tenant, subscriber, now) {
            Ok(_) if !subscriber.is_reachable => Err(Failure::Forbidden),
            Ok(request) => Ok(request),
            Err(error) => {
                tracing::error!(delivery = %delivery.id, code = error.code(), %error, "a delivery cannot be read");
                Err(Failure::Unavailable)
            }
        };
        Ok(Ready::Request { departure, request, at: now })
    }

    /// Sends what is ready, from this time on. Gives when that ended, too.
    pub(super) async fn dispatch(&self, ready: Ready, began: Timestamp) -> (SentEvent, Timestamp) {
        let (departure, request) = match ready {
            Ready::Unsent(departure, state) => return (SentEvent::unsent(departure, state), began),
            Ready::Request { departure, request, .. } => (departure, request),
        };
        let (delivery, lease, event) = departure.split();
        let outcome = match request {
            Ok(request) => self.inner.webhooks.send(request).await,
            Err(failure) => Err(failure),
        };
        let ended = self.now();
        let (after, judged) = delivery.after(began, ended, outcome, self.random());
        // A receiver that is tried out is not judged by it.
        let judged = (!after.sample).then_some(judged);
        (SentEvent { lease, after, event, judged }, ended)
    }

    /// The event of a delivery, unless it is gone.
    async fn still_there(&self, departure: &Departure, now: Timestamp) -> Result<Option<Arc<Event>>, Error> {
        let Departure { delivery, event, read_at, .. } = departure;
        if event.is_none() || now.since(*read_at) <= FRESH {
            return Ok(event.clone());
        }
        let seen = self.inner.store.read(vec![Read::Record(event_of(delivery))]).await?;
        Ok(seen.records.into_iter().find_map(Event::take).map(Arc::new))
    }

    fn request(
        &self,
        delivery: &Delivery,
        event: Option<&Event>,
        tenant: &Tenant,
        subscriber: &Subscriber,
        now: Timestamp,
    ) -> Result<Request, Error> {
        let keys = self.tenant_keys(tenant.id);
        let body = match event {
            Some(event) => Body::of(event, &keys)?.bytes(),
            None => Body::of_sample(delivery.space, delivery.event, delivery.at, delivery.kind).bytes(),
        };
        let id = delivery.event.to_string();
        let secrets: Vec<&SigningSecret> = subscriber.secrets(tenant, &keys, now)?.at(now).collect();
        let older: Vec<String> = secrets.iter().filter_map(|secret| secret.sign_older(now, &body)).collect();
        let mut headers = signed_headers(&secrets, &id, now, &body);
        let mut set = |name: &'static str, value: String| headers.push((name.into(), value.into()));
        set("x-otp-event", delivery.kind.as_str().to_owned());
        set("x-otp-timestamp", now.as_secs().to_string());
        if secrets.iter().all(|secret| secret.signing() == Signing::Hmac) {
            let signed: String = older.iter().map(|digest| format!(",v1={digest}")).collect();
            set("x-otp-signature", format!("t={}{signed}", now.as_secs()));
        }
        let endpoint = &subscriber.endpoint;
        let place = Endpoint::place(b"endpoint.header", endpoint.id);
        for (name, sealed) in endpoint.own.iter().flat_map(|own| &own.headers) {
            headers.push((name.clone().into(), keys.open_text(&place, sealed)?.into()));
        }
        Ok(Request { url: endpoint.url(tenant).unwrap_or_default().to_owned(), headers, body, within: None })
    }

    /// Writes down what became of deliveries, in one commit.
    ///
    /// # Errors
    /// [`Error::Store`]; what was not written down is sent again when its lease has ended.
    pub async fn settle_webhooks(&self, sent: Vec<SentEvent>) -> Result<Delivered, Error> {
        let (mut sum, mut judged) = (Delivered::default(), Vec::new());
        if sent.is_empty() {
            return Ok(sum);
        }
        let mut settled = Vec::with_capacity(sent.len());
        for SentEvent { lease, after, event, judged: verdict } in sent {
            match after.state {
                DeliveryState::Delivered { .. } => sum.sent += 1,
                DeliveryState::Pending if verdict.is_none() => {} // it was put off
                DeliveryState::Pending => sum.retried += 1,
                _ => sum.failed += 1,
            }
            judged.extend(verdict.map(|verdict| (after.space.tenant, after.endpoint, verdict)));
            settled.push(match event {
                None => Settled { record: after.into(), lease, also: Changes::none() },
                Some(event) => leaves(event, lease, [after]),
            });
        }
        self.inner.store.settle(settled).await?;
        let mut noted = HashMap::new();
        for (tenant, endpoint, verdict) in judged {
            if noted.insert(endpoint, verdict) != Some(verdict) {
                self.note_health(tenant, endpoint, verdict).await?;
            }
        }
        Ok(sum)
    }

    async fn note_health(&self, tenant: TenantId, endpoint: EndpointId, judged: Judged) -> Result<(), Error> {
        let (subscribers, now) = (self.subscribers(tenant).await?, self.now());
        let Some((_, known)) = subscribers.find(endpoint) else { return Ok(()) };
        let Health { failing_since, noted_at } = known.endpoint.health;
        let may_note = noted_at.is_none_or(|at| at + NOTED_EVERY <= now);
        let failing_since = match (judged, failing_since) {
            (Judged::Gone, _) => return self.disable(tenant, endpoint, WhyDisabled::Gone).await,
            (Judged::Refused, Some(since)) if since + GIVEN_UP_AFTER <= now => {
                return self.disable(tenant, endpoint, WhyDisabled::Failing).await;
            }
            (Judged::Taken, Some(_)) => None,
            (Judged::Refused, None) if may_note => Some(now),
            _ => return Ok(()),
        };
        let health = Health { failing_since, noted_at: Some(now) };
        self.change(NoteHealth { tenant, endpoint, health }).await
    }

    async fn disable(&self, tenant: TenantId, endpoint: EndpointId, why: WhyDisabled) -> Result<(), Error> {
        let Some(context) = self.tenant_context(tenant).await? else { return Ok(()) };
        let stationery = Stationery::new(self.now(), self.random());
        let command = DisableEndpoint { context, endpoint, why, stationery, trail: self.own_trail() };
        if self.change(command).await? {
            tracing::warn!(tenant = %tenant, endpoint = %endpoint, why = why.as_str(), "an endpoint was given up");
        }
        Ok(())
    }

    /// Puts the events that are written with what was settled into the outbox.
    pub(super) async fn tell(&self, settled: &mut [Settled]) -> Result<(), Error> {
        let mut is_any = false;
        for settled in settled.iter_mut().filter(|settled| !settled.also.puts.is_empty()) {
            let tenant = settled.record.key().tenant;
            is_any |= self.subscribers(tenant).await?.address(&mut settled.also);
        }
        if is_any {
            (self.inner.on_delivery)();
        }
        Ok(())
    }
}

impl SentEvent {
    /// How the delivery stands.
    pub(super) fn delivery(&self) -> &Delivery {
        &self.after
    }

    pub(super) fn put_off(departure: Departure, at: Timestamp) -> Self {
        let (delivery, lease, event) = departure.split();
        let due = Due { at: Some(at), lease: None };
        Self { lease, after: Delivery { due, ..delivery }, event, judged: None }
    }

    fn unsent(departure: Departure, state: DeliveryState) -> Self {
        let (delivery, lease, event) = departure.split();
        Self { lease, after: Delivery { state, due: Due::default(), ..delivery }, event, judged: None }
    }
}

/// An event that leaves the outbox, and its deliveries that are written with that.
pub(super) fn leaves(event: Arc<Event>, lease: LeaseId, deliveries: impl IntoIterator<Item = Delivery>) -> Settled {
    let event = Event { due: Due::default(), ..Arc::unwrap_or_clone(event) };
    let puts = deliveries.into_iter().map(Delivery::into).collect();
    Settled { record: event.into(), lease, also: Changes { puts, ..Changes::none() } }
}
