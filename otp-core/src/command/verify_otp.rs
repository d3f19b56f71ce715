//! Somebody says a code.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::EventSource;
use super::quota::Quotas;
use super::request_otp::{CHALLENGES, sliding};
use super::second_factor::SecondFactor;
use super::sign_in::Beginning;
use crate::challenge::{Binding, Challenge, Verdict};
use crate::clock::Timestamp;
use crate::error::{Error, Limited};
use crate::event::{EventData, Person};
use crate::id::{ChallengeId, EventId, SessionId, UserId};
use crate::limit::{Allowance, LimitOf, Recipient};
use crate::message::Channel;
use crate::passcode::TypedCode;
use crate::secret::{Digest32, Sealed};
use crate::service::TenantContext;
use crate::session::{RefreshToken, Session};
use crate::store::{Add, Changes, Command, Key, Read, Reads, Scope, Snapshot};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;
use crate::totp::{NewToken, PendingSignIn};
use crate::usage::{Counter, CounterKey, Span};
use crate::user::{Consent, User};

/// What a right code is exchanged for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// A session with its tokens.
    #[default]
    Session,
    /// A signed proof and no session.
    Proof,
}

pub(crate) struct VerifyOtp {
    pub context: Arc<TenantContext>,
    pub space: Space,
    pub now: Timestamp,
    pub subject: SubjectKey,
    pub bucket: BucketKey,
    pub challenge: Option<ChallengeId>,
    pub purpose: String,
    pub approves: Option<Digest32>,
    pub typed: TypedCode,
    pub wanted: Wanted,
    pub consent: Option<String>,
    pub client: Option<Sealed>,
    pub network: Option<[u8; 16]>,
    pub user: UserId,
    pub session: SessionId,
    pub refresh: RefreshToken,
    /// The trusted device that the user signs in on, if they say so, by the digest of its token.
    pub trusted: Option<Digest32>,
    /// What the sign-in goes on with, if a second factor has to follow.
    pub mfa_token: NewToken,
    pub events: [EventId; 3],
}

/// A code was right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub user: User,
    pub is_new: bool,
    pub challenge: ChallengeId,
    pub session: Option<Session>,
    /// The written refresh token; only ever stored sealed, in a kept reply.
    pub refresh: Option<String>,
    /// The sign-in that waits for a second factor, and its token; sealed as that is.
    #[serde(default)]
    pub pending: Option<(PendingSignIn, String)>,
    pub at: Timestamp,
    pub limit: Allowance,
    pub quota: Option<Allowance>,
}

impl Command for VerifyOtp {
    type Outcome = Result<Verified, Error>;

    fn reads(&self) -> Reads {
        let challenge = match self.challenge {
            Some(id) => Read::Record(Key::new::<Challenge>(self.space.tenant, id.as_bytes())),
            None => Read::owned::<Challenge>(self.subject.as_bytes().into(), CHALLENGES),
        };
        let mut wanted = vec![
            challenge,
            Read::Record(Recipient::key_of(self.space, &self.bucket)),
            Read::alias::<User>(self.subject.as_bytes()),
            Read::Counter(self.users(Counter::Users)),
            Read::Counter(self.users(Counter::UsersErased)),
        ];
        wanted.extend(SecondFactor::reads(self.space, &self.subject, self.trusted));
        wanted.extend(self.quotas().reads());
        if let Some(count) = self.network_guesses() {
            wanted.extend([Read::Counter(count), Read::Counter(count.before())]);
        }
        Reads { scope: Scope::Subject(self.space.tenant, self.bucket), wanted }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(found) = self.challenge(seen) else { return (Err(Error::OtpNotFound), Changes::none()) };
        if let Err(refused) = self.admit(seen, found) {
            return (Err(refused), Changes::none());
        }
        let mut challenge = found.clone();
        let right = |challenge: &Challenge| {
            challenge.derivation(self.approves.as_ref()).accepts(&self.context.keys, &self.typed)
        };
        match challenge.guess(self.binding(), self.now, right) {
            Verdict::Accepted(address) => self.accepted(seen, challenge, address),
            Verdict::Wrong { remaining } => self.wrong(seen, challenge, remaining),
            Verdict::Exhausted => (Err(Error::OtpAttemptsExceeded), Changes::none()),
            Verdict::Expired => (Err(Error::OtpExpired), Changes::none()),
            Verdict::Used => (Err(Error::OtpNotFound), Changes::none()),
        }
    }
}

impl VerifyOtp {
    fn binding(&self) -> Binding {
        if self.challenge.is_some() { Binding::Bound } else { Binding::Unbound }
    }

