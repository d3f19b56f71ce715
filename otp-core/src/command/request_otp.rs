//! Somebody asks for a code.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::code_messages::Fallback;
use super::guards::Guards;
use super::quota::Quotas;
use super::{EventSource, Trail};
use crate::audit::Action;
use crate::challenge::{Challenge, ChallengeState};
use crate::clock::Timestamp;
use crate::error::{Error, Limited};
use crate::event::{Event, EventData, Person};
use crate::id::{ChallengeId, EventId, MessageId};
use crate::limit::{Allowance, HOUR, LimitOf, Recipient, SlidingCount};
use crate::locale::Locale;
use crate::message::{Channel, Charge, Message};
use crate::notice::{About, Notice, Stationery};
use crate::secret::{Digest32, Sealed};
use crate::service::{Deliver, TenantContext};
use crate::store::{Add, Changes, Command, Key, Lease, Read, Reads, Scope, Snapshot, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::suppression::Suppression;
use crate::tenant::Space;
use crate::usage::{Counter, CounterKey, Span};
use crate::user::User;

/// A request leaves a subject at most so many challenges, so that no command misses one, swept or not. A recipient is sent
/// a handful in the hour that they are remembered.
const KEPT: usize = 32;
/// More than a subject has.
pub(super) const CHALLENGES: usize = 2 * KEPT;

pub(crate) struct RequestOtp {
    pub context: Arc<TenantContext>,
    pub space: Space,
    pub now: Timestamp,
    pub subject: SubjectKey,
    pub bucket: BucketKey,
    pub channel: Channel,
    pub address: Sealed,
    /// What the first message counts against: of mail, of test mode and of a code that the caller delivers, nothing.
    pub charge: Option<Charge>,
    pub fallback: Vec<Fallback>,
    pub client: Option<Sealed>,
    pub network: Option<[u8; 16]>,
    pub purpose: String,
    pub locale: Option<Locale>,
    pub approves: Option<Digest32>,
    pub approves_text: Option<Sealed>,
    pub metadata: Option<Sealed>,
    pub create_user: bool,
    pub deliver: Deliver,
    pub challenge: ChallengeId,
    pub message: MessageId,
    pub event: EventId,
    /// Of the day's quota and of the month's, like `stationery`.
    pub quota_events: [EventId; 2],
    pub stationery: [Stationery; 2],
    pub trail: Trail,
    pub lease: Lease,
}

/// A code is on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Requested {
    pub challenge: Challenge,
    pub at: Timestamp,
    pub resend_at: Timestamp,
    pub limit: Allowance,
    pub quota: Option<Allowance>,
    /// Handed to the worker of this process, which holds its lease from birth. Not kept with a stored reply.
    #[serde(skip)]
    pub message: Option<Message>,
}

impl Command for RequestOtp {
    type Outcome = Result<Requested, Error>;

    fn reads(&self) -> Reads {
        let scope = Scope::Subject(self.space.tenant, self.bucket);
        let mut wanted = vec![
            Read::Record(Recipient::key_of(self.space, &self.bucket)),
            Read::owned::<Challenge>(self.subject.as_bytes().into(), CHALLENGES),
        ];
        wanted.extend(self.quotas().reads());
        if let Some(count) = self.network_requests() {
            wanted.extend([Read::Counter(count), Read::Counter(count.before())]);
        }
        if self.tenant_limit().is_some() {
            let count = self.requests(Span::Hour);
            wanted.extend([Read::Counter(count), Read::Counter(count.before())]);
        }
        if let Some(guards) = self.guards() {
            wanted.extend(guards.reads());
        }
        if self.deliver == Deliver::Service {
            wanted.push(Read::Record(Suppression::key_of(self.space, &self.subject)));
        }
        if !self.create_user {
            wanted.push(Read::alias::<User>(self.subject.as_bytes()));
        }
        Reads { scope, wanted }
    }

