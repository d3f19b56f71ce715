//! Random commands, with the store in memory as the judge of every answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Fixture;
use super::samples::{bucket, message, recipient, register, session, subject, tenant, user};
use super::support::{Seen, after, counter, seen};
use crate::id::TenantId;
use crate::random::{Random, SeededRandom};
use crate::store::{
    Add, Changes, Due, Key, Kind, Lease, MemoryStore, Read, Reads, Record, Scope, Settled, Snapshot, Store, StoreError,
    Stored,
};
use crate::usage::{Counter, CounterKey, CounterRange, ErrorCategory, Route, Span};
use crate::user::User;

/// Random commands give what they give in memory. A longer run with other seeds is [`random_commands`]' to make.
pub async fn random_commands_agree_with_memory(fixture: &impl Fixture) {
    random_commands(&fixture.open().await, 1, 400).await;
}

/// Runs `steps` random commands on an empty store, and the same in memory, and compares all that they come to.
///
/// # Panics
/// When the two differ.
pub async fn random_commands(store: &Arc<dyn Store>, seed: u64, steps: usize) {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut dice = Dice { random: SeededRandom::new(seed), moment: 0, claimed: Vec::new() };
    for step in 0..steps {
        let deed = dice.deed();
        let [expected, found] = [deed.run(&memory).await, deed.run(store).await];
        assert_eq!(found, expected, "seed {seed}, step {step}: {deed:?}");
        if let (Deed::Claim(lease, _), Outcome::Found(records, _)) = (&deed, &expected) {
            dice.claimed.extend(records.iter().map(|(key, ..)| (*key, lease.id)));
        }
        let looks = Deed::Look(dice.reads(6));
        assert_eq!(looks.run(store).await, looks.run(&memory).await, "seed {seed}, after step {step}: {looks:?}");
    }
}

#[derive(Debug)]
enum Deed {
    Transact(Vec<Read>, Changes),
    Claim(Lease, usize),
    Settle(Vec<Settled>),
    Sweep(i64),
    Look(Vec<Read>),
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Found(Vec<Seen>, Vec<(CounterKey, u64)>),
    Count(usize),
    Busy,
}

impl Deed {
    async fn run(&self, store: &Arc<dyn Store>) -> Outcome {
        match self {
            Deed::Transact(wanted, changes) => transact(store, wanted, changes).await,
            Deed::Claim(lease, limit) => {
                let claimed = store.claim(Kind::Message, *lease, *limit).await.unwrap();
                let mut claimed: Vec<Seen> = claimed.iter().map(seen).collect();
                claimed.sort_by_key(|(key, ..)| *key); // leases can end at the same time, in no order
                Outcome::Found(claimed, Vec::new())
            }
            Deed::Settle(settled) => Outcome::Count(store.settle(settled.clone()).await.unwrap()),
            Deed::Sweep(now) => Outcome::Count(store.sweep(after(*now), usize::MAX).await.unwrap()),
            Deed::Look(wanted) => found(&store.read(wanted.clone()).await.unwrap()),
        }
    }
}

async fn transact(store: &Arc<dyn Store>, wanted: &[Read], changes: &Changes) -> Outcome {
    let (told, saw) = std::sync::mpsc::channel();
    let changes = changes.clone();
    let reads = Reads { scope: Scope::Subject(tenant(1), bucket(1)), wanted: wanted.to_vec() };
    let decide = move |seen: &Snapshot| {
        let _ = told.send(found(seen));
        changes.clone()
    };
    match store.transact(reads, Box::new(decide)).await {
        Ok(()) => saw.try_iter().last().unwrap(),
        Err(StoreError::Busy) => Outcome::Busy,
        Err(error) => panic!("{error:?}"),
    }
}

fn found(snapshot: &Snapshot) -> Outcome {
    Outcome::Found(snapshot.records.iter().map(seen).collect(), snapshot.counters.clone())
}

