//! Somebody signs up, asks for the mail again, and confirms.
//!
//! Whether an address has an account already shows in none of the answers, and in none of the writes but what they say: a
//! known address gets a signup that nothing confirms.

use serde::{Deserialize, Serialize};

use super::request_otp::sliding;
use super::{CreateTenant, EventSource};
use crate::api_key::ApiKey;
use crate::clock::Timestamp;
use crate::error::{Error, Limited};
use crate::event::EventData;
use crate::id::{EventId, SignupId, TenantId};
use crate::limit::{Allowance, LimitOf, Recipient, SlidingLog};
use crate::member::{Member, Membership};
use crate::notice::{About, Envelope, INSTALLATION, Notice};
use crate::secret::TenantKeys;
use crate::signup::{Applicant, GUESSES, Shown, Signup, SignupState, SignupToken};
use crate::store::{Add, Changes, Command, Read, Reads, Scope, Snapshot};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::{Mode, Space, Tenant, TenantStatus};
use crate::usage::{Counter, CounterKey, Span};

/// Signups of one client network within an hour.
const SIGNUPS_PER_NETWORK: u32 = 5;
/// Signups of one address within an hour.
const SIGNUPS_PER_ADDRESS: u32 = 5;
/// Repetitions of the mail to one address within an hour.
const RESENDS_PER_ADDRESS: u32 = 3;
/// Confirmations and repetitions that one client network may try within an hour.
const TRIES_PER_NETWORK: u32 = 100;

/// Mails to members that one client network may cause within an hour.
const MEMBER_MAILS_PER_NETWORK: u32 = 20;
/// Tries to sign in as a member that one client network has within an hour.
const MEMBER_TRIES_PER_NETWORK: u32 = 100;
/// Invitations to one team within an hour.
const INVITATIONS_PER_TEAM: u32 = 20;

/// A limit that one client network shares, or one team.
#[derive(Clone, Copy)]
pub(crate) struct NetworkLimit {
    counter: CounterKey,
    limit: u32,
    now: Timestamp,
}

impl NetworkLimit {
    /// On signing up.
    pub fn on_signups(network: [u8; 16], now: Timestamp) -> Self {
        let counter = CounterKey::at(INSTALLATION, Counter::RequestsFrom(network), Span::Hour, now);
        Self { counter, limit: SIGNUPS_PER_NETWORK, now }
    }

    /// On confirming, and on asking for the mail again.
    pub fn on_tries(network: [u8; 16], now: Timestamp) -> Self {
        let counter = CounterKey::at(INSTALLATION, Counter::GuessesFrom(network), Span::Hour, now);
        Self { counter, limit: TRIES_PER_NETWORK, now }
    }

    /// On mails to members.
    pub fn on_member_mails(network: [u8; 16], now: Timestamp) -> Self {
        let counter = CounterKey::at(INSTALLATION, Counter::MemberMailsFrom(network), Span::Hour, now);
        Self { counter, limit: MEMBER_MAILS_PER_NETWORK, now }
    }

    /// On what a member may have to guess: passwords and codes.
    pub fn on_member_tries(network: [u8; 16], now: Timestamp) -> Self {
        let counter = CounterKey::at(INSTALLATION, Counter::MemberTriesFrom(network), Span::Hour, now);
        Self { counter, limit: MEMBER_TRIES_PER_NETWORK, now }
    }

    /// On invitations to the team of a tenant, from wherever.
    pub fn on_invitations(tenant: TenantId, now: Timestamp) -> Self {
        let space = Space { tenant, mode: Mode::Live };
        let counter = CounterKey::at(space, Counter::Invitations, Span::Hour, now);
        Self { counter, limit: INVITATIONS_PER_TEAM, now }
    }

    /// What has to be read to know what is left.
    pub fn reads(&self) -> [Read; 2] {
        [Read::Counter(self.counter), Read::Counter(self.counter.before())]
    }

    /// Refuses when nothing is left.
    pub fn check(&self, seen: &Snapshot) -> Result<(), Error> {
        match sliding(seen, self.counter).full_until(self.limit, self.now) {
            Some(until) => Err(limited(self.limit, until, self.now)),
            None => Ok(()),
        }
    }

    pub(super) fn add(&self, seen: &Snapshot) -> Add {
        let ceiling = sliding(seen, self.counter).ceiling(self.limit, self.now);
        Add { counter: self.counter, by: 1, at_most: Some(ceiling) }
    }
}