    fn is_recorded(&self) -> bool {
        self.deliver == Deliver::Caller
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let fresh = Recipient::new(self.space, self.bucket);
        let mut recipient = seen.one::<Recipient>().cloned().unwrap_or(fresh);
        let quota = match self.admit(seen, &recipient) {
            Ok(quota) => quota,
            Err(refused) => {
                let told = self.tell_guard(seen, &refused);
                return (Err(refused), told);
            }
        };
        // Asked for an existing user, and there is none: nothing is sent, and nothing but that is different.
        let hidden = !self.create_user && seen.one::<User>().is_none();
        let repeated = seen.all::<Challenge>().find(|challenge| self.repeats(challenge));
        let challenge = match repeated {
            Some(live) => self.repeat(live, hidden),
            None => self.begin(hidden),
        };
        recipient.sends.push(self.now);
        let message = self.message_for(&challenge).filter(|_| !hidden);
        let later = if hidden { Vec::new() } else { self.later_messages(&challenge) };

        let (adds, deletes) = (self.adds(seen), self.outlived(seen, &challenge));
        let mut changes = Changes { adds, deletes, ..Changes::none() };
        let ids = (message.as_ref().map(|message| message.id), later.iter().map(|message| message.id).collect());
        changes.put(self.event(&challenge, repeated.is_some(), ids));
        if let Some(message) = &message {
            changes.put(message.clone());
        }
        later.into_iter().for_each(|message| changes.put(message));
        self.tell_quotas(seen, &mut changes);
        if self.deliver == Deliver::Caller {
            changes.put(self.trail.line(self.space.tenant, Action::OtpRevealed, challenge.id, json!({})));
        }
        let requested = Requested {
            at: self.now,
            resend_at: self.resend_at(&recipient),
            limit: self.recipient_allowance(&recipient),
            quota: quota.map(|left| Allowance { remaining: left.remaining - 1, ..left }),
            message: message.filter(|message| message.due.lease.is_some()),
            challenge: challenge.clone(),
        };
        changes.put(recipient);
        changes.put(challenge);
        (Ok(requested), changes)
    }
}

impl RequestOtp {
    /// The limits in the order in which they answer; what is left of the quota if all let it through.
    fn admit(&self, seen: &Snapshot, recipient: &Recipient) -> Result<Option<Allowance>, Error> {
        if let Some(suppression) = seen.one::<Suppression>().filter(|suppression| suppression.holds(self.now)) {
            return Err(Error::RecipientSuppressed(Some(suppression.reason)));
        }
        let limits = &self.context.tenant.settings.limits;
        let allowance = self.recipient_allowance(recipient);
        if let Some(until) = recipient.sends.full_until(limits.per_recipient, self.now) {
            return Err(Error::RateLimited(self.limited(LimitOf::Recipient, allowance, until)));
        }
        if let Some(until) = self.cooldown_until(recipient).filter(|until| *until > self.now) {
            return Err(Error::Cooldown(self.limited(LimitOf::Recipient, allowance, until)));
        }
        if let Some(limit) = self.day_limit()
            && seen.counter(&self.requests(Span::Day)) >= limit
        {
            let allowance = Allowance { limit, remaining: 0, reset_at: Span::Day.end(self.now) };
            return Err(Error::RateLimited(self.limited(LimitOf::Customer, allowance, allowance.reset_at)));
        }
        let network = self.network_requests().map(|count| (LimitOf::Client, count, limits.per_ip));
        let tenant = self.tenant_limit().map(|limit| (LimitOf::Customer, self.requests(Span::Hour), limit));
        for (of, count, limit) in [network, tenant].into_iter().flatten() {
            let sliding = sliding(seen, count);
            if let Some(until) = sliding.full_until(limit, self.now) {
                let allowance = Allowance { limit: limit.into(), remaining: 0, reset_at: until };
                return Err(Error::RateLimited(self.limited(of, allowance, until)));
            }
        }
        match self.quotas().left(seen) {
            Some(left) if left.remaining == 0 => {
                Err(Error::QuotaExceeded(self.limited(LimitOf::Customer, left, left.reset_at)))
            }
            quota => self.guards().map_or(Ok(()), |guards| guards.admit(seen)).map(|()| quota),
        }
    }

