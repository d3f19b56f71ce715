//! A tenant's own providers.

use std::sync::Arc;

use super::{Caller, Service};
use crate::clock::Timestamp;
use crate::command::{AddProvider, BeginTest, ChangeProvider, DeleteProvider, Reached, carried};
use crate::error::Error;
use crate::id::{ProviderId, TenantId};
use crate::idempotency::{Answer, Idempotency, Once};
use crate::message::Channel;
use crate::provider::{LONGEST_LABEL, OwnProvider, PROVIDERS, Provider};
use crate::secret::{Secret, TenantKeys};
use crate::store::{FromRecord, Read};

/// A provider as its tenant sees it.
#[derive(Clone, Debug)]
pub struct ProviderView {
    /// Identifier.
    pub id: ProviderId,
    /// What the tenant calls it.
    pub label: String,
    /// How it is reached, without its secrets.
    pub url: String,
    /// What it is to carry.
    pub channels: Vec<Channel>,
    /// Its place: the lowest is preferred.
    pub position: u32,
    /// How often it was written, counted from 1.
    pub version: u64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The URL of a provider, read by whoever knows its form: the program with the mailers.
#[derive(Clone, Debug)]
pub struct ProviderUrl {
    /// The URL itself.
    pub url: Secret,
    /// The same without its secrets.
    pub shown: String,
    /// What kind it is, in one word: the label where none is given.
    pub kind: String,
    /// What it could carry.
    pub carries: Vec<Channel>,
}

/// What is to be set of a provider; what is `None` has its default, or stays as it is.
#[derive(Clone, Debug, Default)]
pub struct EditProvider {
    /// How it is reached. A new provider needs it.
    pub url: Option<ProviderUrl>,
    /// What it is to carry; all that it could if not given.
    pub channels: Option<Vec<Channel>>,
    /// What the tenant calls it; the kind if not given.
    pub label: Option<String>,
    /// Its place: the lowest is preferred. Behind the others if not given.
    pub position: Option<u32>,
}

impl Service {
    /// Adds a provider for the tenant's own messages, which from then on leave by its providers alone. It is in effect here
    /// at once, and on every other server within a second.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Conflict`] when there are eight, [`Error::SecretKeyRequired`],
    /// [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn add_provider(
        &self,
        caller: &Caller,
        new: EditProvider,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<ProviderView>, Error> {
        caller.may_manage()?;
        let EditProvider { url, channels, label, position } = new;
        let url = url.ok_or_else(|| Error::invalid("required", "url", "name the provider"))?;
        let (tenant, keys, now) = (caller.space.tenant, &caller.context.keys, self.now());
        let id = ProviderId::new(now, self.random());
        let label = checked_label(label.as_deref().unwrap_or(&url.kind))?;
        let channels = carried(&url.carries, channels.as_ref().unwrap_or(&url.carries))?;
        let Reached { url, shown, carries } = self.reached(keys, id, &url);
        let provider = Provider {
            id,
            tenant,
            label,
            carries,
            channels,
            position: 0,
            url,
            shown,
            version: 1,
            created_at: now,
            updated_at: now,
            tested_at: None,
        };
        let slot = self.reply_slot(idempotency, tenant, b"p", keys);
        let command = AddProvider { provider, position, trail: self.trail(caller) };
        let Answer { value, replayed } = self.change(Once { command, slot }).await??;
        Ok(Answer { value: value.into(), replayed })
    }

    /// Changes a provider. A URL of another kind carries all it can unless `channels` is given.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn edit_provider(
        &self,
        caller: &Caller,
        id: ProviderId,
        edit: EditProvider,
    ) -> Result<ProviderView, Error> {
        caller.may_manage()?;
        let EditProvider { url, channels, label, position } = edit;
        let label = label.as_deref().map(checked_label).transpose()?;
        let reached = url.as_ref().map(|url| self.reached(&caller.context.keys, id, url));
        let (tenant, trail) = (caller.space.tenant, self.trail(caller));
        let command = ChangeProvider { tenant, id, reached, channels, label, position, trail };
        Ok(self.change(command).await??.into())
    }

    /// The tenant's providers, in the order in which they are preferred.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn providers(&self, caller: &Caller) -> Result<Vec<ProviderView>, Error> {
        caller.may_manage()?;
        let owner = caller.space.tenant.as_bytes().into();
        let seen = self.inner.store.read(vec![Read::owned::<Provider>(owner, PROVIDERS)]).await?;
        let mut providers: Vec<Provider> = seen.records.into_iter().filter_map(Provider::take).collect();
        Provider::sort(&mut providers);
        Ok(providers.into_iter().map(ProviderView::from).collect())
    }

    /// The tenant's providers as a mailer needs them, for whoever reads what they tell of its messages; none of a tenant that
    /// is not there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn own_providers(&self, tenant: TenantId) -> Result<Arc<[OwnProvider]>, Error> {
        Ok(self.tenant_context(tenant).await?.map(|context| Arc::clone(&context.providers)).unwrap_or_default())
    }

    /// Asks a provider whether it works, at most every ten seconds; sends nothing. What is wrong is no error of this: it is
    /// in the answer, with what to do about it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RateLimited`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn test_provider(&self, caller: &Caller, id: ProviderId) -> Result<Result<(), String>, Error> {
        caller.may_manage()?;
        let command = BeginTest { tenant: caller.space.tenant, id, trail: self.trail(caller) };
        let provider = self.run(command).await??;
        let own = OwnProvider::open(provider, &caller.context.keys)?;
        Ok(self.inner.mailer.probe(&own).await)
    }

    /// Deletes a provider: when this returns, no message is handed to it here any more. After the last one the
    /// installation's take the messages again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn delete_provider(&self, caller: &Caller, id: ProviderId) -> Result<(), Error> {
        caller.may_manage()?;
        let command = DeleteProvider { tenant: caller.space.tenant, id, trail: self.trail(caller) };
        self.change(command).await?
    }

    fn reached(&self, keys: &TenantKeys, id: ProviderId, url: &ProviderUrl) -> Reached {
        let sealed = keys.seal(self.random(), &Provider::url_place(id), url.url.expose().as_bytes());
        Reached { url: sealed, shown: url.shown.clone(), carries: url.carries.clone() }
    }
}

impl OwnProvider {
    pub(super) fn open(provider: Provider, keys: &TenantKeys) -> Result<Self, Error> {
        let url = keys.open_text(&Provider::url_place(provider.id), &provider.url)?;
        let Provider { id, version, label, channels, .. } = provider;
        Ok(Self { id, version, label, channels, url: url.into() })
    }
}

impl From<Provider> for ProviderView {
    fn from(provider: Provider) -> Self {
        let Provider { id, label, shown: url, channels, position, version, created_at, updated_at, .. } = provider;
        Self { id, label, url, channels, position, version, created_at, updated_at }
    }
}

fn checked_label(text: &str) -> Result<String, Error> {
    let text = text.trim();
    let fits = (1..=LONGEST_LABEL).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        return Ok(text.to_owned());
    }
    Err(Error::invalid("invalid_label", "label", "use 1 to 60 characters without line breaks"))
}
