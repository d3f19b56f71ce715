//! A session is prolonged or ended.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{EventSource, Trail};
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{EventData, Person};
use crate::id::{EventId, SessionId, UserId};
use crate::secret::{Digest32, Sealed};
use crate::service::TenantContext;
use crate::session::{EndReason, RefreshToken, Session};
use crate::store::{Changes, Command, Kind, Read, Reads, Scope, Snapshot};
use crate::subject::BucketKey;
use crate::tenant::Space;

/// Sessions that are ended in one commit.
const SESSIONS: usize = 1_000;

/// What the caller shows to have its session prolonged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presented {
    /// A refresh token that we made; spent or not is for the session to tell.
    Refresh(Digest32),
    /// A valid access token of this generation: it is revoked and replaced.
    Access(u32),
}

pub(crate) struct RefreshSession {
    pub context: Arc<TenantContext>,
    pub space: Space,
    pub bucket: BucketKey,
    pub session: SessionId,
    pub presented: Presented,
    pub next: RefreshToken,
    pub now: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refreshed {
    pub session: Session,
    /// The written refresh token; only ever stored sealed, in a kept reply.
    pub refresh: String,
    pub at: Timestamp,
}

impl Command for RefreshSession {
    type Outcome = Result<Refreshed, Error>;

    fn reads(&self) -> Reads {
        let scope = Scope::Subject(self.space.tenant, self.bucket);
        Reads { scope, wanted: vec![Read::Record(Session::key_of(self.space.tenant, self.session))] }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let open = seen.one::<Session>().filter(|session| session.space == self.space && session.is_open(self.now));
        let Some(mut session) = open.cloned() else { return (Err(self.refusal()), Changes::none()) };
        let mut changes = Changes::none();
        match self.presented {
            Presented::Refresh(digest) if !session.refresh.matches(&digest) => {
                session.end(self.now, EndReason::RefreshReused);
                changes.put(session);
                return (Err(Error::RefreshTokenReused), changes);
            }
            Presented::Access(generation) if generation < session.valid_from => {
                return (Err(self.refusal()), changes);
            }
            Presented::Access(_) => session.valid_from = session.generation + 1,
            Presented::Refresh(_) => {}
        }
        let idle = Duration::from_secs(self.context.tenant.settings.tokens.idle_ttl.into());
        session.generation += 1;
        session.refresh = self.next.digest();
        session.refreshed_at = self.now;
        session.idle_at = (self.now + idle).min(session.expires_at);
        changes.put(session.clone());
        let refresh = self.next.expose().expose().to_owned();
        (Ok(Refreshed { session, refresh, at: self.now }), changes)
    }
}

impl RefreshSession {
    fn refusal(&self) -> Error {
        match self.presented {
            Presented::Refresh(_) => Error::InvalidRefreshToken,
            Presented::Access(_) => Error::InvalidToken,
        }
    }
}

/// Who ends sessions, and what is written of it.
pub(crate) enum Ending {
    /// Their user: an event.
    ByUser {
        client: Option<Sealed>,
        event: EventId,
        /// For how many days the event is kept.
        days: u32,
    },
    /// The tenant: a line of its audit trail.
    ByTenant(Trail),
}

/// Ends one session of a user, or a page of all of them.
pub(crate) struct SignOut {
    pub space: Space,
    pub bucket: BucketKey,
    pub user: UserId,
    pub only: Option<SessionId>,
    /// The last session of the page before.
    pub before: Option<SessionId>,
    pub ending: Ending,
    pub now: Timestamp,
}

/// Sessions are over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedOut {
    pub ended: usize,
    /// Where the next page begins, if there may be one.
    pub next: Option<SessionId>,
}

impl Command for SignOut {
    type Outcome = SignedOut;

    fn reads(&self) -> Reads {
        let wanted = match self.only {
            Some(session) => Read::Record(Session::key_of(self.space.tenant, session)),
            None => {
                let before = self.before.map(|session| session.as_bytes().into());
                Read::Owned { kind: Kind::Session, owner: self.user.as_bytes().into(), before, limit: SESSIONS }
            }
        };
        Reads { scope: Scope::Subject(self.space.tenant, self.bucket), wanted: vec![wanted] }
    }

    fn is_recorded(&self) -> bool {
        matches!(self.ending, Ending::ByTenant(_))
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let theirs =
            |session: &&Session| session.space == self.space && session.user == self.user && session.is_open(self.now);
        let open: Vec<&Session> = seen.all::<Session>().filter(theirs).collect();
        let page_is_full = self.only.is_none() && seen.all::<Session>().count() == SESSIONS;
        let next = seen.all::<Session>().last().filter(|_| page_is_full).map(|session| session.id);
        let outcome = SignedOut { ended: open.len(), next };
        let mut changes = Changes::none();
        let Some(first) = open.first() else { return (outcome, changes) };
        let reason = match &self.ending {
            Ending::ByUser { .. } => EndReason::SignedOut,
            Ending::ByTenant(_) => EndReason::Revoked,
        };
        self.tell(&mut changes, first, open.len());
        for session in &open {
            let mut ended = (*session).clone();
            ended.end(self.now, reason);
            changes.put(ended);
        }
        (outcome, changes)
    }
}

impl SignOut {
    fn tell(&self, changes: &mut Changes, first: &Session, sessions: usize) {
        match &self.ending {
            Ending::ByUser { client, event, days } => {
                let person = Person {
                    subject: first.subject,
                    user: Some(self.user),
                    address: Some(first.address.clone()),
                    client: client.clone(),
                    days: *days,
                };
                let source = EventSource { space: self.space, at: self.now, person: Some(&person) };
                let everywhere = self.only.is_none();
                let data = EventData::UserLoggedOut { session_id: self.only, everywhere, sessions };
                changes.put(source.event(*event, data));
            }
            Ending::ByTenant(trail) => {
                let data = json!({"sessionId": self.only, "sessions": sessions});
                changes.put(trail.line(self.space.tenant, Action::SessionRevoked, self.user, data));
            }
        }
    }
}
