//! The team of a tenant: somebody is invited, joins, is given another role, leaves.

use serde_json::json;

use super::Trail;
use super::signup::NetworkLimit;
use crate::audit::Action;
use crate::error::Error;
use crate::id::{InvitationId, MemberId, TenantId};
use crate::member::{Invitation, Member, Membership, Permission, Role, Seat, TEAM};
use crate::notice::{About, Envelope, Notice};
use crate::store::{Add, Changes, Command, Key, Read, Reads, Scope, Snapshot, Stored};
use crate::tenant::{Tenant, TenantStatus};

/// Teams of one member.
pub(crate) const SEATS: usize = 100;

fn team_of(tenant: TenantId) -> Vec<Read> {
    let owner = tenant.as_bytes();
    vec![Read::owned::<Membership>(owner.into(), TEAM), Read::owned::<Invitation>(owner.into(), TEAM)]
}

fn membership(seen: &Snapshot, member: MemberId) -> Option<&Membership> {
    seen.all::<Membership>().find(|membership| membership.member == member)
}

/// Whoever acts, as it is now: it may have been removed since it was let in.
fn acting(seen: &Snapshot, member: MemberId) -> Result<Role, Error> {
    membership(seen, member).map(|membership| membership.role).ok_or(Error::NotFound("app"))
}

/// Refuses somebody who may not give this role, or take it.
fn check_appointment(by: Role, role: Role) -> Result<(), Error> {
    match (by.may_appoint(role), by.may(Permission::ManageTeam)) {
        (true, _) => Ok(()),
        (false, false) => Err(Error::RoleRequired(Permission::ManageTeam.holders())),
        (false, true) => Err(Error::RoleRequired(Permission::Delete.holders())),
    }
}

/// Asks somebody to join. An open invitation of the same address is replaced.
pub(crate) struct Invite {
    pub by: MemberId,
    pub invitation: Invitation,
    /// Who invites, as the mail tells.
    pub by_email: String,
    pub kid: u8,
    pub limits: Vec<NetworkLimit>,
    pub envelope: Envelope,
    pub trail: Trail,
}

impl Command for Invite {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let tenant = self.invitation.tenant;
        let mut wanted = vec![Read::Record(Key::new::<Tenant>(tenant, tenant.as_bytes()))];
        wanted.extend(team_of(tenant));
        wanted.extend(self.limits.iter().flat_map(NetworkLimit::reads));
        Reads { scope: Scope::Tenant(tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        match self.invite(seen) {
            Ok(changes) => (Ok(()), changes),
            Err(refused) => (Err(refused), Changes::none()),
        }
    }
}

impl Invite {
    fn invite(&self, seen: &Snapshot) -> Result<Changes, Error> {
        let Invitation { tenant, subject, role, expires_at, .. } = &self.invitation;
        let about = seen.one::<Tenant>().ok_or(Error::NotFound("app"))?;
        check_appointment(acting(seen, self.by)?, *role)?;
        self.limits.iter().try_for_each(|limit| limit.check(seen))?;
        if seen.all::<Membership>().any(|membership| membership.subject == *subject) {
            return Err(Error::Conflict("this address belongs to the team already"));
        }
        let (replaced, others): (Vec<_>, Vec<_>) =
            seen.all::<Invitation>().partition(|invitation| invitation.subject == *subject);
        if seen.all::<Membership>().count() + others.len() >= TEAM {
            return Err(Error::Conflict("the team is full; open invitations count"));
        }
        let adds: Vec<Add> = self.limits.iter().map(|limit| limit.add(seen)).collect();
        let deletes = replaced.iter().map(|invitation| invitation.key()).collect();
        let mut changes = Changes { adds, deletes, ..Changes::none() };
        changes.create(self.invitation.clone());
        changes.put(self.envelope.around(&Notice::Invitation {
            about: About { tenant: *tenant, name: about.name.clone() },
            invitation: self.invitation.id,
            kid: self.kid,
            role: *role,
            by: self.by_email.clone(),
            expires_at: *expires_at,
        }));
        let told = json!({"role": role});
        changes.put(self.trail.line(*tenant, Action::MemberInvited, self.invitation.id, told));
        Ok(changes)
    }
}

/// Takes an invitation back.
pub(crate) struct RevokeInvitation {
    pub tenant: TenantId,
    pub by: MemberId,
    pub invitation: InvitationId,
    pub trail: Trail,
}

impl Command for RevokeInvitation {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.tenant), wanted: team_of(self.tenant) }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let invitation = seen.all::<Invitation>().find(|invitation| invitation.id == self.invitation);
        let allowed = acting(seen, self.by).and_then(|by| check_appointment(by, Role::Viewer));
        let invitation = allowed.and_then(|()| invitation.ok_or(Error::NotFound("invitation")));
        match invitation {
            Ok(invitation) => {
                let mut changes = Changes { deletes: vec![invitation.key()], ..Changes::none() };
                changes.put(self.trail.line(self.tenant, Action::InvitationRevoked, self.invitation, json!({})));
                (Ok(()), changes)
            }
            Err(refused) => (Err(refused), Changes::none()),
        }
    }
}

