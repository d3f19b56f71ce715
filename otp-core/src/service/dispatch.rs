//! Deliveries find their place: those of fresh events, and those to be sent again.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{StreamExt, future, stream};

use super::attempts::{FRESH, Ready, leaves};
use super::{Delivered, SentEvent, Service};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Event;
use crate::id::{EndpointId, EventId};
use crate::store::{Due, FromRecord, Key, Kind, Lease, Read};
use crate::webhook::{Delivery, Departure, Entered, Turn};

/// How long a process has for what it claimed.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// What an attempt takes at most, with what is written down of it.
const ATTEMPT: Duration = Duration::from_secs(20);

/// Deliveries to one endpoint that may leave now: see [`Service::claim_webhooks`].
pub struct WebhookRun {
    turn: Turn,
    /// The next one, made ready while the one before it was on its way.
    ready: Option<Ready>,
}

/// What was claimed.
#[derive(Default)]
pub struct WebhookClaim {
    /// What is to be run, all at the same time.
    pub runs: Vec<WebhookRun>,
    /// What has to wait for its place, to be written down by [`settle_webhooks`](Service::settle_webhooks) with what was sent.
    pub put_off: Vec<SentEvent>,
    /// What is to be handed to [`write_webhooks`](Service::write_webhooks), meanwhile.
    pub unwritten: Unwritten,
    /// Whether there may be more to claim.
    pub is_more: bool,
}

/// What has to be written down before it leaves.
#[derive(Default)]
#[must_use = "what is not written down is claimed again when its lease has ended"]
pub struct Unwritten {
    /// Events, under the lease.
    events: Vec<Arc<Event>>,
    lease: Lease,
}

impl Unwritten {
    /// Whether that is nothing.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl Service {
    /// Claims up to `limit` fresh events, and up to `limit` deliveries to be sent again, and finds each its place: four requests to an endpoint at a time, and no more in a second than it wants. Call it until there
    /// is no more, when [`Builder::on_delivery`] says so and every second. Each run is sent by [`send_next`](Self::send_next),
    /// and what that gives is written down by [`settle_webhooks`](Self::settle_webhooks); beside it,
    /// [`write_webhooks`](Self::write_webhooks) gives the runs of what was written down first.
    ///
    /// [`Builder::on_delivery`]: super::builder::Builder::on_delivery
    ///
    /// # Errors
    /// [`Error::Store`]; what was claimed is claimed again when its lease has ended.
    pub async fn claim_webhooks(&self, limit: usize) -> Result<WebhookClaim, Error> {
        // At the same time, so that they share a commit.
        let lease = self.webhook_lease();
        let claimed = future::try_join(self.claim_events(lease, limit), self.claim_deliveries(limit));
        let ((quick, events, is_more_told), (again, is_more_due)) = claimed.await?;
        let unwritten = Unwritten { lease, events: Vec::new() };
        let is_more = is_more_told || is_more_due;
        let mut claim = WebhookClaim { unwritten, is_more, ..WebhookClaim::default() };
        for departure in quick.into_iter().chain(again) {
            self.enter(departure, &mut claim).await?;
        }
        for event in events {
            match self.put_off(&event, lease).await? {
                Some(put_off) => claim.put_off.push(put_off),
                None => claim.unwritten.events.push(event),
            }
        }
        Ok(claim)
    }

    /// Writes down the deliveries that a claim could not begin with, and gives what is to be run of them.
    ///
    /// # Errors
    /// [`Error::Store`]; what was claimed is claimed again when its lease has ended.
    pub async fn write_webhooks(&self, unwritten: Unwritten) -> Result<Vec<WebhookRun>, Error> {
        let mut claim = WebhookClaim::default();
        for departure in self.divide(unwritten.events, unwritten.lease).await? {
            self.enter(departure, &mut claim).await?;
        }
        self.settle_webhooks(claim.put_off).await?;
        Ok(claim.runs)
    }

