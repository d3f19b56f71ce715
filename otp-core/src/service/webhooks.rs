//! Endpoints of a tenant.

use std::sync::Arc;
use std::time::Duration;

use super::{Caller, Service};
use crate::clock::Timestamp;
use crate::command::{
    ALL_ENDPOINTS, ChangeEndpoint, CreateEndpoint, DeleteEndpoint, EndpointChange, RotateSecret, Shown, endpoint_in,
};
use crate::error::Error;
use crate::event::EventFilter;
use crate::id::{EndpointId, TenantId};
use crate::idempotency::{Answer, Idempotency, Once};
use crate::plan::Feature;
use crate::secret::Secret;
use crate::store::{FromRecord, Key, Read};
use crate::tenant::{Mode, Tenant};
use crate::webhook::{
    Endpoint, EndpointState, Health, LONGEST_DESCRIPTION, OVERLAP, Own, Signing, SigningSecret, Subscribers,
    check_events, check_headers, check_rate,
};

const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3_600);

/// An endpoint to be made.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Where it is.
    pub url: String,
    /// What its owner says of it.
    pub description: String,
    /// The names of the events it wants to hear of; `*` for all.
    pub events: Vec<String>,
    /// How its requests are signed.
    pub signing: Signing,
    /// The secret, `whsec_…`; a fresh one, if not set.
    pub secret: Option<Secret>,
    /// Headers of every request to it.
    pub headers: Vec<(String, String)>,
    /// Requests that it takes in a second.
    pub per_second: Option<u32>,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

/// What is to change of an endpoint; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct EditEndpoint {
    /// Where it is.
    pub url: Option<String>,
    /// What its owner says of it.
    pub description: Option<String>,
    /// The names of the events it wants to hear of.
    pub events: Option<Vec<String>>,
    /// Headers of every request to it.
    pub headers: Option<Vec<(String, String)>>,
    /// Requests that it takes in a second; inner `None` for any number.
    pub per_second: Option<Option<u32>>,
    /// Whether deliveries leave.
    pub enabled: Option<bool>,
}

/// An endpoint as its tenant sees it.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// Identifier.
    pub id: EndpointId,
    /// Whether the settings say what it is (`webhookConfig`).
    pub is_simple: bool,
    /// Whose events it hears of; none where it hears of both modes.
    pub mode: Option<Mode>,
    /// Where it is.
    pub url: String,
    /// What its owner says of it.
    pub description: String,
    /// What it wants to hear of.
    pub events: Vec<EventFilter>,
    /// How its requests are signed.
    pub signing: Signing,
    /// The public key, where the signature is made with a private one.
    pub public_key: Option<String>,
    /// Until when the secret before signs as well.
    pub retiring_until: Option<Timestamp>,
    /// The names of its headers.
    pub headers: Vec<String>,
    /// Requests that it takes in a second.
    pub per_second: Option<u32>,
    /// Whether deliveries leave.
    pub state: EndpointState,
    /// Since when it has taken nothing.
    pub failing_since: Option<Timestamp>,
    /// Since when it is there.
    pub created_at: Timestamp,
}

/// An endpoint with its secret, shown once; none where the receiver needs only the public key.
#[derive(Clone, Debug)]
pub struct EndpointSecret {
    /// The endpoint.
    pub endpoint: EndpointView,
    /// The secret.
    pub secret: Option<Secret>,
}

