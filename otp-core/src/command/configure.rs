//! A tenant's settings are changed: a new version of its configuration.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Trail;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::configuration::{ConfigVersion, KEPT};
use crate::domain::Domain;
use crate::error::Error;
use crate::id::TenantId;
use crate::plan::Plans;
use crate::secret::{Sealed, TenantKeys};
use crate::signing::StoredSigningKey;
use crate::store::{Changes, Read, Snapshot};
use crate::subject::EmailAddress;
use crate::tenant::{Change, Settings, Tenant};
use crate::token::Algorithm;
use crate::webhook::{Destinations, Endpoint, OVERLAP, Retiring, simple_id};

/// What is to become of the settings.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// What is named changes.
    Patch(Map<String, Value>),
    /// All of them.
    Whole(Box<Settings>),
}

/// A change of a tenant's settings.
#[derive(Clone, Debug)]
pub(crate) struct Configure {
    pub wanted: Wanted,
    /// The version that the caller knows.
    pub expected: Option<u64>,
    /// What is to sign events from now on.
    pub webhook_secret: Option<Sealed>,
    /// Keys for when another algorithm is asked for.
    pub signing_keys: Option<NewSigningKeys>,
    pub plans: Plans,
    pub keys: TenantKeys,
    pub destinations: Destinations,
}

/// Keys that are to sign, and how long tokens of those before may still live.
#[derive(Clone, Debug)]
pub(crate) struct NewSigningKeys {
    pub algorithm: Algorithm,
    pub keys: [StoredSigningKey; 2],
    pub overlap: Duration,
}

impl NewSigningKeys {
    /// Puts them in the place of those that sign.
    pub fn replace(&self, seen: &Snapshot, trail: &Trail, changes: &mut Changes) {
        for old in seen.all::<StoredSigningKey>().filter(|old| old.retired_at.is_none()) {
            let retired_at = Some(trail.at + self.overlap);
            changes.put(StoredSigningKey { retired_at, ..old.clone() });
        }
        self.keys.iter().for_each(|key| changes.create(key.clone()));
    }

    /// What the trail tells of them.
    pub fn told(&self) -> Value {
        json!({"algorithm": self.algorithm, "keyIds": self.keys.each_ref().map(|key| key.id)})
    }
}

impl Configure {
    pub fn reads(&self, tenant: TenantId) -> Vec<Read> {
        let keys = self.signing_keys.iter().flat_map(|_| StoredSigningKey::of_tenant(tenant));
        let domains = self.sender().into_iter().flat_map(|address| Domain::reads_for(tenant, &address));
        let endpoint = Read::Record(Endpoint::key_of(tenant, simple_id(tenant)));
        keys.chain(domains).chain([endpoint]).collect()
    }

    /// Changes the tenant and writes the version.
    pub fn apply(
        &self,
        tenant: &mut Tenant,
        seen: &Snapshot,
        trail: &Trail,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        if self.expected.is_some_and(|expected| expected != tenant.config_version) {
            return Err(Error::VersionConflict(tenant.config_version));
        }
        let before = tenant.clone();
        *tenant.settings = self.settings(&before.settings)?;
        tenant.settings.check()?;
        let plan = self.plans.named(&tenant.plan).unwrap_or(self.plans.first());
        tenant.settings.check_plan(&before.settings, plan)?;
        check_sender(&before.settings, &tenant.settings, seen, trail.at)?;
        self.check_webhook(&before.settings, &tenant.settings)?;
        if tenant.settings.tokens.algorithm != before.settings.tokens.algorithm {
            let algorithm = tenant.settings.tokens.algorithm;
            let Some(fresh) = self.signing_keys.as_ref().filter(|fresh| fresh.algorithm == algorithm) else {
                return Err(Error::Conflict("the configuration was changed meanwhile; read it again"));
            };
            fresh.replace(seen, trail, changes);
        }
        let secret = self.change_secret(tenant)?;
        renew_endpoint(&before, tenant, seen, trail.at, changes);
        if let Some(told) = note_version(&before, tenant, secret, trail, changes) {
            changes.put(trail.line(tenant.id, Action::ConfigurationChanged, tenant.id, told));
        }
        Ok(())
    }

