//! Sender domains of a tenant.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{Caller, Service};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{AddDomain, BeginCheck, Checked, DOMAINS, DeleteDomain, NoteCheck, Trail};
use crate::domain::{Domain, DomainName, DomainStatus, MailReport, Resolver, Selector};
use crate::error::Error;
use crate::id::AuditId;
use crate::idempotency::{Answer, Idempotency, Once};
use crate::plan::Feature;
use crate::store::{FromRecord, Kind, Lease, Read};

/// How long a look-up may take before somebody else does it: several times what a resolver needs at most.
const LEASE: Duration = Duration::from_secs(60);
/// Look-ups at the same time by one call.
const CONCURRENT: usize = 16;
/// DKIM keys that one report asks about.
const MOST_SELECTORS: usize = 10;

/// A domain as its tenant sees it.
#[derive(Clone, Debug)]
pub struct DomainView {
    /// Its name.
    pub name: DomainName,
    /// How it stands.
    pub status: DomainStatus,
    /// Where the TXT record has to be.
    pub record_name: String,
    /// What it has to say.
    pub record_value: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// Since when it has been verified.
    pub verified_at: Option<Timestamp>,
    /// When it expires unless the record is found, or did; `None` while the record is there.
    pub expires_at: Option<Timestamp>,
    /// When the record was last looked up.
    pub checked_at: Option<Timestamp>,
    /// What the last look-up found in the place of the record.
    pub problem: Option<String>,
}

/// A domain, and whether it is there only now.
#[derive(Clone, Debug)]
pub struct AddedDomain {
    /// The domain.
    pub domain: DomainView,
    /// Whether it was added, as against being there already.
    pub is_new: bool,
}

impl Service {
    /// Adds a domain, to be verified within seven days; one that is there already is given as it stands.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that cannot be verified, [`Error::PlanLimit`], [`Error::Conflict`] when there are too
    /// many, [`Error::NoResolver`], [`Error::SecretKeyRequired`], [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn add_domain(
        &self,
        caller: &Caller,
        name: &str,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<AddedDomain>, Error> {
        self.may_verify(caller).await?;
        self.resolver()?;
        let name = name.parse().map_err(|error| Error::invalid("invalid_domain", "domain", error))?;
        let tenant = caller.space.tenant;
        let slot = self.reply_slot(idempotency, tenant, b"d", &caller.context.keys);
        let domain = Domain::new(tenant, name, self.now(), self.random());
        let command = AddDomain { domain, trail: self.trail(caller) };
        let Answer { value, replayed } = self.run(Once { command, slot }).await??;
        let value = AddedDomain { domain: self.domain_view(value.domain), is_new: value.is_new };
        Ok(Answer { value, replayed })
    }

