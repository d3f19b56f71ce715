//! Users as their tenant sees them: listed, exported, signed out, erased.

use std::sync::Arc;

use super::caller::place;
use super::context::TenantContext;
use super::otp::identify;
use super::tokens::by_channel;
use super::{Caller, Page, Service, SessionView, cursor, lock};
use crate::clock::Timestamp;
use crate::command::{Ending, EraseUser, Erasing, Trail};
use crate::error::Error;
use crate::id::{EventId, SessionId, UserId};
use crate::message::Channel;
use crate::secret::TenantKeys;
use crate::store::{FromRecord, Key, Kind, Read};
use crate::subject::Address;
use crate::user::{Consent, User};

/// A user, as the tenant sees it.
#[derive(Clone, Debug)]
pub struct UserView {
    /// Identifier.
    pub id: UserId,
    /// The address, if it is an e-mail address.
    pub email: Option<String>,
    /// The address, if it is a phone number.
    pub phone: Option<String>,
    /// What kind of address it is.
    pub channel: Channel,
    /// First sign-in.
    pub created_at: Timestamp,
    /// Latest sign-in.
    pub last_login_at: Timestamp,
    /// The terms they accepted last, where that was noted.
    pub consent: Option<Consent>,
}

impl UserView {
    pub(super) fn of(user: &User, keys: &TenantKeys) -> Result<Self, Error> {
        let address = keys.open_text(&place(b"address", &user.subject), &user.address)?;
        let (email, phone) = by_channel(user.channel, address);
        Ok(Self {
            id: user.id,
            email,
            phone,
            channel: user.channel,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
            consent: user.consent.clone(),
        })
    }
}

impl Service {
    /// The caller's users, newest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that was not given out for this list, [`Error::SecretKeyRequired`],
    /// [`Error::Store`].
    pub async fn users(&self, caller: &Caller, cursor: Option<&str>, limit: usize) -> Result<Page<UserView>, Error> {
        let context = self.managed(caller).await?;
        let owner = caller.space.owner();
        let before = cursor::read::<UserId>(&context.keys, &owner, cursor)?.map(|id| id.as_bytes().into());
        let wanted = Read::Owned { kind: Kind::User, owner, before, limit };
        let seen = self.inner.store.read(vec![wanted]).await?;
        let items: Vec<UserView> =
            seen.all::<User>().map(|user| UserView::of(user, &context.keys)).collect::<Result<_, _>>()?;
        let last = items.last().filter(|_| items.len() == limit);
        let next = last.map(|user| cursor::behind(&context.keys, &owner, user.id));
        Ok(Page { items, next })
    }

    /// The caller's user with this address, in whatever spelling. It is found by a keyed digest: nothing shorter than the
    /// whole address finds anybody.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn user_at(&self, caller: &Caller, address: &Address) -> Result<Option<UserView>, Error> {
        let context = self.managed(caller).await?;
        let (subject, _) = identify(caller, address);
        let seen = self.inner.store.read(vec![Read::alias::<User>(subject.as_bytes())]).await?;
        let user = seen.one::<User>().filter(|user| user.space == caller.space);
        user.map(|user| UserView::of(user, &context.keys)).transpose()
    }

    /// One of the caller's users.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for users of other tenants and of the other mode; [`Error::SecretKeyRequired`],
    /// [`Error::Store`].
    pub async fn user(&self, caller: &Caller, id: UserId) -> Result<UserView, Error> {
        let (context, user) = self.user_of(caller, id).await?;
        UserView::of(&user, &context.keys)
    }

    /// A user's open sessions, newest first.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    pub async fn user_sessions(&self, caller: &Caller, id: UserId) -> Result<Vec<SessionView>, Error> {
        let (context, user) = self.user_of(caller, id).await?;
        self.open_sessions(&context.keys, user.id, None).await
    }

    /// Ends one of a user's sessions, with all its tokens. It is in the audit trail.
    ///
    /// # Errors
    /// As [`user`](Self::user); [`Error::NotFound`] also when it is not an open session of this user.
    pub async fn revoke_session(&self, caller: &Caller, id: UserId, session: SessionId) -> Result<(), Error> {
        let (_, user) = self.user_of(caller, id).await?;
        match self.end_sessions(&user, Some(session), || Ending::ByTenant(self.trail(caller))).await? {
            0 => Err(Error::NotFound("session")),
            _ => Ok(()),
        }
    }

    /// Ends all of a user's sessions and gives how many there were. If there were any, it is in the audit trail.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    pub async fn revoke_sessions(&self, caller: &Caller, id: UserId) -> Result<usize, Error> {
        let (_, user) = self.user_of(caller, id).await?;
        self.end_sessions(&user, None, || Ending::ByTenant(self.trail(caller))).await
    }

    /// Erases a user and all that is held about them: sessions with their tokens, codes, messages (those that wait are not
    /// sent), events and kept replies. What stays are counts, the line in the audit trail and the event that tells of it;
    /// both name the id and no address. If it fails halfway, it is to be asked for again and goes on.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    pub async fn erase_user(&self, caller: &Caller, id: UserId) -> Result<(), Error> {
        let (_, user) = self.user_of(caller, id).await?;
        match self.erase(&user, None, || self.trail(caller)).await? {
            Erasing::Absent => Err(Error::NotFound("user")),
            _ => Ok(()),
        }
    }

    pub(super) async fn erase(
        &self,
        user: &User,
        inactive_since: Option<Timestamp>,
        trail: impl Fn() -> Trail,
    ) -> Result<Erasing, Error> {
        let mut erasing = Erasing::Unfinished;
        while erasing == Erasing::Unfinished {
            let command = EraseUser {
                space: user.space,
                bucket: user.bucket,
                subject: user.subject,
                user: user.id,
                inactive_since,
                event: EventId::new(self.now(), self.random()),
                trail: trail(),
            };
            erasing = self.run(command).await?;
            let is_theirs = |message: &crate::message::Message| message.subject == user.subject;
            if erasing != Erasing::Active {
                lock(&self.inner.outbox).forget(is_theirs);
            }
        }
        Ok(erasing)
    }

    /// What is known of the caller's tenant now, if the caller may look after it.
    pub(super) async fn managed(&self, caller: &Caller) -> Result<Arc<TenantContext>, Error> {
        caller.may_manage()?;
        self.current(caller).await
    }

    pub(super) async fn user_of(&self, caller: &Caller, id: UserId) -> Result<(Arc<TenantContext>, User), Error> {
        let context = self.managed(caller).await?;
        let key = Key::new::<User>(caller.space.tenant, id.as_bytes());
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        let user = seen.records.into_iter().find_map(User::take).filter(|user| user.space == caller.space);
        Ok((context, user.ok_or(Error::NotFound("user"))?))
    }
}
