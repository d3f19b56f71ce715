//! Tenants: created, listed, changed, suspended.

use std::convert::Infallible;

use serde_json::{Map, Value, json};

use super::keys::fresh_key;
use super::{Caller, Client, Page, Service, parse_cursor};
use crate::access::OriginPattern;
use crate::api_key::{KeyType, new_key};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{ChangeTenant, CreateTenant, NewSecrets, StatusChange, TenantChange, Trail};
use crate::error::Error;
use crate::id::{AuditId, EventId, KeyId, TenantId};
use crate::idempotency::{Answer, Idempotency, Once};
use crate::plan::Feature;
use crate::secret::{Sealed, Secret};
use crate::store::{Key, Read};
use crate::subject::EmailAddress;
use crate::tenant::{Mode, Settings, Tenant, TenantStatus};
use crate::token::Algorithm;
use crate::webhook::{Signing, SigningSecret};

/// A tenant to be created.
#[derive(Clone, Debug, Default)]
pub struct NewTenant {
    /// Display name.
    pub name: String,
    /// Contact address.
    pub email: String,
    /// Legal name.
    pub company_name: Option<String>,
    /// Name of the plan; the first one if not set.
    pub plan: Option<String>,
    /// Where events are to be sent.
    pub webhook_url: Option<String>,
    /// Web origins that may call.
    pub allowed_origins: Vec<String>,
    /// Whether the platform administrator creates it, as against the program itself.
    pub by_administrator: bool,
    /// Who asks.
    pub client: Client,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

impl NewTenant {
    /// A tenant with this name and contact address, on the default plan.
    pub fn named(name: &str, email: &str) -> Self {
        Self { name: name.to_owned(), email: email.to_owned(), ..Self::default() }
    }
}

/// A tenant, as its administrator sees it.
#[derive(Clone, Debug)]
pub struct TenantView {
    /// Identifier.
    pub id: TenantId,
    /// Display name.
    pub name: String,
    /// Contact address.
    pub email: String,
    /// Legal name.
    pub company_name: Option<String>,
    /// Name of the plan.
    pub plan: String,
    /// Standing.
    pub status: TenantStatus,
    /// Since when.
    pub status_changed_at: Timestamp,
    /// What the plan includes.
    pub features: Vec<Feature>,
    /// Where events are sent.
    pub webhook_url: Option<String>,
    /// Web origins that may call.
    pub allowed_origins: Vec<OriginPattern>,
    /// Creation time.
    pub created_at: Timestamp,
}

/// A tenant, and what is shown of it once.
#[derive(Clone, Debug)]
pub struct CreatedTenant {
    /// Identifier.
    pub id: TenantId,
    /// A live secret key.
    pub api_key: Secret,
    /// Its public name.
    pub key_id: KeyId,
    /// What signs the events, `whsec_…`.
    pub webhook_secret: Secret,
    /// Creation time.
    pub created_at: Timestamp,
}

/// What is to change of a tenant; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct EditTenant {
    /// Display name.
    pub name: Option<String>,
    /// Contact address.
    pub email: Option<String>,
    /// Legal name; an inner `None` removes it.
    pub company_name: Option<Option<String>>,
    /// Name of the plan.
    pub plan: Option<String>,
    /// Where events are sent; an inner `None` removes it.
    pub webhook_url: Option<Option<String>>,
    /// Web origins that may call.
    pub allowed_origins: Option<Vec<String>>,
    /// The whole of its own settings; it goes before the two above.
    pub settings: Option<Settings>,
    /// Whether the plan is changed although more is in use than it allows.
    pub force: bool,
}