    /// Claims events, those that can leave at once and others, and whether more may wait. One that goes to one endpoint, which
    /// answers quickly, stays in the outbox until what became of that is written down: a moment later, and once.
    async fn claim_events(&self, lease: Lease, limit: usize) -> Result<(Vec<Departure>, Vec<Arc<Event>>, bool), Error> {
        let claimed = self.inner.store.claim(Kind::Event, lease, limit).await?;
        let is_more = claimed.len() == limit;
        let events = claimed.into_iter().filter_map(Event::take).map(Arc::new);
        let is_quick = |event: &Arc<Event>| match event.endpoints[..] {
            [only] => self.inner.lanes.is_quick(only, lease.now),
            _ => false,
        };
        let (quick, others): (Vec<_>, Vec<_>) = events.partition(is_quick);
        Ok((quick.iter().flat_map(|event| departures_of(event, lease, true)).collect(), others, is_more))
    }

    /// An event whose only endpoint has no place for it is written down with that.
    async fn put_off(&self, event: &Arc<Event>, lease: Lease) -> Result<Option<SentEvent>, Error> {
        let mut departures = departures_of(event, lease, true);
        let Some(departure) = departures.pop().filter(|_| departures.is_empty()) else { return Ok(None) };
        let rate = self.rate(&departure.delivery).await?;
        let later = self.inner.lanes.later(departure.delivery.endpoint, rate, self.now());
        Ok(later.map(|at| SentEvent::put_off(departure, at)))
    }

    /// How many requests in a second an endpoint wants at most.
    async fn rate(&self, delivery: &Delivery) -> Result<Option<u32>, Error> {
        let subscribers = self.subscribers(delivery.space.tenant).await?;
        let known = subscribers.find(delivery.endpoint);
        Ok(known.and_then(|(_, subscriber)| subscriber.endpoint.own.as_ref()?.per_second))
    }

