//! A tenant's configuration: one document, written in parts, with its versions.

use serde_json::{Map, Value};

use super::{Caller, Page, Service};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{Configure, NewSigningKeys, TenantChange, WantedSettings};
use crate::configuration::ConfigVersion;
use crate::error::Error;
use crate::plan::Feature;
use crate::secret::{Sealed, Secret};
use crate::store::{FromRecord, Key, Kind, Read};
use crate::tenant::{Change, Settings, Tenant};
use crate::token::Algorithm;
use crate::webhook::{Signing, SigningSecret};

const SECRET: &str = "webhookConfig.secret";

/// A tenant's configuration.
#[derive(Clone, Debug)]
pub struct ConfigView {
    /// All settings, as the wire has them. Of a secret the last characters are shown.
    pub document: Map<String, Value>,
    /// How often they were changed, counted from 1.
    pub version: u64,
    /// The tenant's plan.
    pub plan: String,
    /// What it includes.
    pub features: Vec<Feature>,
}

/// An earlier configuration, or the present one.
#[derive(Clone, Debug)]
pub struct VersionView {
    /// Which.
    pub version: u64,
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// What was changed.
    pub changes: Vec<Change>,
}

impl Service {
    /// The configuration of the caller's tenant.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::NotFound`], [`Error::Store`].
    pub async fn configuration(&self, caller: &Caller) -> Result<ConfigView, Error> {
        caller.may_manage()?;
        let tenant = caller.space.tenant;
        let wanted = Read::Record(Key::new::<Tenant>(tenant, tenant.as_bytes()));
        let seen = self.inner.store.read(vec![wanted]).await?;
        self.config_view(caller, seen.one::<Tenant>().ok_or(Error::NotFound("customer"))?)
    }

    /// Changes what the patch names and leaves the rest (JSON Merge Patch, RFC 7396): null brings a default back. Nobody else's
    /// change is lost; with `expected`, it is made only to that version. It is in effect here at once, and on every other
    /// server within a second.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the setting, [`Error::PlanLimit`], [`Error::VersionConflict`],
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn configure(
        &self,
        caller: &Caller,
        patch: Map<String, Value>,
        expected: Option<u64>,
    ) -> Result<ConfigView, Error> {
        let settings = self.patch(caller, patch, expected).await?;
        self.change_configuration(caller, settings).await
    }

    /// Puts the settings of an earlier version in effect, as a new one. Secrets stay as they are.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a version that is not kept, the rest as [`configure`](Self::configure).
    pub async fn restore_configuration(
        &self,
        caller: &Caller,
        version: u64,
        expected: Option<u64>,
    ) -> Result<ConfigView, Error> {
        caller.may_manage()?;
        let key = ConfigVersion::key_of(caller.space.tenant, version);
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        let settings = seen.one::<ConfigVersion>().ok_or(Error::NotFound("version"))?.settings.clone();
        let wanted = self.whole(caller, settings, expected).await?;
        self.change_configuration(caller, wanted).await
    }

    /// The kept versions, newest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that was not given out, [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn configuration_versions(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<VersionView>, Error> {
        caller.may_manage()?;
        let tenant = caller.space.tenant;
        let before = super::parse_cursor::<u64>(cursor)?.map(ConfigVersion::id_of);
        let owner = tenant.as_bytes().into();
        let wanted = Read::Owned { kind: Kind::ConfigVersion, owner, before, limit };
        let seen = self.inner.store.read(vec![wanted]).await?;
        let view = |version: ConfigVersion| {
            let ConfigVersion { version, at, actor, changes, .. } = version;
            VersionView { version, at, actor, changes }
        };
        let items: Vec<_> = seen.records.into_iter().filter_map(ConfigVersion::take).map(view).collect();
        let next = items.last().filter(|_| items.len() == limit).map(|last| last.version.to_string());
        Ok(Page { items, next })
    }

    async fn change_configuration(&self, caller: &Caller, settings: Configure) -> Result<ConfigView, Error> {
        let change = TenantChange { settings: Some(settings), ..TenantChange::default() };
        let (_, after) = self.change(self.change_command(caller, change)).await??;
        self.config_view(caller, &after)
    }

    /// A change of what the patch names.
    pub(super) async fn patch(
        &self,
        caller: &Caller,
        mut patch: Map<String, Value>,
        expected: Option<u64>,
    ) -> Result<Configure, Error> {
        caller.may_manage()?;
        let context = self.current(caller).await?;
        let webhook_secret = match patch.get_mut("webhookConfig").and_then(Value::as_object_mut) {
            Some(section) => section.remove("secret"),
            None => None,
        };
        let webhook_secret = match webhook_secret {
            Some(secret) => self.new_secret(caller, &context.tenant, &secret)?,
            None => None,
        };
        let algorithm = patch.get("tokens").and_then(|tokens| tokens.get("algorithm"));
        let algorithm = algorithm.and_then(|name| serde_json::from_value::<Algorithm>(name.clone()).ok());
        let wanted = WantedSettings::Patch(patch);
        self.change_of(caller, wanted, expected, webhook_secret, algorithm).await
    }

    /// A change of all settings.
    pub(super) async fn whole(
        &self,
        caller: &Caller,
        settings: Box<Settings>,
        expected: Option<u64>,
    ) -> Result<Configure, Error> {
        let algorithm = settings.tokens.algorithm;
        self.change_of(caller, WantedSettings::Whole(settings), expected, None, Some(algorithm)).await
    }

    async fn change_of(
        &self,
        caller: &Caller,
        wanted: WantedSettings,
        expected: Option<u64>,
        webhook_secret: Option<Sealed>,
        algorithm: Option<Algorithm>,
    ) -> Result<Configure, Error> {
        let signing_keys: Option<NewSigningKeys> = match algorithm {
            Some(algorithm) => Some(self.new_signing_keys(caller, algorithm).await?),
            None => None,
        };
        let (plans, keys) = (self.inner.plans.clone(), caller.context.keys.clone());
        let destinations = self.inner.destinations.clone();
        Ok(Configure { wanted, expected, webhook_secret, signing_keys, plans, keys, destinations })
    }

    /// The secret that is to sign events; none if it is the present one as it was shown.
    fn new_secret(&self, caller: &Caller, tenant: &Tenant, secret: &Value) -> Result<Option<Sealed>, Error> {
        let refuse = || Error::invalid("invalid_webhook_secret", SECRET, "use whsec_ and 24 to 64 bytes in base64");
        let secret = Secret::from(secret.as_str().ok_or_else(refuse)?.to_owned());
        let keys = &caller.context.keys;
        if secret.expose() == tenant.masked_secret(&tenant.webhook_secret, keys)? {
            return Ok(None);
        }
        let parsed = SigningSecret::parse(secret.expose()).ok();
        if parsed.is_none_or(|parsed| parsed.signing() != Signing::Hmac) {
            return Err(refuse());
        }
        Ok(Some(keys.seal(self.random(), Tenant::WEBHOOK_SECRET, secret.expose().as_bytes())))
    }

    fn config_view(&self, caller: &Caller, tenant: &Tenant) -> Result<ConfigView, Error> {
        let mut document = tenant.settings.document();
        let masked = tenant.masked_secret(&tenant.webhook_secret, &caller.context.keys)?;
        if let Some(Value::Object(section)) = document.get_mut("webhookConfig") {
            section.insert("secret".to_owned(), masked.into());
        }
        let plan = self.inner.plans.named(&tenant.plan).unwrap_or(self.inner.plans.first());
        let (version, features) = (tenant.config_version, plan.features.clone());
        Ok(ConfigView { document, version, plan: tenant.plan.clone(), features })
    }
}
