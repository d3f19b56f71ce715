//! Endpoints: made, changed, deleted, given another secret, given up.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Trail;
use super::configure::note_version;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::EventFilter;
use crate::id::{EndpointId, TenantId};
use crate::notice::{About, Notice, Stationery};
use crate::secret::Sealed;
use crate::service::TenantContext;
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot};
use crate::tenant::{Change, Tenant};
use crate::webhook::{Endpoint, EndpointState, Health, Own, Retiring, WhyDisabled, simple_id};

/// Endpoints of one tenant and mode.
pub(crate) const ENDPOINTS: usize = 16;
/// Of both modes, and that of the simple case.
pub(crate) const ALL_ENDPOINTS: usize = 2 * ENDPOINTS + 1;

fn tenant_row(tenant: TenantId) -> Read {
    Read::Record(Key::new::<Tenant>(tenant, tenant.as_bytes()))
}

fn reads(tenant: TenantId, endpoint: EndpointId) -> Reads {
    let wanted = vec![tenant_row(tenant), Read::Record(Endpoint::key_of(tenant, endpoint))];
    Reads { scope: Scope::Tenant(tenant), wanted }
}

/// The endpoint of this id, with its tenant: that of the simple case is there as long as the settings name a URL.
pub(crate) fn endpoint_in(seen: &Snapshot, id: EndpointId) -> Option<(&Tenant, Endpoint)> {
    let tenant = seen.one::<Tenant>()?;
    let stored = seen.all::<Endpoint>().find(|endpoint| endpoint.id == id).cloned();
    let endpoint = stored.or_else(|| (id == simple_id(tenant.id)).then(|| Endpoint::simple(tenant)))?;
    endpoint.url(tenant).is_some().then_some((tenant, endpoint))
}

const NOT_FOUND: Error = Error::NotFound("endpoint");

/// An endpoint with its tenant, and the secret where it is shown: only ever stored sealed, in a kept reply.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub tenant: Tenant,
    pub endpoint: Endpoint,
    pub secret: String,
}

/// Makes an endpoint.
pub(crate) struct CreateEndpoint {
    pub endpoint: Endpoint,
    pub own: Own,
    pub secret: String,
    pub trail: Trail,
}

impl Command for CreateEndpoint {
    type Outcome = Result<Shown, Error>;

    fn reads(&self) -> Reads {
        let tenant = self.endpoint.tenant;
        let wanted = vec![tenant_row(tenant), Read::owned::<Endpoint>(tenant.as_bytes().into(), ALL_ENDPOINTS)];
        Reads { scope: Scope::Tenant(tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(tenant) = seen.one::<Tenant>() else { return (Err(Error::NotFound("customer")), Changes::none()) };
        let own = seen.all::<Endpoint>().filter_map(|endpoint| endpoint.own.as_ref());
        if own.filter(|own| own.mode == self.own.mode).count() >= ENDPOINTS {
            return (Err(Error::Conflict("there are 16 endpoints already; delete one")), Changes::none());
        }
        let endpoint = Endpoint { own: Some(self.own.clone()), ..self.endpoint.clone() };
        let mut changes = Changes::of_configuration();
        changes.create(endpoint.clone());
        let told = json!({"url": self.own.url, "events": self.own.events, "mode": self.own.mode});
        changes.put(self.trail.line(tenant.id, Action::EndpointCreated, endpoint.id, told));
        (Ok(Shown { tenant: tenant.clone(), endpoint, secret: self.secret.clone() }), changes)
    }
}

/// What is to change of an endpoint; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointChange {
    pub url: Option<String>,
    pub description: Option<String>,
    pub events: Option<Vec<EventFilter>>,
    pub headers: Option<Vec<(String, Sealed)>>,
    pub per_second: Option<Option<u32>>,
    pub enabled: Option<bool>,
}

/// Changes an endpoint. Enabled again, it begins as if it were new; what waits for it waits until it is asked for.
pub(crate) struct ChangeEndpoint {
    pub tenant: TenantId,
    pub endpoint: EndpointId,
    pub change: EndpointChange,
    pub trail: Trail,
}

impl Command for ChangeEndpoint {
    type Outcome = Result<(Tenant, Endpoint), Error>;

