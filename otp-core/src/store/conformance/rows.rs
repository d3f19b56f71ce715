//! Rows: what is written is found, by everything it is to be found by, and by nobody else.

use std::time::Duration;

use super::Fixture;
use super::samples::{NOW, message, recipient, register, sample, session, subject, tenant, user};
use super::support::{act, after, counter, find, lease, put, record, seen, write};
use crate::clock::Timestamp;
use crate::event::{Event, EventKind};
use crate::message::Message;
use crate::store::{Add, Changes, Due, FromRecord, Item, Key, Kind, Read, Record, SmallBytes, Store, Stored};
use crate::tenant::{Mode, Space};
use crate::usage::{Counter, CounterKey, CounterRange, ErrorCategory, Route, Span};
use crate::user::User;

/// Every kind comes back as it was written, by its key, its alias and its owner, within commands and beside them; and is
/// gone when it was deleted.
pub async fn every_kind_of_record_comes_back_as_it_was(fixture: &impl Fixture) {
    let store = fixture.open().await;
    for kind in Kind::ALL {
        let [older, newer] = [1, 2].map(|number| sample(*kind, tenant(number), number));
        let mut created = Changes::none();
        created.create(older.clone());
        created.put(newer.clone());
        write(&store, created).await;

        let by_key = vec![Read::Record(older.key()), Read::Record(newer.key())];
        let mut reads = vec![(by_key.clone(), vec![seen(&older), seen(&newer)])];
        if let Some(alias) = older.alias() {
            reads.push((vec![Read::Alias(*kind, alias)], vec![seen(&older)]));
        }
        if let Some(owner) = older.owner() {
            let both = older.owner() == newer.owner();
            let listed = if both { vec![seen(&newer), seen(&older)] } else { vec![seen(&older)] };
            reads.push((vec![Read::Owned { kind: *kind, owner, before: None, limit: 10 }], listed));
        }
        for (wanted, expected) in reads {
            assert_eq!(find(&store, wanted.clone()).await, expected, "{kind:?} {wanted:?}");
            let within = act(&store, wanted, |found| (found.records.iter().map(seen).collect(), Changes::none()));
            let within: Vec<_> = within.await.unwrap();
            assert_eq!(within, expected, "{kind:?}");
        }

        write(&store, Changes { deletes: vec![older.key()], ..Changes::none() }).await;
        assert_eq!(find(&store, by_key).await, vec![seen(&newer)], "{kind:?}");
        if let Some(alias) = older.alias() {
            assert_eq!(find(&store, vec![Read::Alias(*kind, alias)]).await, vec![]);
        }
    }
}

/// Every record that has an owner is in its owner's list, and a request for a code leads to its message: also where a
/// migration had to see to it. Not a case of its own; for databases with rows of an earlier version.
///
/// # Panics
/// When one is not.
pub async fn everything_is_found_by_its_owner(store: &dyn Store) {
    for item in store.inventory(None, usize::MAX).await.unwrap() {
        let Item::Record(record) = item else { continue };
        if let Some(owner) = record.owner() {
            let list = Read::Owned { kind: record.key().kind, owner, before: None, limit: 10_000 };
            let listed = store.read(vec![list]).await.unwrap().records;
            assert!(listed.iter().any(|listed| listed.key() == record.key()), "{record:?}");
        }
        if let Some(event) = Event::of(&record).filter(|event| event.kind() == EventKind::OtpRequested) {
            let message = event.messages().next().unwrap_or_else(|| panic!("{event:?} names no message"));
            let message = Key::new::<Message>(event.space.tenant, message.as_bytes());
            let found = store.read(vec![Read::Record(message)]).await.unwrap();
            let subject = event.person.as_ref().map(|person| person.subject);
            assert_eq!(found.one::<Message>().map(|message| message.subject), subject, "{event:?}");
        }
    }
}

/// What has an end goes when that is over, and nothing else does. As the one before, for rows of an earlier version.
///
/// # Panics
/// When a row is left that had to go, or the other way round.
pub async fn everything_goes_in_its_time(store: &dyn Store) {
    let records = async |lasts: fn(&Record) -> bool| {
        let items = store.inventory(None, usize::MAX).await.unwrap();
        let records = items.iter().filter_map(|item| match item {
            Item::Record(record) => Some(&**record),
            Item::Count(..) => None,
        });
        records.filter(|record| lasts(record)).map(Record::key).collect::<Vec<_>>()
    };
    let lasting = records(|record| record.expires_at().is_none()).await;
    while store.sweep(NOW + Duration::from_secs(100 * 365 * 86_400), 1_000).await.unwrap() > 0 {}
    assert_eq!(records(|_| true).await, lasting);
}

