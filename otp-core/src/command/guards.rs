//! What stands between text messages that are paid for and whoever earns by them: the fraud that is known as pumping has
//! codes sent to numbers of its own, and never says one.

use std::time::Duration;

use super::EventSource;
use super::request_otp::sliding;
use crate::clock::Timestamp;
use crate::error::{Error, Guarded};
use crate::event::EventData;
use crate::id::EventId;
use crate::limit::{Guard, SlidingCount};
use crate::message::Charge;
use crate::store::{Add, Changes, Read, Snapshot};
use crate::tenant::{Settings, Space};
use crate::usage::{Counter, CounterKey, Span};

/// Sends of a day after which a prefix is judged by how many codes come back.
const JUDGED_AFTER: u64 = 50;
/// One of so many has to.
const ONE_OF: u64 = 5;
/// How long nothing is sent to a prefix that fails.
const OFF_FOR: Duration = Duration::from_secs(24 * 3600);

/// The guards before one message.
pub(crate) struct Guards<'a> {
    pub settings: &'a Settings,
    pub space: Space,
    pub now: Timestamp,
    pub charge: Charge,
}

impl Guards<'_> {
    /// What has to be read to judge.
    pub fn reads(&self) -> [Read; 8] {
        let (hour, off) = (self.sends(Span::Hour), self.off());
        let today =
            [self.sends(Span::Day), self.logins(), self.day(Counter::Spent), self.day(Counter::SpendCapReached)];
        let [sends, logins, spent, told] = today;
        [hour, hour.before(), off, off.before(), sends, logins, spent, told].map(Read::Counter)
    }

    /// Whether the message may be sent.
    pub fn admit(&self, seen: &Snapshot) -> Result<(), Error> {
        let Some((guard, until)) = self.refusal(seen) else { return Ok(()) };
        Err(Error::ChannelGuard(Guarded { guard, retry_after: until.secs_after(self.now).max(1) }))
    }

    /// What it counts, each bounded, so that no interleaving passes a guard.
    pub fn adds(&self, seen: &Snapshot) -> [Add; 3] {
        let (hour, day) = (self.sends(Span::Hour), self.sends(Span::Day));
        let velocity = self.velocity(seen).ceiling(self.settings.limits.per_prefix, self.now);
        let unjudged = JUDGED_AFTER.max(seen.counter(&self.logins()) * ONE_OF + 1);
        [
            Add { counter: hour, by: 1, at_most: Some(velocity) },
            Add { counter: day, by: 1, at_most: Some(unjudged) },
            Add { counter: self.day(Counter::Spent), by: self.charge.price, at_most: Some(self.cap()) },
        ]
    }

    /// Switches a prefix off that has just failed, and tells of that and of a day's cap, once.
    pub fn tell(&self, seen: &Snapshot, event: EventId) -> Changes {
        let mut changes = Changes::none();
        let add = match self.refusal(seen) {
            Some((Guard::PrefixConversion, until)) if self.off_until(seen).is_none() => {
                let until = until.as_millis() as u64;
                Add { counter: self.off(), by: until, at_most: Some(until) }
            }
            Some((Guard::DailySpend, _)) if seen.counter(&self.day(Counter::SpendCapReached)) == 0 => {
                Add { counter: self.day(Counter::SpendCapReached), by: 1, at_most: Some(1) }
            }
            _ => return changes,
        };
        let Some((guard, until)) = self.refusal(seen) else { return changes };
        changes.adds.push(add);
        let source = EventSource { space: self.space, at: self.now, person: None };
        changes.put(source.event(event, EventData::ChannelGuarded { guard, country: self.charge.country, until }));
        changes
    }

    fn refusal(&self, seen: &Snapshot) -> Option<(Guard, Timestamp)> {
        if let Some(until) = self.off_until(seen) {
            return Some((Guard::PrefixConversion, until));
        }
        let (sends, logins) = (seen.counter(&self.sends(Span::Day)), seen.counter(&self.logins()));
        if sends >= JUDGED_AFTER && sends > logins * ONE_OF {
            return Some((Guard::PrefixConversion, self.now + OFF_FOR));
        }
        if let Some(until) = self.velocity(seen).full_until(self.settings.limits.per_prefix, self.now) {
            return Some((Guard::PrefixVelocity, until));
        }
        let spent = seen.counter(&self.day(Counter::Spent));
        let is_dear = spent.saturating_add(self.charge.price) > self.cap();
        is_dear.then(|| (Guard::DailySpend, Span::Day.end(self.now)))
    }

    fn off_until(&self, seen: &Snapshot) -> Option<Timestamp> {
        let off = self.off();
        let until = seen.counter(&off).max(seen.counter(&off.before()));
        Some(Timestamp::from_millis(until as i64)).filter(|until| *until > self.now)
    }

    fn velocity(&self, seen: &Snapshot) -> SlidingCount {
        sliding(seen, self.sends(Span::Hour))
    }

    fn cap(&self) -> u64 {
        self.settings.channels.daily_spend_cap
    }

    fn sends(&self, span: Span) -> CounterKey {
        CounterKey::at(self.space, Counter::PrefixSends(self.charge.prefix), span, self.now)
    }

    fn logins(&self) -> CounterKey {
        self.day(Counter::PrefixLogins(self.charge.prefix))
    }

    /// Of the day that it was switched off.
    fn off(&self) -> CounterKey {
        self.day(Counter::PrefixOff(self.charge.prefix))
    }

    fn day(&self, counter: Counter) -> CounterKey {
        CounterKey::at(self.space, counter, Span::Day, self.now)
    }
}