    fn reads(&self) -> Reads {
        reads(self.tenant, self.endpoint)
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some((tenant, mut endpoint)) = endpoint_in(seen, self.endpoint) else {
            return (Err(NOT_FOUND), Changes::none());
        };
        let changed = match self.apply(&mut endpoint) {
            Ok(changed) => changed,
            Err(refused) => return (Err(refused), Changes::none()),
        };
        let mut changes = Changes::of_configuration();
        let told = json!({"changed": changed, "url": endpoint.url(tenant), "enabled": self.change.enabled});
        changes.put(self.trail.line(tenant.id, Action::EndpointChanged, endpoint.id, told));
        changes.put(endpoint.clone());
        (Ok((tenant.clone(), endpoint)), changes)
    }
}

impl ChangeEndpoint {
    /// Applies what is named and tells which fields that were.
    fn apply(&self, endpoint: &mut Endpoint) -> Result<Vec<&'static str>, Error> {
        let mut changed = Vec::new();
        let EndpointChange { url, description, events, headers, per_second, enabled } = self.change.clone();
        if let Some(enabled) = enabled {
            changed.push("enabled");
            let is_open = endpoint.state == EndpointState::Enabled;
            if enabled && !is_open {
                endpoint.health = Health::default();
            }
            // One that was given up stays so until it is enabled: to pause it would hide why.
            endpoint.state = match (enabled, endpoint.state) {
                (true, _) => EndpointState::Enabled,
                (false, EndpointState::Enabled) => EndpointState::Paused,
                (false, state) => state,
            };
        }
        let of_own = [
            ("url", url.is_some()),
            ("description", description.is_some()),
            ("events", events.is_some()),
            ("headers", headers.is_some()),
            ("ratePerSecond", per_second.is_some()),
        ];
        changed.extend(of_own.iter().filter(|(_, is_named)| *is_named).map(|(name, _)| *name));
        let is_of_own = of_own.iter().any(|(_, is_named)| *is_named);
        let Some(own) = &mut endpoint.own else {
            let why = "this endpoint is set up by PUT /admin/config/webhooks; only `enabled` can be changed here";
            return if is_of_own { Err(Error::Conflict(why)) } else { Ok(changed) };
        };
        own.url = url.unwrap_or_else(|| own.url.clone());
        own.description = description.unwrap_or_else(|| own.description.clone());
        own.events = events.unwrap_or_else(|| own.events.clone());
        own.headers = headers.unwrap_or_else(|| own.headers.clone());
        own.per_second = per_second.unwrap_or(own.per_second);
        Ok(changed)
    }
}

/// Deletes an endpoint. What is on its way to it is dropped.
pub(crate) struct DeleteEndpoint {
    pub tenant: TenantId,
    pub endpoint: EndpointId,
    pub trail: Trail,
}

impl Command for DeleteEndpoint {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        reads(self.tenant, self.endpoint)
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some((_, endpoint)) = endpoint_in(seen, self.endpoint) else { return (Err(NOT_FOUND), Changes::none()) };
        let Some(own) = &endpoint.own else {
            let why = "this endpoint is set up by PUT /admin/config/webhooks; take its url away there";
            return (Err(Error::Conflict(why)), Changes::none());
        };
        let mut changes = Changes::of_configuration();
        changes.deletes.push(Endpoint::key_of(self.tenant, self.endpoint));
        let told = json!({"url": own.url});
        changes.put(self.trail.line(self.tenant, Action::EndpointDeleted, self.endpoint, told));
        (Ok(()), changes)
    }
}

/// Gives an endpoint another secret; for some time the old one signs as well.
pub(crate) struct RotateSecret {
    pub tenant: TenantId,
    pub endpoint: EndpointId,
    pub sealed: Sealed,
    pub secret: String,
    /// As the settings show the old one and the new one, if they hold it.
    pub masked: [String; 2],
    pub overlap: Duration,
    pub trail: Trail,
}