impl Service {
    /// Makes an endpoint for the events of the caller's mode.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field, [`Error::Conflict`] when there are 16, [`Error::PlanLimit`],
    /// [`Error::SecretKeyRequired`], [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn create_endpoint(&self, caller: &Caller, new: NewEndpoint) -> Result<Answer<EndpointSecret>, Error> {
        caller.may_manage()?;
        if !self.current(caller).await?.plan.features.contains(&Feature::Webhooks) {
            return Err(Error::PlanLimit("webhooks"));
        }
        self.inner.destinations.check("url", &new.url)?;
        let (now, tenant, keys) = (self.now(), caller.space.tenant, &caller.context.keys);
        let id = EndpointId::new(now, self.random());
        let secret = self.fresh_secret(new.signing, new.secret)?;
        let own = Own {
            mode: caller.space.mode,
            url: new.url,
            description: check_description(new.description)?,
            events: check_events(&new.events)?,
            secret: keys.seal(
                self.random(),
                &Endpoint::place(b"endpoint.secret", id),
                secret.text().expose().as_bytes(),
            ),
            headers: self.sealed_headers(caller, id, new.headers)?,
            per_second: check_rate(new.per_second)?,
        };
        let endpoint = Endpoint {
            id,
            tenant,
            own: None,
            state: EndpointState::Enabled,
            health: Health::default(),
            retiring: None,
            created_at: now,
        };
        let slot = self.reply_slot(new.idempotency, tenant, &[caller.space.mode.byte(), b'e'], keys);
        let secret = secret.text().expose().to_owned();
        let command = CreateEndpoint { endpoint, own, secret, trail: self.trail(caller) };
        let Answer { value, replayed } = self.change(Once { command, slot }).await??;
        Ok(Answer { value: self.shown(caller, value)?, replayed })
    }

    /// The endpoints that hear of the caller's mode, newest first.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn endpoints(&self, caller: &Caller) -> Result<Vec<EndpointView>, Error> {
        caller.may_manage()?;
        let subscribers = self.load_subscribers(caller.space.tenant).await?;
        let views = subscribers.in_mode(caller.space.mode).map(|(tenant, own)| self.endpoint_view(caller, tenant, own));
        let mut views = views.collect::<Result<Vec<_>, _>>()?;
        views.sort_by_key(|view| std::cmp::Reverse((view.created_at, view.id)));
        Ok(views)
    }

    /// One endpoint.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn endpoint(&self, caller: &Caller, id: EndpointId) -> Result<EndpointView, Error> {
        let (tenant, endpoint) = self.read_endpoint(caller, id).await?;
        self.endpoint_view(caller, &tenant, &endpoint)
    }

    /// Changes an endpoint. Of the one that the settings say, only whether it is enabled.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] naming the field, [`Error::Conflict`] for what the settings say,
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn edit_endpoint(
        &self,
        caller: &Caller,
        id: EndpointId,
        edit: EditEndpoint,
    ) -> Result<EndpointView, Error> {
        self.read_endpoint(caller, id).await?;
        if let Some(url) = &edit.url {
            self.inner.destinations.check("url", url)?;
        }
        let change = EndpointChange {
            url: edit.url,
            description: edit.description.map(check_description).transpose()?,
            events: edit.events.map(|events| check_events(&events)).transpose()?,
            headers: edit.headers.map(|headers| self.sealed_headers(caller, id, headers)).transpose()?,
            per_second: edit.per_second.map(check_rate).transpose()?,
            enabled: edit.enabled,
        };
        let command = ChangeEndpoint { tenant: caller.space.tenant, endpoint: id, change, trail: self.trail(caller) };
        let (tenant, endpoint) = self.change(command).await??;
        self.endpoint_view(caller, &tenant, &endpoint)
    }

    /// Deletes an endpoint: what has not been sent to it never is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] for the one that the settings say, [`Error::SecretKeyRequired`],
    /// [`Error::Store`].
    pub async fn delete_endpoint(&self, caller: &Caller, id: EndpointId) -> Result<(), Error> {
        self.read_endpoint(caller, id).await?;
        self.change(DeleteEndpoint { tenant: caller.space.tenant, endpoint: id, trail: self.trail(caller) }).await?
    }

    /// Gives an endpoint another secret, of the same kind. The old one signs as well for `overlap`, a day if not set, seven days
    /// at most.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::SecretKeyRequired`], [`Error::IdempotencyConflict`],
    /// [`Error::Store`].
    pub async fn rotate_endpoint_secret(
        &self,
        caller: &Caller,
        id: EndpointId,
        secret: Option<Secret>,
        overlap: Option<Duration>,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<EndpointSecret>, Error> {
        let overlap = overlap.unwrap_or(OVERLAP);
        if overlap > LONGEST_OVERLAP {
            return Err(Error::invalid("invalid_field", "graceSeconds", "use 0 to 604800"));
        }
        let (tenant, endpoint) = self.read_endpoint(caller, id).await?;
        let keys = &caller.context.keys;
        let signing = self.endpoint_view(caller, &tenant, &endpoint)?.signing;
        let secret = self.fresh_secret(signing, secret)?;
        let sealed = keys.seal(self.random(), &endpoint.secret_place(), secret.text().expose().as_bytes());
        let masked = match endpoint.own {
            Some(_) => Default::default(),
            None => [tenant.masked_secret(&tenant.webhook_secret, keys)?, tenant.masked_secret(&sealed, keys)?],
        };
        let slot = self.reply_slot(idempotency, caller.space.tenant, &[caller.space.mode.byte(), b's'], keys);
        let secret = secret.text().expose().to_owned();
        let (tenant, trail) = (caller.space.tenant, self.trail(caller));
        let command = RotateSecret { tenant, endpoint: id, sealed, secret, masked, overlap, trail };
        let Answer { value, replayed } = self.change(Once { command, slot }).await??;
        Ok(Answer { value: self.shown(caller, value)?, replayed })
    }

    async fn read_endpoint(&self, caller: &Caller, id: EndpointId) -> Result<(Tenant, Endpoint), Error> {
        caller.may_manage()?;
        let tenant = caller.space.tenant;
        let wanted = [Key::new::<Tenant>(tenant, tenant.as_bytes()), Endpoint::key_of(tenant, id)].map(Read::Record);
        let seen = self.inner.store.read(wanted.to_vec()).await?;
        let found = endpoint_in(&seen, id).filter(|(_, endpoint)| endpoint.is_of(caller.space.mode));
        found.map(|(tenant, endpoint)| (tenant.clone(), endpoint)).ok_or(Error::NotFound("endpoint"))
    }

    /// Who is told of a tenant's events; what is cached of it may be a second old.
    pub(super) async fn load_subscribers(&self, tenant: TenantId) -> Result<Subscribers, Error> {
        let row = Read::Record(Key::new::<Tenant>(tenant, tenant.as_bytes()));
        let endpoints = Read::owned::<Endpoint>(tenant.as_bytes().into(), ALL_ENDPOINTS);
        let seen = self.inner.store.read(vec![row, endpoints]).await?;
        let (mut tenant, mut stored) = (None, Vec::new());
        for record in seen.records {
            match record {
                crate::store::Record::Tenant(found) => tenant = Some(found),
                record => stored.extend(Endpoint::take(record)),
            }
        }
        Ok(tenant.map_or(Subscribers::NONE, |tenant| Subscribers::of(tenant, stored, &self.inner.destinations)))
    }

    pub(super) async fn subscribers(&self, tenant: TenantId) -> Result<Arc<Subscribers>, Error> {
        if tenant == TenantId::INSTALLATION {
            return Ok(Arc::new(Subscribers::NONE));
        }
        self.cached_subscribers(tenant).await
    }

    fn fresh_secret(&self, signing: Signing, given: Option<Secret>) -> Result<SigningSecret, Error> {
        let Some(given) = given else { return Ok(SigningSecret::generate(signing, self.random())) };
        let secret = SigningSecret::parse(given.expose()).ok();
        let secret = secret.filter(|secret| secret.signing() == Signing::Hmac && signing == Signing::Hmac);
        secret.ok_or_else(|| {
            let how = "use whsec_ and 24 to 64 bytes in base64; keys of ed25519 are made here";
            Error::invalid("invalid_webhook_secret", "secret", how)
        })
    }

    fn sealed_headers(
        &self,
        caller: &Caller,
        id: EndpointId,
        headers: Vec<(String, String)>,
    ) -> Result<Vec<(String, crate::secret::Sealed)>, Error> {
        let place = Endpoint::place(b"endpoint.header", id);
        let seal =
            |(name, value): (String, String)| (name, caller.context.keys.seal(self.random(), &place, value.as_bytes()));
        Ok(check_headers(headers)?.into_iter().map(seal).collect())
    }

    fn shown(&self, caller: &Caller, shown: Shown) -> Result<EndpointSecret, Error> {
        let endpoint = self.endpoint_view(caller, &shown.tenant, &shown.endpoint)?;
        let secret = (endpoint.signing == Signing::Hmac).then(|| Secret::from(shown.secret));
        Ok(EndpointSecret { endpoint, secret })
    }

    fn endpoint_view(&self, caller: &Caller, tenant: &Tenant, endpoint: &Endpoint) -> Result<EndpointView, Error> {
        let now = self.now();
        let own = endpoint.own.as_ref();
        let secrets = endpoint.secrets(tenant, &caller.context.keys, now)?;
        let newest = secrets.first();
        Ok(EndpointView {
            id: endpoint.id,
            is_simple: own.is_none(),
            mode: own.map(|own| own.mode),
            url: endpoint.url(tenant).unwrap_or_default().to_owned(),
            description: own.map(|own| own.description.clone()).unwrap_or_default(),
            events: endpoint.events(tenant).to_vec(),
            signing: newest.map_or(Signing::Hmac, SigningSecret::signing),
            public_key: newest.and_then(SigningSecret::public_key),
            retiring_until: endpoint.retiring.as_ref().map(|old| old.until).filter(|until| now < *until),
            headers: own.map(|own| own.headers.iter().map(|(name, _)| name.clone()).collect()).unwrap_or_default(),
            per_second: own.and_then(|own| own.per_second),
            state: endpoint.state,
            failing_since: endpoint.health.failing_since,
            created_at: endpoint.created_at,
        })
    }
}

fn check_description(text: String) -> Result<String, Error> {
    if text.chars().count() <= LONGEST_DESCRIPTION && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let how = format!("use up to {LONGEST_DESCRIPTION} characters without line breaks");
    Err(Error::invalid("invalid_field", "description", how))
}
