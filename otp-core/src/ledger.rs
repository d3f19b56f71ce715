//! The counts of usage, recomputed from the records that tell of the same acts.
//!
//! Events and messages are kept for thirty days, so counts of hours are recomputed for as long, less a day for what is
//! swept meanwhile. What was erased tells of nothing any more while its counts stay: where users were erased, a count may
//! be higher than what is recomputed, and never lower.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::event::{Event, EventData};
use crate::message::{Channel, Message, MessageState};
use crate::store::{FromRecord, Item, Record};
use crate::tenant::Space;
use crate::usage::{Counter, CounterKey, Span};
use crate::user::User;

const LOOKED_BACK: Duration = Duration::from_secs(29 * 86_400);
/// A server may be slow to commit, or its clock a little behind.
const SETTLED: Duration = Duration::from_secs(600);

/// A count that is not what the records tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which count.
    pub counter: CounterKey,
    /// What it stands at.
    pub counted: u64,
    /// What the records come to.
    pub recomputed: u64,
}

/// Both sides, gathered from all that is stored.
pub(crate) struct Books {
    pub from: Timestamp,
    pub until: Timestamp,
    counted: BTreeMap<CounterKey, u64>,
    recomputed: BTreeMap<CounterKey, u64>,
    users: BTreeMap<Space, u64>,
    erased: BTreeSet<Space>,
    months: BTreeSet<CounterKey>,
}

impl Books {
    pub fn at(now: Timestamp) -> Self {
        Self {
            from: Span::Hour.end(now - LOOKED_BACK),
            until: Span::Hour.start(now - SETTLED),
            counted: BTreeMap::new(),
            recomputed: BTreeMap::new(),
            users: BTreeMap::new(),
            erased: BTreeSet::new(),
            months: BTreeSet::new(),
        }
    }

    pub fn take(&mut self, item: &Item) {
        match item {
            Item::Count(key, count) => self.take_count(*key, *count),
            Item::Record(record) => self.take_record(record),
        }
    }

    fn take_count(&mut self, key: CounterKey, count: u64) {
        match (key.counter, key.span) {
            (Counter::UsersErased, _) => drop(self.erased.insert(key.space)),
            (Counter::Users, Span::Ever) => drop(self.users.entry(key.space).or_default()),
            (counter, Span::Hour) if is_recomputed(counter) && self.covers(key.starts_at) => {
                self.counted.insert(key, count);
            }
            _ => {}
        }
        if key.counter == Counter::OtpRequests {
            self.months.insert(CounterKey::at(key.space, key.counter, Span::Month, key.starts_at));
        }
    }

    fn take_record(&mut self, record: &Record) {
        if let Some(event) = Event::of(record) {
            counters_of(&event.data).iter().for_each(|counter| self.tell(event.space, *counter, event.at));
        }
        if let Some(message) = Message::of(record)
            && let Some((counter, at)) = outcome_of(message)
        {
            self.tell(message.space, counter, at);
        }
        if let Some(user) = User::of(record).filter(|user| user.created_at < self.until) {
            *self.users.entry(user.space).or_default() += 1;
        }
    }

    fn tell(&mut self, space: Space, counter: Counter, at: Timestamp) {
        if self.covers(at) {
            *self.recomputed.entry(CounterKey::at(space, counter, Span::Hour, at)).or_default() += 1;
        }
    }

    fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// The months in which codes were asked for.
    pub fn months(&self) -> impl Iterator<Item = CounterKey> {
        self.months.iter().copied()
    }

    /// Users created before the end, by space.
    pub fn users(&self) -> impl Iterator<Item = (Space, u64)> {
        self.users.iter().map(|(space, users)| (*space, *users))
    }

    /// The spaces where users were erased.
    pub fn erased(&self) -> impl Iterator<Item = Space> {
        self.erased.iter().copied()
    }

    /// Whether it differs in a way that erased users do not explain.
    pub fn differs(&self, space: Space, counted: u64, recomputed: u64) -> bool {
        counted < recomputed || (counted > recomputed && !self.erased.contains(&space))
    }

    /// The hours of both sides: how many there are, and those that differ.
    pub fn hours(&self) -> (usize, Vec<Difference>) {
        let keys: BTreeSet<CounterKey> = self.counted.keys().chain(self.recomputed.keys()).copied().collect();
        let keys: Vec<_> = keys.into_iter().filter(|key| !self.is_before_counting(key)).collect();
        let count = |of: &BTreeMap<CounterKey, u64>, key: &CounterKey| of.get(key).copied().unwrap_or(0);
        let difference = |key: &CounterKey| Difference {
            counter: *key,
            counted: count(&self.counted, key),
            recomputed: count(&self.recomputed, key),
        };
        let differs = |found: &Difference| self.differs(found.counter.space, found.counted, found.recomputed);
        (keys.len(), keys.iter().map(difference).filter(differs).collect())
    }

    /// These were not counted by the first version: there is nothing to compare before the installation's first of them.
    fn is_before_counting(&self, key: &CounterKey) -> bool {
        if !matches!(key.counter, Counter::NewUsers | Counter::MessagesFailed(_)) {
            return false;
        }
        let alike = self.counted.keys().filter(|counted| counted.counter == key.counter);
        alike.map(|counted| counted.starts_at).min().is_none_or(|first| key.starts_at < first)
    }
}

fn is_recomputed(counter: Counter) -> bool {
    matches!(
        counter,
        Counter::OtpRequests
            | Counter::OtpVerifications
            | Counter::SuccessfulLogins
            | Counter::FailedAttempts
            | Counter::NewUsers
            | Counter::PhoneRequests(_)
            | Counter::EmailsSent
            | Counter::SmsSent
            | Counter::WhatsappSent
            | Counter::MessagesFailed(_)
    )
}

/// What an event was counted as.
fn counters_of(data: &EventData) -> Vec<Counter> {
    match data {
        EventData::OtpRequested { channel: Channel::Email, .. } => vec![Counter::OtpRequests],
        EventData::OtpRequested { channel, .. } => vec![Counter::OtpRequests, Counter::PhoneRequests(*channel)],
        EventData::OtpVerified { .. } => vec![Counter::OtpVerifications, Counter::SuccessfulLogins],
        EventData::OtpFailed { .. } => vec![Counter::OtpVerifications, Counter::FailedAttempts],
        EventData::UserCreated {} => vec![Counter::NewUsers],
        _ => Vec::new(),
    }
}

/// What a message came to, and when.
fn outcome_of(message: &Message) -> Option<(Counter, Timestamp)> {
    match (&message.state, message.channel) {
        (MessageState::Sent { at, .. }, Channel::Email) => Some((Counter::EmailsSent, *at)),
        (MessageState::Sent { at, .. }, Channel::Sms) => Some((Counter::SmsSent, *at)),
        (MessageState::Sent { at, .. }, Channel::Whatsapp) => Some((Counter::WhatsappSent, *at)),
        (MessageState::Failed { at, .. }, channel) => Some((Counter::MessagesFailed(channel), *at)),
        _ => None,
    }
}
