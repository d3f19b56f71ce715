//! What was sent to a tenant's endpoints, and what became of it.

use std::time::Duration;

use super::dispatch::LEASE;
use super::{Caller, Page, Service, parse_cursor};
use crate::clock::Timestamp;
use crate::command::{BeginDelivery, RecoverDeliveries, RetryDelivery, is_lost};
use crate::error::Error;
use crate::event::EventKind;
use crate::id::{DeliveryId, EndpointId, EventId};
use crate::idempotency::{Answer, Idempotency, Once};
use crate::store::{Due, FromRecord, Kind, Read, SmallBytes};
use crate::webhook::{Delivery, DeliveryState, Departure, Trigger};

/// Deliveries that one read gives.
const BATCH: usize = 200;
/// Deliveries that are looked through for one page.
const LOOKED_THROUGH: usize = 10 * BATCH;
/// For how long what was made up is kept.
const SAMPLES_KEPT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// Which deliveries are wanted; all, if nothing is set.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    /// Those that stand so: [`DeliveryState::as_str`].
    pub status: Option<String>,
    /// Those of events of one kind.
    pub event: Option<EventKind>,
    /// Those to one endpoint.
    pub endpoint: Option<EndpointId>,
}

impl DeliveryQuery {
    fn admits(&self, delivery: &Delivery) -> bool {
        self.status.as_ref().is_none_or(|status| status == delivery.state.as_str())
            && self.event.is_none_or(|event| event == delivery.kind)
            && self.endpoint.is_none_or(|endpoint| endpoint == delivery.endpoint)
    }
}

impl Service {
    /// Deliveries, newest event first. A page may be short or empty although more follow: `next` tells.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that was not given out or a status that is none, [`Error::SecretKeyRequired`],
    /// [`Error::Store`].
    pub async fn deliveries(
        &self,
        caller: &Caller,
        query: DeliveryQuery,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Delivery>, Error> {
        caller.may_manage()?;
        if query.status.as_ref().is_some_and(|status| !DeliveryState::NAMES.contains(&status.as_str())) {
            let names = DeliveryState::NAMES.join(", ");
            return Err(Error::invalid("invalid_field", "status", format!("use one of {names}")));
        }
        let mut before = parse_cursor::<DeliveryId>(cursor)?.map(place_of);
        let (mut items, mut seen) = (Vec::new(), 0);
        loop {
            let page = self.page_of_deliveries(caller, before).await?;
            let is_last = page.len() < BATCH;
            seen += page.len();
            before = page.last().map(|last| place_of(last.id));
            let last = page.last().map(|last| last.id);
            items.extend(page.into_iter().filter(|delivery| query.admits(delivery)));
            if items.len() > limit {
                items.truncate(limit);
                let next = items.last().map(|last: &Delivery| last.id.to_string());
                return Ok(Page { items, next });
            }
            if is_last || seen >= LOOKED_THROUGH {
                let next = last.filter(|_| !is_last).map(|last| last.to_string());
                return Ok(Page { items, next });
            }
        }
    }

    /// One delivery, with its last attempts.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn delivery(&self, caller: &Caller, id: DeliveryId) -> Result<Delivery, Error> {
        caller.may_manage()?;
        let wanted = vec![Read::Record(Delivery::key_of(caller.space, id))];
        let mut seen = self.inner.store.read(wanted).await?;
        let delivery = seen.records.pop().and_then(Delivery::take);
        delivery.filter(|delivery| delivery.space == caller.space).ok_or(Error::NotFound("delivery"))
    }

    /// Sends a delivery once more, whatever became of it, and begins its schedule anew.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it is being sent or there is nothing left to send,
    /// [`Error::SecretKeyRequired`], [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn retry_delivery(
        &self,
        caller: &Caller,
        id: DeliveryId,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<Delivery>, Error> {
        caller.may_manage()?;
        let name = [caller.space.mode.byte(), b'y'];
        let slot = self.reply_slot(idempotency, caller.space.tenant, &name, &caller.context.keys);
        let command = RetryDelivery { space: caller.space, delivery: id, now: self.now() };
        let answer = self.run(Once { command, slot }).await??;
        if !answer.replayed {
            (self.inner.on_delivery)();
        }
        Ok(answer)
    }