pub(super) fn limited(limit: u32, until: Timestamp, now: Timestamp) -> Error {
    let allowance = Allowance { limit: limit.into(), remaining: 0, reset_at: until };
    let retry_after = until.secs_after(now).max(1);
    // Nobody is told of these: there is no tenant yet.
    Error::RateLimited(Limited { allowance, retry_after, of: LimitOf::Client })
}

pub(super) fn full(log: &SlidingLog, limit: u32, now: Timestamp) -> Result<(), Error> {
    log.full_until(limit, now).map_or(Ok(()), |until| Err(limited(limit, until, now)))
}

fn reads(subject: &SubjectKey, bucket: BucketKey, network: Option<&NetworkLimit>, more: Vec<Read>) -> Reads {
    let mut wanted = vec![Read::Record(Signup::key_of(subject))];
    wanted.extend(more);
    wanted.extend(network.into_iter().flat_map(NetworkLimit::reads));
    Reads { scope: Scope::Subject(INSTALLATION.tenant, bucket), wanted }
}

/// Begins a signup and mails its link and code, or that there is an account already.
pub(crate) struct SignUp {
    pub signup: Signup,
    pub company_name: String,
    pub network: Option<NetworkLimit>,
    pub envelope: Envelope,
}

impl Command for SignUp {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let member = Read::alias::<Member>(self.signup.subject.as_bytes());
        reads(&self.signup.subject, self.signup.bucket, self.network.as_ref(), vec![member])
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let now = self.signup.created_at;
        let mut asked = seen.one::<Signup>().map(|before| before.asked.clone()).unwrap_or_default();
        let network = self.network.as_ref().map_or(Ok(()), |network| network.check(seen));
        if let Err(refused) = network.and_then(|()| full(&asked, SIGNUPS_PER_ADDRESS, now)) {
            return (Err(refused), Changes::none());
        }
        asked.push(now);
        let decoy = seen.one::<Member>().is_some();
        let signup = Signup { asked, decoy, ..self.signup.clone() };
        let mut changes = Changes::none();
        changes.adds.extend(self.network.as_ref().map(|network| network.add(seen)));
        changes.put(self.envelope.around(&notice_of(&signup, &self.company_name)));
        changes.put(signup);
        (Ok(()), changes)
    }
}

fn notice_of(signup: &Signup, company_name: &str) -> Notice {
    if signup.decoy {
        return Notice::SignupKnown {};
    }
    Notice::SignupVerification {
        signup: signup.id,
        kid: signup.kid,
        company_name: company_name.to_owned(),
        expires_at: signup.expires_at,
    }
}

/// Sends the mail of an open signup again, with the same link and code.
pub(crate) struct ResendSignup {
    pub now: Timestamp,
    pub subject: SubjectKey,
    pub bucket: BucketKey,
    pub network: Option<NetworkLimit>,
    pub envelope: Envelope,
}

impl Command for ResendSignup {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let recipient = Read::Record(Recipient::key_of(INSTALLATION, &self.bucket));
        reads(&self.subject, self.bucket, self.network.as_ref(), vec![recipient])
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let fresh = Recipient::new(INSTALLATION, self.bucket);
        let mut recipient = seen.one::<Recipient>().cloned().unwrap_or(fresh);
        let network = self.network.as_ref().map_or(Ok(()), |network| network.check(seen));
        if let Err(refused) = network.and_then(|()| full(&recipient.sends, RESENDS_PER_ADDRESS, self.now)) {
            return (Err(refused), Changes::none());
        }
        recipient.sends.push(self.now);
        let mut changes = Changes::none();
        changes.adds.extend(self.network.as_ref().map(|network| network.add(seen)));
        changes.put(recipient);
        if let Some(signup) = seen.one::<Signup>().filter(|signup| signup.is_open(self.now)) {
            match open(signup, &self.envelope.keys) {
                Ok(applicant) => changes.put(self.envelope.around(&notice_of(signup, &applicant.company_name))),
                Err(error) => return (Err(error), Changes::none()),
            }
        }
        (Ok(()), changes)
    }
}

/// Who signs up.
pub(crate) fn open(signup: &Signup, keys: &TenantKeys) -> Result<Applicant, Error> {
    let sealed = signup.applicant.as_ref().ok_or(crate::secret::CannotOpen)?;
    let plain = keys.open(&Signup::place(signup.id), sealed)?;
    serde_json::from_slice(&plain).map_err(|error| Error::Internal(error.to_string()))
}

