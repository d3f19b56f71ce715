//! Applications: what a member runs. On the wire an application is a customer; here it is a tenant.

use std::time::Duration;

use super::keys::fresh_key;
use super::{CreatedTenant, EditTenant, MemberCaller, NewTenant, Page, Service, UserView};
use crate::api_key::{KeyType, new_key};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{CreateApp, KEYS, ResetKeys, SEATS, StatusChange, TenantChange};
use crate::error::Error;
use crate::id::{EventId, KeyId, TenantId};
use crate::idempotency::{Answer, Idempotency, Once};
use crate::member::{Membership, Permission, Role, Seat};
use crate::secret::Secret;
use crate::store::{Key, Read};
use crate::tenant::{Mode, Tenant, TenantStatus};

/// How long what is held of a tenant outlives its end.
const ERASED_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// An application to be made.
#[derive(Clone, Debug, Default)]
pub struct NewApp {
    /// Display name.
    pub name: String,
    /// Web origins that may call.
    pub allowed_origins: Vec<String>,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

/// An application, as a member sees it.
#[derive(Clone, Debug)]
pub struct AppView {
    /// Identifier of the tenant.
    pub id: TenantId,
    /// Display name.
    pub name: String,
    /// Standing.
    pub status: TenantStatus,
    /// Name of the plan.
    pub plan: String,
    /// What the member is to it.
    pub role: Role,
    /// Creation time.
    pub created_at: Timestamp,
    /// When all that is held of it is erased, if it was deleted.
    pub erase_at: Option<Timestamp>,
}

/// A new key in the place of all that were there, shown once.
#[derive(Clone, Debug)]
pub struct ResetKey {
    /// The key.
    pub api_key: Secret,
    /// Its public name.
    pub id: KeyId,
    /// How many keys were revoked.
    pub revoked: usize,
}

impl Service {
    /// Makes an application, whose owner the member is, with one live secret key.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Conflict`] when the member has too many, [`Error::SignupClosed`],
    /// [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn create_app(&self, caller: &MemberCaller, new: NewApp) -> Result<CreatedTenant, Error> {
        Ok(self.create_app_once(caller, new).await?.value)
    }

    /// As [`create_app`](Self::create_app), telling whether it is the first answer again.
    ///
    /// # Errors
    /// As [`create_app`](Self::create_app).
    pub async fn create_app_once(&self, caller: &MemberCaller, new: NewApp) -> Result<Answer<CreatedTenant>, Error> {
        self.signup_is_open()?;
        let (member, email) = (&caller.member, self.member_self(caller)?.email);
        let mut created = self.create_command(NewTenant {
            allowed_origins: new.allowed_origins,
            client: caller.client.clone(),
            ..NewTenant::named(&new.name, &email)
        })?;
        created.trail.actor = Actor::Member(member.id);
        let membership = Membership {
            tenant: created.tenant.id,
            member: member.id,
            subject: member.subject,
            role: Role::Owner,
            since: created.trail.at,
            invited_by: None,
        };
        let asks = [b"a".as_slice(), member.id.as_bytes()].concat();
        let keys = self.tenant_keys(TenantId::INSTALLATION);
        let slot = self.reply_slot(new.idempotency, TenantId::INSTALLATION, &asks, &keys);
        let command = CreateApp { created, membership, bucket: member.bucket };
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

    /// The member's applications, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn apps(&self, caller: &MemberCaller) -> Result<Vec<AppView>, Error> {
        let seats = Read::owned::<Seat>(caller.member.id.as_bytes().into(), SEATS);
        let seen = self.inner.store.read(vec![seats]).await?;
        let wanted = seen.all::<Seat>().flat_map(|seat| reads_of(caller, seat.tenant)).collect();
        let found = self.inner.store.read(wanted).await?;
        let role =
            |tenant: &Tenant| found.all::<Membership>().find(|known| known.tenant == tenant.id).map(|of| of.role);
        let mut apps: Vec<_> =
            found.all::<Tenant>().filter_map(|tenant| Some(AppView::of(tenant, role(tenant)?))).collect();
        apps.sort_by_key(|app| std::cmp::Reverse(app.id));
        Ok(apps)
    }

    /// One of the member's applications.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for those of others; [`Error::Store`].
    pub async fn app(&self, caller: &MemberCaller, id: TenantId) -> Result<AppView, Error> {
        let found = self.inner.store.read(reads_of(caller, id).to_vec()).await?;
        match (found.one::<Tenant>(), found.one::<Membership>()) {
            (Some(tenant), Some(membership)) => Ok(AppView::of(tenant, membership.role)),
            _ => Err(Error::NotFound("app")),
        }
    }

    /// Gives an application another name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RoleRequired`], [`Error::Invalid`], [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn rename_app(&self, caller: &MemberCaller, id: TenantId, name: String) -> Result<AppView, Error> {
        let acting = self.on_team(caller, id, Permission::Rename).await?;
        self.edit_tenant(&acting, EditTenant { name: Some(name), ..EditTenant::default() }).await?;
        self.app(caller, id).await
    }

    /// Ends an application: no key works from now on, and 30 days later all that is held of it is erased.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RoleRequired`], [`Error::MemberStepUpRequired`], [`Error::Store`].
    pub async fn delete_app(&self, caller: &MemberCaller, id: TenantId) -> Result<AppView, Error> {
        let acting = self.on_team(caller, id, Permission::Delete).await?;
        self.check_freshness(caller).await?;
        let status = StatusChange {
            status: TenantStatus::Cancelled,
            reason: None,
            erase_at: Some(self.now() + ERASED_AFTER),
            envelope: self.envelope_to(&acting.context.tenant)?,
        };
        let change = TenantChange { status: Some(status), ..TenantChange::default() };
        self.change(self.change_command(&acting, change)).await??;
        self.app(caller, id).await
    }

    /// Revokes all live secret keys of an application at once, and makes a new one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RoleRequired`], [`Error::MemberStepUpRequired`], [`Error::Conflict`] when there are too
    /// many keys, [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn reset_app_key(&self, caller: &MemberCaller, id: TenantId) -> Result<ResetKey, Error> {
        let acting = self.on_team(caller, id, Permission::ResetKey).await?;
        self.check_freshness(caller).await?;
        let (now, random) = (self.now(), self.random());
        let text = new_key(KeyType::Secret, Mode::Live, random);
        let key = fresh_key(id, "Default", &text, KeyType::Secret, Mode::Live, now, random);
        let events = (0..=KEYS).map(|_| EventId::new(now, random)).collect();
        let (key, revoked) = self.change(ResetKeys { key, events, trail: self.trail(&acting) }).await??;
        Ok(ResetKey { api_key: text, id: key.id, revoked })
    }

    /// The live users of an application, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RoleRequired`], [`Error::Invalid`] for a cursor that was not given out for this list,
    /// [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn app_users(
        &self,
        caller: &MemberCaller,
        id: TenantId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<UserView>, Error> {
        let acting = self.on_team(caller, id, Permission::SeeUsers).await?;
        self.users(&acting, cursor, limit).await
    }
}

fn reads_of(caller: &MemberCaller, id: TenantId) -> [Read; 2] {
    [Read::Record(Key::new::<Tenant>(id, id.as_bytes())), Read::Record(Membership::key_of(id, caller.member.id))]
}

impl AppView {
    fn of(tenant: &Tenant, role: Role) -> Self {
        Self {
            id: tenant.id,
            name: tenant.name.clone(),
            status: tenant.status,
            plan: tenant.plan.clone(),
            role,
            created_at: tenant.created_at,
            erase_at: tenant.erase_at,
        }
    }
}
