//! Idempotency keys: the first answer again for the same request, and nothing done a second time.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::KeyType;
use otp_core::event::EventKind;
use otp_core::idempotency::{Idempotency, StoredReply};
use otp_core::usage::{Counter, Span};
use otp_core::*;

const ANN: &str = "ann@example.org";

fn once(key: &str, body: &str) -> Option<Idempotency> {
    Some(Idempotency::new(key, "POST /auth/request-otp", body.as_bytes()))
}

fn request(key: &str, to: &str) -> OtpRequest {
    OtpRequest { idempotency: once(key, to), ..OtpRequest::to(email(to)) }
}

fn commits(world: &World) -> Vec<Vec<store::Kind>> {
    let commits = world.store.commits.lock().unwrap();
    commits
        .iter()
        .map(|changes| kinds(changes.puts.iter().chain(&changes.creates)))
        .filter(|kinds| !kinds.is_empty())
        .collect()
}

#[test]
fn the_same_request_again_gets_the_same_answer_and_sends_nothing() {
    let world = World::new();
    let acme = world.caller(world.tenant("free").id, Mode::Live);
    let first = wait(world.service.request_otp(&acme, request("a", ANN))).unwrap();
    world.deliver();
    world.clock.advance(HOUR);
    let again = wait(world.service.request_otp(&acme, request("a", ANN))).unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(format!("{:?}", first.value), format!("{:?}", again.value));
    world.deliver();
    assert_eq!(world.inbox.count(), 1);
    assert_eq!(world.count_events(acme.space(), EventKind::OtpRequested), 1);
    assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Day), 1);
}

#[test]
fn sixty_four_of_the_same_request_are_one() {
    let world = World::new();
    let acme = world.live();
    let outcomes = race(64, |_| wait(world.service.request_otp(&acme, request("a", ANN))));
    let answers: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.windows(2).all(|two| format!("{:?}", two[0].value) == format!("{:?}", two[1].value)));
    assert_eq!(world.deliver().sent, 1);
}

#[test]
fn another_request_under_the_same_key_is_a_conflict() {
    let world = World::new();
    let acme = world.live();
    wait(world.service.request_otp(&acme, request("a", ANN))).unwrap();
    assert_eq!(refusal(world.request(&acme, request("a", "bob@example.org"))), "idempotency_conflict");
    assert!(world.request(&acme, request("b", "bob@example.org")).is_ok());
    assert_eq!(world.deliver().sent, 2);
    // At the same time, over different recipients, one of them is first.
    let outcomes = race(32, |racer| world.request(&acme, request("c", &format!("user{racer}@example.org"))));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "idempotency_conflict")), (1, 31));
    assert_eq!(world.deliver().sent, 1);
}

#[test]
fn a_refusal_is_not_kept() {
    let world = World::new();
    let acme = world.live();
    (0..3).for_each(|_| drop(world.request_to(&acme, ANN).unwrap()));
    for _ in 0..3 {
        assert_eq!(refusal(world.request(&acme, request("a", ANN))), "rate_limit_exceeded");
    }
    world.clock.advance(HOUR);
    let answer = wait(world.service.request_otp(&acme, request("a", ANN))).unwrap();
    assert!(!answer.replayed);

    let asked = world.ask_for(&acme, "bob@example.org");
    let say = |code: &str| OtpVerification { idempotency: once("v", "body"), ..OtpVerification::of(asked.id, code) };
    assert_eq!(refusal(world.verify(&acme, say(&wrong(&asked.code, 0)))), "otp_invalid");
    let second = world.verify(&acme, say(&wrong(&asked.code, 0))).unwrap_err();
    assert!(matches!(second, Error::OtpInvalid { remaining: 3, .. }), "each guess counts: {second:?}");
    assert!(world.verify(&acme, say(&asked.code)).is_ok());
}

#[test]
fn a_right_code_said_again_under_its_key_gives_the_same_tokens() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, ANN);
    let say = |key: &str| {
        let idempotency = Some(Idempotency::new(key, "POST /auth/verify-otp", asked.code.as_bytes()));
        wait(
            world
                .service
                .verify_otp(&acme, OtpVerification { idempotency, ..OtpVerification::of(asked.id, &asked.code) }),
        )
    };
    let first = say("a").unwrap();
    world.clock.advance(MINUTE);
    let again = say("a").unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    for (one, two) in
        [(&first.value.token, &again.value.token), (&first.value.refresh_token, &again.value.refresh_token)]
    {
        assert_eq!(one.expose(), two.expose());
    }
    assert_eq!(format!("{:?}", first.value), format!("{:?}", again.value));
    assert_eq!(refusal(say("b")), "otp_not_found", "without its key it was used up");
    assert_eq!(world.count_events(acme.space(), EventKind::UserLoggedIn), 1);

    // What is kept is sealed.
    let kept = world.committed::<StoredReply>();
    let body = serde_json::to_string(&kept).unwrap();
    assert!(kept.len() == 1 && !body.contains(&asked.code) && !body.contains(first.value.refresh_token.expose()));
}

