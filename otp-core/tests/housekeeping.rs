//! Work behind the scenes: what has expired is swept away and nothing else, and uses of keys are written down.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::{KeyType, KeyUse};
use otp_core::challenge::Challenge;
use otp_core::idempotency::Idempotency;
use otp_core::message::Message;
use otp_core::session::Session;
use otp_core::usage::{Counter, Span};
use otp_core::*;

const ANN: &str = "ann@example.org";

fn sweep(world: &World) -> usize {
    let mut swept = 0;
    loop {
        match wait(world.service.sweep(10)).unwrap() {
            0 => return swept,
            some => swept += some,
        }
    }
}

#[test]
fn what_has_expired_is_swept_in_time_and_nothing_else() {
    let world = World::new();
    let acme = world.live();
    let tenant = acme.space().tenant;
    let idempotency = Some(Idempotency::new("a", "request", b""));
    let request = OtpRequest { client: from_ip("198.51.100.7"), idempotency, ..OtpRequest::to(email(ANN)) };
    let asked = world.ask(&acme, request);
    let signed_in = world.say(&acme, asked.id, &asked.code).unwrap();
    let [challenge, message] = [*asked.id.as_bytes(), *world.inbox.all()[0].id.as_bytes()];
    let has_challenge = || world.record::<Challenge>(tenant, &challenge).is_some();
    let has_message = || world.record::<Message>(tenant, &message).is_some();
    let has_session = || world.record::<Session>(tenant, signed_in.session_id.as_bytes()).is_some();

    assert_eq!(sweep(&world), 0);
    world.clock.set(asked.answer.expires_at + HOUR - MILLI);
    sweep(&world);
    assert!(has_challenge(), "late guesses get the right answer for an hour");
    world.clock.advance(SECOND);
    assert!(sweep(&world) > 0);
    assert!(!has_challenge() && has_message() && has_session());
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "otp_not_found");
    world.clock.advance(14 * DAY);
    sweep(&world);
    assert!(!has_session() && has_message());
    world.clock.advance(16 * DAY);
    sweep(&world);
    assert!(!has_message());
    assert!(world.events(acme.space()).is_empty());
    world.clock.advance(70 * DAY);
    sweep(&world);
    assert!(world.audit(tenant).is_empty());
    assert_eq!(sweep(&world), 0);

    // Users, keys and what is billed stay.
    assert_eq!(world.counter(acme.space(), Counter::Users, Span::Ever), 1);
    assert_eq!(world.owned::<user::User>(acme.space().owner()).len(), 1);
    assert!(!world.sign_in(&world.caller(tenant, Mode::Live), ANN).is_new_user);
}

#[test]
fn sweeping_gives_no_limit_back() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.per_ip = 4);
    let ask = |number: usize| {
        let to = email(&format!("user{number}@example.org"));
        world.request(&acme, OtpRequest { client: from_ip("198.51.100.7"), ..OtpRequest::to(to) })
    };
    world.clock.set(at("2026-02-10T08:59:00Z"));
    (0..3).for_each(|_| drop(ask(0).unwrap()));
    ask(1).unwrap();
    for minute in 0..15 {
        sweep(&world);
        assert_eq!(refusal(ask(0)), "rate_limit_exceeded", "minute {minute}");
        assert_eq!(refusal(ask(2)), "rate_limit_exceeded", "minute {minute}");
        world.clock.advance(MINUTE);
    }
    world.clock.set(at("2026-02-10T09:59:00Z"));
    sweep(&world);
    assert!(ask(0).is_ok());
}

#[test]
fn sweeping_while_codes_are_said_disturbs_nobody() {
    let world = World::new();
    let acme = world.unlimited();
    for _ in 0..20 {
        let asked = world.ask_for(&acme, ANN);
        let outcomes = race(16, |racer| match racer {
            0..4 => wait(world.service.sweep(100)).map(|_| false),
            _ => world.say(&acme, asked.id, &asked.code).map(|_| true),
        });
        assert_eq!(outcomes.into_iter().flatten().filter(|won| *won).count(), 1);
        world.clock.advance(3 * HOUR);
    }
}

#[test]
fn uses_of_keys_are_written_down_when_told_to() {
    let world = World::new();
    let acme = world.live();
    let tenant = acme.space().tenant;
    let [used, idle] = [(); 2].map(|()| world.create_key(&acme, new_key(KeyType::Secret, Mode::Live)));
    world.clock.advance(MINUTE);
    world.store.forget_commits();
    (0..10).for_each(|_| drop(world.authenticate(&used.api_key).unwrap()));
    assert!(world.store.commits.lock().unwrap().is_empty(), "no use costs a write");
    let last_used = |service: &Service, id: KeyId| {
        let views = wait(service.keys(&acme)).unwrap();
        views.into_iter().find(|view| view.key.id == id).unwrap().last_used_at
    };
    assert_eq!(last_used(&world.service, used.key.id), Some(world.now()));
    assert_eq!(last_used(&world.another_service(), used.key.id), None);
    wait(world.service.flush_key_uses()).unwrap();
    assert_eq!(last_used(&world.another_service(), used.key.id), Some(world.now()));
    assert_eq!(last_used(&world.service, used.key.id), Some(world.now()));
    assert_eq!(last_used(&world.service, idle.key.id), None);
    assert_eq!(world.owned::<KeyUse>(tenant.as_bytes().into()).len(), 1);
    let renamed = EditKey { name: Some("Renamed".to_owned()), ..EditKey::default() };
    let view = wait(world.service.edit_key(&acme, used.key.id, renamed)).unwrap();
    assert_eq!(view.last_used_at, Some(world.now()));
    world.store.forget_commits();
    wait(world.service.flush_key_uses()).unwrap();
    assert!(world.store.commits.lock().unwrap().is_empty(), "nothing new, nothing written");
}

#[test]
fn no_use_is_lost_when_the_store_fails() {
    let world = World::new();
    let keys: Vec<CreatedTenant> = (0..8).map(|_| world.tenant("free")).collect();
    keys.iter().for_each(|tenant| drop(world.authenticate(&tenant.api_key).unwrap()));
    world.store.fail(Fault::ReadOnly);
    assert_eq!(refusal(wait(world.service.flush_key_uses())), "store_unavailable");
    world.store.mend();
    world.clock.advance(SECOND);
    let later = world.now();
    world.authenticate(&keys[0].api_key).unwrap();
    wait(world.service.flush_key_uses()).unwrap();
    for (number, tenant) in keys.iter().enumerate() {
        let noted = world.record::<KeyUse>(tenant.id, tenant.key_id.as_bytes()).unwrap();
        assert_eq!(noted.last_used_at == later, number == 0);
    }
}
