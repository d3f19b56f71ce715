//! Queues: claimed once, leased for a time, settled by whoever holds the lease; and the sweeping of what expired.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Fixture;
use super::samples::{NOW, message, recipient, register, sample, tenant};
use super::support::{after, count, counter, find, lease, put, race, record, write};
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::message::{Message, MessageState};
use crate::store::{Add, Changes, Due, Key, Kind, Lease, LeaseId, Read, Record, Settled, Store, Stored};
use crate::tenant::{Mode, Space};
use crate::usage::{Counter, CounterKey, Span};

fn due(millis: i64) -> Due {
    Due { at: Some(after(millis)), lease: None }
}

async fn claim(store: &Arc<dyn Store>, lease: Lease, limit: usize) -> Vec<Record> {
    store.claim(Kind::Message, lease, limit).await.unwrap()
}

fn keys(records: &[Record]) -> Vec<Key> {
    records.iter().map(Record::key).collect()
}

/// What is due is claimed earliest first, up to the limit; what is settled or not due yet is left alone.
pub async fn due_records_are_claimed_earliest_first(fixture: &impl Fixture) {
    let store = fixture.open().await;
    put(&store, (0..10).map(|number| message(tenant(number % 3), number, due(-(number as i64) * 10)))).await;
    put(&store, [message(tenant(1), 20, due(1)), message(tenant(1), 21, Due::default())]).await;

    let first = claim(&store, lease(1, 0, 100), 3).await;
    assert_eq!(keys(&first), [9, 8, 7].map(|number| message(tenant(number % 3), number, due(0)).key()));
    let under = Due { at: Some(after(100)), lease: Some([1; 16]) };
    assert!(first.iter().all(|record| record.due() == under));
    assert_eq!(record::<Message>(&store, first[0].key()).await.unwrap().due, under);

    assert_eq!(claim(&store, lease(2, 0, 100), 100).await.len(), 7);
    assert_eq!(claim(&store, lease(3, 0, 100), 100).await.len(), 0);
    assert_eq!(claim(&store, lease(3, 1, 100), 100).await.len(), 1);
    assert!(store.claim(Kind::User, lease(3, 1, 100), 100).await.unwrap().is_empty());
}

/// Workers that claim at once share the queue: each record goes to one of them.
pub async fn each_record_is_claimed_once_by_racing_workers(fixture: &impl Fixture) {
    let store = fixture.open().await;
    put(&store, (0..100).map(|number| message(tenant(number % 5), number, due(-1)))).await;
    let worker = |who: u8| {
        let store = Arc::clone(&store);
        async move {
            let mut claimed = Vec::new();
            loop {
                let some = claim(&store, lease(who, 0, 1_000), 7).await;
                if some.is_empty() {
                    return claimed;
                }
                assert!(some.iter().all(|record| record.due().lease == Some([who; 16])));
                claimed.extend(keys(&some));
            }
        }
    };
    let claimed: Vec<Key> = race(fixture, (0..8).map(worker)).into_iter().flatten().collect();
    assert_eq!(claimed.len(), 100);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 100);
}

/// Whoever died with a record in hand keeps it only until its lease ends.
pub async fn an_expired_lease_returns(fixture: &impl Fixture) {
    let store = fixture.open().await;
    put(&store, [message(tenant(1), 1, due(0))]).await;
    assert_eq!(claim(&store, lease(1, 0, 50), 1).await.len(), 1);
    assert_eq!(claim(&store, lease(2, 49, 99), 1).await.len(), 0);
    let again = claim(&store, lease(2, 50, 99), 1).await;
    assert_eq!(again[0].due().lease, Some([2; 16]));
}

fn settled(number: u64, who: LeaseId, due: Due) -> Settled {
    let state = MessageState::Sent { at: NOW, provider_id: None, segments: None };
    let record = Message { state, tries: 1, ..message(tenant(1), number, due) }.into();
    let mut also = Changes { adds: vec![Add::one(counter(tenant(1)))], ..Changes::none() };
    also.put(register(number, i64::from(who[0])));
    Settled { record, lease: who, also }
}

/// Whoever comes back after the lease has passed to another changes nothing, neither the record nor what goes with it.
pub async fn a_stale_lease_cannot_settle(fixture: &impl Fixture) {
    let store = fixture.open().await;
    put(&store, [message(tenant(1), 1, due(0)), message(tenant(1), 2, due(60))]).await;
    claim(&store, lease(1, 0, 50), 1).await;
    claim(&store, lease(2, 50, 99), 1).await;

    let never_claimed = settled(2, [1; 16], Due::default());
    let unknown = settled(3, [1; 16], Due::default());
    let stale = vec![settled(1, [1; 16], Due::default()), never_claimed, unknown];
    assert_eq!(store.settle(stale).await.unwrap(), 0);
    assert_eq!(record::<Message>(&store, message(tenant(1), 1, due(0)).key()).await.unwrap().tries, 0);
    let touched = [1, 2, 3].map(|number| Read::Record(register(number, 0).key()));
    assert_eq!(find(&store, touched.to_vec()).await, vec![]);
    assert_eq!(count(&store, counter(tenant(1))).await, 0);

    // Beside a stale one, the holder's settles.
    let both = vec![settled(1, [1; 16], Due::default()), settled(1, [2; 16], Due::default())];
    assert_eq!(store.settle(both).await.unwrap(), 1);
    assert_eq!(find(&store, touched.to_vec()).await.len(), 1);
    assert_eq!(count(&store, counter(tenant(1))).await, 1);
}