    fn guards(&self) -> Option<Guards<'_>> {
        let settings = &self.context.tenant.settings;
        self.charge.map(|charge| Guards { settings, space: self.space, now: self.now, charge })
    }

    fn tell_guard(&self, seen: &Snapshot, refused: &Error) -> Changes {
        match (self.guards(), refused) {
            (Some(guards), Error::ChannelGuard(_)) => guards.tell(seen, self.event),
            _ => Changes::none(),
        }
    }

    fn limited(&self, of: LimitOf, allowance: Allowance, until: Timestamp) -> Limited {
        Limited { allowance, retry_after: until.secs_after(self.now).max(1), of }
    }

    fn recipient_allowance(&self, recipient: &Recipient) -> Allowance {
        let limit = self.context.tenant.settings.limits.per_recipient;
        let remaining = limit.saturating_sub(recipient.sends.count(self.now));
        let reset_at = recipient.sends.oldest(self.now).unwrap_or(self.now) + HOUR;
        Allowance { limit: limit.into(), remaining: remaining.into(), reset_at }
    }

    fn cooldown_until(&self, recipient: &Recipient) -> Option<Timestamp> {
        let limits = &self.context.tenant.settings.limits;
        let cooldown = match self.channel {
            Channel::Email => limits.email_cooldown,
            Channel::Sms | Channel::Whatsapp => limits.phone_cooldown,
        };
        Some(recipient.sends.latest()? + Duration::from_secs(cooldown.into()))
    }

    /// When the next request would pass, as far as this recipient goes.
    fn resend_at(&self, recipient: &Recipient) -> Timestamp {
        let limit = self.context.tenant.settings.limits.per_recipient;
        let room = recipient.sends.full_until(limit, self.now);
        let cooled = self.cooldown_until(recipient);
        room.max(cooled).unwrap_or(self.now).max(self.now)
    }

    fn quotas(&self) -> Quotas<'_> {
        Quotas { plan: &self.context.plan, space: self.space, now: self.now }
    }

    fn tenant_limit(&self) -> Option<u32> {
        self.context.tenant.settings.limits.per_tenant
    }

    /// The tenant's own limit of a day, as against its plan's.
    fn day_limit(&self) -> Option<u64> {
        self.context.tenant.settings.limits.per_tenant_day.map(u64::from)
    }

    fn requests(&self, span: Span) -> CounterKey {
        self.quotas().requests(span)
    }

    fn network_requests(&self) -> Option<CounterKey> {
        Some(CounterKey::at(self.space, Counter::RequestsFrom(self.network?), Span::Hour, self.now))
    }

    /// The counts, each guarded by its limit, so that no interleaving passes one.
    fn adds(&self, seen: &Snapshot) -> Vec<Add> {
        let limits = &self.context.tenant.settings.limits;
        let ceiling = |count, limit| sliding(seen, count).ceiling(limit, self.now);
        let mut adds = Vec::with_capacity(4);
        let hour = self.requests(Span::Hour);
        adds.push(Add { counter: hour, by: 1, at_most: self.tenant_limit().map(|limit| ceiling(hour, limit)) });
        for (span, own) in [(Span::Day, self.day_limit()), (Span::Month, None)] {
            let at_most = [self.quotas().ceiling(seen, span), own].into_iter().flatten().min();
            adds.push(Add { counter: self.requests(span), by: 1, at_most });
        }
        if self.channel != Channel::Email {
            let counter = Counter::PhoneRequests(self.channel);
            adds.push(Add::one(CounterKey::at(self.space, counter, Span::Hour, self.now)));
        }
        if let Some(count) = self.network_requests() {
            adds.push(Add { counter: count, by: 1, at_most: Some(ceiling(count, limits.per_ip)) });
        }
        adds.extend(self.guards().iter().flat_map(|guards| guards.adds(seen)));
        adds
    }

    fn repeats(&self, challenge: &Challenge) -> bool {
        let same = challenge.purpose == self.purpose
            && challenge.context == self.approves
            && challenge.channel == self.channel;
        same && challenge.can_resend(self.now)
    }

    /// Challenges that need not be remembered any more.
    fn outlived(&self, seen: &Snapshot, current: &Challenge) -> Vec<Key> {
        let mut others: Vec<&Challenge> = seen.all().collect();
        others.retain(|challenge| challenge.id != current.id);
        others.sort_by_key(|challenge| Reverse(challenge.sent_at));
        let is_outlived = |(place, challenge): &(usize, &Challenge)| {
            *place + 1 >= KEPT || Stored::expires_at(*challenge).is_some_and(|end| end <= self.now)
        };
        others.into_iter().enumerate().filter(is_outlived).map(|(_, challenge)| challenge.key()).collect()
    }

    /// A decoy becomes real under the same id: two answers must not tell that there was no user.
    fn repeat(&self, live: &Challenge, decoy: bool) -> Challenge {
        let live = self.charge.map_or_else(|| live.clone(), |charge| live.charged(charge));
        Challenge { sends: live.sends + 1, sent_at: self.now, decoy: live.decoy && decoy, ..live }
    }

    fn begin(&self, decoy: bool) -> Challenge {
        let passcode = &self.context.tenant.settings.passcode;
        Challenge {
            id: self.challenge,
            space: self.space,
            subject: self.subject,
            bucket: self.bucket,
            purpose: self.purpose.clone(),
            context: self.approves,
            channel: self.channel,
            kid: self.context.keys.newest(),
            format: passcode.format,
            attempts: passcode.attempts,
            created_at: self.now,
            expires_at: self.now + Duration::from_secs(passcode.ttl.into()),
            sends: 1,
            sent_at: self.now,
            wrong_bound: 0,
            wrong_unbound: 0,
            decoy,
            prefixes: self.charge.iter().map(|charge| charge.prefix).collect(),
            state: ChallengeState::Live { address: self.address.clone() },
        }
    }

    /// Tells of a quota that is used up with this request, or nearly.
    fn tell_quotas(&self, seen: &Snapshot, changes: &mut Changes) {
        let source = EventSource { space: self.space, at: self.now, person: None };
        for (number, span) in [Span::Day, Span::Month].into_iter().enumerate() {
            let Some(reached) = self.quotas().reached(seen, span) else { continue };
            changes.put(source.event(self.quota_events[number], reached.event()));
            let tenant = &self.context.tenant;
            // Without its master key nothing can be mailed, and that is no reason to refuse the request.
            if let Ok(contact) = tenant.contact(&self.context.keys) {
                let envelope = self.stationery[number].envelope(self.context.installation.clone(), &contact);
                changes.put(envelope.around(&Notice::Quota {
                    about: About { tenant: tenant.id, name: tenant.name.clone() },
                    span,
                    used: reached.used,
                    limit: reached.limit,
                    renewed_at: reached.renewed_at,
                }));
            }
        }
    }

    fn event(&self, challenge: &Challenge, repeated: bool, ids: (Option<MessageId>, Vec<MessageId>)) -> Event {
        let (message_id, fallback_ids) = ids;
        let person = Person {
            subject: self.subject,
            user: None,
            address: Some(self.address.clone()),
            client: self.client.clone(),
            days: self.context.tenant.settings.privacy.event_days,
        };
        let source = EventSource { space: self.space, at: self.now, person: Some(&person) };
        let data = EventData::OtpRequested {
            challenge_id: challenge.id,
            purpose: challenge.purpose.clone(),
            channel: challenge.channel,
            repeated,
            message_id,
            fallback_ids,
            sealed_metadata: self.metadata.clone(),
        };
        source.event(self.event, data)
    }
}

pub(super) fn sliding(seen: &Snapshot, count: CounterKey) -> SlidingCount {
    SlidingCount { previous: seen.counter(&count.before()), current: seen.counter(&count) }
}
