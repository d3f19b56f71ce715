//! What has no commit of its own: calls and their errors, uses of keys, the size of what is stored; and the ledger.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::*;
use otp_core::call::Call;
use otp_core::message::SendError;
use otp_core::period::PeriodQuery;
use otp_core::store::{Add, Changes, Item, Reads, Scope, Store};
use otp_core::usage::{Counter, CounterKey, ErrorCategory, Route, Span};
use otp_core::*;

const ANN: &str = "ann@example.org";

fn call(route: &str, micros: u64, error: Option<(ErrorCategory, &'static str)>) -> Call {
    Call { route: Route::named(route), took: Duration::from_micros(micros), error }
}

fn realtime(world: &World, caller: &Caller) -> Realtime {
    wait(world.service.realtime(caller)).unwrap()
}

#[test]
fn response_times_are_those_of_the_calls() {
    let world = World::new();
    let (ours, theirs) = (world.live(), world.live());
    let mut times: Vec<u64> = (1..=2_000_u64).map(|number| number * 7_919 % 100_003 + 100).collect();
    for micros in &times {
        world.service.note_call(ours.space(), call("request-otp", *micros, None));
        world.service.note_call(theirs.space(), call("request-otp", 1, None));
    }
    world.service.note_call(ours.space(), call("verify-otp", 5_000, None));
    assert!(realtime(&world, &ours).response_times.is_empty(), "nothing is written yet");
    wait(world.service.flush_calls()).unwrap();
    // Other servers add to the same.
    let another = world.another_service();
    another.note_call(ours.space(), call("verify-otp", 7_000, Some((ErrorCategory::Internal, "busy"))));
    wait(another.flush_calls()).unwrap();

    let now = realtime(&world, &ours);
    assert_eq!(now.last_24_hours.api_calls, 2_002);
    assert_eq!(now.error_rate, Some(0.0005));
    times.sort_unstable();
    let found = now.response_times["request-otp"];
    let mean = times.iter().sum::<u64>() as f64 / 2_000_000.0;
    assert!((found.avg - mean).abs() < 0.001, "{} is not {mean}", found.avg);
    for (found, rank) in [(found.p50, 1_000), (found.p95, 1_900), (found.p99, 1_980)] {
        let exact = times[rank - 1] as f64 / 1_000.0;
        assert!((found - exact).abs() <= exact / 31.0, "{found} is not {exact}");
    }
    assert_eq!(now.response_times["verify-otp"].avg, 6.0);
    let report = wait(world.service.analytics(&ours, &PeriodQuery::default())).unwrap();
    let sum: u64 = times.iter().sum::<u64>() + 12_000;
    assert_eq!(report.whole.average_response_time(), Some((sum as f64 / 2_002.0).round() / 1_000.0));

    let recent = wait(world.service.recent_calls(ours.space())).unwrap();
    assert_eq!((recent.calls, recent.failed), (2_002, 1));
    assert!(recent.p95.is_some_and(|p95| p95 > 90.0));
    world.clock.advance(MINUTE * 10);
    let quiet = wait(world.service.recent_calls(ours.space())).unwrap();
    assert_eq!((quiet.calls, quiet.error_rate, quiet.p95), (0, None, None));
    world.clock.advance(HOUR * 2);
    let later = realtime(&world, &ours);
    assert!(later.response_times.is_empty() && later.error_rate.is_none() && later.last_24_hours.api_calls == 2_002);
}

#[test]
fn errors_are_counted_by_category_and_route_and_the_last_hundred_are_kept() {
    let world = World::new();
    let (ours, theirs) = (world.live(), world.live());
    for number in 0..250 {
        world.clock.advance(SECOND);
        let (category, code) = match number % 5 {
            0 => (ErrorCategory::RateLimit, "cooldown"),
            _ => (ErrorCategory::Authentication, "otp_invalid"),
        };
        world.service.note_call(ours.space(), call("verify-otp", 100, Some((category, code))));
        world.service.note_call(theirs.space(), call("logout", 100, Some((ErrorCategory::Internal, "busy"))));
        if number % 70 == 0 {
            wait(world.service.flush_calls()).unwrap();
        }
    }
    wait(world.service.flush_calls()).unwrap();
    let found = wait(world.service.errors(&ours, &PeriodQuery::default())).unwrap();
    assert_eq!((found.total, found.by_category.len()), (250, 6));
    assert_eq!(found.by_category[&ErrorCategory::RateLimit], 50);
    assert_eq!(found.by_category[&ErrorCategory::Authentication], 200);
    assert_eq!(found.by_route, [("verify-otp".to_owned(), 250)].into());
    assert_eq!(found.recent.len(), 100);
    assert_eq!(found.recent[0].at, world.now());
    assert!(found.recent.windows(2).all(|two| two[0].at == two[1].at + SECOND));
    assert!(found.recent.iter().all(|error| error.route == "verify-otp"));
    let before = PeriodQuery { end_date: Some("2026-01-30".into()), ..PeriodQuery::default() };
    assert_eq!(wait(world.service.errors(&ours, &before)).unwrap().total, 0);
}

#[test]
fn messages_that_fail_are_among_the_errors() {
    let world = World::new();
    let acme = world.live();
    world.inbox.refuse([SendError::Permanent { reason: format!("no such user {ANN}") }]);
    world.request_to(&acme, ANN).unwrap();
    world.request_to(&acme, "bob@example.org").unwrap();
    world.deliver();
    wait(world.service.flush_calls()).unwrap();
    let found = wait(world.service.errors(&acme, &PeriodQuery::default())).unwrap();
    assert_eq!((found.total, found.by_category[&ErrorCategory::EmailDelivery]), (1, 1));
    assert_eq!((found.recent[0].code.as_str(), found.recent[0].route.as_str()), ("message_failed", "delivery"));
    let report = wait(world.service.analytics(&acme, &PeriodQuery::default())).unwrap();
    assert_eq!((report.whole.emails_sent, report.whole.email_delivery_rate()), (1, Some(0.5)));
}

#[test]
fn a_flush_that_fails_loses_nothing_and_counts_nothing_twice() {
    for (fault, expected) in [
        (Fault::Busy, 2),
        (Fault::Unavailable, 2),
        (Fault::ReadOnly, 2),
        (Fault::UnknownDone, 2),
        (Fault::UnknownLost, 1),
    ] {
        let world = World::new();
        let acme = world.live();
        let key = world.create_key(&acme, new_key(api_key::KeyType::Secret, Mode::Live));
        let use_key = || drop(world.authenticate(&key.api_key).unwrap());
        let note = || world.service.note_call(acme.space(), call("me", 10, Some((ErrorCategory::Internal, "busy"))));
        let flush = || [wait(world.service.flush_calls()).is_ok(), wait(world.service.flush_key_uses()).is_ok()];
        note();
        use_key();
        world.store.fail(fault);
        assert_eq!(flush(), [false, false], "{fault:?}");
        world.store.mend();
        note();
        use_key();
        assert_eq!(flush(), [true, true]);
        assert_eq!(realtime(&world, &acme).last_24_hours.api_calls, expected, "{fault:?}");
        let errors = wait(world.service.errors(&acme, &PeriodQuery::default())).unwrap();
        assert_eq!((errors.total, errors.recent.len() as u64), (expected, expected), "{fault:?}");
        let keys = wait(world.service.keys(&acme)).unwrap();
        let found = keys.iter().find(|view| view.key.id == key.key.id).unwrap();
        assert_eq!((found.calls, found.last_used_at), (expected, Some(world.now())), "{fault:?}");
    }
}

#[test]
fn uses_of_a_key_are_counted_on_all_servers() {
    let world = World::new();
    let acme = world.live();
    let key = world.create_key(&acme, new_key(api_key::KeyType::Secret, Mode::Live));
    let another = world.another_service();
    let calls =
        || wait(world.service.keys(&acme)).unwrap().iter().find(|view| view.key.id == key.key.id).unwrap().calls;
    for round in 1..=3_u64 {
        world.authenticate(&key.api_key).unwrap();
        wait(another.authenticate(key.api_key.expose(), &Approach::default())).unwrap();
        wait(another.flush_key_uses()).unwrap();
        assert_eq!(calls(), 2 * round, "what is not yet written down counts too");
        wait(world.service.flush_key_uses()).unwrap();
        assert_eq!(calls(), 2 * round);
    }
}

#[test]
fn memory_is_bounded_and_what_is_counted_already_counts_on() {
    let world = World::new();
    let acme = world.live();
    for number in 0..60_000 {
        world
            .service
            .note_call(acme.space(), call(&format!("r{number}"), 10, Some((ErrorCategory::Quota, "plan_limit"))));
    }
    wait(world.service.flush_calls()).unwrap();
    let now = realtime(&world, &acme);
    assert_eq!((now.last_24_hours.api_calls, now.error_rate), (60_000, Some(1.0)));
    assert!(now.response_times.len() < 50_000);
    // There is room again.
    world.service.note_call(acme.space(), call("me", 10, None));
    wait(world.service.flush_calls()).unwrap();
    assert!(realtime(&world, &acme).response_times.contains_key("me"));
}

#[test]
fn storage_is_measured_once_a_day_and_told_by_day() {
    let world = World::new();
    let (ours, theirs) = (world.live(), world.live());
    world.sign_in(&ours, ANN);
    assert_eq!(wait(world.service.usage(&ours)).unwrap().days.last().unwrap().storage_used, None);
    let sum = |tenant: TenantId| -> u64 {
        let size = |item: Item| match item {
            Item::Record(record) if record.key().tenant == tenant => {
                (16 + record.key().id.as_slice().len() + record.body().len()) as u64
            }
            Item::Count(counter, _) if counter.tenant() == tenant => counter.to_bytes().len() as u64 + 8,
            _ => 0,
        };
        wait(world.store.inner.inventory(None, 100_000)).unwrap().into_iter().map(size).sum()
    };
    let expected = [&ours, &theirs].map(|caller| sum(caller.space().tenant));
    assert!(expected[0] > expected[1] + 1_000);
    assert!(wait(world.service.measure_storage()).unwrap());
    assert!(!wait(world.another_service().measure_storage()).unwrap());
    let stored = |caller: &Caller| wait(world.service.usage(caller)).unwrap();
    assert_eq!([&ours, &theirs].map(|caller| stored(caller).days.last().unwrap().storage_used), expected.map(Some));
    assert_eq!(stored(&ours).storage_measured_at, Some(world.now()));
    world.clock.set(at("2026-02-01T00:00:00Z"));
    assert_eq!(stored(&ours).days[0].storage_used, Some(expected[0]), "until it is measured again");
    assert!(wait(world.service.measure_storage()).unwrap());
    assert!(stored(&ours).days[0].storage_used > Some(expected[0]), "the measurement itself is stored");
    world.clock.set(at("2026-02-03T12:00:00Z"));
    let days: Vec<_> = stored(&ours).days.iter().map(|day| day.storage_used).collect();
    assert!(days.len() == 3 && days[0] == days[2] && days[0].is_some());
}

/// Past all rules.
fn add(world: &World, counter: CounterKey, by: u64) {
    let changes = Changes { adds: vec![Add { counter, by, at_most: None }], ..Changes::none() };
    let reads = Reads { scope: Scope::Tenant(counter.tenant()), wanted: Vec::new() };
    wait(world.store.inner.transact(reads, Box::new(move |_| changes.clone()))).unwrap();
}

fn differences(world: &World) -> Vec<(Counter, Span, u64, u64)> {
    let found = wait(world.service.verify_ledger()).unwrap().differences;
    let plain = |found: &Difference| (found.counter.counter, found.counter.span, found.counted, found.recomputed);
    found.iter().map(plain).collect()
}

#[test]
fn the_ledger_finds_every_count_that_is_off() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, ANN);
    assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, 0))), "otp_invalid");
    world.say(&acme, asked.id, &asked.code).unwrap();
    let then = world.now();
    assert_eq!(differences(&world), []);
    let spoil = |counter, span| add(&world, CounterKey::at(acme.space(), counter, span, then), 1);
    // What may be in motion is left out, except where one read sees both sides.
    spoil(Counter::FailedAttempts, Span::Hour);
    assert_eq!(differences(&world), []);
    world.clock.advance(HOUR * 2);
    assert_eq!(differences(&world), [(Counter::FailedAttempts, Span::Hour, 2, 1)]);
    spoil(Counter::OtpRequests, Span::Day);
    spoil(Counter::Users, Span::Ever);
    spoil(Counter::EmailsSent, Span::Hour);
    let mut found = differences(&world);
    found.sort_by_key(|(counter, ..)| format!("{counter:?}"));
    let expected = [
        (Counter::EmailsSent, Span::Hour, 2, 1),
        (Counter::FailedAttempts, Span::Hour, 2, 1),
        (Counter::OtpRequests, Span::Day, 2, 1),
        (Counter::Users, Span::Ever, 2, 1),
    ];
    assert_eq!(found, expected);
    // Users that were erased explain what is counted and not told of, but not the other way round, and no quota.
    spoil(Counter::UsersErased, Span::Ever);
    assert_eq!(differences(&world), [(Counter::OtpRequests, Span::Day, 2, 1)]);
    let ledger = wait(world.service.verify_ledger()).unwrap();
    assert_eq!(ledger.erased, [acme.space()]);
    world.clock.advance(DAY * 40);
    while wait(world.service.sweep(100)).unwrap() > 0 {}
    assert_eq!(differences(&world), [(Counter::OtpRequests, Span::Day, 2, 1)], "quotas are recomputed for ever");
}

