//! Tenants are told when their calls fail or take long, and when their messages do not arrive.

use std::time::Duration;

use super::{Service, lock};
use crate::alarm::Alarm;
use crate::call::RecentErrors;
use crate::clock::Timestamp;
use crate::command::RaiseAlarms;
use crate::error::Error;
use crate::id::EventId;
use crate::message::Channel;
use crate::notice::Stationery;
use crate::store::Read;
use crate::tenant::Space;
use crate::usage::{Counter, CounterRange, Span};

/// Spaces that are looked at.
const SPACES: usize = 10_000;
/// For how long a space is looked at after something went wrong: as long as that is among its recent calls.
const LOOKED_AT_FOR: Duration = Duration::from_secs(600);
/// Over how long messages that were given up are counted, beside the hour that has begun.
const A_DAY: Duration = Duration::from_secs(23 * 3_600);

impl Service {
    /// Notes that something went wrong for a space, so that it is looked at.
    pub(super) fn note_trouble(&self, space: Space) {
        let mut troubled = lock(&self.inner.troubled);
        if troubled.len() < SPACES || troubled.contains_key(&space) {
            troubled.insert(space, self.now());
        }
    }

    /// Looks at the spaces for which something went wrong in this process lately, and tells their tenants, by event and
    /// mail: when of 20 or more calls of about the last five minutes over 5 % were [faulty](crate::call::Call::is_faulty),
    /// or one in twenty took longer than 500 ms, at most once an hour each; and when messages were given up, at most once a
    /// day. In test mode there is no mail. Gives how many alarms were raised. Call it every minute; of several servers one
    /// tells.
    ///
    /// # Errors
    /// [`Error::Store`]; the others were looked at all the same, and the next call looks again.
    pub async fn raise_alarms(&self) -> Result<usize, Error> {
        let troubled = self.troubled();
        if troubled.is_empty() {
            return Ok(0);
        }
        self.flush_calls().await?;
        let (mut raised, mut outcome) = (0, Ok(()));
        for space in troubled {
            match self.raise_alarms_of(space).await {
                Ok(more) => raised += more,
                Err(error) => outcome = Err(error),
            }
        }
        outcome.map(|()| raised)
    }

    fn troubled(&self) -> Vec<Space> {
        let now = self.now();
        let mut troubled = lock(&self.inner.troubled);
        troubled.retain(|_, at| now < *at + LOOKED_AT_FOR);
        troubled.keys().copied().collect()
    }

    async fn raise_alarms_of(&self, space: Space) -> Result<usize, Error> {
        let now = self.now();
        let calls = self.recent_calls(space).await?;
        let given_up = given_up(space, now);
        let recent = Read::Record(RecentErrors::key_of(space));
        let seen = self.inner.store.read(vec![Read::Counters(given_up), recent]).await?;
        let undelivered = seen.counts(given_up).map(|(_, count)| count).sum();
        let rests = |alarm: &Alarm| seen.one::<RecentErrors>().is_some_and(|recent| recent.rests(alarm.kind(), now));
        let mut alarms = Alarm::all(calls, undelivered);
        alarms.retain(|alarm| !rests(alarm));
        if alarms.is_empty() {
            return Ok(0);
        }
        let Some(context) = self.tenant_context(space.tenant).await? else { return Ok(0) };
        let drawn = |alarm| (alarm, EventId::new(now, self.random()), Stationery::new(now, self.random()));
        let alarms = alarms.into_iter().map(drawn).collect();
        self.run(RaiseAlarms { context, space, now, alarms }).await
    }
}

/// The counts of messages that were given up within a day.
fn given_up(space: Space, now: Timestamp) -> CounterRange {
    let any = Counter::MessagesFailed(Channel::Email);
    CounterRange::new(space, any, Span::Hour, Span::Hour.start(now) - A_DAY, Span::Hour.end(now))
}