    /// The challenge the guess is for: the one named, or the one whose code the address was sent last.
    fn challenge<'a>(&self, seen: &'a Snapshot) -> Option<&'a Challenge> {
        let fits = |challenge: &&Challenge| {
            challenge.space == self.space && challenge.subject == self.subject && challenge.purpose == self.purpose
        };
        let is_open = |challenge: &Challenge| challenge.is_open(self.binding(), self.now);
        seen.all::<Challenge>().filter(fits).max_by_key(|challenge| (challenge.sent_at, is_open(challenge)))
    }

    /// Limits over many codes; a guess they refuse is not judged and not counted.
    fn admit(&self, seen: &Snapshot, challenge: &Challenge) -> Result<(), Error> {
        if !challenge.format.admits(&self.typed) {
            let wanted = format!("this code has {}", challenge.format.description());
            return Err(Error::invalid("invalid_otp_format", "otp", wanted));
        }
        if !challenge.is_open(self.binding(), self.now) {
            return Ok(());
        }
        let limits = &self.context.tenant.settings.limits;
        let log = seen.one::<Recipient>().map(|recipient| &recipient.wrong_guesses);
        if let Some(until) = log.and_then(|log| log.full_until(limits.guesses_per_recipient, self.now)) {
            return Err(self.limited(LimitOf::Recipient, limits.guesses_per_recipient, until));
        }
        let full =
            self.network_guesses().and_then(|count| sliding(seen, count).full_until(limits.guesses_per_ip, self.now));
        match full {
            Some(until) => Err(self.limited(LimitOf::Client, limits.guesses_per_ip, until)),
            None => Ok(()),
        }
    }

    fn limited(&self, of: LimitOf, limit: u32, until: Timestamp) -> Error {
        let allowance = Allowance { limit: limit.into(), remaining: 0, reset_at: until };
        Error::RateLimited(Limited { allowance, retry_after: until.secs_after(self.now).max(1), of })
    }

    fn wrong(&self, seen: &Snapshot, challenge: Challenge, remaining: u8) -> (Result<Verified, Error>, Changes) {
        let fresh = Recipient::new(self.space, self.bucket);
        let mut recipient = seen.one::<Recipient>().cloned().unwrap_or(fresh);
        recipient.wrong_guesses.push(self.now);
        let mut changes = Changes { adds: self.usage(Counter::FailedAttempts), ..Changes::none() };
        if let Some(counter) = self.network_guesses() {
            let limit = self.context.tenant.settings.limits.guesses_per_ip;
            let ceiling = sliding(seen, counter).ceiling(limit, self.now);
            changes.adds.push(Add { counter, by: 1, at_most: Some(ceiling) });
        }
        let person = Person {
            subject: self.subject,
            user: seen.one::<User>().map(|user| user.id),
            address: None,
            client: self.client.clone(),
            days: self.context.tenant.settings.privacy.event_days,
        };
        let data = EventData::OtpFailed { challenge_id: challenge.id, remaining_attempts: remaining };
        changes.put(self.source(&person).event(self.events[0], data));
        let allowance = self.allowance(&challenge);
        changes.put(recipient);
        changes.put(challenge);
        (Err(Error::OtpInvalid { remaining, allowance }), changes)
    }

    fn accepted(&self, seen: &Snapshot, challenge: Challenge, address: Sealed) -> (Result<Verified, Error>, Changes) {
        let known = seen.one::<User>();
        let mut changes = Changes { adds: self.usage(Counter::SuccessfulLogins), ..Changes::none() };
        if known.is_none() {
            let counter = self.users(Counter::Users);
            let at_most = self.most_users(seen);
            if at_most.is_some_and(|most| seen.counter(&counter) >= most) {
                return (Err(Error::PlanLimit("more users")), Changes::none());
            }
            changes.adds.push(Add { counter, by: 1, at_most });
            changes.adds.push(self.hourly(Counter::NewUsers));
        }
        if challenge.channel != Channel::Email {
            changes.adds.push(self.hourly(Counter::PhoneLogins(challenge.channel)));
        }
        let back = challenge.prefixes.iter().map(|prefix| Counter::PrefixLogins(*prefix));
        changes.adds.extend(back.map(|counter| Add::one(CounterKey::at(self.space, counter, Span::Day, self.now))));
        let missing = self.second_factor(seen).missing().filter(|_| self.wanted == Wanted::Session);
        let begins = self.wanted == Wanted::Session && missing.is_none();
        let mut user = match known {
            Some(user) if begins => User { last_login_at: self.now, ..user.clone() },
            Some(user) => user.clone(),
            None => self.new_user(&challenge, address),
        };
        self.beginning().note_visit(&mut changes, known, &user);
        if let Some(version) = self.consent.clone() {
            user.consent = Some(Consent { version, at: self.now });
        }
        let begin = || self.beginning().session(&user, self.session, &self.refresh, self.client.clone());
        let session = begins.then(begin);
        let pending = missing.map(|enrol| self.pending(&user, challenge.id, known.is_none(), enrol));
        self.tell(&mut changes, &user, &challenge, known.is_none(), session.as_ref());
        if let Some(session) = &session {
            changes.put(session.clone());
            self.second_factor(seen).note_trust(&mut changes);
        }
        let verified = Verified {
            user: user.clone(),
            is_new: known.is_none(),
            challenge: challenge.id,
            refresh: session.as_ref().map(|_| self.refresh.expose().expose().to_owned()),
            session,
            pending: pending.clone().map(|pending| (pending, self.mfa_token.written.expose().to_owned())),
            at: self.now,
            limit: self.allowance(&challenge),
            quota: self.quotas().left(seen),
        };
        changes.puts.extend(pending.map(Into::into));
        changes.put(user);
        changes.put(challenge);
        (Ok(verified), changes)
    }

    fn second_factor<'a>(&'a self, seen: &'a Snapshot) -> SecondFactor<'a> {
        SecondFactor { context: &self.context, space: self.space, subject: &self.subject, now: self.now, seen }
    }

    fn pending(&self, user: &User, challenge: ChallengeId, is_new: bool, enrol: bool) -> PendingSignIn {
        PendingSignIn {
            token: self.mfa_token.digest,
            space: self.space,
            subject: self.subject,
            bucket: self.bucket,
            user: user.id,
            challenge,
            is_new,
            enrol,
            created_at: self.now,
        }
    }

    fn new_user(&self, challenge: &Challenge, address: Sealed) -> User {
        User {
            id: self.user,
            space: self.space,
            subject: self.subject,
            bucket: self.bucket,
            channel: challenge.channel,
            address,
            created_at: self.now,
            last_login_at: self.now,
            consent: None,
        }
    }

    fn beginning(&self) -> Beginning<'_> {
        Beginning { context: &self.context, space: self.space, now: self.now }
    }

    fn tell(&self, changes: &mut Changes, user: &User, challenge: &Challenge, is_new: bool, session: Option<&Session>) {
        let person = Person {
            subject: self.subject,
            user: Some(user.id),
            address: Some(user.address.clone()),
            client: self.client.clone(),
            days: self.context.tenant.settings.privacy.event_days,
        };
        let source = self.source(&person);
        let verified = EventData::OtpVerified { challenge_id: challenge.id, purpose: challenge.purpose.clone() };
        changes.put(source.event(self.events[0], verified));
        if is_new {
            changes.put(source.event(self.events[1], EventData::UserCreated {}));
        }
        if let Some(session) = session {
            let data = EventData::UserLoggedIn { session_id: session.id, is_new_user: is_new };
            changes.put(source.event(self.events[2], data));
        }
    }

    fn source<'a>(&self, person: &'a Person) -> EventSource<'a> {
        EventSource { space: self.space, at: self.now, person: Some(person) }
    }

    fn usage(&self, outcome: Counter) -> Vec<Add> {
        vec![self.hourly(Counter::OtpVerifications), self.hourly(outcome)]
    }

    fn hourly(&self, counter: Counter) -> Add {
        Add::one(CounterKey::at(self.space, counter, Span::Hour, self.now))
    }

    /// The caller's budget of guesses at this code.
    fn allowance(&self, challenge: &Challenge) -> Allowance {
        let remaining = challenge.remaining(self.binding());
        Allowance { limit: challenge.attempts.into(), remaining: remaining.into(), reset_at: challenge.expires_at }
    }

    fn quotas(&self) -> Quotas<'_> {
        Quotas { plan: &self.context.plan, space: self.space, now: self.now }
    }

    fn users(&self, counter: Counter) -> CounterKey {
        CounterKey::at(self.space, counter, Span::Ever, self.now)
    }

    /// What the count of users may reach under the plan and the tenant's own limit. Those erased make room; one that is erased meanwhile is not seen
    /// here, which errs on the side of the limit.
    fn most_users(&self, seen: &Snapshot) -> Option<u64> {
        let own = self.context.tenant.settings.limits.max_users.map(u64::from);
        let limit = [self.context.plan.users, own].into_iter().flatten().min().filter(|_| self.space.is_billed())?;
        Some(limit.saturating_add(seen.counter(&self.users(Counter::UsersErased))))
    }

    fn network_guesses(&self) -> Option<CounterKey> {
        Some(CounterKey::at(self.space, Counter::GuessesFrom(self.network?), Span::Hour, self.now))
    }
}