    /// Sends again what has failed or was held since a time, to one endpoint or to all. Gives how many. Nothing is sent twice by
    /// repeating it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an endpoint that is not there, [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn recover_deliveries(
        &self,
        caller: &Caller,
        since: Timestamp,
        endpoint: Option<EndpointId>,
    ) -> Result<usize, Error> {
        caller.may_manage()?;
        if let Some(id) = endpoint {
            self.endpoint(caller, id).await?;
        }
        let (mut recovered, mut before) = (0, None);
        loop {
            let page = self.page_of_deliveries(caller, before).await?;
            before = page.last().map(|last| place_of(last.id));
            let is_last = page.len() < BATCH || page.last().is_some_and(|last| last.at < since);
            let lost = page.iter().filter(|delivery| delivery.at >= since && is_lost(delivery, endpoint));
            let deliveries: Vec<DeliveryId> = lost.map(|delivery| delivery.id).collect();
            if !deliveries.is_empty() {
                let (space, now) = (caller.space, self.now());
                recovered += self.run(RecoverDeliveries { space, deliveries, now }).await?;
                (self.inner.on_delivery)();
            }
            if is_last {
                return Ok(recovered);
            }
        }
    }

    /// Sends a made-up event to an endpoint, once and at once, also to one that is paused or was given up. Without a name it is
    /// `webhook.test`; without an endpoint it goes to the only one there is.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an endpoint that is not there, [`Error::Invalid`] when it has to be named,
    /// [`Error::SecretKeyRequired`], [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn test_endpoint(
        &self,
        caller: &Caller,
        event: Option<EventKind>,
        endpoint: Option<EndpointId>,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<Delivery>, Error> {
        let endpoint = match endpoint {
            Some(id) => self.endpoint(caller, id).await?.id,
            None => self.only_endpoint(caller).await?,
        };
        let (now, event_id) = (self.now(), EventId::new(self.now(), self.random()));
        let delivery = Delivery {
            id: Delivery::id_of(event_id, endpoint),
            space: caller.space,
            event: event_id,
            kind: event.unwrap_or(EventKind::WebhookTest),
            endpoint,
            at: now,
            ends_at: now + SAMPLES_KEPT_FOR,
            sample: true,
            state: DeliveryState::Pending,
            tries: 0,
            trigger: Trigger::Manual,
            attempts: Vec::new(),
            due: Due { at: Some(now + LEASE), lease: Some(self.random().bytes()) },
        };
        let due = delivery.due;
        let name = [caller.space.mode.byte(), b't'];
        let slot = self.reply_slot(idempotency, caller.space.tenant, &name, &caller.context.keys);
        let Answer { value, replayed } = self.run(Once { command: BeginDelivery { delivery }, slot }).await??;
        if replayed {
            return Ok(Answer { value: self.delivery(caller, value.id).await?, replayed });
        }
        let delivery = Delivery { due, ..value };
        let departure = Departure { delivery, is_first: false, event: None, read_at: now };
        let (sent, _) = self.dispatch(self.prepare(departure).await?, now).await;
        let value = sent.delivery().clone();
        self.settle_webhooks(vec![sent]).await?;
        Ok(Answer { value, replayed })
    }

    async fn only_endpoint(&self, caller: &Caller) -> Result<EndpointId, Error> {
        let endpoints = self.endpoints(caller).await?;
        match endpoints.as_slice() {
            [only] => Ok(only.id),
            [] => Err(Error::Conflict("there is no endpoint; make one with POST /admin/webhooks/endpoints")),
            _ => Err(Error::invalid("missing_field", "endpointId", "name the endpoint; there are several")),
        }
    }

    async fn page_of_deliveries(&self, caller: &Caller, before: Option<SmallBytes>) -> Result<Vec<Delivery>, Error> {
        let owner = caller.space.owner();
        let wanted = Read::Owned { kind: Kind::Delivery, owner, before, limit: BATCH };
        let seen = self.inner.store.read(vec![wanted]).await?;
        Ok(seen.records.into_iter().filter_map(Delivery::take).collect())
    }
}

fn place_of(id: DeliveryId) -> SmallBytes {
    id.as_bytes().into()
}
