//! Tenants are created and changed.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::configure::first_version;
use super::plan_use::InUse;
use super::{Configure, EventSource, Trail};
use crate::api_key::ApiKey;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::EventData;
use crate::id::{EventId, TenantId};
use crate::notice::{About, Envelope, Notice};
use crate::onboarding::Step;
use crate::plan::Plan;
use crate::secret::Sealed;
use crate::signing::StoredSigningKey;
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot};
use crate::tenant::{Mode, Space, Tenant, TenantStatus};

/// A tenant comes with the keys that sign its tokens, one for each mode, and one live secret key.
pub(crate) struct CreateTenant {
    pub tenant: Tenant,
    pub signing_keys: [StoredSigningKey; 2],
    pub api_key: ApiKey,
    pub secrets: NewSecrets,
    pub trail: Trail,
}

/// What is shown once; only ever stored sealed, in a kept reply.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NewSecrets {
    pub api_key: String,
    pub webhook_secret: String,
}

impl Command for CreateTenant {
    type Outcome = Result<(Tenant, ApiKey, NewSecrets), Error>;

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.tenant.id), wanted: Vec::new() }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, _seen: &Snapshot) -> (Self::Outcome, Changes) {
        let mut changes = Changes::none();
        let data = json!({"plan": self.tenant.plan, "keyId": self.api_key.id});
        changes.put(self.trail.line(self.tenant.id, Action::TenantCreated, self.tenant.id, data));
        changes.create(first_version(&self.tenant, &self.trail));
        changes.create(self.tenant.clone());
        self.signing_keys.iter().for_each(|key| changes.create(key.clone()));
        changes.create(self.api_key.clone());
        (Ok((self.tenant.clone(), self.api_key.clone(), self.secrets.clone())), changes)
    }
}

/// What is to change of a tenant; `None` leaves it.
#[derive(Clone, Default)]
pub(crate) struct TenantChange {
    pub name: Option<String>,
    pub email: Option<Sealed>,
    pub company_name: Option<Option<String>>,
    pub plan: Option<String>,
    pub settings: Option<Configure>,
    pub skipped_steps: Option<Vec<Step>>,
    pub status: Option<StatusChange>,
}

#[derive(Clone)]
pub(crate) struct StatusChange {
    pub status: TenantStatus,
    pub reason: Option<String>,
    /// When all that is held of the tenant goes.
    pub erase_at: Option<Timestamp>,
    /// To the tenant's contact.
    pub envelope: Envelope,
}

/// Changes a tenant; the outcome is what it was and what it is.
pub(crate) struct ChangeTenant {
    pub tenant: TenantId,
    pub change: TenantChange,
    /// What the new plan allows, if it is not to fall below what is in use.
    pub within: Option<Plan>,
    pub event: EventId,
    pub trail: Trail,
}

impl Command for ChangeTenant {
    type Outcome = Result<(Tenant, Tenant), Error>;

    fn reads(&self) -> Reads {
        let mut wanted = vec![Read::Record(Key::new::<Tenant>(self.tenant, self.tenant.as_bytes()))];
        wanted.extend(self.change.settings.iter().flat_map(|settings| settings.reads(self.tenant)));
        wanted.extend(self.in_use().iter().flat_map(InUse::reads));
        Reads { scope: Scope::Tenant(self.tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(before) = seen.one::<Tenant>() else { return (Err(Error::NotFound("customer")), Changes::none()) };
        match self.change(before, seen) {
            Ok((after, mut changes)) => {
                changes.put(after.clone());
                (Ok((before.clone(), after)), changes)
            }
            Err(refused) => (Err(refused), Changes::none()),
        }
    }
}

impl ChangeTenant {
    fn change(&self, before: &Tenant, seen: &Snapshot) -> Result<(Tenant, Changes), Error> {
        if let Some(above) = self.in_use().map(|in_use| in_use.above(before, seen)).filter(|above| !above.is_empty()) {
            return Err(Error::PlanBelowUse(above));
        }
        let mut after = before.clone();
        let mut changes = Changes::of_configuration();
        let changed = self.apply(&mut after);
        if !changed.is_empty() {
            let line = self.trail.line(self.tenant, Action::TenantChanged, self.tenant, json!({"changed": changed}));
            changes.put(line);
        }
        if let Some(settings) = &self.change.settings {
            settings.apply(&mut after, seen, &self.trail.next(), &mut changes)?;
        }
        if let Some(wanted) = &self.change.status {
            self.move_to(wanted, &mut after, &mut changes)?;
        }
        Ok((after, changes))
    }

    fn in_use(&self) -> Option<InUse<'_>> {
        Some(InUse { tenant: self.tenant, plan: self.within.as_ref()?, now: self.trail.at })
    }

    /// Applies what is named and tells which fields that were.
    fn apply(&self, tenant: &mut Tenant) -> Vec<&'static str> {
        let change = self.change.clone();
        let mut changed = Vec::new();
        let mut note = |field: &'static str, is_named: bool| changed.extend(is_named.then_some(field));
        note("name", change.name.is_some());
        note("email", change.email.is_some());
        note("companyName", change.company_name.is_some());
        note("plan", change.plan.is_some());
        note("onboarding", change.skipped_steps.is_some());
        set(&mut tenant.name, change.name);
        set(&mut tenant.email, change.email);
        set(&mut tenant.company_name, change.company_name);
        set(&mut tenant.plan, change.plan);
        set(&mut tenant.skipped_steps, change.skipped_steps);
        changed
    }

    fn move_to(&self, wanted: &StatusChange, tenant: &mut Tenant, changes: &mut Changes) -> Result<(), Error> {
        let from = tenant.status;
        if from == TenantStatus::Cancelled && wanted.status != TenantStatus::Cancelled {
            return Err(Error::Conflict("a cancelled customer stays cancelled"));
        }
        if wanted.status == TenantStatus::Pending && from != TenantStatus::Pending {
            return Err(Error::Conflict("a customer does not become pending again"));
        }
        tenant.erase_at = tenant.erase_at.or(wanted.erase_at);
        if from == wanted.status {
            return Ok(());
        }
        tenant.status = wanted.status;
        tenant.status_changed_at = self.trail.at;
        tenant.status_reason = wanted.reason.clone();
        let space = Space { tenant: self.tenant, mode: Mode::Live };
        let source = EventSource { space, at: self.trail.at, person: None };
        let data = EventData::CustomerStatusChanged {
            old_status: from,
            new_status: wanted.status,
            reason: wanted.reason.clone(),
        };
        changes.put(self.trail.line(self.tenant, Action::StatusChanged, self.tenant, data.fields()));
        changes.put(source.event(self.event, data));
        changes.put(wanted.envelope.around(&Notice::StatusChanged {
            about: About { tenant: tenant.id, name: tenant.name.clone() },
            from,
            to: wanted.status,
            reason: wanted.reason.clone(),
            at: self.trail.at,
        }));
        Ok(())
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