/// What a confirmed signup becomes.
pub(crate) struct NewAccount {
    /// Of which signup it was made.
    pub signup: SignupId,
    pub created: CreateTenant,
    pub member: Member,
    pub membership: Membership,
    pub token: SignupToken,
    pub token_text: String,
    pub events: [EventId; 2],
    pub envelope: Envelope,
}

/// A signup was confirmed. Key and token are only ever stored sealed, in a kept reply.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Confirmed {
    pub tenant: Tenant,
    pub key: ApiKey,
    pub api_key: String,
    pub token: SignupToken,
    pub token_text: String,
}

/// Says the link's token or the code.
pub(crate) struct Confirm {
    pub now: Timestamp,
    pub keys: TenantKeys,
    pub subject: SubjectKey,
    pub bucket: BucketKey,
    pub network: Option<NetworkLimit>,
    pub shown: Shown,
    /// Made beforehand, of the signup that was seen then.
    pub account: Option<Box<NewAccount>>,
}

impl Command for Confirm {
    type Outcome = Result<Confirmed, Error>;

    fn reads(&self) -> Reads {
        let member = Read::alias::<Member>(self.subject.as_bytes());
        reads(&self.subject, self.bucket, self.network.as_ref(), vec![member])
    }

    fn is_recorded(&self) -> bool {
        self.account.is_some()
    }

    fn recorded_in(&self) -> Scope {
        match &self.account {
            Some(account) => Scope::Tenant(account.created.tenant.id),
            None => self.reads().scope,
        }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if let Err(refused) = self.network.as_ref().map_or(Ok(()), |network| network.check(seen)) {
            return (Err(refused), Changes::none());
        }
        let mut changes = Changes::none();
        changes.adds.extend(self.network.as_ref().map(|network| network.add(seen)));
        let signup = seen.one::<Signup>();
        let right = signup.filter(|signup| signup.is_right(&self.keys, &self.shown));
        let Some(right) = right else {
            if let (Some(signup), Shown::Code(_)) = (signup, &self.shown) {
                changes.put(Signup { wrong: signup.wrong.saturating_add(1), ..signup.clone() });
            }
            return (Err(Error::SignupRefused), changes);
        };
        match self.admit(seen, right) {
            Ok(account) => self.accept(seen, right, account, changes),
            Err(refused) => (Err(refused), changes),
        }
    }
}

impl Confirm {
    /// Whoever shows the right link or code is told why it does not count any more.
    fn admit(&self, seen: &Snapshot, signup: &Signup) -> Result<&NewAccount, Error> {
        if signup.state != SignupState::Open || seen.one::<Member>().is_some() {
            return Err(Error::OtpNotFound);
        }
        if !signup.is_open(self.now) {
            return Err(Error::OtpExpired);
        }
        if matches!(self.shown, Shown::Code(_)) && signup.wrong >= GUESSES {
            return Err(Error::OtpAttemptsExceeded);
        }
        // It began between the look beforehand and now: this is not what was confirmed.
        self.account.as_deref().filter(|account| account.signup == signup.id).ok_or(Error::SignupRefused)
    }

    fn accept(
        &self,
        seen: &Snapshot,
        signup: &Signup,
        account: &NewAccount,
        counted: Changes,
    ) -> (Result<Confirmed, Error>, Changes) {
        let (created, mut changes) = account.created.decide(seen);
        let (tenant, key, secrets) = match created {
            Ok(created) => created,
            Err(error) => return (Err(error), Changes::none()),
        };
        changes.adds.extend(counted.adds);
        changes.put(Signup { state: SignupState::Used { at: self.now }, applicant: None, ..signup.clone() });
        changes.create(account.member.clone());
        changes.create(account.membership.clone());
        changes.create(account.membership.seat());
        changes.create(account.token.clone());
        let source = EventSource { space: Space { tenant: tenant.id, mode: Mode::Live }, at: self.now, person: None };
        let opened = EventData::CustomerStatusChanged {
            old_status: TenantStatus::Pending,
            new_status: TenantStatus::Active,
            reason: None,
        };
        let made =
            EventData::ApiKeyCreated { key_id: key.id, key_type: key.key_type, mode: key.mode, name: key.name.clone() };
        changes.put(source.event(account.events[0], opened));
        changes.put(source.event(account.events[1], made));
        let about = About { tenant: tenant.id, name: tenant.name.clone() };
        changes.put(account.envelope.around(&Notice::Welcome { about }));
        let (token, token_text) = (account.token.clone(), account.token_text.clone());
        (Ok(Confirmed { tenant, key, api_key: secrets.api_key, token, token_text }), changes)
    }
}