    /// Writes down the deliveries of events that go to several endpoints, each of which has a fate of its own, or to one that may
    /// take its time, for which they are seen to wait.
    async fn divide(&self, events: Vec<Arc<Event>>, lease: Lease) -> Result<Vec<Departure>, Error> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut departures = Vec::new();
        let divided = events.iter().map(|event| {
            let begun = departures_of(event, lease, false);
            let deliveries = begun.iter().map(|departure| departure.delivery.clone());
            let divided = leaves(Arc::clone(event), lease.id, deliveries);
            departures.extend(begun);
            divided
        });
        let divided = divided.collect();
        if self.inner.store.settle(divided).await? < events.len() {
            // Some are gone, or somebody else has them: each is looked at again before it leaves.
            departures.iter_mut().for_each(|departure| departure.read_at = Timestamp::from_millis(0));
        }
        Ok(departures)
    }

    /// Takes deliveries whose time has come, and reads what they tell of.
    async fn claim_deliveries(&self, limit: usize) -> Result<(Vec<Departure>, bool), Error> {
        let lease = self.webhook_lease();
        let claimed = self.inner.store.claim(Kind::Delivery, lease, limit).await?;
        let is_more = claimed.len() == limit;
        let deliveries: Vec<Delivery> = claimed.into_iter().filter_map(Delivery::take).collect();
        if deliveries.is_empty() {
            return Ok((Vec::new(), is_more));
        }
        let wanted = deliveries.iter().map(|delivery| Read::Record(event_of(delivery))).collect();
        let seen = self.inner.store.read(wanted).await?;
        let events = seen.records.into_iter().filter_map(Event::take).map(|event| (event.id, Arc::new(event)));
        let events: HashMap<EventId, Arc<Event>> = events.collect();
        let depart = |delivery: Delivery| {
            let event = events.get(&delivery.event).cloned();
            Departure { delivery, is_first: false, event, read_at: lease.now }
        };
        Ok((deliveries.into_iter().map(depart).collect(), is_more))
    }

    fn webhook_lease(&self) -> Lease {
        let now = self.now();
        Lease { id: self.random().bytes(), now, until: now + LEASE }
    }

    async fn enter(&self, departure: Departure, claim: &mut WebhookClaim) -> Result<(), Error> {
        let rate = self.rate(&departure.delivery).await?;
        match self.inner.lanes.enter(departure, rate, self.now()) {
            Entered::Begins(turn) => claim.runs.push(WebhookRun { turn, ready: None }),
            Entered::Waits => {}
            Entered::Later(departure, at) => claim.put_off.push(SentEvent::put_off(departure, at)),
        }
        Ok(())
    }

    /// Deliveries that wait in memory for their place and will soon have it. A program claims no more while there are thousands.
    pub fn waiting_webhooks(&self) -> usize {
        self.inner.lanes.moving(self.now())
    }

    /// Sends the next delivery of a run and of what is queued behind it; `None` at its end. It is sent again after a crash until
    /// it is written down.
    ///
    /// # Errors
    /// [`Error::Store`]; it is sent when its lease has ended.
    pub async fn send_next(&self, run: &mut WebhookRun) -> Result<Option<SentEvent>, Error> {
        let began = self.now();
        let Some(ready) = self.next_ready(run, began).await? else { return Ok(None) };
        let ahead = async {
            step_aside().await;
            self.prepare(run.turn.ahead()?).await.ok() // it is sent when its lease has ended
        };
        let ((sent, ended), next) = future::join(self.dispatch(ready, began), ahead).await;
        run.ready = next;
        run.turn.took(ended.since(began), ended);
        Ok(Some(sent))
    }

    /// The next one of a run. One whose lease is nearly over is left to whoever claims it next.
    async fn next_ready(&self, run: &mut WebhookRun, now: Timestamp) -> Result<Option<Ready>, Error> {
        let waited = match run.ready.take() {
            Some(Ready::Request { departure, at, .. }) if now.since(at) > FRESH => Some(departure),
            Some(ready) => return Ok(Some(ready)),
            None => None,
        };
        let is_in_time = |leaving: &Departure| leaving.delivery.due.at.is_some_and(|until| now + ATTEMPT <= until);
        match waited.into_iter().chain(std::iter::from_fn(|| run.turn.next())).find(is_in_time) {
            Some(departure) => self.prepare(departure).await.map(Some),
            None => Ok(None),
        }
    }

    /// Sends up to `limit` events and deliveries that are due, and gives what they came to: for programs that have no tasks to
    /// run them in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn deliver_webhooks(&self, limit: usize) -> Result<Delivered, Error> {
        let claim = self.claim_webhooks(limit).await?;
        let written = self.write_webhooks(claim.unwritten).await?;
        let runs = stream::iter(claim.runs.into_iter().chain(written)).map(|run| self.send_all(run));
        let outcomes: Vec<_> = runs.buffer_unordered(limit.max(1)).collect().await;
        let mut sum = self.settle_webhooks(claim.put_off).await?;
        for outcome in outcomes {
            sum += outcome?;
        }
        Ok(sum)
    }

    async fn send_all(&self, mut run: WebhookRun) -> Result<Delivered, Error> {
        let mut sum = Delivered::default();
        while let Some(sent) = self.send_next(&mut run).await? {
            sum += self.settle_webhooks(vec![sent]).await?;
        }
        Ok(sum)
    }

    /// Lets go of what waits in memory, so that runs end after what they are sending: it is sent when its lease has ended, by
    /// whoever claims it then. For a program that stops.
    pub fn release_webhooks(&self) {
        self.inner.lanes.release();
    }
}

/// Lets what was just begun get on its way first.
async fn step_aside() {
    let mut has_waited = false;
    future::poll_fn(|context| match mem::replace(&mut has_waited, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

fn departures_of(event: &Arc<Event>, lease: Lease, is_first: bool) -> Vec<Departure> {
    let due = Due { at: Some(lease.until), lease: Some(lease.id) };
    let depart = |endpoint: &EndpointId| {
        let delivery = Delivery::of(event, *endpoint, due);
        Departure { delivery, is_first, event: Some(Arc::clone(event)), read_at: lease.now }
    };
    event.endpoints.iter().map(depart).collect()
}

pub(super) fn event_of(delivery: &Delivery) -> Key {
    Key::new::<Event>(delivery.space.tenant, delivery.event.as_bytes())
}