impl Service {
    /// Creates a tenant with its signing keys and one live secret key.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn create_tenant(&self, new: NewTenant) -> Result<CreatedTenant, Error> {
        Ok(self.create_tenant_once(new).await?.value)
    }

    /// As [`create_tenant`](Self::create_tenant), telling whether it is the first answer again.
    ///
    /// # Errors
    /// As [`create_tenant`](Self::create_tenant).
    pub async fn create_tenant_once(&self, new: NewTenant) -> Result<Answer<CreatedTenant>, Error> {
        let keys = self.tenant_keys(TenantId::INSTALLATION);
        let slot = self.reply_slot(new.idempotency, TenantId::INSTALLATION, b"c", &keys);
        let command = self.create_command(new)?;
        let Answer { value: (tenant, key, secrets), replayed } = self.change(Once { command, slot }).await??;
        let value = CreatedTenant {
            id: tenant.id,
            api_key: Secret::from(secrets.api_key),
            key_id: key.id,
            webhook_secret: Secret::from(secrets.webhook_secret),
            created_at: tenant.created_at,
        };
        Ok(Answer { value, replayed })
    }

    pub(super) fn create_command(&self, new: NewTenant) -> Result<CreateTenant, Error> {
        let (now, random) = (self.now(), self.random());
        let id = TenantId::new(now, random);
        let keys = self.tenant_keys(id);
        let plan = self.check_plan(new.plan.as_deref().unwrap_or(&self.inner.plans.first().name))?;
        let settings = Settings::default().patched(&section(Some(new.webhook_url), Some(new.allowed_origins)))?;
        let check = || {
            settings.check()?;
            settings.webhook.url.as_ref().map_or(Ok(()), |url| self.inner.destinations.check("webhookConfig.url", url))
        };
        check().map_err(Error::from).map_err(beside_name)?;
        let webhook_secret = SigningSecret::generate(Signing::Hmac, random).text().expose().to_owned();
        let text = new_key(KeyType::Secret, Mode::Live, random);
        let tenant = Tenant {
            id,
            name: check_name("name", &new.name)?,
            email: keys.seal(random, Tenant::EMAIL, check_email(&new.email)?.as_bytes()),
            company_name: new.company_name.map(|name| check_name("companyName", &name)).transpose()?,
            plan,
            status: TenantStatus::Active,
            status_changed_at: now,
            status_reason: None,
            created_at: now,
            webhook_secret: keys.seal(random, Tenant::WEBHOOK_SECRET, webhook_secret.as_bytes()),
            settings: Box::new(settings),
            config_version: 1,
            skipped_steps: Vec::new(),
            erase_at: None,
        };
        let trail = Trail {
            id: AuditId::new(now, random),
            actor: if new.by_administrator { Actor::Administrator } else { Actor::Program },
            client: new.client.sealed_for_audit(&keys, random),
            request_id: new.client.request_id,
            operation: new.client.operation,
            at: now,
        };
        Ok(CreateTenant {
            signing_keys: self.signing_keys(id, &keys, Algorithm::Hs256),
            api_key: fresh_key(id, "Default", &text, KeyType::Secret, Mode::Live, now, random),
            secrets: NewSecrets { api_key: text.expose().to_owned(), webhook_secret },
            tenant,
            trail,
        })
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn tenant(&self, id: TenantId) -> Result<TenantView, Error> {
        let seen = self.inner.store.read(vec![Read::Record(Key::new::<Tenant>(id, id.as_bytes()))]).await?;
        self.tenant_view(seen.one::<Tenant>().ok_or(Error::NotFound("customer"))?)
    }

    /// All tenants, newest first; with `search`, those whose name, address or id contains it. A page may then be short
    /// or empty although more follow: `next` tells.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that was not given out, [`Error::Store`].
    pub async fn tenants(
        &self,
        search: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<TenantView>, Error> {
        let before = parse_cursor::<TenantId>(cursor)?.map(|id| id.as_bytes().into());
        let wanted = Read::Owned { kind: crate::store::Kind::Tenant, owner: Tenant::ALL, before, limit };
        let seen = self.inner.store.read(vec![wanted]).await?;
        let found: Vec<&Tenant> = seen.all().collect();
        let next = found.last().filter(|_| found.len() == limit).map(|tenant| tenant.id.to_string());
        let views: Result<Vec<_>, _> = found.into_iter().map(|tenant| self.tenant_view(tenant)).collect();
        let needle = search.map(str::to_lowercase);
        let matches = |view: &TenantView| {
            let Some(needle) = &needle else { return true };
            [&view.name, &view.email, &view.id.to_string()].iter().any(|text| text.to_lowercase().contains(needle))
        };
        Ok(Page { items: views?.into_iter().filter(matches).collect(), next })
    }

    pub(super) fn tenant_view(&self, tenant: &Tenant) -> Result<TenantView, Error> {
        let plan = self.inner.plans.named(&tenant.plan).unwrap_or(self.inner.plans.first());
        Ok(TenantView {
            id: tenant.id,
            name: tenant.name.clone(),
            email: self.tenant_keys(tenant.id).open_text(Tenant::EMAIL, &tenant.email)?,
            company_name: tenant.company_name.clone(),
            plan: tenant.plan.clone(),
            status: tenant.status,
            status_changed_at: tenant.status_changed_at,
            features: plan.features.clone(),
            webhook_url: tenant.settings.webhook.url.clone(),
            allowed_origins: tenant.settings.allowed_origins.clone(),
            created_at: tenant.created_at,
        })
    }

    /// Changes the tenant that the caller acts for. The plan is the administrator's to change.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::PlanBelowUse`] when more is in use than the plan allows and the change is not forced,
    /// [`Error::SecretKeyRequired`], [`Error::AdministratorRequired`], [`Error::Store`].
    pub async fn edit_tenant(&self, caller: &Caller, edit: EditTenant) -> Result<TenantView, Error> {
        if edit.plan.is_some() {
            caller.may_administer()?
        } else {
            caller.may_manage()?
        }
        let sealed = |email: String| -> Result<Sealed, Error> {
            Ok(caller.context.keys.seal(self.random(), Tenant::EMAIL, check_email(&email)?.as_bytes()))
        };
        let settings = match (edit.settings, section(edit.webhook_url, edit.allowed_origins)) {
            (Some(settings), _) => Some(self.whole(caller, Box::new(settings), None).await?),
            (None, patch) if patch.is_empty() => None,
            (None, patch) => Some(self.patch(caller, patch, None).await?),
        };
        let change = TenantChange {
            name: edit.name.map(|name| check_name("name", &name)).transpose()?,
            email: edit.email.map(sealed).transpose()?,
            company_name: edit
                .company_name
                .map(|name| optional(name, |name| check_name("companyName", name)))
                .transpose()?,
            plan: edit.plan.map(|plan| self.check_plan(&plan)).transpose()?,
            settings,
            ..TenantChange::default()
        };
        let plan = change.plan.as_deref().filter(|_| !edit.force);
        let within = plan.and_then(|plan| self.inner.plans.named(plan)).cloned();
        let command = ChangeTenant { within, ..self.change_command(caller, change) };
        let (_, after) = self.change(command).await?.map_err(beside_name)?;
        self.tenant_view(&after)
    }

    /// Changes the standing of the tenant that the caller acts for, at once. Gives the standing before, and the tenant.
    ///
    /// A tenant can only cancel itself; the rest is the administrator's.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the standing cannot follow the present one, [`Error::SecretKeyRequired`],
    /// [`Error::AdministratorRequired`], [`Error::Store`].
    pub async fn set_status(
        &self,
        caller: &Caller,
        status: TenantStatus,
        reason: Option<String>,
    ) -> Result<(TenantStatus, TenantView), Error> {
        if status == TenantStatus::Cancelled {
            caller.may_manage()?
        } else {
            caller.may_administer()?
        }
        let reason = reason.map(|reason| check_name("reason", &reason)).transpose()?;
        let known = self.tenant_context(caller.space.tenant).await?.ok_or(Error::NotFound("customer"))?;
        let envelope = self.envelope_to(&known.tenant)?;
        let change = TenantChange {
            status: Some(StatusChange { status, reason, envelope, erase_at: None }),
            ..TenantChange::default()
        };
        let (before, after) = self.change(self.change_command(caller, change)).await??;
        Ok((before.status, self.tenant_view(&after)?))
    }

    pub(super) fn change_command(&self, caller: &Caller, change: TenantChange) -> ChangeTenant {
        let event = EventId::new(self.now(), self.random());
        ChangeTenant { tenant: caller.space.tenant, change, within: None, event, trail: self.trail(caller) }
    }

    /// Asks for another plan, which is what somebody who takes money would grant. Nobody does here.
    ///
    /// # Errors
    /// [`Error::BillingNotConfigured`], [`Error::Invalid`] for an unknown plan, [`Error::SecretKeyRequired`].
    pub fn upgrade_plan(&self, caller: &Caller, plan: &str) -> Result<Infallible, Error> {
        caller.may_manage()?;
        self.check_plan(plan)?;
        Err(Error::BillingNotConfigured)
    }

    fn check_plan(&self, name: &str) -> Result<String, Error> {
        if self.inner.plans.named(name).is_some() {
            return Ok(name.to_owned());
        }
        let known: Vec<_> = self.inner.plans.names().collect();
        Err(Error::invalid("unknown_plan", "plan", format!("use one of {}", known.join(", "))))
    }
}

fn optional<T>(value: Option<String>, check: impl FnOnce(&str) -> Result<T, Error>) -> Result<Option<T>, Error> {
    value.as_deref().map(check).transpose()
}

/// A text that people read: 1 to 200 characters on one line.
pub(super) fn check_name(field: &'static str, text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err(Error::invalid("invalid_field", field, "use 1 to 200 characters on one line"));
    }
    Ok(text.to_owned())
}

pub(super) fn parse_email(text: &str) -> Result<EmailAddress, Error> {
    text.parse().map_err(|error| Error::invalid("invalid_email", "email", error))
}

fn check_email(text: &str) -> Result<String, Error> {
    Ok(parse_email(text)?.display().to_owned())
}

/// The patch of settings that stand beside a tenant's name on the wire.
fn section(webhook_url: Option<Option<String>>, allowed_origins: Option<Vec<String>>) -> Map<String, Value> {
    let mut patch = Map::new();
    if let Some(url) = webhook_url {
        patch.insert("webhookConfig".to_owned(), json!({"url": url}));
    }
    if let Some(origins) = allowed_origins {
        patch.insert("allowedOrigins".to_owned(), json!(origins));
    }
    patch
}

/// The error with the name that the setting has there.
fn beside_name(error: Error) -> Error {
    match error {
        Error::Invalid(invalid) if invalid.field == "webhookConfig.url" => {
            Error::invalid(invalid.code, "webhookUrl", invalid.message)
        }
        error => error,
    }
}