#[test]
fn a_refresh_whose_answer_was_lost_can_be_asked_for_again() {
    let world = World::new();
    let acme = world.live();
    let first = world.sign_in(&acme, ANN);
    let refresh = |key: &str| {
        let idempotency = Some(Idempotency::new(key, "POST /auth/refresh", first.refresh_token.expose().as_bytes()));
        wait(world.service.refresh(None, first.refresh_token.expose(), idempotency))
    };
    let [one, two] = [refresh("a").unwrap(), refresh("a").unwrap()];
    assert!(!one.replayed && two.replayed);
    assert_eq!(one.value.refresh_token.expose(), two.value.refresh_token.expose());
    assert!(world.me(&two.value).is_ok());
    assert_eq!(refusal(refresh("b")), "refresh_token_reused");
    assert!(world.me(&two.value).is_err());
}

#[test]
fn after_a_day_a_key_stands_for_a_new_request() {
    let world = World::new();
    let acme = world.live();
    let first = wait(world.service.request_otp(&acme, request("a", ANN))).unwrap();
    world.clock.advance(DAY - MILLI);
    assert!(wait(world.service.request_otp(&acme, request("a", ANN))).unwrap().replayed);
    world.clock.advance(MILLI);
    let anew = wait(world.service.request_otp(&acme, request("a", ANN))).unwrap();
    assert!(!anew.replayed && anew.value.challenge_id != first.value.challenge_id);
    let again = wait(world.service.request_otp(&acme, request("a", ANN))).unwrap();
    assert!(again.replayed && again.value.challenge_id == anew.value.challenge_id);
    world.clock.advance(DAY);
    let other = wait(world.service.request_otp(&acme, request("a", "bob@example.org"))).unwrap();
    assert!(!other.replayed, "nor is another request a conflict then");
}

#[test]
fn tenants_and_modes_have_keys_of_their_own() {
    let world = World::new();
    let id = world.tenant("free").id;
    let callers = [world.caller(id, Mode::Live), world.caller(id, Mode::Test), world.live()];
    for caller in &callers {
        assert!(!wait(world.service.request_otp(caller, request("a", ANN))).unwrap().replayed);
        assert!(wait(world.service.request_otp(caller, request("a", ANN))).unwrap().replayed);
    }
    // The same key serves two kinds of calls.
    let asked = world.ask_for(&callers[0], "bob@example.org");
    let say = OtpVerification { idempotency: once("a", ANN), ..OtpVerification::of(asked.id, &asked.code) };
    assert!(world.verify(&callers[0], say).is_ok());
}

#[test]
fn a_test_code_is_shown_again_with_its_answer() {
    let world = World::new();
    let test = world.caller(world.tenant("free").id, Mode::Test);
    let [one, two] = [(); 2].map(|()| world.request(&test, request("a", ANN)).unwrap().code.unwrap());
    assert_eq!(one.expose(), two.expose());
}

#[test]
fn keys_and_tenants_are_made_once() {
    let world = World::new();
    let acme = world.live();
    let make = |key: &str, name: &str| {
        let new =
            NewApiKey { name: name.to_owned(), idempotency: once(key, name), ..new_key(KeyType::Secret, Mode::Live) };
        wait(world.service.create_key(&acme, new))
    };
    let outcomes = race(32, |_| make("a", "Key"));
    let keys: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(keys.iter().filter(|key| !key.replayed).count(), 1);
    assert!(keys.iter().all(|key| key.value.api_key.expose() == keys[0].value.api_key.expose()));
    assert!(world.authenticate(&keys[0].value.api_key).is_ok());
    assert_eq!(refusal(make("a", "Other")), "idempotency_conflict");
    assert_eq!(wait(world.service.keys(&acme)).unwrap().len(), 2);

    let rotate = || wait(world.service.rotate_key(&acme, keys[0].value.key.id, DAY, once("r", "rotate"))).unwrap();
    let [one, two] = [rotate(), rotate()];
    assert!(!one.replayed && two.replayed);
    assert_eq!(one.value.created.api_key.expose(), two.value.created.api_key.expose());
    assert_eq!(one.value.old_expires_at, two.value.old_expires_at);

    let create = |name: &str| {
        let new = NewTenant { idempotency: once("t", name), ..NewTenant::named(name, "ops@acme.example") };
        wait(world.service.create_tenant_once(new))
    };
    let outcomes = race(32, |_| create("Acme"));
    let tenants: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(tenants.iter().filter(|tenant| !tenant.replayed).count(), 1);
    assert!(tenants.iter().all(|tenant| tenant.value.id == tenants[0].value.id));
    assert!(tenants.iter().all(|tenant| tenant.value.api_key.expose() == tenants[0].value.api_key.expose()));
    assert_eq!(refusal(create("Other")), "idempotency_conflict");
}

#[test]
fn a_replay_writes_nothing() {
    let world = World::new();
    let acme = world.live();
    world.request(&acme, request("a", ANN)).unwrap();
    let before = commits(&world);
    for _ in 0..5 {
        world.request(&acme, request("a", ANN)).unwrap();
    }
    assert_eq!(commits(&world), before);
}
