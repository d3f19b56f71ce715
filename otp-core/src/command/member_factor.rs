//! A member's second factor: shown to end a sign-in or in a session, put in use, taken away, and reset by the operator.

use serde_json::{Value, json};

use super::Trail;
use super::members::{half_sign_ins_of, sessions_of};
use super::totp::{Guess, Guessed, Holder, Step};
use crate::audit::Action;
use crate::error::Error;
use crate::id::{MemberId, MemberSessionId};
use crate::member::{Member, MemberSession, MemberSignIn, SESSIONS};
use crate::notice::{Envelope, FactorChange, INSTALLATION, Notice};
use crate::secret::{Digest32, TenantKeys};
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::totp::{Method, SecondFactorUse, Shown, TotpDevice};

/// What goes on with a member's second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberWaits {
    /// A sign-in, by the digest of its token.
    SignIn(Digest32),
    /// A session: another one takes its place.
    Session(MemberSessionId),
}

/// A member shows its second factor. What comes of it is a session that was not there before.
pub(crate) struct ProveMember {
    pub holder: Holder,
    pub member: MemberId,
    pub keys: TenantKeys,
    pub shown: Shown,
    pub step: Step,
    pub waits: MemberWaits,
    /// As it is to be, but for when and how the second factor was shown.
    pub session: MemberSession,
    pub envelope: Envelope,
    pub trail: Trail,
}

impl Command for ProveMember {
    type Outcome = Result<(Member, MemberSession, TotpDevice), Error>;

    fn reads(&self) -> Reads {
        let mut wanted = self.holder.reads();
        wanted.push(Read::Record(Key::new::<Member>(INSTALLATION.tenant, self.member.as_bytes())));
        wanted.push(sessions_of(self.member));
        wanted.push(match &self.waits {
            MemberWaits::SignIn(token) => Read::Record(MemberSignIn::key_of(token)),
            MemberWaits::Session(_) => half_sign_ins_of(self.member),
        });
        Reads { scope: self.holder.scope(), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let member = match self.admit(seen) {
            Ok(member) => member,
            Err(refused) => return (Err(refused), Changes::none()),
        };
        let guess = Guess { keys: &self.keys, shown: Some(&self.shown), step: self.step, now: self.trail.at };
        match guess.at(seen.one()) {
            Guessed::Right(device, method) => self.right(seen, member, device, method.unwrap_or(Method::Totp)),
            Guessed::Wrong(device, error) => {
                let mut changes = Changes::none();
                let data = json!({"remainingAttempts": device.remaining(self.trail.at)});
                changes.put(self.line(Action::SecondFactorFailed, data));
                changes.put(device);
                (Err(error), changes)
            }
            Guessed::Refused(refused) => (Err(refused), Changes::none()),
        }
    }
}

impl ProveMember {
    fn admit<'a>(&self, seen: &'a Snapshot) -> Result<&'a Member, Error> {
        let now = self.trail.at;
        match self.waits {
            MemberWaits::SignIn(_) => {
                let is_usable = |pending: &&MemberSignIn| pending.member == self.member && pending.is_open(now);
                seen.one::<MemberSignIn>().filter(is_usable).ok_or(Error::InvalidMfaToken)?;
                // Of one that was taken away meanwhile nothing is to be shown.
                let in_use = seen.one::<TotpDevice>().and_then(TotpDevice::enabled_at);
                in_use.ok_or(Error::InvalidMfaToken)?;
            }
            MemberWaits::Session(id) => {
                let is_asking = |session: &&MemberSession| session.id == id && session.is_open(now);
                seen.all::<MemberSession>().find(is_asking).ok_or(Error::InvalidSession)?;
            }
        }
        seen.one::<Member>().ok_or(Error::InvalidSession)
    }

    fn right(
        &self,
        seen: &Snapshot,
        member: &Member,
        device: TotpDevice,
        by: Method,
    ) -> (<Self as Command>::Outcome, Changes) {
        let at = self.trail.at;
        let mut changes = Changes::none();
        let second_factor = (self.step != Step::Disable).then_some(SecondFactorUse { at, by });
        let session = MemberSession { second_factor, ..self.session.clone() };
        changes.deletes = self.replaced(seen);
        changes.create(session.clone());
        let (action, change) = match (self.step, &self.waits) {
            (Step::Enable, _) => (Action::MemberTotpEnabled, Some(FactorChange::Enabled)),
            (Step::Disable, _) => (Action::MemberTotpDisabled, Some(FactorChange::Disabled)),
            (Step::Use, MemberWaits::Session(_)) => (Action::MemberSteppedUp, None),
            (Step::Use, MemberWaits::SignIn(_)) => (Action::MemberSignedIn, None),
        };
        changes.put(self.line(action, json!({"sessionId": session.id, "by": by.as_str()})));
        changes
            .puts
            .extend(change.map(|change| self.envelope.around(&Notice::SecondFactorChanged { change, at }).into()));
        match self.step {
            Step::Disable => changes.deletes.push(device.key()),
            Step::Enable | Step::Use => changes.put(device.clone()),
        }
        (Ok((member.clone(), session, device)), changes)
    }

    /// What the new session takes the place of. Another second factor ends all sessions, and every sign-in that waits for it.
    fn replaced(&self, seen: &Snapshot) -> Vec<Key> {
        let sessions = seen.all::<MemberSession>();
        match (self.step, self.waits) {
            (Step::Use, MemberWaits::SignIn(token)) => {
                let oldest = sessions.skip(SESSIONS - 1).map(Stored::key);
                std::iter::once(MemberSignIn::key_of(&token)).chain(oldest).collect()
            }
            (Step::Use, MemberWaits::Session(id)) => vec![MemberSession::key_of(id)],
            (Step::Enable | Step::Disable, _) => {
                sessions.map(Stored::key).chain(seen.all::<MemberSignIn>().map(Stored::key)).collect()
            }
        }
    }

    fn line(&self, action: Action, data: Value) -> crate::audit::Audit {
        self.trail.line(INSTALLATION.tenant, action, self.member, data)
    }
}

/// The operator takes away the second factor of a member who lost it, and the recovery codes with it.
pub(crate) struct ResetMemberFactor {
    pub subject: SubjectKey,
    pub bucket: BucketKey,
    pub member: MemberId,
    pub envelope: Envelope,
    pub trail: Trail,
}

impl Command for ResetMemberFactor {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let device = Read::Record(TotpDevice::key_of(INSTALLATION, &self.subject));
        let wanted = vec![device, sessions_of(self.member), half_sign_ins_of(self.member)];
        Reads { scope: Scope::Subject(INSTALLATION.tenant, self.bucket), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(device) = seen.one::<TotpDevice>() else {
            return (Err(Error::NotFound("authenticator")), Changes::none());
        };
        let mut changes = Changes::none();
        changes.deletes.push(device.key());
        changes.deletes.extend(seen.all::<MemberSession>().map(Stored::key));
        changes.deletes.extend(seen.all::<MemberSignIn>().map(Stored::key));
        let notice = Notice::SecondFactorChanged { change: FactorChange::Reset, at: self.trail.at };
        changes.put(self.envelope.around(&notice));
        changes.put(self.trail.line(INSTALLATION.tenant, Action::MemberTotpReset, self.member, json!({})));
        (Ok(()), changes)
    }
}
