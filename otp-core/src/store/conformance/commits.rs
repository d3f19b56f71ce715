//! Commits: atomic, durable, one after another.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use super::Fixture;
use super::samples::{bucket, register, tenant};
use super::support::{RACERS, act, count, counter, put, race, record, write};
use crate::api_key::KeyUse;
use crate::store::{Add, Changes, Read, Reads, Scope, Snapshot, Store, StoreError, Stored};

/// A command whose guard fails writes nothing of the rest either.
pub async fn a_commit_is_all_or_nothing(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let mut changes = three_things(1);
    changes.adds.push(Add { counter: counter(tenant(2)), by: 2, at_most: Some(1) });
    let refused = act(&store, Vec::new(), move |_| ((), changes.clone())).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert_eq!(things(&store, 1).await, 0);
    assert_eq!(count(&store, counter(tenant(1))).await, 0);

    write(&store, three_things(1)).await;
    assert_eq!(things(&store, 1).await, 3);
    assert_eq!(count(&store, counter(tenant(1))).await, 1);
}

/// Creates one record, puts another, and adds to a count.
fn three_things(number: u64) -> Changes {
    let mut changes = Changes { adds: vec![Add::one(counter(tenant(1)))], ..Changes::none() };
    changes.create(register(10 * number, 1));
    changes.put(register(10 * number + 1, 1));
    changes.put(register(10 * number + 2, 1));
    changes
}

/// How many of its records are there, as one read sees them.
async fn things(store: &Arc<dyn Store>, number: u64) -> usize {
    let wanted = (0..3).map(|offset| Read::Record(register(10 * number + offset, 1).key())).collect();
    store.read(wanted).await.unwrap().records.len()
}

/// A record that is to be created exists already: nothing is written, and the command sees it the next time it decides.
/// What it wanted before is forgotten.
pub async fn a_create_that_exists_makes_the_command_decide_again(fixture: &impl Fixture) {
    let store = fixture.open().await;
    put(&store, [register(1, 7)]).await;
    let values = Arc::new(Mutex::new(Vec::new()));
    let runs = Arc::clone(&values);
    let decide = move |seen: &Snapshot| {
        let found = seen.one::<KeyUse>().map(|found| found.last_used_at.as_millis());
        let mut runs = runs.lock().unwrap();
        runs.push(found);
        let mut changes = Changes::none();
        if runs.len() == 1 {
            changes.create(register(1, 8));
            changes.put(register(2, 8));
        } else {
            changes.put(register(3, 9));
        }
        changes
    };
    let key = register(1, 0).key();
    let reads = Reads { scope: Scope::Subject(tenant(1), bucket(1)), wanted: vec![Read::Record(key)] };
    store.transact(reads, Box::new(decide)).await.unwrap();

    let runs = values.lock().unwrap().clone();
    assert_eq!((runs.len(), runs[1]), (2, Some(7)));
    assert_eq!(value(&store, 1).await, Some(7));
    assert_eq!(value(&store, 2).await, None);
    assert_eq!(value(&store, 3).await, Some(9));
}

async fn value(store: &Arc<dyn Store>, number: u64) -> Option<i64> {
    record::<KeyUse>(store, register(number, 0).key()).await.map(|found| found.last_used_at.as_millis())
}

/// A command that wants the impossible however often it is asked fails as busy, and only after it was asked again.
pub async fn an_impossible_command_gives_up(fixture: &impl Fixture) {
    let store = fixture.open().await;
    put(&store, [register(1, 7)]).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&runs);
    let refused = act(&store, Vec::new(), move |_| {
        asked.fetch_add(1, Ordering::SeqCst);
        ((), Changes { creates: vec![register(1, 8).into()], ..Changes::none() })
    });
    assert!(matches!(refused.await, Err(StoreError::Busy)));
    assert!(runs.load(Ordering::SeqCst) > 1);
    assert_eq!(value(&store, 1).await, Some(7));
}

