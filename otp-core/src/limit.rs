//! Arithmetic of limits: sliding logs for one recipient, sliding counters for what many recipients share.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::store::{Key, Kind, Stored};
use crate::subject::BucketKey;
use crate::tenant::Space;

/// The window of every rate limit.
pub const HOUR: Duration = Duration::from_secs(3600);

/// How much of a limit is left: what the `X-RateLimit` and `X-Quota` headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// When some of it comes back.
    pub reset_at: Timestamp,
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitOf {
    /// That of whomever the codes are sent to.
    Recipient,
    /// That of the network that they are asked for from.
    Client,
    /// That of the tenant as a whole.
    Customer,
}

/// What keeps text messages from being sent for the gain of whoever has the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Too many messages went to numbers that begin alike, within an hour.
    PrefixVelocity,
    /// Too few of the codes that were sent to numbers that begin alike came back: nothing goes there for a day.
    PrefixConversion,
    /// The messages of a day have cost what they may.
    DailySpend,
}

impl Guard {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Guard::PrefixVelocity => "prefix_velocity",
            Guard::PrefixConversion => "prefix_conversion",
            Guard::DailySpend => "daily_spend",
        }
    }
}

/// Moments within the last hour, oldest first. Exact: any hour, wherever it begins, holds at most the limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlidingLog(Vec<Timestamp>);

impl SlidingLog {
    /// How many of the moments still count.
    pub fn count(&self, now: Timestamp) -> u32 {
        self.recent(now).count() as u32
    }

    /// When room is made again, if there is none now.
    pub fn full_until(&self, limit: u32, now: Timestamp) -> Option<Timestamp> {
        let recent: Vec<_> = self.recent(now).collect();
        let leaves_first = recent.len().checked_sub(limit as usize)?;
        Some(recent.get(leaves_first).copied().unwrap_or(now) + HOUR)
    }

    /// The latest moment.
    pub fn latest(&self) -> Option<Timestamp> {
        self.0.last().copied()
    }

    /// The oldest moment that still counts.
    pub fn oldest(&self, now: Timestamp) -> Option<Timestamp> {
        self.recent(now).next()
    }

    /// Notes a moment and forgets those that count no more.
    pub fn push(&mut self, now: Timestamp) {
        self.0.retain(|at| *at + HOUR > now);
        self.0.push(now);
    }

    /// The moments that still count, oldest first.
    pub fn recent(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.0.iter().copied().filter(move |at| *at + HOUR > now)
    }
}

/// What one recipient was sent and what was guessed at its codes, in the last hour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recipient {
    /// Tenant and mode.
    pub space: Space,
    /// The recipient, with the spellings that reach one mailbox folded together.
    pub bucket: BucketKey,
    /// Codes sent.
    #[serde(default)]
    pub sends: SlidingLog,
    /// Wrong guesses.
    #[serde(default)]
    pub wrong_guesses: SlidingLog,
}

impl Recipient {
    /// One of whom nothing is known.
    pub fn new(space: Space, bucket: BucketKey) -> Self {
        Self { space, bucket, sends: SlidingLog::default(), wrong_guesses: SlidingLog::default() }
    }

    /// Where the recipient's row stands.
    pub fn key_of(space: Space, bucket: &BucketKey) -> Key {
        Key::new::<Self>(space.tenant, bucket.as_bytes())
    }
}

impl Stored for Recipient {
    const KIND: Kind = Kind::Recipient;

    fn key(&self) -> Key {
        Self::key_of(self.space, &self.bucket)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.sends.latest().max(self.wrong_guesses.latest()).map(|latest| latest + HOUR)
    }
}

/// A limit over an hour kept as two counters: this clock hour's count, and the last one's weighted by how much of it the
/// sliding hour still covers.
#[derive(Clone, Copy, Debug)]
pub struct SlidingCount {
    /// The count of the clock hour before.
    pub previous: u64,
    /// The count of this clock hour.
    pub current: u64,
}

impl SlidingCount {
    /// The highest value this hour's counter may reach now: the guard of the add.
    pub fn ceiling(&self, limit: u32, now: Timestamp) -> u64 {
        let into_hour = now.as_millis().rem_euclid(3_600_000) as u64;
        let carried = (self.previous * (3_600_000 - into_hour)).div_ceil(3_600_000);
        u64::from(limit).saturating_sub(carried)
    }

    /// When room is made again, if one more does not fit now.
    pub fn full_until(&self, limit: u32, now: Timestamp) -> Option<Timestamp> {
        if self.current < self.ceiling(limit, now) {
            return None;
        }
        let next_hour = (now.as_millis().div_euclid(3_600_000) + 1) * 3_600_000;
        // This hour is full by itself: it becomes the previous one, and shrinks to below the limit from there on.
        if self.current >= u64::from(limit) {
            let shrinks = (3_600_000 * (self.current - u64::from(limit) + 1)).div_ceil(self.current.max(1));
            return Some(Timestamp::from_millis(next_hour + (shrinks as i64).min(3_600_000)));
        }
        let room = u64::from(limit) - 1 - self.current;
        let left = (room * 3_600_000).checked_div(self.previous).unwrap_or(0);
        Some(Timestamp::from_millis(next_hour - left as i64).max(now + Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn no_hour_wherever_it_begins_holds_more_than_the_limit() {
        let mut log = SlidingLog::default();
        let mut passed: Vec<Timestamp> = Vec::new();
        for minute in 0..600 {
            let now = START + Duration::from_secs(60 * minute);
            match log.full_until(3, now) {
                None => {
                    log.push(now);
                    passed.push(now);
                }
                Some(until) => assert!(until > now && log.full_until(3, until).is_none()),
            }
        }
        assert!(passed.windows(4).all(|four| four[3].since(four[0]) >= HOUR));
        assert_eq!(passed.len(), 30);
    }

    #[test]
    fn a_sliding_count_never_allows_twice_the_limit_at_the_edge() {
        let end_of_hour = START + Duration::from_millis(3_599_999);
        let full = SlidingCount { previous: 0, current: 100 };
        assert!(full.full_until(100, end_of_hour).is_some());
        let next = SlidingCount { previous: 100, current: 0 };
        assert_eq!(next.ceiling(100, START + HOUR), 0);
        assert_eq!(next.ceiling(100, START + HOUR + Duration::from_secs(1800)), 50);
    }

    #[test]
    fn the_time_told_is_when_room_is_made_and_not_a_millisecond_later() {
        let now = START + Duration::from_secs(60);
        for (previous, current) in [(100, 1), (80, 50), (37, 70), (1000, 10), (0, 100), (3, 100), (0, 250)] {
            let count = SlidingCount { previous, current };
            let at = |at: Timestamp| match at < START + HOUR {
                true => count.full_until(100, at),
                false => SlidingCount { previous: current, current: 0 }.full_until(100, at),
            };
            let Some(until) = at(now) else { panic!("{count:?} is full") };
            assert_eq!(at(until), None, "{count:?}");
            assert!(at(until - Duration::from_millis(1)).is_some(), "{count:?}");
        }
    }
}
