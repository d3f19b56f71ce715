//! A tenant's events as they happen, for whoever runs the installation and develops against it.

use super::Service;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Event, EventKind};
use crate::id::{EventId, TenantId};
use crate::secret::TenantKeys;
use crate::store::{FromRecord, Item, Key, Place, Stored};
use crate::tenant::Mode;
use crate::webhook::Body;

/// Records that one read gives.
const PAGE: usize = 200;

/// An event as an endpoint would be sent it.
#[derive(Clone, Debug)]
pub struct ToldEvent {
    /// Identifier.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// Whose data it is about.
    pub mode: Mode,
    /// When.
    pub at: Timestamp,
    /// The body of the request.
    pub body: Vec<u8>,
}

impl Service {
    /// A tenant's events since a time, in the order of their ids, which is that of time but for the last moments: an event may
    /// be written a moment after one with a later id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn events_since(&self, tenant: TenantId, since: Timestamp) -> Result<Vec<ToldEvent>, Error> {
        let keys = self.tenant_keys(tenant);
        let first = EventId::first_at(since);
        let mut place = Place::Record(Key::new::<Event>(tenant, first.as_bytes()));
        let mut told = Vec::new();
        loop {
            let items = self.inner.store.inventory(Some(place), PAGE).await?;
            let is_last = items.len() < PAGE;
            for item in items {
                let Item::Record(record) = item else { return Ok(told) };
                let Some(event) = Event::take(*record) else { return Ok(told) };
                place = Place::Record(event.key());
                if event.space.tenant == tenant {
                    told.push(ToldEvent::of(&event, &keys)?);
                } else if event.id < first {
                    // In a store that goes tenant by tenant, this one's are through. In one that goes by id, nothing that is
                    // older comes.
                    return Ok(told);
                }
            }
            if is_last {
                return Ok(told);
            }
        }
    }
}

impl ToldEvent {
    fn of(event: &Event, keys: &TenantKeys) -> Result<Self, Error> {
        let body = Body::of(event, keys)?.bytes();
        Ok(Self { id: event.id, kind: event.kind(), mode: event.space.mode, at: event.at, body })
    }
}
