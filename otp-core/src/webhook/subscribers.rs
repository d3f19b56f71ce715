//! Who is told of what: the one place where events become deliveries.

use super::{Delivery, DeliveryState, Endpoint, EndpointState, Trigger};
use crate::event::Event;
use crate::store::{Changes, Due, Record, Stored};
use crate::tenant::{Mode, Tenant};

/// The endpoints of a tenant, as far as it takes to know who wants to hear of an event.
pub(crate) struct Subscribers {
    tenant: Option<Tenant>,
    endpoints: Vec<Endpoint>,
}

impl Subscribers {
    /// Of a tenant that wants to hear of nothing.
    pub const NONE: Self = Self { tenant: None, endpoints: Vec::new() };

    /// Those of a tenant, with what is stored of its endpoints.
    pub fn of(tenant: Tenant, stored: Vec<Endpoint>) -> Self {
        let mut endpoints: Vec<Endpoint> = stored.into_iter().filter(|stored| stored.url(&tenant).is_some()).collect();
        if tenant.settings.webhook.url.is_some() && endpoints.iter().all(|endpoint| endpoint.own.is_some()) {
            endpoints.push(Endpoint::simple(&tenant));
        }
        if endpoints.is_empty() { Self::NONE } else { Self { tenant: Some(tenant), endpoints } }
    }

    /// Writes down, for each event among the changes, to whom it is to be sent. Gives whether there is anything to send.
    pub fn add_deliveries(&self, changes: &mut Changes) -> bool {
        let Some(tenant) = &self.tenant else { return false };
        let mut deliveries = Vec::new();
        for record in changes.puts.iter_mut().chain(&mut changes.creates) {
            let Record::Event(event) = record else { continue };
            // Events of a command that is about another tenant are that one's.
            if event.space.tenant == tenant.id {
                deliveries.extend(self.deliveries_of(tenant, event));
            }
        }
        let is_any = !deliveries.is_empty();
        changes.puts.extend(deliveries.into_iter().map(Record::from));
        is_any
    }

    /// The endpoints of a mode.
    pub fn in_mode(&self, mode: Mode) -> impl Iterator<Item = (&Tenant, &Endpoint)> {
        let endpoints = self.endpoints.iter().filter(move |endpoint| endpoint.is_of(mode));
        self.tenant.iter().flat_map(move |tenant| endpoints.clone().map(move |endpoint| (tenant, endpoint)))
    }

    fn deliveries_of(&self, tenant: &Tenant, event: &mut Event) -> Vec<Delivery> {
        let (mode, kind) = (event.space.mode, event.kind());
        let wanting: Vec<_> = self.endpoints.iter().filter(|endpoint| endpoint.wants(tenant, mode, kind)).collect();
        event.endpoints = wanting.iter().map(|endpoint| endpoint.id).collect();
        wanting.into_iter().map(|endpoint| Delivery::of(event, endpoint)).collect()
    }
}

impl Delivery {
    fn of(event: &Event, endpoint: &Endpoint) -> Self {
        let is_open = endpoint.state == EndpointState::Enabled;
        let (state, due_at) =
            if is_open { (DeliveryState::Pending, Some(event.at)) } else { (DeliveryState::Held, None) };
        Self {
            id: Self::id_of(event.id, endpoint.id),
            space: event.space,
            event: event.id,
            kind: event.kind(),
            endpoint: endpoint.id,
            at: event.at,
            ends_at: event.expires_at().unwrap_or(event.at),
            sample: false,
            state,
            tries: 0,
            trigger: Trigger::Schedule,
            attempts: Vec::new(),
            due: Due { at: due_at, lease: None },
        }
    }
}