/// A settled record leaves the queue, one to be tried again comes back at its time, and what goes with it is written once.
pub async fn what_is_settled_stays_settled(fixture: &impl Fixture) {
    let store = fixture.open().await;
    put(&store, [message(tenant(1), 1, due(0)), message(tenant(1), 2, due(0))]).await;
    assert_eq!(claim(&store, lease(1, 0, 50), 10).await.len(), 2);
    let outcomes = vec![settled(1, [1; 16], Due::default()), settled(2, [1; 16], due(500))];
    assert_eq!(store.settle(outcomes.clone()).await.unwrap(), 2);
    assert_eq!(store.settle(outcomes).await.unwrap(), 0, "the lease ended with the settling");

    let done = record::<Message>(&store, message(tenant(1), 1, due(0)).key()).await.unwrap();
    assert_eq!((done.tries, done.due), (1, Due::default()));
    assert_eq!(count(&store, counter(tenant(1))).await, 2);
    assert_eq!(claim(&store, lease(2, 499, 600), 10).await.len(), 0);
    assert_eq!(keys(&claim(&store, lease(2, 500, 600), 10).await), [message(tenant(1), 2, due(0)).key()]);
}

fn queues() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| kind.shape().queue)
}

fn placed(kind: Kind, due: Due) -> Record {
    let mut record = sample(kind, tenant(1), 1);
    record.set_due(due);
    record
}

/// Each kind with a queue has one of its own. A command may take a record of it over from whoever holds its lease.
pub async fn each_kind_has_a_queue_of_its_own(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let kinds: Vec<Kind> = queues().collect();
    put(&store, kinds.iter().map(|kind| placed(*kind, due(-1)))).await;
    for kind in kinds {
        let waiting = placed(kind, due(-1));
        let claimed = store.claim(kind, lease(1, 0, 50), 10).await.unwrap();
        assert_eq!(keys(&claimed), [waiting.key()]);
        let taken = Due { at: Some(after(100)), lease: Some([2; 16]) };
        put(&store, [placed(kind, taken)]).await;
        let stale = Settled { record: placed(kind, Due::default()), lease: [1; 16], also: Changes::none() };
        assert_eq!(store.settle(vec![stale]).await.unwrap(), 0);
        let listed = waiting.owner().map(|owner| Read::Owned { kind, owner, before: None, limit: 10 });
        let found = find(&store, [Read::Record(waiting.key())].into_iter().chain(listed).collect()).await;
        assert!(found.len() == 1 + usize::from(kind.shape().owner) && found.iter().all(|(.., due)| *due == taken));
        assert_eq!(store.claim(kind, lease(3, 99, 200), 10).await.unwrap().len(), 0);
        assert_eq!(store.claim(kind, lease(3, 100, 200), 10).await.unwrap().len(), 1);
    }
}

/// What left a queue is not in it any more, wherever it stood in it before, and comes back only where it is put there again; one
/// that is removed takes its place with it.
pub async fn what_left_a_queue_is_gone_wherever_it_stood(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let settle = async |mut record: Record, who: u8, due: Due| {
        record.set_due(due);
        let also = Changes { puts: vec![register(u64::from(who), 1).into()], ..Changes::none() };
        store.settle(vec![Settled { record, lease: [who; 16], also }]).await.unwrap()
    };
    // Claims all there is, and settles it as it is.
    let take = async |kind, from, until| {
        let mut taken = 0;
        for record in store.claim(kind, lease(2, from, until), 10).await.unwrap() {
            taken += settle(record, 2, Due::default()).await;
        }
        taken
    };
    for kind in queues() {
        let key = placed(kind, due(0)).key();
        put(&store, [placed(kind, due(-1))]).await;
        put(&store, [placed(kind, due(5))]).await;
        assert_eq!(take(kind, 4, 50).await, 0, "{kind:?}");
        assert_eq!(keys(&store.claim(kind, lease(1, 5, 10), 10).await.unwrap()), [key]);
        assert_eq!(
            [take(kind, 9, 50).await, take(kind, 10, 50).await, take(kind, 90, 100).await],
            [0, 1, 0],
            "{kind:?}"
        );
        let found = find(&store, vec![Read::Record(key)]).await;
        assert!(found.iter().all(|(.., due)| *due == Due::default()) && found.len() == 1, "{kind:?}");
        for who in [1, 2] {
            assert_eq!(
                settle(placed(kind, due(0)), who, due(90)).await,
                0,
                "{kind:?}: the lease is gone with the place"
            );
        }

        put(&store, [placed(kind, due(90))]).await;
        assert_eq!(keys(&store.claim(kind, lease(3, 100, 110), 10).await.unwrap()), [key]);
        for (who, written) in [(4, 0), (3, 1), (3, 0)] {
            assert_eq!(settle(placed(kind, due(0)), who, due(120)).await, written, "{kind:?}: {who} puts it back");
        }
        assert_eq!([take(kind, 119, 200).await, take(kind, 120, 200).await], [0, 1], "{kind:?}");

        put(&store, [placed(kind, due(90))]).await;
        assert_eq!(keys(&store.claim(kind, lease(3, 100, 110), 10).await.unwrap()), [key]);
        write(&store, Changes { deletes: vec![key], ..Changes::none() }).await;
        assert_eq!(settle(placed(kind, due(0)), 3, Due::default()).await, 0, "{kind:?}: it is gone");
        put(&store, [placed(kind, Due::default())]).await;
        assert_eq!(take(kind, 120, 200).await, 0, "{kind:?}");
        put(&store, [placed(kind, due(90))]).await;
        assert_eq!([take(kind, 100, 200).await, take(kind, 200, 300).await], [1, 0], "{kind:?}");
    }
    let beside = [1, 3, 4].map(|who| Read::Record(register(who, 0).key()));
    assert_eq!(find(&store, beside.to_vec()).await.len(), 1, "who held no lease wrote beside it");
}

