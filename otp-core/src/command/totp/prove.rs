//! Somebody shows a code of their device, or a recovery code, and something comes of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Guess, Guessed, Step};
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::command::sign_in::Beginning;
use crate::command::{EventSource, Trail};
use crate::error::Error;
use crate::event::{EventData, Person};
use crate::id::{EventId, SessionId, UserId};
use crate::secret::{Digest32, Sealed};
use crate::service::TenantContext;
use crate::session::{RefreshToken, Session};
use crate::store::{Changes, Command, Read, Reads, Scope, Snapshot, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;
use crate::totp::{MOST_TRUSTED, Method, PendingSignIn, SecondFactorUse, Shown, TotpDevice, TrustedDevice};
use crate::user::User;

/// Whose device it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub space: Space,
    pub key: SubjectKey,
    pub bucket: BucketKey,
    /// `None` for a member, and for somebody whom only the tenant knows.
    pub user: Option<UserId>,
}

impl Holder {
    pub fn scope(&self) -> Scope {
        Scope::Subject(self.space.tenant, self.bucket)
    }

    /// The device, and the user if it is one.
    pub fn reads(&self) -> Vec<Read> {
        let user = self.user.map(|_| Read::alias::<User>(self.key.as_bytes()));
        std::iter::once(Read::Record(TotpDevice::key_of(self.space, &self.key))).chain(user).collect()
    }

    /// How the audit trail names the holder.
    pub fn name(&self) -> String {
        match self.user {
            Some(user) => user.to_string(),
            None => format!("named_{}", &Digest32(*self.key.as_bytes()).to_base64url()[..22]),
        }
    }
}

/// Who acts, and where that is written.
pub(crate) enum By {
    /// The user: in events.
    User { client: Option<Sealed> },
    /// The tenant: in its audit trail.
    Tenant(Trail),
}

/// What becomes of its user's session.
pub(crate) enum Then {
    Nothing,
    /// It is noted that the second factor was shown in it.
    Mark {
        session: SessionId,
    },
    /// The same, and its tokens are replaced.
    StepUp {
        session: SessionId,
        generation: u32,
        next: RefreshToken,
    },
    /// One begins, where this sign-in waited for it.
    SignIn {
        pending: Digest32,
        session: SessionId,
        refresh: RefreshToken,
    },
}

pub(crate) struct ProveTotp {
    pub context: Arc<TenantContext>,
    pub holder: Holder,
    pub now: Timestamp,
    /// `None` where the tenant's word is enough.
    pub shown: Option<Shown>,
    pub step: Step,
    pub then: Then,
    pub trust: Option<TrustedDevice>,
    pub by: By,
    pub events: [EventId; 2],
}

/// It was right.
#[derive(Debug)]
pub(crate) struct Proven {
    pub device: TotpDevice,
    /// The session, and its written refresh token where that is a new one.
    pub session: Option<(Session, String)>,
    pub is_new: bool,
}

impl Command for ProveTotp {
    type Outcome = Result<Proven, Error>;

    fn reads(&self) -> Reads {
        let mut wanted = self.holder.reads();
        match &self.then {
            Then::Nothing => {}
            Then::Mark { session } | Then::StepUp { session, .. } => {
                wanted.push(Read::Record(Session::key_of(self.holder.space.tenant, *session)));
            }
            Then::SignIn { pending, .. } => {
                wanted.push(Read::Record(PendingSignIn::key_of(self.holder.space, pending)));
            }
        }
        if self.trust.is_some() || self.step == Step::Disable {
            wanted.push(Read::owned::<TrustedDevice>(self.holder.key.as_bytes().into(), MOST_TRUSTED));
        }
        Reads { scope: self.holder.scope(), wanted }
    }

    fn is_recorded(&self) -> bool {
        matches!(self.by, By::Tenant(_))
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if let Err(refused) = self.admit(seen) {
            return (Err(refused), Changes::none());
        }
        let guess = Guess { keys: &self.context.keys, shown: self.shown.as_ref(), step: self.step, now: self.now };
        match guess.at(seen.one()) {
            Guessed::Right(device, method) => self.right(seen, device, method),
            Guessed::Wrong(device, error) => self.wrong(seen, device, error),
            Guessed::Refused(refused) => (Err(refused), Changes::none()),
        }
    }
}

impl ProveTotp {
    fn admit(&self, seen: &Snapshot) -> Result<(), Error> {
        if self.holder.user.is_some() && self.user(seen).is_none() {
            return Err(Error::NotFound("user"));
        }
        self.admit_session(seen)
    }

    fn admit_session(&self, seen: &Snapshot) -> Result<(), Error> {
        match &self.then {
            Then::Nothing => Ok(()),
            Then::Mark { .. } => self.session(seen).map(drop).ok_or(Error::InvalidToken),
            Then::StepUp { generation, .. } => {
                let good = self.session(seen).filter(|session| *generation >= session.valid_from);
                good.map(drop).ok_or(Error::InvalidToken)
            }
            Then::SignIn { .. } => {
                let fits = |pending: &&PendingSignIn| {
                    pending.is_open(self.now)
                        && pending.subject == self.holder.key
                        && (pending.enrol || self.step != Step::Enable)
                };
                seen.one::<PendingSignIn>().filter(fits).map(drop).ok_or(Error::InvalidMfaToken)
            }
        }
    }

