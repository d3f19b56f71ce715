//! What the cases have in common.

use std::future::Future;
use std::sync::{Arc, mpsc};

use super::samples::{NOW, bucket, tenant};
use super::{Fixture, Task};
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::store::{
    Changes, Command, Due, Key, Lease, Read, Reads, Record, Scope, Snapshot, Store, StoreError, Stored, run,
};
use crate::tenant::{Mode, Space};
use crate::usage::{Counter, CounterKey, Span};

/// So many race.
pub(super) const RACERS: usize = 64;

/// A command out of a closure.
struct Act<F> {
    reads: Reads,
    decide: F,
}

impl<T: Send + 'static, F: Fn(&Snapshot) -> (T, Changes) + Send + 'static> Command for Act<F> {
    type Outcome = T;

    fn reads(&self) -> Reads {
        self.reads.clone()
    }

    fn decide(&self, seen: &Snapshot) -> (T, Changes) {
        (self.decide)(seen)
    }
}

/// Reads, decides and writes under the one scope that most cases use.
pub(super) async fn act<T: Send + 'static>(
    store: &Arc<dyn Store>,
    wanted: Vec<Read>,
    decide: impl Fn(&Snapshot) -> (T, Changes) + Send + 'static,
) -> Result<T, StoreError> {
    let reads = Reads { scope: Scope::Subject(tenant(1), bucket(1)), wanted };
    run(&**store, Act { reads, decide }).await
}

/// Writes something, whatever there is.
pub(super) async fn write(store: &Arc<dyn Store>, changes: Changes) {
    act(store, Vec::new(), move |_| ((), changes.clone())).await.unwrap();
}

/// Writes these records.
pub(super) async fn put(store: &Arc<dyn Store>, records: impl IntoIterator<Item = impl Into<Record>>) {
    write(store, Changes { puts: records.into_iter().map(Into::into).collect(), ..Changes::none() }).await;
}

/// What a record is, so that two can be compared.
pub(super) type Seen = (Key, String, Due);

pub(super) fn seen(record: &Record) -> Seen {
    (record.key(), record.body(), record.due())
}

/// What a read finds, off the write path.
pub(super) async fn find(store: &Arc<dyn Store>, wanted: Vec<Read>) -> Vec<Seen> {
    store.read(wanted).await.unwrap().records.iter().map(seen).collect()
}

/// The record with a key.
pub(super) async fn record<T: Stored + 'static>(store: &Arc<dyn Store>, key: Key) -> Option<T> {
    store.read(vec![Read::Record(key)]).await.unwrap().one::<T>().cloned()
}

/// What a count stands at.
pub(super) async fn count(store: &Arc<dyn Store>, counter: CounterKey) -> u64 {
    store.read(vec![Read::Counter(counter)]).await.unwrap().counter(&counter)
}

/// A count that is kept, of a tenant.
pub(super) fn counter(tenant: TenantId) -> CounterKey {
    let space = Space { tenant, mode: Mode::Live };
    CounterKey::at(space, Counter::OtpRequests, Span::Day, NOW)
}

/// A lease of worker `who`, over a time in milliseconds after [`NOW`].
pub(super) fn lease(who: u8, from: i64, until: i64) -> Lease {
    Lease { id: [who; 16], now: after(from), until: after(until) }
}

/// So many milliseconds after [`NOW`].
pub(super) fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + millis)
}

/// Lets all of them run at once; gives what they came to, in no order.
pub(super) fn race<T, F>(fixture: &impl Fixture, racers: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (done, outcomes) = mpsc::channel();
    let mut started = 0;
    for racer in racers {
        let done = done.clone();
        let task: Task = Box::pin(async move { done.send(racer.await).unwrap_or_default() });
        fixture.spawn(task);
        started += 1;
    }
    drop(done);
    let outcomes: Vec<T> = outcomes.iter().collect();
    assert_eq!(outcomes.len(), started, "a racer panicked");
    outcomes
}