    /// The sender's address that is asked for.
    fn sender(&self) -> Option<EmailAddress> {
        match &self.wanted {
            Wanted::Patch(patch) => patch.get("emailConfig")?.get("fromEmail")?.as_str()?.parse().ok(),
            Wanted::Whole(settings) => settings.email.sender(),
        }
    }

    fn check_webhook(&self, before: &Settings, after: &Settings) -> Result<(), Error> {
        let urls = |settings: &Settings| {
            let [before_send, claims] = settings.hooks.targets().map(|(field, target)| (field, target.url.clone()));
            [("webhookConfig.url", settings.webhook.url.clone()), before_send, claims]
        };
        for ((field, after), (_, before)) in urls(after).into_iter().zip(urls(before)) {
            if let Some(url) = after.filter(|url| before.as_ref() != Some(url)) {
                self.destinations.check(field, &url)?;
            }
        }
        Ok(())
    }

    fn settings(&self, before: &Settings) -> Result<Settings, Error> {
        match &self.wanted {
            Wanted::Patch(patch) => before.patched(patch),
            Wanted::Whole(settings) => Ok((**settings).clone()),
        }
    }

    fn change_secret(&self, tenant: &mut Tenant) -> Result<Option<Change>, Error> {
        let Some(secret) = &self.webhook_secret else { return Ok(None) };
        let [old, new] = [&tenant.webhook_secret, secret].map(|sealed| tenant.masked_secret(sealed, &self.keys));
        tenant.webhook_secret = secret.clone();
        Ok(Some(Change { field: "webhookConfig.secret".to_owned(), old: old?.into(), new: new?.into() }))
    }
}

/// The endpoint that the settings tell of begins anew at another URL; an old secret signs for a day beside its successor.
fn renew_endpoint(before: &Tenant, after: &Tenant, seen: &Snapshot, now: Timestamp, changes: &mut Changes) {
    let is_moved = before.settings.webhook.url != after.settings.webhook.url;
    let is_rotated = before.webhook_secret != after.webhook_secret;
    if !is_moved && !is_rotated {
        return;
    }
    let known = seen.all::<Endpoint>().find(|endpoint| endpoint.id == simple_id(after.id)).cloned();
    let mut endpoint = known.filter(|_| !is_moved).unwrap_or_else(|| Endpoint::simple(after));
    if is_rotated {
        endpoint.retiring = Retiring::until(before.webhook_secret.clone(), now, OVERLAP);
    }
    changes.put(endpoint);
}

/// Mail comes from a domain that the tenant has shown to be its own.
fn check_sender(before: &Settings, after: &Settings, seen: &Snapshot, now: Timestamp) -> Result<(), Error> {
    if after.email.from_email == before.email.from_email {
        return Ok(());
    }
    let Some(sender) = after.email.sender() else { return Ok(()) };
    if seen.all::<Domain>().any(|domain| domain.covers(&sender, now)) {
        return Ok(());
    }
    let how = "verify its domain first (POST /admin/domains/verify)";
    Err(Error::invalid("domain_not_verified", "emailConfig.fromEmail", how))
}

/// Writes what a change left as the next version. Gives what the trail is to tell, if anything was changed.
pub(super) fn note_version(
    before: &Tenant,
    after: &mut Tenant,
    secret: Option<Change>,
    trail: &Trail,
    changes: &mut Changes,
) -> Option<Value> {
    let mut changed = before.settings.changes_to(&after.settings);
    changed.extend(secret);
    if changed.is_empty() {
        return None;
    }
    if before.config_version == 1 {
        // Tenants of schema version 1 were made without it.
        changes.put(first_version(before, trail));
    }
    after.config_version = before.config_version + 1;
    let told = json!({"version": after.config_version, "changes": changed});
    changes.put(ConfigVersion {
        tenant: after.id,
        version: after.config_version,
        at: trail.at,
        actor: trail.actor,
        settings: after.settings.clone(),
        changes: changed,
    });
    if let Some(outlived @ 1..) = after.config_version.checked_sub(KEPT) {
        changes.deletes.push(ConfigVersion::key_of(after.id, outlived));
    }
    Some(told)
}

/// What a tenant begins with.
pub(super) fn first_version(tenant: &Tenant, trail: &Trail) -> ConfigVersion {
    ConfigVersion {
        tenant: tenant.id,
        version: 1,
        at: tenant.created_at,
        actor: trail.actor,
        settings: tenant.settings.clone(),
        changes: Vec::new(),
    }
}