#[test]
fn the_ledger_finds_what_was_not_counted() {
    let world = World::new();
    let acme = world.live();
    let space = acme.space();
    world.sign_in(&acme, ANN);
    world.clock.advance(HOUR * 2);
    let lost = |counter| CounterKey::at(space, counter, Span::Hour, world.now() - HOUR * 2);
    // A copy of the store without one count.
    let (items, copy) = (wait(world.store.inner.inventory(None, 10_000)).unwrap(), World::new());
    let mut changes = Changes::none();
    for item in items {
        match item {
            Item::Record(record) => changes.puts.push(*record),
            Item::Count(counter, _) if counter == lost(Counter::SuccessfulLogins) => {}
            Item::Count(counter, by) => changes.adds.push(Add { counter, by, at_most: None }),
        }
    }
    let reads = Reads { scope: Scope::Tenant(space.tenant), wanted: Vec::new() };
    wait(copy.store.inner.transact(reads, Box::new(move |_| changes.clone()))).unwrap();
    copy.clock.set(world.now());
    assert_eq!(differences(&world), []);
    assert_eq!(differences(&copy), [(Counter::SuccessfulLogins, Span::Hour, 0, 1)]);
    add(&copy, CounterKey::at(space, Counter::UsersErased, Span::Ever, world.now()), 1);
    assert_eq!(differences(&copy), [(Counter::SuccessfulLogins, Span::Hour, 0, 1)]);
}
