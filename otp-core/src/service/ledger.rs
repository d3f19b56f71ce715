//! The counts of usage, held against the records.

use std::time::Duration;

use super::Service;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::ledger::Books;
use crate::store::Read;
use crate::tenant::Space;
use crate::usage::{Counter, CounterKey, CounterRange, Span};

pub use crate::ledger::Difference;

/// What is read at once.
const PAGE: usize = 500;

/// What came of comparing.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The counts that are not what the records tell.
    pub differences: Vec<Difference>,
    /// How many counts were compared.
    pub compared: usize,
    /// Hours were recomputed from here on: what was before has been swept away.
    pub from: Timestamp,
    /// Hours were recomputed up to here: what follows may be in motion.
    pub until: Timestamp,
    /// Spaces where users were erased: there a count may be higher than what is recomputed.
    pub erased: Vec<Space>,
}

impl Service {
    /// Recomputes what is counted of usage: hours from events and messages, days and months of codes from their hours, users
    /// from their records. Servers may run meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn verify_ledger(&self) -> Result<Ledger, Error> {
        let mut books = Books::at(self.now());
        let mut after = None;
        loop {
            let page = self.inner.store.inventory(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            page.iter().for_each(|item| books.take(item));
        }
        let (mut compared, mut differences) = books.hours();
        for month in books.months() {
            let quotas = self.quotas_of(month).await?;
            compared += quotas.len();
            differences.extend(quotas.into_iter().filter(|found| found.counted != found.recomputed));
        }
        for (space, recomputed) in books.users() {
            let counter = CounterKey::at(space, Counter::Users, Span::Ever, books.until);
            let counted = self.users_before(space, books.until).await?;
            compared += 1;
            if books.differs(space, counted, recomputed) {
                differences.push(Difference { counter, counted, recomputed });
            }
        }
        let (from, until) = (books.from, books.until);
        Ok(Ledger { differences, compared, from, until, erased: books.erased().collect() })
    }

    /// A month and its days, and what their hours come to: one commit adds to all three, and one read sees them together.
    async fn quotas_of(&self, month: CounterKey) -> Result<Vec<Difference>, Error> {
        let until = Span::Month.end(month.starts_at);
        let next = |day: &CounterKey| Some(CounterKey { starts_at: Span::Day.end(day.starts_at), ..*day });
        let first = CounterKey { span: Span::Day, ..month };
        let days = std::iter::successors(Some(first), next).take_while(|day| day.starts_at < until);
        let keys: Vec<CounterKey> = days.chain([month]).collect();
        let hours = CounterRange::new(month.space, month.counter, Span::Hour, month.starts_at, until);
        let mut wanted: Vec<Read> = keys.iter().copied().map(Read::Counter).collect();
        wanted.push(Read::Counters(hours));
        let seen = self.inner.store.read(wanted).await?;
        let hours_of = |key: &CounterKey| {
            let within = seen.counts(hours).filter(|(hour, _)| key.span.start(hour.starts_at) == key.starts_at);
            within.map(|(_, count)| count).sum()
        };
        let compare =
            |key: &CounterKey| Difference { counter: *key, counted: seen.counter(key), recomputed: hours_of(key) };
        Ok(keys.iter().map(compare).collect())
    }

    /// The count of users without those who came later.
    async fn users_before(&self, space: Space, end: Timestamp) -> Result<u64, Error> {
        let users = CounterKey::at(space, Counter::Users, Span::Ever, end);
        let later = self.now() + Duration::from_secs(2 * 86_400);
        let later = CounterRange::new(space, Counter::NewUsers, Span::Hour, end, later);
        let seen = self.inner.store.read(vec![Read::Counter(users), Read::Counters(later)]).await?;
        let later: u64 = seen.counts(later).map(|(_, count)| count).sum();
        Ok(seen.counter(&users).saturating_sub(later))
    }
}
