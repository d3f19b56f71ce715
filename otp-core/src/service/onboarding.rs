//! How far a tenant has come with setting itself up.

use super::{Caller, Service};
use crate::api_key::ApiKey;
use crate::command::{KEYS, TenantChange};
use crate::error::Error;
use crate::id::TenantId;
use crate::member::{Membership, TEAM};
use crate::onboarding::Step;
use crate::secret::TenantKeys;
use crate::store::{Key, Read, Snapshot};
use crate::subject::{Address, SubjectKey};
use crate::tenant::{Branding, EmailSettings, Mode, Settings, Space, Tenant};
use crate::usage::{Counter, CounterKey, Span};
use crate::user::User;

/// How far a tenant has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnboardingView {
    /// Every step, and whether it is done.
    pub steps: Vec<(Step, bool)>,
    /// Steps that the tenant does not want to take.
    pub skipped: Vec<Step>,
}

impl OnboardingView {
    /// The first step that is neither done nor skipped; `None` when there is nothing left to do.
    pub fn next(&self) -> Option<Step> {
        let is_left = |(step, done): &&(Step, bool)| !done && !self.skipped.contains(step);
        self.steps.iter().find(is_left).map(|(step, _)| *step)
    }
}

impl Service {
    /// How far the caller's tenant has come.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::NotFound`], [`Error::Store`].
    pub async fn onboarding(&self, caller: &Caller) -> Result<OnboardingView, Error> {
        caller.may_manage()?;
        let id = caller.space.tenant;
        let seen = self.inner.store.read(vec![Read::Record(Key::new::<Tenant>(id, id.as_bytes()))]).await?;
        let tenant = seen.one::<Tenant>().ok_or(Error::NotFound("customer"))?;
        let contact = Address::Email(self.contact(tenant)?);
        let subject = |keys: &TenantKeys| SubjectKey::of(keys, Mode::Live.byte(), &contact);
        let as_member = subject(&self.tenant_keys(TenantId::INSTALLATION));
        let as_user = subject(&caller.context.keys);
        let mut wanted = vec![
            Read::owned::<Membership>(id.as_bytes().into(), TEAM),
            Read::alias::<User>(as_user.as_bytes()),
            Read::owned::<ApiKey>(id.as_bytes().into(), KEYS),
        ];
        wanted.extend(Mode::ALL.map(|mode| Read::Counter(self.users_ever(Space { tenant: id, mode }))));
        let facts = self.inner.store.read(wanted).await?;
        let is_member = facts.all::<Membership>().any(|membership| membership.subject == as_member);
        let is_done = |step: Step| (step, self.is_done(step, tenant, is_member, &facts));
        Ok(OnboardingView {
            steps: Step::ALL.iter().copied().map(is_done).collect(),
            skipped: tenant.skipped_steps.clone(),
        })
    }

    fn is_done(&self, step: Step, tenant: &Tenant, is_member: bool, facts: &Snapshot) -> bool {
        match step {
            Step::AccountCreated => true,
            Step::EmailVerified => is_member || facts.one::<User>().is_some(),
            Step::ApiKeyGenerated => facts.all::<ApiKey>().any(|key| key.is_usable(self.now())),
            Step::FirstTestCompleted => {
                let users = |mode| facts.counter(&self.users_ever(Space { tenant: tenant.id, mode }));
                Mode::ALL.into_iter().any(|mode| users(mode) > 0)
            }
            Step::WebhookConfigured => tenant.settings.webhook.url.is_some(),
            Step::EmailTemplateConfigured => {
                let Settings { branding, email, templates, .. } = &*tenant.settings;
                *branding != Branding::default() || *email != EmailSettings::default() || !templates.is_empty()
            }
        }
    }

    /// A user is made by the first code that was verified.
    fn users_ever(&self, space: Space) -> CounterKey {
        CounterKey::at(space, Counter::Users, Span::Ever, self.now())
    }

    /// Notes which steps the tenant does not want to take, in the place of those noted before, and tells how far it has come.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is none of a step, [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn skip_onboarding(&self, caller: &Caller, steps: &[String]) -> Result<OnboardingView, Error> {
        caller.may_manage()?;
        let mut skipped = steps.iter().map(|name| name.parse()).collect::<Result<Vec<Step>, _>>()?;
        skipped.sort_unstable();
        skipped.dedup();
        let change = TenantChange { skipped_steps: Some(skipped), ..TenantChange::default() };
        self.change(self.change_command(caller, change)).await??;
        self.onboarding(caller).await
    }
}