struct Dice {
    random: SeededRandom,
    /// Milliseconds after the beginning.
    moment: i64,
    claimed: Vec<(Key, [u8; 16])>,
}

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        let random: &dyn Random = &self.random;
        u64::from_be_bytes(random.bytes()) % bound
    }

    fn next_moment(&mut self) -> i64 {
        self.moment += 1;
        self.moment
    }

    fn deed(&mut self) -> Deed {
        match self.below(10) {
            0 => {
                let now = self.next_moment();
                let until = now + 1 + self.below(20) as i64;
                let lease = Lease { id: [self.below(4) as u8; 16], now: after(now), until: after(until) };
                Deed::Claim(lease, [0, usize::MAX][usize::from(self.below(5) > 0)])
            }
            1 => Deed::Settle((0..self.below(4)).map(|_| self.settled()).collect()),
            2 if self.below(4) == 0 => Deed::Sweep(3_600_000 + self.moment),
            _ => {
                let (mut reads, changes) = (self.reads(4), self.changes());
                // As commands mostly do: what is written was read.
                reads.extend(changes.puts.iter().filter(|_| self.below(2) == 0).map(|put| Read::Record(put.key())));
                Deed::Transact(reads, changes)
            }
        }
    }

    fn tenant(&mut self) -> TenantId {
        tenant(1 + self.below(3))
    }

    /// One of few records, so that they meet; with one of few states.
    fn record(&mut self) -> Record {
        let (of, number) = (self.tenant(), self.below(6));
        match self.below(5) {
            0 => register(number, self.below(100) as i64).into(),
            // An alias is its record's alone, whichever it has.
            1 => user(of, number, number * 10 + self.below(3)).into(),
            2 => session(of, number, self.below(2)).into(),
            3 => recipient(of, number, after(self.next_moment())).into(),
            _ => message(of, number, self.due()).into(),
        }
    }

    fn due(&mut self) -> Due {
        let at = self.next_moment() + self.below(3) as i64 * 10_000;
        match self.below(3) {
            0 => Due::default(),
            1 => Due { at: Some(after(at)), lease: Some([self.below(4) as u8; 16]) },
            _ => Due { at: Some(after(at)), lease: None },
        }
    }

    /// Of one of a few windows, and in each of one of a few counters.
    fn counter(&mut self) -> CounterKey {
        let day = counter(self.tenant());
        let hour = |hours: u64| after(hours as i64 * 3_600_000);
        match self.below(4) {
            0 => day,
            1 => CounterKey::at(day.space, Counter::FailedAttempts, Span::Hour, hour(self.below(5))),
            2 => CounterKey::at(day.space, Counter::OtpRequests, Span::Hour, hour(self.below(5))),
            _ => {
                let route = Route::named(["", "a", "b"][self.below(3) as usize]);
                let counter = Counter::Errors(ErrorCategory::ALL[self.below(3) as usize], route);
                CounterKey::at(day.space, counter, Span::Hour, hour(self.below(3)))
            }
        }
    }

    fn range(&mut self) -> CounterRange {
        let CounterKey { space, counter, span, .. } = self.counter();
        let from = self.below(5) as i64 * 3_600_000;
        CounterRange::new(space, counter, span, after(from), after(from + self.below(4) as i64 * 3_600_000))
    }

    /// No record twice: the order within one change is nobody's business.
    fn changes(&mut self) -> Changes {
        let records: BTreeMap<Key, Record> = (0..self.below(6)).map(|_| self.record()).map(|r| (r.key(), r)).collect();
        let mut changes = Changes::none();
        for (key, record) in records {
            match self.below(6) {
                0 => changes.create(record),
                1 => changes.deletes.push(key),
                _ => changes.put(record),
            }
        }
        let counter = self.counter();
        match self.below(4) {
            0 => changes.adds.push(Add { counter, by: 1 + self.below(3), at_most: Some(self.below(60)) }),
            1 => changes.adds.push(Add::one(counter)),
            _ => {}
        }
        changes
    }

    /// Of something claimed, now or long ago, or of something never claimed.
    fn settled(&mut self) -> Settled {
        let made_up = (message(self.tenant(), self.below(6), Due::default()).key(), [self.below(4) as u8; 16]);
        let which = self.below(self.claimed.len().max(1) as u64);
        let claimed = self.claimed.get(which as usize).copied().filter(|_| self.below(4) > 0);
        let (key, lease) = claimed.unwrap_or(made_up);
        let number = u64::from(key.id.as_slice()[15]);
        let also = Changes { creates: Vec::new(), deletes: Vec::new(), ..self.changes() };
        let record = message(key.tenant, number, self.due()).into();
        // Not itself once more: the order within one change is nobody's business.
        let puts = also.puts.into_iter().filter(|put| put.key() != key).collect();
        let adds = also.adds.into_iter().map(|add| Add { at_most: None, ..add }).collect();
        Settled { record, lease, also: Changes { puts, adds, ..Changes::none() } }
    }

    fn reads(&mut self, most: u64) -> Vec<Read> {
        (0..self.below(most) + 1).map(|_| self.read()).collect()
    }

    fn read(&mut self) -> Read {
        let (of, number) = (self.tenant(), self.below(6));
        match self.below(5) {
            0 => Read::Record(self.record().key()),
            1 => Read::alias::<User>(subject(of, number * 10 + self.below(3)).as_bytes()),
            2 => {
                let before = [None, Some(session(of, number, 0).key().id)][self.below(2) as usize];
                let owner = session(of, 0, self.below(2)).owner().unwrap();
                Read::Owned { kind: Kind::Session, owner, before, limit: self.below(5) as usize }
            }
            3 => Read::Counter(self.counter()),
            _ => Read::Counters(self.range()),
        }
    }
}
