//! Sessions of members: begun, looked up, listed, ended.

use std::net::IpAddr;

use super::caller::SealedClient;
use super::members::MemberView;
use super::{Caller, Client, Service};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::command::{EndMemberSessions, NoteMemberSession};
use crate::error::Error;
use crate::id::{MemberId, MemberSessionId, TenantId};
use crate::member::{Member, MemberSession, Membership, Permission, SESSIONS, csrf_token, is_for_program};
use crate::notice::INSTALLATION;
use crate::secret::{Digest32, Secret};
use crate::store::{FromRecord, Key, Read};
use crate::tenant::Mode;

/// A member that has just been let in.
#[derive(Clone, Debug)]
pub struct SignedInMember {
    /// Who.
    pub member: MemberView,
    /// The session.
    pub session: MemberSessionId,
    /// What opens it: for a cookie, or for a program that sends it as a bearer.
    pub token: Secret,
    /// What a page has to show beside the cookie.
    pub csrf_token: Secret,
    /// When the session ends whatever happens.
    pub expires_at: Timestamp,
    /// Whether it is a program's, which sends the token as a bearer, or a browser's, which gets a cookie.
    pub for_program: bool,
}

/// A session, as its member sees it.
#[derive(Clone, Debug)]
pub struct MemberSessionView {
    /// Identifier.
    pub id: MemberSessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// Sign-in.
    pub created_at: Timestamp,
    /// Latest request, to the minute.
    pub seen_at: Timestamp,
    /// When it ends, unless it is used before.
    pub ends_at: Timestamp,
    /// From where it was begun.
    pub ip: Option<IpAddr>,
    /// By which program.
    pub user_agent: Option<String>,
}

/// A signed-in member, for the request that showed the session.
#[derive(Clone)]
pub struct MemberCaller {
    pub(super) member: Member,
    pub(super) session: MemberSession,
    csrf: Digest32,
    pub(super) client: Client,
    pub(super) for_program: bool,
}

impl MemberCaller {
    /// Who.
    pub fn id(&self) -> MemberId {
        self.member.id
    }

    /// By which session.
    pub fn session(&self) -> MemberSessionId {
        self.session.id
    }

    /// What a page has to show beside the cookie.
    pub fn csrf_token(&self) -> String {
        self.csrf.to_base64url()
    }

    /// Whether a page shows what it has to, in constant time.
    pub fn is_shown(&self, csrf_token: &str) -> bool {
        Digest32::from_base64url(csrf_token).is_some_and(|shown| shown.matches(&self.csrf))
    }

    /// Notes who is at the other end, for the audit trail.
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }
}

impl std::fmt::Debug for MemberCaller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberCaller").field("member", &self.member.id).finish_non_exhaustive()
    }
}

impl Service {
    pub(super) fn signed_in_member(
        &self,
        member: Member,
        session: MemberSession,
        token: Secret,
    ) -> Result<SignedInMember, Error> {
        let csrf = csrf_token(&self.tenant_keys(INSTALLATION.tenant), &session);
        let for_program = is_for_program(token.expose());
        Ok(SignedInMember {
            member: self.member_view(&member)?,
            session: session.id,
            token,
            csrf_token: Secret::from(csrf.to_base64url()),
            expires_at: session.created_at + crate::member::ABSOLUTE,
            for_program,
        })
    }

    /// Whoever shows this token of a session. It is looked up each time, so one that was ended is over at once.
    ///
    /// # Errors
    /// [`Error::InvalidSession`], [`Error::Store`].
    pub async fn member(&self, token: &str) -> Result<MemberCaller, Error> {
        let digest = Digest32::of(token.as_bytes());
        let seen = self.inner.store.read(vec![Read::alias::<MemberSession>(&digest.0)]).await?;
        let session = seen.records.into_iter().find_map(MemberSession::take);
        let now = self.now();
        let session = session.filter(|session| session.is_open(now)).ok_or(Error::InvalidSession)?;
        let member = Key::new::<Member>(INSTALLATION.tenant, session.member.as_bytes());
        let seen = self.inner.store.read(vec![Read::Record(member)]).await?;
        let member = seen.records.into_iter().find_map(Member::take).ok_or(Error::InvalidSession)?;
        if session.is_worth_noting(now) {
            self.run(NoteMemberSession { session: session.id, bucket: session.bucket, now }).await?;
        }
        let csrf = csrf_token(&self.tenant_keys(INSTALLATION.tenant), &session);
        let for_program = is_for_program(token);
        Ok(MemberCaller { member, session, csrf, client: Client::default(), for_program })
    }

    /// The member itself.
    ///
    /// # Errors
    /// [`Error::CannotOpen`].
    pub fn member_self(&self, caller: &MemberCaller) -> Result<MemberView, Error> {
        self.member_view(&caller.member)
    }

    /// The member's open sessions, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn member_sessions(&self, caller: &MemberCaller) -> Result<Vec<MemberSessionView>, Error> {
        let (member, keys) = (&caller.member, self.tenant_keys(INSTALLATION.tenant));
        let wanted = Read::owned::<MemberSession>(member.id.as_bytes().into(), 2 * SESSIONS);
        let seen = self.inner.store.read(vec![wanted]).await?;
        let view = |session: &MemberSession| -> Result<MemberSessionView, Error> {
            let client = SealedClient::open(&keys, &member.subject, session.client.as_ref())?;
            Ok(MemberSessionView {
                id: session.id,
                current: session.id == caller.session.id,
                created_at: session.created_at,
                seen_at: session.seen_at,
                ends_at: session.ends_at(),
                ip: client.ip,
                user_agent: client.user_agent,
            })
        };
        seen.all::<MemberSession>().filter(|session| session.is_open(self.now())).map(view).collect()
    }

    /// Ends one of the member's sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not an open session of this member, [`Error::Store`].
    pub async fn end_member_session(&self, caller: &MemberCaller, session: MemberSessionId) -> Result<(), Error> {
        match self.end_member_sessions(caller, Some(session)).await? {
            0 => Err(Error::NotFound("session")),
            _ => Ok(()),
        }
    }

    /// Ends the session that asks, or all of the member's.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sign_out_member(&self, caller: &MemberCaller, everywhere: bool) -> Result<usize, Error> {
        self.end_member_sessions(caller, (!everywhere).then_some(caller.session.id)).await
    }

    async fn end_member_sessions(&self, caller: &MemberCaller, only: Option<MemberSessionId>) -> Result<usize, Error> {
        let member = &caller.member;
        let trail = self.trail_of_installation(Actor::Member(member.id), &caller.client);
        self.run(EndMemberSessions { member: member.id, bucket: member.bucket, only, trail }).await
    }

    /// The member acting on a tenant of whose team it is, if its role allows that. Another tenant's id reads like an unknown one.
    pub(super) async fn on_team(
        &self,
        caller: &MemberCaller,
        tenant: TenantId,
        permission: Permission,
    ) -> Result<Caller, Error> {
        let wanted = Read::Record(Membership::key_of(tenant, caller.member.id));
        let seen = self.inner.store.read(vec![wanted]).await?;
        let membership = seen.one::<Membership>().ok_or(Error::NotFound("app"))?;
        if !membership.role.may(permission) {
            return Err(Error::RoleRequired(permission.holders()));
        }
        let acting = self.caller(tenant, Mode::Live, false).await?;
        if permission.needs_active() {
            super::caller::active(&acting.context)?;
        }
        Ok(Caller { member: Some(caller.member.id), client: caller.client.clone(), ..acting })
    }
}