impl Command for RotateSecret {
    type Outcome = Result<Shown, Error>;

    fn reads(&self) -> Reads {
        reads(self.tenant, self.endpoint)
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some((before, mut endpoint)) = endpoint_in(seen, self.endpoint) else {
            return (Err(NOT_FOUND), Changes::none());
        };
        let mut tenant = before.clone();
        let mut changes = Changes::of_configuration();
        let place = endpoint.own.as_mut().map_or(&mut tenant.webhook_secret, |own| &mut own.secret);
        let old = std::mem::replace(place, self.sealed.clone());
        endpoint.retiring = Retiring::until(old, self.trail.at, self.overlap);
        let told = json!({"graceSeconds": self.overlap.as_secs()});
        changes.put(self.trail.line(tenant.id, Action::EndpointRotated, endpoint.id, told));
        if endpoint.own.is_none() {
            let [old, new] = self.masked.clone().map(Into::into);
            let change = Change { field: "webhookConfig.secret".to_owned(), old, new };
            note_version(before, &mut tenant, Some(change), &self.trail, &mut changes);
            changes.put(tenant.clone());
        }
        changes.put(endpoint.clone());
        (Ok(Shown { tenant, endpoint, secret: self.secret.clone() }), changes)
    }
}

impl Retiring {
    /// A secret that still signs for so long.
    pub(super) fn until(secret: Sealed, now: Timestamp, overlap: Duration) -> Option<Self> {
        (!overlap.is_zero()).then(|| Self { secret, until: now + overlap })
    }
}

/// Writes down since when an endpoint takes nothing, or that it does again.
pub(crate) struct NoteHealth {
    pub tenant: TenantId,
    pub endpoint: EndpointId,
    pub health: Health,
}

impl Command for NoteHealth {
    type Outcome = ();

    fn reads(&self) -> Reads {
        reads(self.tenant, self.endpoint)
    }

    fn decide(&self, seen: &Snapshot) -> ((), Changes) {
        let Some((_, endpoint)) = endpoint_in(seen, self.endpoint) else { return ((), Changes::none()) };
        // Several that failed at once say the same; the first is right about since when.
        if endpoint.health.failing_since.is_some() == self.health.failing_since.is_some() {
            return ((), Changes::none());
        }
        let mut changes = Changes::of_configuration();
        changes.put(Endpoint { health: self.health, ..endpoint });
        ((), changes)
    }
}

/// Gives an endpoint up and tells its owner; the outcome is whether this did.
pub(crate) struct DisableEndpoint {
    pub context: Arc<TenantContext>,
    pub endpoint: EndpointId,
    pub why: WhyDisabled,
    pub stationery: Stationery,
    pub trail: Trail,
}

impl Command for DisableEndpoint {
    type Outcome = bool;

    fn reads(&self) -> Reads {
        reads(self.context.tenant.id, self.endpoint)
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (bool, Changes) {
        let Some((tenant, endpoint)) = endpoint_in(seen, self.endpoint) else { return (false, Changes::none()) };
        if endpoint.state != EndpointState::Enabled {
            return (false, Changes::none());
        }
        let mut changes = Changes::of_configuration();
        let url = endpoint.url(tenant).unwrap_or_default().to_owned();
        let told = json!({"url": url, "why": self.why});
        changes.put(self.trail.line(tenant.id, Action::EndpointDisabled, endpoint.id, told));
        // Without its master key nothing can be mailed, and the trail tells of it all the same.
        if let Ok(contact) = tenant.contact(&self.context.keys) {
            let about = About { tenant: tenant.id, name: tenant.name.clone() };
            let envelope = self.stationery.envelope(self.context.installation.clone(), &contact);
            let is_gone = self.why == WhyDisabled::Gone;
            changes.put(envelope.around(&Notice::EndpointDisabled { about, url, is_gone }));
        }
        let state = EndpointState::Disabled { at: self.trail.at, why: self.why };
        changes.put(Endpoint { state, ..endpoint });
        (true, changes)
    }
}