/// However many add to a guarded count at once, it stops at its limit, and each of them knows whether it got through.
pub async fn guards_are_exact_under_racers(fixture: &impl Fixture) {
    const LIMIT: u64 = 10;
    let store = fixture.open().await;
    let counter = counter(tenant(1));
    let racer = |number: usize| {
        let store = Arc::clone(&store);
        async move {
            // Each in a scope of its own: only the guard stands between them.
            let scope = Scope::Subject(tenant(1), bucket(number as u64));
            let passed = Arc::new(Mutex::new(false));
            let slot = Arc::clone(&passed);
            let decide = move |seen: &Snapshot| {
                let fits = seen.counter(&counter) < LIMIT;
                *slot.lock().unwrap() = fits;
                let mut changes = Changes::none();
                if fits {
                    changes.adds.push(Add { counter, by: 1, at_most: Some(LIMIT) });
                    changes.create(register(number as u64, 1));
                }
                changes
            };
            let reads = Reads { scope, wanted: vec![Read::Counter(counter)] };
            store.transact(reads, Box::new(decide)).await.unwrap();
            let passed = *passed.lock().unwrap();
            (number, passed)
        }
    };
    let outcomes = race(fixture, (0..RACERS).map(racer));
    assert_eq!(outcomes.iter().filter(|(_, passed)| *passed).count(), LIMIT as usize);
    assert_eq!(count(&store, counter).await, LIMIT);
    for (number, passed) in outcomes {
        assert_eq!(value(&store, number as u64).await.is_some(), passed);
    }
}

/// Commands of one scope see each other's changes: what all of them read, change and write back loses nothing.
pub async fn no_update_is_lost_under_racers(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let racer = |_| {
        let store = Arc::clone(&store);
        async move {
            let wanted = vec![Read::Record(register(1, 0).key())];
            let next = |seen: &Snapshot| seen.one::<KeyUse>().map_or(0, |found| found.last_used_at.as_millis()) + 1;
            act(&store, wanted, move |seen| {
                let next = next(seen);
                (next, Changes { puts: vec![register(1, next).into()], ..Changes::none() })
            })
            .await
            .unwrap()
        }
    };
    let mut values: Vec<i64> = race(fixture, (0..RACERS).map(racer));
    values.sort_unstable();
    assert_eq!(values, (1..=RACERS as i64).collect::<Vec<_>>());
    assert_eq!(value(&store, 1).await, Some(RACERS as i64));
}

/// Commands that panic or can never be admitted run beside others, perhaps in one commit with them, and take nothing from
/// them.
pub async fn a_panic_or_failure_harms_no_neighbour(fixture: &impl Fixture) {
    let store = fixture.open().await;
    put(&store, [register(1_000, 0)]).await;
    let racer = |number: usize| {
        let store = Arc::clone(&store);
        async move {
            let done = act(&store, Vec::new(), move |_| {
                let mut changes = three_things(number as u64);
                match number % 4 {
                    // Without the panic hook, which would fill the test's output.
                    0 => std::panic::resume_unwind(Box::new("one command panics")),
                    1 => changes.create(register(1_000, 1)),
                    _ => {}
                }
                ((), changes)
            });
            (number, done.await.is_ok())
        }
    };
    let outcomes = race(fixture, (0..RACERS).map(racer));
    for (number, done) in outcomes {
        assert_eq!(done, number % 4 > 1, "{number}");
        assert_eq!(things(&store, number as u64).await, if done { 3 } else { 0 }, "{number}");
    }
    assert_eq!(count(&store, counter(tenant(1))).await, RACERS as u64 / 2);
}

/// A caller that goes away, at any moment, leaves the whole change or none of it.
pub async fn a_dropped_command_is_done_or_not(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let mut done = 0;
    for number in 0..64 {
        let changes = three_things(number);
        let finished = abandon(act(&store, Vec::new(), move |_| ((), changes.clone())), number % 8).await;
        // The scope is free again only when the abandoned command is done or undone.
        let wanted = (0..3).map(|offset| Read::Record(register(10 * number + offset, 1).key())).collect();
        let found = act(&store, wanted, |seen| (seen.records.len(), Changes::none())).await.unwrap();
        assert!(found == 3 || (found == 0 && finished.is_none()), "{found} of 3 after {finished:?}");
        done += u64::from(found == 3);
    }
    assert_eq!(count(&store, counter(tenant(1))).await, done);
}

/// Polls a future so many times, then drops it.
async fn abandon<T>(future: impl Future<Output = T>, mut polls: u64) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// What was acknowledged is there after the store was closed and opened again, records and counts.
pub async fn what_was_acknowledged_survives(fixture: &impl Fixture) {
    if !fixture.is_durable() {
        return;
    }
    let store = fixture.open().await;
    for number in 0..20 {
        write(&store, three_things(number)).await;
    }
    drop(store);
    let store = fixture.open().await;
    for number in 0..20 {
        assert_eq!(things(&store, number).await, 3);
    }
    assert_eq!(count(&store, counter(tenant(1))).await, 20);
    write(&store, three_things(20)).await;
    assert_eq!(count(&store, counter(tenant(1))).await, 21);
}