/// Joins a team, once: the invitation is gone then.
pub(crate) struct Join {
    pub tenant: TenantId,
    pub invitation: InvitationId,
    pub member: Member,
    pub trail: Trail,
}

impl Command for Join {
    type Outcome = Result<Membership, Error>;

    fn reads(&self) -> Reads {
        let mut wanted = vec![
            Read::Record(Key::new::<Tenant>(self.tenant, self.tenant.as_bytes())),
            Read::owned::<Seat>(self.member.id.as_bytes().into(), SEATS),
        ];
        wanted.extend(team_of(self.tenant));
        Reads { scope: Scope::Tenant(self.tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        match self.admit(seen) {
            Ok((invitation, membership)) => {
                let mut changes = Changes { deletes: vec![invitation.key()], ..Changes::none() };
                changes.create(membership.clone());
                changes.create(membership.seat());
                let told = json!({"role": membership.role, "invitedBy": invitation.invited_by});
                changes.put(self.trail.line(self.tenant, Action::MemberJoined, self.member.id, told));
                (Ok(membership), changes)
            }
            Err(refused) => (Err(refused), Changes::none()),
        }
    }
}

impl Join {
    fn admit<'a>(&self, seen: &'a Snapshot) -> Result<(&'a Invitation, Membership), Error> {
        let is_theirs = |invitation: &&Invitation| {
            invitation.id == self.invitation
                && invitation.subject == self.member.subject
                && self.trail.at < invitation.expires_at
        };
        let invitation = seen.all::<Invitation>().find(is_theirs).ok_or(Error::NotFound("invitation"))?;
        let tenant = seen.one::<Tenant>().ok_or(Error::NotFound("invitation"))?;
        if tenant.status != TenantStatus::Active {
            return Err(Error::TenantNotActive(tenant.status));
        }
        if membership(seen, self.member.id).is_some() {
            return Err(Error::Conflict("you belong to the team already"));
        }
        if seen.all::<Seat>().count() >= SEATS {
            return Err(Error::Conflict("you belong to too many teams; leave one first"));
        }
        let membership = Membership {
            tenant: self.tenant,
            member: self.member.id,
            subject: self.member.subject,
            role: invitation.role,
            since: self.trail.at,
            invited_by: Some(invitation.invited_by),
        };
        Ok((invitation, membership))
    }
}

/// Gives a member of the team another role, or removes it. A team always has an owner.
pub(crate) struct Appoint {
    pub tenant: TenantId,
    pub by: MemberId,
    pub member: MemberId,
    /// `None` removes it.
    pub role: Option<Role>,
    pub trail: Trail,
}

impl Command for Appoint {
    type Outcome = Result<Membership, Error>;

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.tenant), wanted: team_of(self.tenant) }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        match self.appoint(seen) {
            Ok((membership, changes)) => (Ok(membership), changes),
            Err(refused) => (Err(refused), Changes::none()),
        }
    }
}

impl Appoint {
    fn appoint(&self, seen: &Snapshot) -> Result<(Membership, Changes), Error> {
        let by = acting(seen, self.by)?;
        let leaves = self.by == self.member && self.role.is_none();
        if !leaves {
            check_appointment(by, Role::Viewer)?;
        }
        let before = membership(seen, self.member).ok_or(Error::NotFound("member"))?;
        if !leaves {
            [Some(before.role), self.role].into_iter().flatten().try_for_each(|role| check_appointment(by, role))?;
        }
        let owners = seen.all::<Membership>().filter(|membership| membership.role == Role::Owner).count();
        if before.role == Role::Owner && self.role != Some(Role::Owner) && owners == 1 {
            return Err(Error::Conflict("an app needs an owner; make somebody else one first"));
        }
        let mut changes = Changes::none();
        let Some(role) = self.role else {
            changes.deletes.extend([before.key(), before.seat().key()]);
            let told = json!({"role": before.role});
            changes.put(self.trail.line(self.tenant, Action::MemberRemoved, self.member, told));
            return Ok((before.clone(), changes));
        };
        let after = Membership { role, ..before.clone() };
        if role != before.role {
            changes.put(after.clone());
            let told = json!({"from": before.role, "to": role});
            changes.put(self.trail.line(self.tenant, Action::RoleChanged, self.member, told));
        }
        Ok((after, changes))
    }
}
