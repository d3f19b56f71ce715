//! Deliveries that a tenant asks for.

use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::{DeliveryId, EndpointId};
use crate::store::{Changes, Command, Read, Reads, Scope, Snapshot};
use crate::tenant::Space;
use crate::webhook::{Delivery, DeliveryState};

/// Sends a delivery again, whatever became of it.
pub(crate) struct RetryDelivery {
    pub space: Space,
    pub delivery: DeliveryId,
    pub now: Timestamp,
}

impl Command for RetryDelivery {
    type Outcome = Result<Delivery, Error>;

    fn reads(&self) -> Reads {
        let wanted = vec![Read::Record(Delivery::key_of(self.space, self.delivery))];
        Reads { scope: Scope::Tenant(self.space.tenant), wanted }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let delivery = seen.one::<Delivery>().filter(|delivery| delivery.space == self.space);
        let Some(delivery) = delivery else { return (Err(Error::NotFound("delivery")), Changes::none()) };
        if matches!(delivery.state, DeliveryState::Dropped { .. }) || delivery.sample {
            let why = "there is nothing left to be sent: the event is gone, or was made up";
            return (Err(Error::Conflict(why)), Changes::none());
        }
        let is_being_sent = delivery.due.lease.is_some() && delivery.due.at.is_some_and(|until| self.now < until);
        if is_being_sent {
            return (Err(Error::Conflict("it is being sent")), Changes::none());
        }
        let again = delivery.again(self.now);
        let mut changes = Changes::none();
        changes.put(again.clone());
        (Ok(again), changes)
    }
}

/// Sends again what failed or was held, of a page; the outcome is how many.
pub(crate) struct RecoverDeliveries {
    pub space: Space,
    pub deliveries: Vec<DeliveryId>,
    pub now: Timestamp,
}

/// Whether a delivery did not arrive and could.
pub(crate) fn is_lost(delivery: &Delivery, endpoint: Option<EndpointId>) -> bool {
    let is_meant = endpoint.is_none_or(|endpoint| endpoint == delivery.endpoint) && !delivery.sample;
    is_meant && matches!(delivery.state, DeliveryState::Failed { .. } | DeliveryState::Held)
}

impl Command for RecoverDeliveries {
    type Outcome = usize;

    fn reads(&self) -> Reads {
        let key = |id: &DeliveryId| Read::Record(Delivery::key_of(self.space, *id));
        Reads { scope: Scope::Tenant(self.space.tenant), wanted: self.deliveries.iter().map(key).collect() }
    }

    fn decide(&self, seen: &Snapshot) -> (usize, Changes) {
        let lost = seen.all::<Delivery>().filter(|delivery| is_lost(delivery, None));
        let mut changes = Changes::none();
        lost.for_each(|delivery| changes.put(delivery.again(self.now)));
        (changes.puts.len(), changes)
    }
}

/// Writes down a delivery that is sent at once by whoever made it.
pub(crate) struct BeginDelivery {
    pub delivery: Delivery,
}

impl Command for BeginDelivery {
    type Outcome = Result<Delivery, Error>;

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.delivery.space.tenant), wanted: Vec::new() }
    }

    fn decide(&self, _seen: &Snapshot) -> (Self::Outcome, Changes) {
        let mut changes = Changes::none();
        changes.create(self.delivery.clone());
        (Ok(self.delivery.clone()), changes)
    }
}
