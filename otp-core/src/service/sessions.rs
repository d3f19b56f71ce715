//! Signed-in users: who they are, their sessions, how these are prolonged and ended.

use std::net::IpAddr;

use super::caller::{Client, SealedClient, place};
use super::context::TenantContext;
use super::tokens::by_channel;
use super::{Caller, Service};
use crate::clock::Timestamp;
use crate::command::{Ending, Presented, RefreshSession, SignOut};
use crate::error::Error;
use crate::id::{EventId, SessionId, UserId};
use crate::idempotency::{Answer, Idempotency, Once};
use crate::limit::Allowance;
use crate::secret::{Secret, TenantKeys};
use crate::session::{RefreshToken, Session};
use crate::store::{FromRecord, Key, Read};
use crate::tenant::{Space, TenantStatus};
use crate::token;
use crate::user::User;

const SESSIONS: usize = 1_000;

/// A user has signed in, or a session was prolonged.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The access token, a JWT.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What the next one is got with; it works once.
    pub refresh_token: Secret,
    /// When it ends.
    pub refresh_expires_at: Timestamp,
    /// The user.
    pub user_id: UserId,
    /// The address, if it is an e-mail address.
    pub email: Option<String>,
    /// The address, if it is a phone number.
    pub phone: Option<String>,
    /// Whether this was the first sign-in.
    pub is_new_user: bool,
    /// The session.
    pub session_id: SessionId,
    /// After a code: the caller's budget of guesses.
    pub limit: Option<Allowance>,
    /// After a code: the plan's quota, of the nearer of day and month.
    pub quota: Option<Allowance>,
}

/// A user whose access token was checked against the live session.
pub struct Me {
    pub(super) context: std::sync::Arc<TenantContext>,
    pub(super) session: Session,
    pub(super) user: User,
    pub(super) generation: u32,
    /// The address, if it is an e-mail address.
    pub email: Option<String>,
    /// The address, if it is a phone number.
    pub phone: Option<String>,
}

impl Me {
    /// The user.
    pub fn user_id(&self) -> UserId {
        self.user.id
    }

    /// The session the token belongs to.
    pub fn session_id(&self) -> SessionId {
        self.session.id
    }

    /// Tenant and mode of the user.
    pub fn space(&self) -> Space {
        self.user.space
    }

    /// Whether the user belongs to the caller's tenant and mode.
    pub fn is_of(&self, caller: &Caller) -> bool {
        self.user.space == caller.space
    }

    /// First sign-in.
    pub fn created_at(&self) -> Timestamp {
        self.user.created_at
    }

    /// Latest sign-in.
    pub fn last_login_at(&self) -> Timestamp {
        self.user.last_login_at
    }
}

