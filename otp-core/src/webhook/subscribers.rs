//! Who is told of what: the one place where events are addressed.

use std::sync::OnceLock;

use super::endpoint::OpenedSecrets;
use super::{Destinations, Endpoint};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::EndpointId;
use crate::secret::TenantKeys;
use crate::store::{Changes, Record};
use crate::tenant::{Mode, Tenant};

/// The endpoints of a tenant, as far as it takes to know who wants to hear of an event, and to send it there.
pub(crate) struct Subscribers {
    tenant: Option<Tenant>,
    all: Vec<Subscriber>,
}

/// One endpoint.
pub(crate) struct Subscriber {
    pub endpoint: Endpoint,
    /// Whether requests may be sent there, as far as the text of its URL tells. That was checked when it was written down,
    /// perhaps under another rule.
    pub is_reachable: bool,
    secrets: OnceLock<OpenedSecrets>,
}

impl Subscribers {
    /// Of a tenant that wants to hear of nothing.
    pub const NONE: Self = Self { tenant: None, all: Vec::new() };

    /// Those of a tenant, with what is stored of its endpoints.
    pub fn of(tenant: Tenant, stored: Vec<Endpoint>, destinations: &Destinations) -> Self {
        let mut endpoints: Vec<Endpoint> = stored.into_iter().filter(|stored| stored.url(&tenant).is_some()).collect();
        if tenant.settings.webhook.url.is_some() && endpoints.iter().all(|endpoint| endpoint.own.is_some()) {
            endpoints.push(Endpoint::simple(&tenant));
        }
        if endpoints.is_empty() {
            return Self::NONE;
        }
        let subscribe = |endpoint: Endpoint| {
            let is_reachable = destinations.check("url", endpoint.url(&tenant).unwrap_or_default()).is_ok();
            Subscriber { endpoint, is_reachable, secrets: OnceLock::new() }
        };
        let all = endpoints.into_iter().map(subscribe).collect();
        Self { tenant: Some(tenant), all }
    }

    /// Notes on each event among the changes to whom it is to be sent, and puts it into the outbox. Gives whether there is any.
    pub fn address(&self, changes: &mut Changes) -> bool {
        let Some(tenant) = &self.tenant else { return false };
        let mut is_any = false;
        for record in changes.puts.iter_mut().chain(&mut changes.creates) {
            let Record::Event(event) = record else { continue };
            // Events of a command that is about another tenant are that one's.
            if event.space.tenant != tenant.id {
                continue;
            }
            let (mode, kind) = (event.space.mode, event.kind());
            let wanting = self.all.iter().filter(|subscriber| subscriber.endpoint.wants(tenant, mode, kind));
            event.endpoints = wanting.map(|subscriber| subscriber.endpoint.id).collect();
            if !event.endpoints.is_empty() {
                event.due.at = Some(event.at);
                is_any = true;
            }
        }
        is_any
    }

    /// The endpoints of a mode.
    pub fn in_mode(&self, mode: Mode) -> impl Iterator<Item = (&Tenant, &Endpoint)> {
        let endpoints = self.all.iter().map(|subscriber| &subscriber.endpoint);
        let endpoints = endpoints.filter(move |endpoint| endpoint.is_of(mode));
        self.tenant.iter().flat_map(move |tenant| endpoints.clone().map(move |endpoint| (tenant, endpoint)))
    }

    /// An endpoint of either mode.
    pub fn find(&self, id: EndpointId) -> Option<(&Tenant, &Subscriber)> {
        let subscriber = self.all.iter().find(|subscriber| subscriber.endpoint.id == id);
        self.tenant.as_ref().zip(subscriber)
    }
}

impl Subscriber {
    /// What it signs with; opened once.
    pub fn secrets(&self, tenant: &Tenant, keys: &TenantKeys, now: Timestamp) -> Result<&OpenedSecrets, Error> {
        if let Some(known) = self.secrets.get() {
            return Ok(known);
        }
        let opened = self.endpoint.opened(tenant, keys, now)?;
        Ok(self.secrets.get_or_init(|| opened))
    }
}
