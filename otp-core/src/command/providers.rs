//! A tenant's own providers: added, changed, asked whether they work, deleted.

use std::time::Duration;

use serde_json::json;

use super::Trail;
use crate::audit::Action;
use crate::error::{Error, Limited};
use crate::id::{ProviderId, TenantId};
use crate::limit::{Allowance, LimitOf};
use crate::message::Channel;
use crate::provider::{PROVIDERS, Provider};
use crate::secret::Sealed;
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot};
use crate::tenant::Tenant;

/// How long a tenant waits between two questions whether one provider works.
const PAUSE: Duration = Duration::from_secs(10);

/// How a provider is reached, and what it could carry.
pub(crate) struct Reached {
    pub url: Sealed,
    pub shown: String,
    pub carries: Vec<Channel>,
}

/// Adds a provider, behind the others if it names no place.
pub(crate) struct AddProvider {
    pub provider: Provider,
    pub position: Option<u32>,
    pub trail: Trail,
}

impl Command for AddProvider {
    type Outcome = Result<Provider, Error>;

    fn reads(&self) -> Reads {
        let tenant = self.provider.tenant;
        let own = Read::Record(Key::new::<Tenant>(tenant, tenant.as_bytes()));
        let wanted = vec![own, Read::owned::<Provider>(tenant.as_bytes().into(), PROVIDERS)];
        Reads { scope: Scope::Tenant(tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if seen.one::<Tenant>().is_none() {
            return (Err(Error::NotFound("customer")), Changes::none());
        }
        if seen.all::<Provider>().count() >= PROVIDERS {
            return (Err(Error::Conflict("there are eight providers already; delete one")), Changes::none());
        }
        let behind = seen.all::<Provider>().map(|provider| provider.position.saturating_add(1)).max();
        let position = self.position.unwrap_or(behind.unwrap_or(0));
        let provider = Provider { position, ..self.provider.clone() };
        let mut changes = Changes::of_configuration();
        let data = json!({"label": provider.label, "url": provider.shown});
        changes.put(self.trail.line(provider.tenant, Action::ProviderAdded, provider.id, data));
        changes.create(provider.clone());
        (Ok(provider), changes)
    }
}

/// Changes a provider; what is `None` stays as it is.
pub(crate) struct ChangeProvider {
    pub tenant: TenantId,
    pub id: ProviderId,
    pub reached: Option<Reached>,
    pub channels: Option<Vec<Channel>>,
    pub label: Option<String>,
    pub position: Option<u32>,
    pub trail: Trail,
}

impl Command for ChangeProvider {
    type Outcome = Result<Provider, Error>;

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.tenant), wanted: vec![Read::Record(Provider::key_of(self.tenant, self.id))] }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(before) = seen.one::<Provider>() else { return (Err(Error::NotFound("provider")), Changes::none()) };
        let mut provider = before.clone();
        if let Some(Reached { url, shown, carries }) = &self.reached {
            (provider.url, provider.shown) = (url.clone(), shown.clone());
            if provider.carries != *carries {
                (provider.carries, provider.channels) = (carries.clone(), carries.clone());
            }
        }
        let channels = self.channels.as_ref().unwrap_or(&provider.channels);
        match carried(&provider.carries, channels) {
            Ok(channels) => provider.channels = channels,
            Err(error) => return (Err(error), Changes::none()),
        }
        provider.label = self.label.clone().unwrap_or(provider.label);
        provider.position = self.position.unwrap_or(provider.position);
        (provider.version, provider.updated_at) = (before.version + 1, self.trail.at);
        let mut changes = Changes::of_configuration();
        let data = json!({
            "label": provider.label,
            "old": {"url": before.shown, "channels": before.channels, "position": before.position},
            "new": {"url": provider.shown, "channels": provider.channels, "position": provider.position},
        });
        changes.put(self.trail.line(self.tenant, Action::ProviderChanged, self.id, data));
        changes.put(provider.clone());
        (Ok(provider), changes)
    }
}

/// The channels that a provider is to carry, each once.
pub(crate) fn carried(carries: &[Channel], wanted: &[Channel]) -> Result<Vec<Channel>, Error> {
    let refuse = |why: &str| Err(Error::invalid("invalid_channels", "channels", why));
    if wanted.is_empty() {
        return refuse("name one channel at least, or leave it out for all that the provider carries");
    }
    if let Some(stranger) = wanted.iter().find(|channel| !carries.contains(channel)) {
        let names: Vec<&str> = carries.iter().map(|channel| channel.as_str()).collect();
        return refuse(&format!("this provider carries {}, not {}", names.join(" and "), stranger.as_str()));
    }
    Ok(carries.iter().copied().filter(|channel| wanted.contains(channel)).collect())
}

/// Notes that a provider is asked whether it works.
pub(crate) struct BeginTest {
    pub tenant: TenantId,
    pub id: ProviderId,
    pub trail: Trail,
}

impl Command for BeginTest {
    type Outcome = Result<Provider, Error>;

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.tenant), wanted: vec![Read::Record(Provider::key_of(self.tenant, self.id))] }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let now = self.trail.at;
        let Some(provider) = seen.one::<Provider>() else { return (Err(Error::NotFound("provider")), Changes::none()) };
        if let Some(reset_at) = provider.tested_at.map(|at| at + PAUSE).filter(|end| now < *end) {
            let allowance = Allowance { limit: 1, remaining: 0, reset_at };
            let limited = Limited { of: LimitOf::Customer, allowance, retry_after: reset_at.secs_after(now) };
            return (Err(Error::RateLimited(limited)), Changes::none());
        }
        let provider = Provider { tested_at: Some(now), ..provider.clone() };
        let mut changes = Changes::none();
        changes.put(provider.clone());
        (Ok(provider), changes)
    }
}

/// Deletes a provider, and its URL with it.
pub(crate) struct DeleteProvider {
    pub tenant: TenantId,
    pub id: ProviderId,
    pub trail: Trail,
}

impl Command for DeleteProvider {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.tenant), wanted: vec![Read::Record(Provider::key_of(self.tenant, self.id))] }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(provider) = seen.one::<Provider>() else { return (Err(Error::NotFound("provider")), Changes::none()) };
        let mut changes = Changes::of_configuration();
        changes.deletes.push(Provider::key_of(self.tenant, self.id));
        let data = json!({"label": provider.label, "url": provider.shown});
        changes.put(self.trail.line(self.tenant, Action::ProviderDeleted, self.id, data));
        (Ok(()), changes)
    }
}