/// A session as its user sees it.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Identifier.
    pub id: SessionId,
    /// Sign-in.
    pub created_at: Timestamp,
    /// Latest refresh.
    pub refreshed_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Where it began.
    pub ip: Option<IpAddr>,
    /// In which program it began.
    pub user_agent: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Service {
    /// Checks an access token, its session included: one that was signed out or revoked opens nothing.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn me(&self, token: &str) -> Result<Me, Error> {
        let tenant = token::peek_audience(token).ok_or(Error::InvalidToken)?;
        let context = self.tenant_context(tenant).await?.ok_or(Error::InvalidToken)?;
        let (mode, claims) = context.verify(token, self.now())?;
        if context.tenant.status != TenantStatus::Active {
            return Err(Error::TenantNotActive(context.tenant.status));
        }
        let sid = claims.sid.ok_or(Error::InvalidToken)?;
        let user: UserId = claims.sub.parse().map_err(|_| Error::InvalidToken)?;
        let wanted =
            vec![Read::Record(Session::key_of(tenant, sid)), Read::Record(Key::new::<User>(tenant, user.as_bytes()))];
        let seen = self.inner.store.read(wanted).await?;
        let is_meant = |session: &&Session| {
            session.is_open(self.now()) && session.user == user && session.space == Space { tenant, mode }
        };
        let session = seen.one::<Session>().filter(is_meant).cloned().ok_or(Error::InvalidToken)?;
        let generation = session.generation_of(&claims.jti).filter(|generation| *generation >= session.valid_from);
        let generation = generation.ok_or(Error::InvalidToken)?;
        let user = seen.records.into_iter().find_map(User::take).ok_or(Error::InvalidToken)?;
        let address = context.keys.open_text(&place(b"address", &user.subject), &user.address)?;
        let (email, phone) = by_channel(user.channel, address);
        Ok(Me { context, session, user, generation, email, phone })
    }

    /// Prolongs a session by its refresh token, which works once. One that was used before ends the session.
    ///
    /// `caller` is whoever shows a key beside the token, if anybody: then the session has to be of its tenant and mode.
    ///
    /// # Errors
    /// [`Error::InvalidRefreshToken`], [`Error::RefreshTokenReused`], [`Error::TenantNotActive`],
    /// [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn refresh(
        &self,
        caller: Option<&Caller>,
        refresh_token: &str,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<SignedIn>, Error> {
        let token = RefreshToken::parse(refresh_token).map_err(|_| Error::InvalidRefreshToken)?;
        let context = self.tenant_context(token.tenant).await?.ok_or(Error::InvalidRefreshToken)?;
        if !token.is_ours(&context.keys) {
            return Err(Error::InvalidRefreshToken);
        }
        let seen = self.inner.store.read(vec![Read::Record(Session::key_of(token.tenant, token.session))]).await?;
        let session = seen.one::<Session>().ok_or(Error::InvalidRefreshToken)?;
        if caller.is_some_and(|caller| caller.space != session.space) {
            return Err(Error::InvalidRefreshToken);
        }
        self.prolong(&context, session, Presented::Refresh(token.digest()), idempotency).await
    }

    /// Prolongs a session by a valid access token, which is revoked with all older ones.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::Store`].
    pub async fn replace_token(&self, me: &Me) -> Result<SignedIn, Error> {
        let answer = self.prolong(&me.context, &me.session, Presented::Access(me.generation), None).await?;
        Ok(answer.value)
    }

    async fn prolong(
        &self,
        context: &std::sync::Arc<TenantContext>,
        session: &Session,
        presented: Presented,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<SignedIn>, Error> {
        if context.tenant.status != TenantStatus::Active {
            return Err(Error::TenantNotActive(context.tenant.status));
        }
        let tenant = session.space.tenant;
        let slot = self.reply_slot(idempotency, tenant, session.id.as_bytes(), &context.keys);
        let slot = slot.map(|slot| slot.about(session.subject));
        let command = RefreshSession {
            context: context.clone(),
            space: session.space,
            bucket: session.bucket,
            session: session.id,
            presented,
            next: RefreshToken::new(&context.keys, tenant, session.id, self.random().bytes()),
            now: self.now(),
        };
        let Answer { value, replayed } = self.run(Once { command, slot }).await??;
        Ok(Answer { value: self.refreshed(context, value)?, replayed })
    }

    /// The user's open sessions, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sessions(&self, me: &Me) -> Result<Vec<SessionView>, Error> {
        self.open_sessions(&me.context.keys, me.user.id, Some(me.session.id)).await
    }

    pub(super) async fn open_sessions(
        &self,
        keys: &TenantKeys,
        user: UserId,
        current: Option<SessionId>,
    ) -> Result<Vec<SessionView>, Error> {
        let seen = self.inner.store.read(vec![Read::owned::<Session>(user.as_bytes().into(), SESSIONS)]).await?;
        let open = seen.all::<Session>().filter(|session| session.is_open(self.now()));
        open.map(|session| SessionView::of(session, keys, current)).collect()
    }
}

impl SessionView {
    fn of(session: &Session, keys: &TenantKeys, current: Option<SessionId>) -> Result<Self, Error> {
        let client = SealedClient::open(keys, &session.subject, session.client.as_ref())?;
        Ok(SessionView {
            id: session.id,
            created_at: session.created_at,
            refreshed_at: session.refreshed_at,
            expires_at: session.idle_at,
            ip: client.ip,
            user_agent: client.user_agent,
            current: Some(session.id) == current,
        })
    }
}

impl Service {
    /// Ends one of the user's sessions, with all its tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not an open session of this user, [`Error::Store`].
    pub async fn sign_out(&self, me: &Me, session: SessionId, client: &Client) -> Result<(), Error> {
        match self.end_own_sessions(me, Some(session), client).await? {
            0 => Err(Error::NotFound("session")),
            _ => Ok(()),
        }
    }

    /// Ends all of the user's sessions and gives how many there were.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sign_out_everywhere(&self, me: &Me, client: &Client) -> Result<usize, Error> {
        self.end_own_sessions(me, None, client).await
    }

    async fn end_own_sessions(&self, me: &Me, only: Option<SessionId>, client: &Client) -> Result<usize, Error> {
        let days = me.context.tenant.settings.privacy.event_days;
        let by_user = || Ending::ByUser {
            client: client.sealed_for(&me.context.keys, self.random(), &me.user.subject),
            event: EventId::new(self.now(), self.random()),
            days,
        };
        self.end_sessions(&me.user, only, by_user).await
    }

    pub(super) async fn end_sessions(
        &self,
        user: &User,
        only: Option<SessionId>,
        ending: impl Fn() -> Ending,
    ) -> Result<usize, Error> {
        let mut ended = 0;
        let mut before = None;
        loop {
            let command = SignOut {
                space: user.space,
                bucket: user.bucket,
                user: user.id,
                only,
                before,
                ending: ending(),
                now: self.now(),
            };
            let round = self.run(command).await?;
            ended += round.ended;
            before = round.next;
            if before.is_none() {
                return Ok(ended);
            }
        }
    }
}
