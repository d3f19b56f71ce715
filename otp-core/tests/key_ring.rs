//! The master key ring: a key is added and everything made before still works; a key is lost and nothing opens.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::token::Algorithm;
use otp_core::*;

const ANN: &str = "Ann@example.org";

/// The ring with another key in front, as an operator writes it.
fn with_new_key(ring: &KeyRing, kid: u8) -> KeyRing {
    let fresh = KeyRing::generate(&SeededRandom::new(u64::from(kid))).export();
    let (_, key) = fresh.expose().split_once(':').unwrap();
    format!("{kid}:{key},{}", ring.export().expose()).parse().unwrap()
}

#[test]
fn what_was_made_before_a_key_was_added_still_works() {
    let world = World::new();
    let created = world.tenant("enterprise");
    let acme = world.caller(created.id, Mode::Live);
    let settled = world.sign_in(&acme, "bob@example.org");
    let asked = world.ask_for(&acme, ANN);
    world.request_to(&acme, "cyd@example.org").unwrap();
    world.clock.advance(LEASE);

    let new = world.service_with(with_new_key(&world.ring, 2), 5);
    let acme = wait(new.authenticate(created.api_key.expose(), &Approach::default())).unwrap();
    assert_eq!(wait(new.tenant(created.id)).unwrap().email, "ops@acme.example");
    assert_eq!(wait(new.me(settled.token.expose())).unwrap().email.as_deref(), Some("bob@example.org"));
    let refreshed = wait(new.refresh(None, settled.refresh_token.expose(), None)).unwrap().value;
    assert_eq!((refreshed.user_id, refreshed.email.as_deref()), (settled.user_id, Some("bob@example.org")));
    let spent = wait(new.refresh(None, settled.refresh_token.expose(), None));
    assert_eq!(refusal(spent), "refresh_token_reused", "a spent token of the old key is known as ours");

    // The message left behind is sent with the code that its challenge has.
    wait(new.deliver_pending(10)).unwrap();
    let code = world.inbox.code_to("cyd@example.org");
    let right = OtpVerification::at(email("cyd@example.org"), &code);
    assert!(wait(new.verify_otp(&acme, right)).is_ok());
    // Asking again repeats the code of before, which is still right; limits count on.
    wait(new.request_otp(&acme, OtpRequest::to(email(ANN)))).unwrap();
    wait(new.deliver_pending(10)).unwrap();
    assert_eq!(world.inbox.code_to(ANN), asked.code);
    let signed_in = wait(new.verify_otp(&acme, OtpVerification::of(asked.id, &asked.code))).unwrap().value;
    wait(new.request_otp(&acme, OtpRequest::to(email(ANN)))).unwrap();
    assert_eq!(refusal(wait(new.request_otp(&acme, OtpRequest::to(email(ANN))))), "rate_limit_exceeded");
    wait(new.deliver_pending(10)).unwrap();

    // A new code is made with the new key, and an address stays the user it was.
    world.clock.advance(HOUR);
    wait(new.request_otp(&acme, OtpRequest::to(email(ANN)))).unwrap();
    wait(new.deliver_pending(10)).unwrap();
    let code = world.inbox.code_to(ANN);
    let again = wait(new.verify_otp(&acme, OtpVerification::at(email(ANN), &code))).unwrap().value;
    assert_eq!((again.user_id, again.is_new_user), (signed_in.user_id, false));
    let kids: Vec<u8> = world.committed::<challenge::Challenge>().iter().map(|challenge| challenge.kid).collect();
    assert!(kids.contains(&1) && kids.contains(&2), "{kids:?}");
    wait(new.rotate_signing_keys(&acme, Algorithm::EdDsa)).unwrap();
    assert!(wait(new.me(again.token.expose())).is_ok());
}

#[test]
fn servers_with_and_without_the_new_key_work_side_by_side_for_what_the_old_one_made() {
    let world = World::new();
    let acme = world.live();
    let new = world.service_with(with_new_key(&world.ring, 2), 5);
    let theirs = wait(new.program(acme.space().tenant, Mode::Live)).unwrap();
    let asked = world.ask_for(&acme, ANN);
    let outcomes = race(32, |racer| {
        let right = OtpVerification::of(asked.id, &asked.code);
        match racer % 2 {
            0 => wait(world.service.verify_otp(&acme, right)),
            _ => wait(new.verify_otp(&theirs, right)),
        }
    });
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "otp_not_found")), (1, 31));
}

#[test]
fn without_its_key_nothing_opens() {
    let world = World::new();
    let created = world.tenant("enterprise");
    let acme = world.caller(created.id, Mode::Live);
    let signed_in = world.sign_in(&acme, "bob@example.org");
    let asked = world.ask_for(&acme, ANN);
    let lost = world.service_with(KeyRing::generate(&SeededRandom::new(77)), 5);
    assert_eq!(refusal(wait(lost.program(created.id, Mode::Live))), "internal_error");
    assert_eq!(refusal(wait(lost.authenticate(created.api_key.expose(), &Approach::default()))), "internal_error");
    assert!(wait(lost.me(signed_in.token.expose())).is_err());
    assert!(wait(lost.refresh(None, signed_in.refresh_token.expose(), None)).is_err());
    assert!(wait(lost.tenant(created.id)).is_err());
    // Nothing was spent by the attempts.
    assert!(world.say(&acme, asked.id, &asked.code).is_ok());
    assert!(world.refresh(&signed_in.refresh_token).is_ok());
}

#[test]
fn a_code_whose_key_left_the_ring_is_never_right() {
    let world = World::new();
    let both = with_new_key(&world.ring, 2);
    let tenant = world.tenant("enterprise");
    let acme = world.caller(tenant.id, Mode::Live);
    let new = world.service_with(both.clone(), 5);
    let theirs = wait(new.program(tenant.id, Mode::Live)).unwrap();
    wait(new.request_otp(&theirs, OtpRequest::to(email(ANN)))).unwrap();
    wait(new.deliver_pending(10)).unwrap();
    let code = world.inbox.code_to(ANN);
    assert_eq!(refusal(world.say_at(&acme, ANN, &code)), "otp_invalid", "this server has not been given the key yet");
    assert!(wait(new.verify_otp(&theirs, OtpVerification::at(email(ANN), &code))).is_ok());
}