    fn user<'a>(&self, seen: &'a Snapshot) -> Option<&'a User> {
        seen.one::<User>().filter(|user| user.space == self.holder.space && Some(user.id) == self.holder.user)
    }

    fn session<'a>(&self, seen: &'a Snapshot) -> Option<&'a Session> {
        seen.one::<Session>().filter(|session| session.subject == self.holder.key && session.is_open(self.now))
    }

    fn wrong(&self, seen: &Snapshot, device: TotpDevice, error: Error) -> (Result<Proven, Error>, Changes) {
        let mut changes = Changes::none();
        let remaining = device.remaining(self.now);
        self.tell(&mut changes, seen, 0, EventData::TotpFailed { remaining_attempts: remaining });
        changes.put(device);
        (Err(error), changes)
    }

    fn right(&self, seen: &Snapshot, device: TotpDevice, method: Option<Method>) -> (Result<Proven, Error>, Changes) {
        let mut changes = Changes::none();
        if self.step == Step::Enable {
            self.record(&mut changes, seen, Action::TotpEnabled, EventData::TotpEnabled {}, &device);
        }
        if method == Some(Method::RecoveryCode) {
            let remaining = device.recovery.as_ref().map_or(0, |set| set.remaining());
            self.tell(&mut changes, seen, 0, EventData::RecoveryCodeUsed { remaining });
        }
        match self.step {
            Step::Disable => {
                self.record(&mut changes, seen, Action::TotpDisabled, EventData::TotpDisabled {}, &device);
                changes.deletes.push(device.key());
                changes.deletes.extend(seen.all::<TrustedDevice>().map(Stored::key));
            }
            Step::Enable | Step::Use => changes.put(device.clone()),
        }
        self.note_trust(&mut changes, seen);
        let session = self.go_on(&mut changes, seen, method.unwrap_or(Method::Totp));
        let is_new = seen.one::<PendingSignIn>().is_some_and(|pending| pending.is_new);
        (Ok(Proven { device, session, is_new }), changes)
    }

    fn note_trust(&self, changes: &mut Changes, seen: &Snapshot) {
        let Some(trusted) = &self.trust else { return };
        if seen.all::<TrustedDevice>().count() == MOST_TRUSTED {
            changes.deletes.extend(seen.all::<TrustedDevice>().last().map(Stored::key));
        }
        changes.put(trusted.clone());
    }

    fn go_on(&self, changes: &mut Changes, seen: &Snapshot, by: Method) -> Option<(Session, String)> {
        let second_factor = Some(SecondFactorUse { at: self.now, by });
        match &self.then {
            Then::Nothing => None,
            Then::Mark { .. } => {
                changes.puts.extend(self.session(seen).map(|known| Session { second_factor, ..known.clone() }.into()));
                None
            }
            Then::StepUp { next, .. } => {
                let mut session = Session { second_factor, ..self.session(seen)?.clone() };
                let idle = Duration::from_secs(self.context.tenant.settings.tokens.idle_ttl.into());
                session.generation += 1;
                session.valid_from = session.generation;
                session.refresh = next.digest();
                session.refreshed_at = self.now;
                session.idle_at = (self.now + idle).min(session.expires_at);
                changes.put(session.clone());
                Some((session, next.expose().expose().to_owned()))
            }
            Then::SignIn { session, refresh, .. } => {
                let known = self.user(seen)?;
                let user = User { last_login_at: self.now, ..known.clone() };
                let beginning = Beginning { context: &self.context, space: self.holder.space, now: self.now };
                beginning.note_visit(changes, Some(known), &user);
                let begun = beginning.session(&user, *session, refresh, self.client());
                let begun = Session { second_factor, ..begun };
                let pending = seen.one::<PendingSignIn>()?;
                changes.deletes.push(pending.key());
                let data = EventData::UserLoggedIn { session_id: begun.id, is_new_user: pending.is_new };
                self.tell(changes, seen, 1, data);
                changes.put(user);
                changes.put(begun.clone());
                Some((begun, refresh.expose().expose().to_owned()))
            }
        }
    }

    fn client(&self) -> Option<Sealed> {
        match &self.by {
            By::User { client } => client.clone(),
            By::Tenant(_) => None,
        }
    }

    /// A change of the device: an event where it is a user's, and a line of the trail where the tenant made it.
    fn record(&self, changes: &mut Changes, seen: &Snapshot, action: Action, event: EventData, device: &TotpDevice) {
        // The use of a recovery code may have been told of already.
        self.tell(changes, seen, usize::from(self.step == Step::Disable), event);
        if let By::Tenant(trail) = &self.by {
            let data = json!({"type": device.moving.as_str()});
            changes.put(trail.line(self.holder.space.tenant, action, self.holder.name(), data));
        }
    }

    /// Tells of a user; of whom only the tenant knows, it hears in its answers.
    fn tell(&self, changes: &mut Changes, seen: &Snapshot, number: usize, data: EventData) {
        let Some(user) = self.user(seen) else { return };
        let person = Person {
            subject: user.subject,
            user: Some(user.id),
            address: Some(user.address.clone()),
            client: self.client(),
            days: self.context.tenant.settings.privacy.event_days,
        };
        let source = EventSource { space: self.holder.space, at: self.now, person: Some(&person) };
        changes.put(source.event(self.events[number], data));
    }
}
