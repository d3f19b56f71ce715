//! What a tenant is told of without asking: calls that fail or take long, messages that do not arrive, keys that end.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::*;
use otp_core::api_key::{ApiKey, KeyType};
use otp_core::call::Call;
use otp_core::event::{EventData, EventKind};
use otp_core::message::SendError;
use otp_core::store::Kind;
use otp_core::usage::{ErrorCategory, Route};
use otp_core::*;

const OPS: &str = "ops@acme.example";
const ANN: &str = "ann@example.org";
const FAULT: Option<(ErrorCategory, &str)> = Some((ErrorCategory::Internal, "busy"));

fn call(millis: u64, error: Option<(ErrorCategory, &'static str)>) -> Call {
    Call { route: Route::named("request-otp"), took: Duration::from_millis(millis), error }
}

/// So many calls that were answered soon.
fn note(service: &Service, caller: &Caller, number: usize, error: Option<(ErrorCategory, &'static str)>) {
    (0..number).for_each(|_| service.note_call(caller.space(), call(10, error)));
}

fn round(world: &World) -> usize {
    wait(world.service.raise_alarms()).unwrap()
}

/// What two servers come to that look at the same time, each several times.
fn racing_rounds(world: &World) -> usize {
    let servers = [world.service.clone(), world.another_service()];
    let look = |racer: usize| wait(servers[racer % 2].raise_alarms()).unwrap();
    race(8, look).iter().sum()
}

/// The subjects of the mails that the contact got, sorted.
fn mails(world: &World) -> Vec<String> {
    world.deliver();
    let to_contact = world.inbox.all().into_iter().filter(|mail| mail.to == OPS);
    let mut subjects: Vec<String> = to_contact.map(|mail| mail.subject).collect();
    subjects.sort();
    subjects
}

#[test]
fn an_error_rate_above_five_percent_is_told_once_an_hour_however_many_servers_look() {
    let world = World::new();
    let (acme, other) = (world.live(), world.live());
    let told = || world.count_events(acme.space(), EventKind::ErrorRateHigh);
    note(&world.service, &acme, 95, None);
    note(&world.service, &acme, 5, FAULT);
    note(&world.service, &other, 100, None);
    assert_eq!((round(&world), told()), (0, 0), "5 of 100 are not above 5 %");

    // The calls of all servers count.
    let another = world.another_service();
    note(&another, &acme, 1, FAULT);
    wait(another.flush_calls()).unwrap();
    let servers = [&world.service, &another];
    let raised: usize = race(8, |racer| wait(servers[racer % 2].raise_alarms()).unwrap()).iter().sum();
    assert_eq!((raised, told()), (1, 1));
    let events = world.events(acme.space());
    let event = events.iter().find(|event| event.kind() == EventKind::ErrorRateHigh).unwrap();
    let since = at("2026-01-31T08:10:00Z");
    assert_eq!(event.data, EventData::ErrorRateHigh { failed: 6, requests: 101, error_rate: 6.0 / 101.0, since });
    assert_eq!(mails(&world), ["Acme: 5 % of requests fail"]);

    for _ in 0..59 {
        world.clock.advance(MINUTE);
        note(&world.service, &acme, 30, FAULT);
        assert_eq!(racing_rounds(&world), 0);
    }
    world.clock.advance(MINUTE);
    assert_eq!((racing_rounds(&world), round(&world), told()), (1, 0, 2));
    assert_eq!(mails(&world), ["Acme: 100 % of requests fail", "Acme: 5 % of requests fail"]);
    assert_eq!(world.count_events(other.space(), EventKind::ErrorRateHigh), 0);
}

#[test]
fn a_handful_of_calls_raises_no_alarm_until_there_are_twenty() {
    let world = World::new();
    let acme = world.live();
    note(&world.service, &acme, 19, FAULT);
    assert_eq!(round(&world), 0);
    world.clock.advance(MINUTE);
    note(&world.service, &acme, 1, None);
    world.store.forget_commits();
    assert_eq!(round(&world), 1);
    let commits = world.store.commits.lock().unwrap().clone();
    assert_eq!(kinds(&commits.last().unwrap().puts), [Kind::Message, Kind::Event, Kind::RecentErrors]);
    // What is over is no alarm, and nobody looks any more.
    world.clock.advance(HOUR);
    let reads = world.store.reads();
    assert_eq!((round(&world), world.store.reads()), (0, reads));
}

#[test]
fn what_end_users_and_the_plan_make_fail_is_no_alarm() {
    let world = World::new();
    let acme = world.live();
    for error in [
        (ErrorCategory::Authentication, "otp_invalid"),
        (ErrorCategory::Authentication, "invalid_token"),
        (ErrorCategory::RateLimit, "cooldown"),
        (ErrorCategory::Quota, "quota_exceeded"),
        (ErrorCategory::Validation, "invalid_email"),
        (ErrorCategory::Validation, "otp_not_found"),
    ] {
        note(&world.service, &acme, 50, Some(error));
    }
    assert_eq!(round(&world), 0);
    wait(world.service.flush_calls()).unwrap();
    let recent = wait(world.service.recent_calls(acme.space())).unwrap();
    assert_eq!((recent.calls, recent.failed, recent.faulty), (300, 300, 0));
    note(&world.service, &acme, 16, Some((ErrorCategory::Validation, "invalid_request")));
    assert_eq!(round(&world), 1, "the program that calls has a fault");
}

#[test]
fn slow_answers_are_told_by_mail_once_an_hour() {
    let world = World::new();
    let acme = world.live();
    let slow = |number| (0..number).for_each(|_| world.service.note_call(acme.space(), call(700, None)));
    note(&world.service, &acme, 95, None);
    slow(5);
    assert_eq!(round(&world), 0, "one in twenty");
    slow(1);
    assert_eq!((racing_rounds(&world), round(&world)), (1, 0));
    let mail = || mails(&world).len();
    assert_eq!(mail(), 1);
    let text = &world.inbox.all()[0].text;
    assert!(text.contains("should stay below 500 ms"), "{text}");
    let said: u64 = text.split("longer than ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(said.abs_diff(700) <= 23, "{said}");
    world.clock.advance(HOUR);
    slow(20);
    assert_eq!((round(&world), mail()), (1, 2));
}

#[test]
fn test_mode_has_the_event_and_no_mail() {
    let world = World::new();
    let test = world.caller(world.tenant("enterprise").id, Mode::Test);
    note(&world.service, &test, 20, FAULT);
    assert_eq!(round(&world), 1);
    assert_eq!(world.count_events(test.space(), EventKind::ErrorRateHigh), 1);
    assert_eq!(mails(&world), [""; 0]);
}

#[test]
fn messages_that_are_given_up_are_mailed_about_once_a_day() {
    let world = World::new();
    let acme = world.live();
    let give_up = |to: &str| {
        world.inbox.refuse([SendError::Permanent { reason: "550 no such user".to_owned() }]);
        world.request_to(&acme, to).unwrap();
        assert_eq!(world.deliver().failed, 1);
    };
    give_up(ANN);
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 1);
    assert_eq!((round(&world), round(&world)), (1, 0));
    assert_eq!(mails(&world), ["Acme: 1 message did not arrive"]);
    let mail = world.inbox.all().remove(0);
    assert!(!mail.text.contains(ANN) && mail.code.is_none(), "{}", mail.text);
    world.clock.advance(HOUR);
    give_up("ben@example.org");
    world.clock.advance(22 * HOUR + 59 * MINUTE);
    give_up("cy@example.org");
    assert_eq!(round(&world), 0);
    world.clock.advance(MINUTE);
    assert_eq!(round(&world), 1);
    assert_eq!(mails(&world), ["Acme: 1 message did not arrive", "Acme: 2 messages did not arrive"]);
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 3);
}

#[test]
fn a_round_that_fails_is_made_up_for() {
    for fault in [Fault::Busy, Fault::Unavailable, Fault::ReadOnly, Fault::UnknownLost] {
        let world = World::new();
        let acme = world.live();
        note(&world.service, &acme, 40, FAULT);
        wait(world.service.flush_calls()).unwrap();
        world.store.fail(fault);
        assert!(wait(world.service.raise_alarms()).is_err(), "{fault:?}");
        world.store.mend();
        assert_eq!((round(&world), mails(&world).len()), (1, 1), "{fault:?}");
    }
}

#[test]
fn the_end_of_a_key_is_told_once_a_week_before() {
    let world = World::new();
    let acme = world.live();
    let ending = |after: Duration| {
        let expires_at = Some(world.now() + after);
        world.create_key(&acme, NewApiKey { expires_at, ..new_key(KeyType::Secret, Mode::Live) }).key
    };
    let rotate = |key: &ApiKey, grace| wait(world.service.rotate_key(&acme, key.id, grace, None)).unwrap().value;
    // Set a week ahead or less, which whoever did so knows.
    ending(7 * DAY);
    rotate(&ending(40 * DAY), 7 * DAY);
    let revoked = ending(30 * DAY);
    wait(world.service.revoke_key(&acme, revoked.id)).unwrap();
    // The one that takes a key's place ends when that one would have; one that is replaced for long ends later than now.
    let replaced = rotate(&ending(30 * DAY), Duration::ZERO).created.key;
    let replacing = rotate(&world.create_key(&acme, new_key(KeyType::Publishable, Mode::Test)).key, 30 * DAY);
    let end = world.now() + 30 * DAY;

    let another = world.another_service();
    let servers = [&world.service, &another];
    let look = || -> usize { race(8, |racer| wait(servers[racer % 2].warn_of_expiring_keys()).unwrap()).iter().sum() };
    assert_eq!(look(), 0);
    world.clock.advance(23 * DAY - MILLI);
    assert_eq!(look(), 0);
    world.clock.advance(MILLI);
    world.store.forget_commits();
    assert_eq!((look(), look()), (2, 0));
    let commits = world.store.commits.lock().unwrap().clone();
    let written: Vec<_> = commits.iter().map(|changes| kinds(&changes.puts)).filter(|puts| !puts.is_empty()).collect();
    assert_eq!(written, [[Kind::ApiKey, Kind::ApiKey, Kind::Event, Kind::Event]]);
    let told: Vec<EventData> = [Mode::Live, Mode::Test]
        .into_iter()
        .flat_map(|mode| world.events(Space { mode, ..acme.space() }))
        .filter(|event| event.kind() == EventKind::ApiKeyExpiring)
        .map(|event| event.data)
        .collect();
    let expiring = |key_id, key_type, mode| EventData::ApiKeyExpiring {
        key_id,
        key_type,
        mode,
        name: "Test".to_owned(),
        expires_at: end,
    };
    let expected =
        [expiring(replaced.id, KeyType::Secret, Mode::Live), expiring(replacing.old, KeyType::Publishable, Mode::Test)];
    assert_eq!(told, expected);

    // Ten days later than the rest the last one, of 40 days; then nothing is left to be told.
    world.clock.advance(10 * DAY);
    assert_eq!(look(), 1);
    world.clock.advance(100 * DAY);
    assert_eq!(look(), 0);
}

#[test]
fn keys_of_many_tenants_are_looked_through_and_those_of_cancelled_ones_are_not() {
    let world = World::new();
    let callers: Vec<Caller> = (0..120).map(|_| world.live()).collect();
    let expires_at = Some(world.now() + 10 * DAY);
    for caller in &callers {
        world.create_key(caller, NewApiKey { expires_at, ..new_key(KeyType::Secret, Mode::Live) });
    }
    for caller in &callers[..20] {
        let administrator = wait(world.service.administrator(caller.space().tenant)).unwrap();
        wait(world.service.set_status(&administrator, tenant::TenantStatus::Cancelled, None)).unwrap();
    }
    world.clock.advance(4 * DAY);
    assert_eq!(wait(world.service.warn_of_expiring_keys()).unwrap(), 100);
}