/// A sweep takes what expired before its time, records and counts, and stops at its limit.
pub async fn a_sweep_removes_what_expired_and_no_more(fixture: &impl Fixture) {
    const HOUR: Duration = Duration::from_secs(3600);
    let store = fixture.open().await;
    let last_sent = |number: u64| NOW - HOUR + Duration::from_millis(number * 10);
    put(&store, (0..10).map(|number| recipient(tenant(number % 2), number, last_sent(number)))).await;
    let network = |tenant, at| CounterKey::at(space(tenant), Counter::RequestsFrom([9; 16]), Span::Hour, at);
    let counters: Vec<CounterKey> = (0..5).map(|hours| network(1, NOW - HOUR * hours)).collect();
    let kept = counter(tenant(1));
    let adds = counters.iter().chain([&kept]).map(|counter| Add::one(*counter)).collect();
    write(&store, Changes { adds, ..Changes::none() }).await;

    // The first five recipients, the one that expires at this very moment not among them.
    let now = NOW + Duration::from_millis(50);
    let stale = counters.iter().filter(|counter| counter.expires_at().is_some_and(|end| end < now)).count();
    assert!(stale > 0 && stale < counters.len());
    let mut removed = Vec::new();
    while removed.last() != Some(&0) {
        removed.push(store.sweep(now, 2).await.unwrap());
    }
    assert!(removed.iter().all(|some| *some <= 2));
    assert_eq!(removed.iter().sum::<usize>(), 5 + stale);
    for number in 0..10 {
        let key = recipient(tenant(number % 2), number, NOW).key();
        assert_eq!(find(&store, vec![Read::Record(key)]).await.is_empty(), number < 5, "{number}");
    }
    for counter in counters {
        let is_stale = counter.expires_at().is_some_and(|end| end < now);
        assert_eq!(count(&store, counter).await, u64::from(!is_stale));
    }
    assert_eq!(count(&store, kept).await, 1);
    assert_eq!(store.sweep(Timestamp::from_millis(i64::MAX), 0).await.unwrap(), 0);
}

/// The counts of one tenant go, of both modes and whatever they count, and nobody else's; a limit is kept.
pub async fn the_counts_of_a_tenant_are_forgotten_and_no_others(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let neighbours = [[6; 16], [7; 16], [8; 16]].map(TenantId::from_bytes);
    let counters = [Counter::OtpRequests, Counter::RequestsFrom([0xff; 16]), Counter::PrefixSends([0; 16])];
    let of = |tenant| {
        let spaces = Mode::ALL.map(|mode| Space { tenant, mode });
        let each = move |space| counters.map(|counter| CounterKey::at(space, counter, Span::Hour, NOW));
        spaces.into_iter().flat_map(each)
    };
    let adds = neighbours.into_iter().flat_map(of).map(Add::one).collect();
    write(&store, Changes { adds, ..Changes::none() }).await;
    let mut removed = Vec::new();
    while removed.last() != Some(&0) {
        removed.push(store.forget_counts(neighbours[1], 4).await.unwrap());
    }
    assert_eq!(removed, [4, 2, 0]);
    for (number, tenant) in neighbours.into_iter().enumerate() {
        for counter in of(tenant) {
            assert_eq!(count(&store, counter).await, u64::from(number != 1), "{counter:?}");
        }
    }
    // What is counted from then on counts from nothing.
    let adds = of(neighbours[1]).map(Add::one).collect();
    write(&store, Changes { adds, ..Changes::none() }).await;
    for counter in of(neighbours[1]) {
        assert_eq!(count(&store, counter).await, 1);
    }
}

fn space(number: u64) -> Space {
    Space { tenant: tenant(number), mode: Mode::Live }
}