/// Whoever pages through all that is stored meets every record and every count once, kind by kind, and then the counts.
pub async fn everything_is_in_the_inventory_once(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let mut expected = Vec::new();
    for kind in Kind::ALL {
        let samples = (1..=3).map(|number| sample(*kind, tenant(number), number));
        let samples: Vec<Record> = samples.collect();
        expected.extend(samples.iter().map(seen));
        put(&store, samples).await;
    }
    let counted: Vec<(CounterKey, u64)> = (1..=3).map(|number| (counter(tenant(number)), number)).collect();
    let adds = counted.iter().map(|(counter, by)| Add { counter: *counter, by: *by, at_most: None }).collect();
    write(&store, Changes { adds, ..Changes::none() }).await;
    for limit in [1, 2, 7, 1_000] {
        let (mut records, mut counts, mut kinds, mut after) = (Vec::new(), Vec::new(), Vec::new(), None);
        loop {
            let page = store.inventory(after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            for item in page {
                match item {
                    Item::Record(record) => {
                        assert!(counts.is_empty(), "a record behind a count");
                        kinds.push(record.key().kind);
                        records.push(seen(&record));
                    }
                    Item::Count(counter, count) => counts.push((counter, count)),
                }
            }
        }
        assert!(kinds.is_sorted(), "{kinds:?}");
        records.sort_by_key(|(key, ..)| *key);
        expected.sort_by_key(|(key, ..)| *key);
        assert_eq!(records, expected, "{limit} at a time");
        counts.sort();
        assert_eq!(counts, counted, "{limit} at a time");
    }
}

/// Within a kind the inventory goes by tenant and id, or by id and tenant, so that whoever looks on from a place knows when
/// they are through.
pub async fn the_inventory_goes_by_tenant_or_by_id(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let samples = [(1, 1), (2, 2), (1, 3), (2, 4)].map(|(owner, number)| sample(Kind::Event, tenant(owner), number));
    put(&store, samples).await;
    let items = store.inventory(None, usize::MAX).await.unwrap();
    let key = |item: &Item| match item {
        Item::Record(record) if record.key().kind == Kind::Event => Some(record.key()),
        _ => None,
    };
    let keys: Vec<Key> = items.iter().filter_map(key).collect();
    assert_eq!(keys.len(), 4);
    let goes_by_tenant = keys.is_sorted_by_key(|key| (key.tenant, key.id));
    let goes_by_id = keys.is_sorted_by_key(|key| (key.id, key.tenant));
    assert!(goes_by_tenant || goes_by_id, "{keys:?}");
}

/// A range gives the windows of one counter, span, mode and tenant from its first to before its end, with every part, in
/// their order, within commands and beside them.
pub async fn a_range_of_counts_is_its_windows_and_no_others(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let [live, test] = [Mode::Live, Mode::Test].map(|mode| Space { tenant: tenant(1), mode });
    let hour = |hours: i64| after(hours * 3_600_000);
    let errors = |name: &str| Counter::Errors(ErrorCategory::Quota, Route::named(name));
    let mut adds = Vec::new();
    for space in [live, test, Space { tenant: tenant(2), mode: Mode::Live }] {
        for counter in [Counter::OtpRequests, Counter::OtpVerifications, errors(""), errors("b"), errors("ba")] {
            for (hours, span) in (0..30).flat_map(|hours| [Span::Hour, Span::Day].map(|span| (hours, span))) {
                adds.push(Add { counter: CounterKey::at(space, counter, span, hour(hours)), by: 1, at_most: None });
            }
        }
    }
    write(&store, Changes { adds, ..Changes::none() }).await;

    let key = |counter, hours| CounterKey::at(live, counter, Span::Hour, hour(hours));
    let requests = CounterRange::new(live, Counter::OtpRequests, Span::Hour, hour(3), hour(6));
    let all = CounterRange::new(live, errors("x"), Span::Hour, hour(28), hour(99));
    let none = CounterRange::new(live, Counter::NewUsers, Span::Hour, hour(0), hour(99));
    let backwards = CounterRange::new(live, Counter::OtpRequests, Span::Hour, hour(6), hour(3));
    let errors = [28, 29].map(|hours| ["", "b", "ba"].map(|name| key(errors(name), hours)));
    let mut expected: Vec<_> = errors.concat().into_iter().map(|key| (key, 1)).collect();
    expected.extend([3, 4, 5].map(|hours| (key(Counter::OtpRequests, hours), 1)));
    let wanted = [all, none, requests, backwards].map(Read::Counters).to_vec();
    let beside = store.read(wanted.clone()).await.unwrap().counters;
    assert_eq!(beside, expected);
    let within = act(&store, wanted, |found| (found.counters.clone(), Changes::none())).await.unwrap();
    assert_eq!(within, expected);
    let alone = store.read(vec![Read::Counters(requests)]).await.unwrap();
    assert_eq!(alone.counters, expected[6..]);
    assert_eq!(alone.counts(requests).count(), 3);
}

/// The same id under two tenants is two records: neither is found, changed or removed by the other's key.
pub async fn no_row_crosses_tenants(fixture: &impl Fixture) {
    let store = fixture.open().await;
    for kind in Kind::ALL {
        let ours = sample(*kind, tenant(1), 1);
        let theirs = Key { tenant: tenant(2), ..ours.key() };
        put(&store, [ours.clone()]).await;
        assert_eq!(find(&store, vec![Read::Record(theirs)]).await, vec![], "{kind:?}");
        write(&store, Changes { deletes: vec![theirs], ..Changes::none() }).await;
        assert_eq!(find(&store, vec![Read::Record(ours.key())]).await, vec![seen(&ours)], "{kind:?}");
        if *kind == Kind::Tenant {
            continue; // its id is its tenant
        }
        let mut created = Changes::none();
        created.create(sample(*kind, tenant(2), 1));
        write(&store, created).await;
        write(&store, Changes { deletes: vec![ours.key()], ..Changes::none() }).await;
        assert_eq!(find(&store, vec![Read::Record(theirs), Read::Record(ours.key())]).await.len(), 1, "{kind:?}");
    }
}

/// A list is of its owner only, newest id first, in pages that neither repeat nor leave out.
pub async fn lists_are_newest_first_and_paged(fixture: &impl Fixture) {
    let store = fixture.open().await;
    // Shuffled, with another owner's between them.
    let numbers = (0..50).map(|number| number * 37 % 50);
    put(&store, numbers.map(|number| session(tenant(1), number, number % 2))).await;
    let owner = session(tenant(1), 0, 0).owner().unwrap();
    let mut before: Option<SmallBytes> = None;
    let mut listed = Vec::new();
    loop {
        let page = Read::Owned { kind: Kind::Session, owner, before, limit: 10 };
        let page = find(&store, vec![page]).await;
        assert_eq!(page.len(), (25 - listed.len()).min(10));
        let Some(last) = page.last() else { break };
        before = Some(last.0.id);
        listed.extend(page.into_iter().map(|(key, ..)| key));
    }
    let expected: Vec<_> = (0..25).rev().map(|half| session(tenant(1), half * 2, 0).key()).collect();
    assert_eq!(listed, expected);
    assert_eq!(find(&store, vec![Read::Owned { kind: Kind::Session, owner, before: None, limit: 0 }]).await, vec![]);
}

/// An alias leads to its record, follows it when it changes, and is free again when the record is gone.
pub async fn an_alias_finds_its_record_and_moves_with_it(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let by = |alias: u64| vec![Read::alias::<User>(subject(tenant(1), alias).as_bytes())];
    put(&store, [user(tenant(1), 1, 1), user(tenant(1), 2, 2)]).await;
    assert_eq!(find(&store, by(1)).await[0].0, user(tenant(1), 1, 1).key());

    put(&store, [user(tenant(1), 1, 3)]).await;
    assert_eq!(find(&store, by(1)).await, vec![]);
    assert_eq!(find(&store, by(3)).await[0].0, user(tenant(1), 1, 1).key());
    assert_eq!(find(&store, by(2)).await[0].0, user(tenant(1), 2, 2).key());

    write(&store, Changes { deletes: vec![user(tenant(1), 2, 2).key()], ..Changes::none() }).await;
    assert_eq!(find(&store, by(2)).await, vec![]);
    put(&store, [user(tenant(1), 4, 2)]).await;
    assert_eq!(find(&store, by(2)).await[0].0, user(tenant(1), 4, 2).key());
}

/// Nothing is hidden, claimed or removed because the store thinks that it is late: only the caller's time counts.
pub async fn time_comes_from_the_caller_only(fixture: &impl Fixture) {
    let store = fixture.open().await;
    let [past, future] = [Timestamp::from_millis(1_000), Timestamp::from_millis(9_000_000_000_000)];
    let due = |at| Due { at: Some(at), lease: None };
    put(&store, [message(tenant(1), 1, due(past)), message(tenant(1), 2, due(future))]).await;
    put(&store, [recipient(tenant(1), 1, past), recipient(tenant(1), 2, future)]).await;
    put(&store, [register(1, i64::MIN), register(2, i64::MAX)]).await;

    assert_eq!(store.sweep(Timestamp::from_millis(0), 10).await.unwrap(), 0);
    let early = crate::store::Lease { id: [1; 16], now: Timestamp::from_millis(999), until: past };
    assert!(store.claim(Kind::Message, early, 10).await.unwrap().is_empty());
    assert!(record::<crate::limit::Recipient>(&store, recipient(tenant(1), 1, past).key()).await.is_some());
    let extremes = [1, 2].map(|number| Read::Record(register(number, 0).key()));
    let expected = vec![seen(&register(1, i64::MIN).into()), seen(&register(2, i64::MAX).into())];
    assert_eq!(find(&store, extremes.to_vec()).await, expected);

    let claimed = store.claim(Kind::Message, lease(1, 0, 1), 10).await.unwrap();
    assert_eq!(claimed.len(), 1, "what is due is told by the lease's time");
    let late = crate::store::Lease { id: [2; 16], now: future, until: after(0) };
    assert_eq!(store.claim(Kind::Message, late, 10).await.unwrap().len(), 2);
    // Of what there is, both messages and the first recipient expired before the second recipient was last sent to.
    assert_eq!(store.sweep(future, 10).await.unwrap(), 3);
    assert_eq!(store.sweep(NOW, 10).await.unwrap(), 0);
}
