//! The team of an application: listed, invited, appointed, removed.

use super::{Client, MemberCaller, Service};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{Appoint, Invite, Join, NetworkLimit, RevokeInvitation};
use crate::error::Error;
use crate::id::{InvitationId, MemberId, TenantId};
use crate::member::{INVITED_FOR, Invitation, InvitationProof, Member, Membership, Permission, Role, TEAM};
use crate::notice::INSTALLATION;
use crate::secret::{CannotOpen, Digest32};
use crate::service::AppView;
use crate::store::{FromRecord, Key, Read};

/// Somebody of a team.
#[derive(Clone, Debug)]
pub struct TeamMember {
    /// Who.
    pub id: MemberId,
    /// Its address.
    pub email: String,
    /// What it wants to be called.
    pub name: Option<String>,
    /// As what it belongs to the team.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
    /// By whose invitation; `None` for whoever made the application.
    pub invited_by: Option<MemberId>,
}

/// Somebody who was asked to join and has not done so.
#[derive(Clone, Debug)]
pub struct InvitationView {
    /// Identifier.
    pub id: InvitationId,
    /// Its address.
    pub email: String,
    /// As what.
    pub role: Role,
    /// By whom.
    pub invited_by: MemberId,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

impl Service {
    /// The team of an application, and those who were asked to join it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn team(
        &self,
        caller: &MemberCaller,
        id: TenantId,
    ) -> Result<(Vec<TeamMember>, Vec<InvitationView>), Error> {
        let acting = self.on_team(caller, id, Permission::SeeTeam).await?;
        let owner = id.as_bytes();
        let wanted = vec![Read::owned::<Membership>(owner.into(), TEAM), Read::owned::<Invitation>(owner.into(), TEAM)];
        let seen = self.inner.store.read(wanted).await?;
        let key = |of: &Membership| Read::Record(Key::new::<Member>(INSTALLATION.tenant, of.member.as_bytes()));
        let members = self.inner.store.read(seen.all::<Membership>().map(key).collect()).await?;
        let member = |of: &Membership| -> Result<Option<TeamMember>, Error> {
            let Some(member) = members.all::<Member>().find(|member| member.id == of.member) else { return Ok(None) };
            let view = self.member_view(member)?;
            let Membership { role, since, invited_by, .. } = *of;
            Ok(Some(TeamMember { id: of.member, email: view.email, name: view.name, role, since, invited_by }))
        };
        let team = seen.all::<Membership>().filter_map(|of| member(of).transpose()).collect::<Result<_, _>>()?;
        let open = |invitation: &&Invitation| self.now() < invitation.expires_at;
        let invitation = |of: &Invitation| -> Result<InvitationView, Error> {
            let email = acting.context.keys.open_text(Invitation::EMAIL, &of.email)?;
            let Invitation { id, role, invited_by, expires_at, .. } = *of;
            Ok(InvitationView { id, email, role, invited_by, expires_at })
        };
        let invitations = seen.all::<Invitation>().filter(open).map(invitation).collect::<Result<_, _>>()?;
        Ok((team, invitations))
    }

    /// Asks somebody to join the team, by a mail whose code works once within seven days, for that address only.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RoleRequired`], [`Error::Invalid`], [`Error::Conflict`] when the address belongs to the
    /// team or the team is full, [`Error::RateLimited`], [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn invite(
        &self,
        caller: &MemberCaller,
        id: TenantId,
        email: &str,
        role: Role,
    ) -> Result<InvitationId, Error> {
        let acting = self.on_team(caller, id, Permission::ManageTeam).await?;
        let applying = self.applying(email)?;
        let (now, random, kid) = (self.now(), self.random(), applying.keys.newest());
        let invitation = InvitationId::new(random);
        let proof = InvitationProof { invitation, kid, subject: &applying.subject };
        let token = proof.token(&applying.keys).ok_or(CannotOpen)?;
        let limits = caller.client.network(&applying.keys).map(|net| NetworkLimit::on_member_mails(net, now));
        let limits = limits.into_iter().chain([NetworkLimit::on_invitations(id, now)]).collect();
        let command = Invite {
            by: caller.member.id,
            invitation: Invitation {
                id: invitation,
                tenant: id,
                subject: applying.subject,
                email: acting.context.keys.seal(random, Invitation::EMAIL, applying.email.display().as_bytes()),
                role,
                invited_by: caller.member.id,
                digest: Digest32::of(token.expose().as_bytes()),
                created_at: now,
                expires_at: now + INVITED_FOR,
            },
            by_email: self.member_self(caller)?.email,
            kid,
            limits,
            envelope: self.envelope(&applying.email, &Client::default()),
            trail: self.trail(&acting),
        };
        self.run(command).await??;
        Ok(invitation)
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RoleRequired`], [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn revoke_invitation(
        &self,
        caller: &MemberCaller,
        id: TenantId,
        invitation: InvitationId,
    ) -> Result<(), Error> {
        let acting = self.on_team(caller, id, Permission::ManageTeam).await?;
        let by = caller.member.id;
        self.run(RevokeInvitation { tenant: id, by, invitation, trail: self.trail(&acting) }).await?
    }

    /// Joins a team by the code of an invitation that was mailed to the member's own address.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a code that is not open for this address, [`Error::Conflict`] when the member belongs to the
    /// team or to too many, [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn accept_invitation(&self, caller: &MemberCaller, token: &str) -> Result<AppView, Error> {
        // It is shown in groups.
        let token: String = token.split_whitespace().collect();
        let digest = Digest32::of(token.as_bytes());
        let seen = self.inner.store.read(vec![Read::alias::<Invitation>(&digest.0)]).await?;
        let invitation = seen.records.into_iter().find_map(Invitation::take);
        let invitation = invitation.filter(|invitation| invitation.subject == caller.member.subject);
        let Some(Invitation { id, tenant, .. }) = invitation else { return Err(Error::NotFound("invitation")) };
        let acting = self.caller(tenant, crate::tenant::Mode::Live, false).await?;
        let mut trail = self.trail(&super::Caller { client: caller.client.clone(), ..acting });
        trail.actor = Actor::Member(caller.member.id);
        self.run(Join { tenant, invitation: id, member: caller.member.clone(), trail }).await??;
        self.app(caller, tenant).await
    }

    /// Gives somebody of the team another role.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RoleRequired`], [`Error::Conflict`] when no owner would be left,
    /// [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn appoint(
        &self,
        caller: &MemberCaller,
        id: TenantId,
        member: MemberId,
        role: Role,
    ) -> Result<Role, Error> {
        let acting = self.on_team(caller, id, Permission::ManageTeam).await?;
        let (by, role) = (caller.member.id, Some(role));
        Ok(self.run(Appoint { tenant: id, by, member, role, trail: self.trail(&acting) }).await??.role)
    }

    /// Removes somebody from the team. Anybody may remove themselves.
    ///
    /// # Errors
    /// As [`appoint`](Self::appoint).
    pub async fn remove_from_team(&self, caller: &MemberCaller, id: TenantId, member: MemberId) -> Result<(), Error> {
        let leaves = member == caller.member.id;
        let permission = if leaves { Permission::SeeTeam } else { Permission::ManageTeam };
        let acting = self.on_team(caller, id, permission).await?;
        let by = caller.member.id;
        self.run(Appoint { tenant: id, by, member, role: None, trail: self.trail(&acting) }).await?.map(drop)
    }
}