    /// Looks the record up now. That it is not there is no error: the answer tells what is there instead.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when the domain has expired, [`Error::RateLimited`] within ten seconds of the
    /// last look-up, [`Error::PlanLimit`], [`Error::NoResolver`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn check_domain(&self, caller: &Caller, name: &DomainName) -> Result<DomainView, Error> {
        self.may_verify(caller).await?;
        let resolver = self.resolver()?;
        let (tenant, lease, now) = (caller.space.tenant, self.random().bytes(), self.now());
        let begin = BeginCheck { tenant, name: name.clone(), lease, now, until: now + LEASE };
        let domain = self.run(begin).await??;
        let checked = self.look_up(resolver, &domain, || self.trail(caller)).await?;
        Ok(self.domain_view(checked.domain))
    }

    /// One domain.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn domain(&self, caller: &Caller, name: &DomainName) -> Result<DomainView, Error> {
        caller.may_manage()?;
        let key = Domain::key_of(caller.space.tenant, name);
        let mut seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        let domain = seen.records.pop().and_then(Domain::take).ok_or(Error::NotFound("domain"))?;
        Ok(self.domain_view(domain))
    }

    /// What the DNS says now about mail from one of the tenant's domains, with the DKIM keys of these selectors.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for more than ten selectors or what is none, [`Error::NoResolver`],
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn mail_report(
        &self,
        caller: &Caller,
        name: &DomainName,
        selectors: &[String],
    ) -> Result<MailReport, Error> {
        let domain = self.domain(caller, name).await?;
        let refuse = |why: &dyn ToString| Error::invalid("invalid_selector", "selector", why.to_string());
        if selectors.len() > MOST_SELECTORS {
            return Err(refuse(&"ask about ten selectors at most"));
        }
        let selectors = selectors.iter().map(|text| text.parse::<Selector>().map_err(|error| refuse(&error)));
        let selectors = selectors.collect::<Result<_, _>>()?;
        Ok(MailReport::of(&domain.name, selectors, self.resolver()?).await)
    }

    /// All domains of the tenant, newest first.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn domains(&self, caller: &Caller) -> Result<Vec<DomainView>, Error> {
        caller.may_manage()?;
        let owner = caller.space.tenant.as_bytes().into();
        let seen = self.inner.store.read(vec![Read::owned::<Domain>(owner, DOMAINS)]).await?;
        let mut domains: Vec<Domain> = seen.records.into_iter().filter_map(Domain::take).collect();
        domains.sort_by(|one, other| other.created_at.cmp(&one.created_at).then_with(|| one.name.cmp(&other.name)));
        Ok(domains.into_iter().map(|domain| self.domain_view(domain)).collect())
    }

    /// Deletes a domain: when this returns, nothing may be sent from it any more. Added again, it has to be verified again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn delete_domain(&self, caller: &Caller, name: &DomainName) -> Result<(), Error> {
        caller.may_manage()?;
        let command = DeleteDomain { tenant: caller.space.tenant, name: name.clone(), trail: self.trail(caller) };
        self.change(command).await?
    }

    /// Looks up the records of up to `limit` domains that are due: pending ones ever more seldom, verified ones every day.
    /// Gives how many. Call it until it gives less than `limit`, every ten seconds or so. Without a resolver it does nothing.
    ///
    /// # Errors
    /// [`Error::Store`]; what was not written down is looked up again when its lease has ended.
    pub async fn check_due_domains(&self, limit: usize) -> Result<usize, Error> {
        let Ok(resolver) = self.resolver() else { return Ok(0) };
        let lease = Lease { id: self.random().bytes(), now: self.now(), until: self.now() + LEASE };
        let claimed = self.inner.store.claim(Kind::Domain, lease, limit).await?;
        let claimed: Vec<Domain> = claimed.into_iter().filter_map(Domain::take).collect();
        let count = claimed.len();
        let checks = stream::iter(claimed).map(|domain| async move {
            match self.look_up(resolver, &domain, || self.own_trail()).await {
                Ok(_) | Err(Error::NotFound(_)) => Ok(()), // deleted meanwhile
                Err(error) => Err(error),
            }
        });
        let outcomes: Vec<Result<(), Error>> = checks.buffer_unordered(CONCURRENT).collect().await;
        outcomes.into_iter().collect::<Result<(), Error>>()?;
        Ok(count)
    }

    /// Looks up the record of a domain that is under a lease, and writes down what that came to.
    async fn look_up(
        &self,
        resolver: &dyn Resolver,
        domain: &Domain,
        trail: impl FnOnce() -> Trail,
    ) -> Result<Checked, Error> {
        let (tenant, name) = (domain.tenant, domain.name.clone());
        let lookup = resolver.txt(&name.record_name()).await;
        let lease = domain.due.lease.unwrap_or_default();
        let checked = self.run(NoteCheck { tenant, name, lease, lookup, trail: trail() }).await??;
        if checked.is_changed {
            self.inner.caches.forget();
        }
        Ok(checked)
    }

    /// Of what the service does by itself.
    pub(super) fn own_trail(&self) -> Trail {
        let at = self.now();
        let id = AuditId::new(at, self.random());
        Trail { id, actor: Actor::Program, client: None, request_id: None, operation: None, at }
    }

    async fn may_verify(&self, caller: &Caller) -> Result<(), Error> {
        caller.may_manage()?;
        let included = self.current(caller).await?.plan.features.contains(&Feature::CustomDomain);
        if included { Ok(()) } else { Err(Error::PlanLimit("a domain of your own; choose one with custom_domain")) }
    }

    fn resolver(&self) -> Result<&dyn Resolver, Error> {
        self.inner.resolver.as_deref().ok_or(Error::NoResolver)
    }

    fn domain_view(&self, domain: Domain) -> DomainView {
        DomainView {
            status: domain.status(self.now()),
            record_name: domain.name.record_name(),
            verified_at: domain.verified_at(),
            expires_at: domain.ends_at(),
            problem: domain.problem(),
            name: domain.name,
            record_value: domain.value,
            created_at: domain.created_at,
            checked_at: domain.checked_at,
        }
    }
}
