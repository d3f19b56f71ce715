//! What a code is good for: its purpose, what it approves, and the proof that can be had instead of a session.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::EventKind;
use otp_core::secret::Digest32;
use otp_core::session::Session;
use otp_core::user::User;
use otp_core::*;
use serde_json::json;

const ANN: &str = "ann@example.org";

fn asking(purpose: &str, context: Option<&str>) -> OtpRequest {
    let context = context.map(str::to_owned);
    OtpRequest { purpose: purpose.to_owned(), context, ..OtpRequest::to(email(ANN)) }
}

fn saying(asked: &Asked, purpose: &str, context: Option<&str>) -> OtpVerification {
    let context = context.map(str::to_owned);
    OtpVerification { purpose: purpose.to_owned(), context, ..OtpVerification::of(asked.id, &asked.code) }
}

fn by_address(verification: OtpVerification) -> OtpVerification {
    OtpVerification { address: Some(email(ANN)), challenge: None, ..verification }
}

#[test]
fn a_code_is_good_for_the_purpose_it_was_asked_for() {
    let world = World::new();
    let acme = world.live();
    let login = world.ask(&acme, asking("login", None));
    let payment = world.ask(&acme, asking("payment", None));
    assert!(login.id != payment.id && login.code != payment.code);
    for _ in 0..6 {
        assert_eq!(refusal(world.verify(&acme, saying(&login, "payment", None))), "otp_not_found");
        assert_eq!(refusal(world.verify(&acme, saying(&payment, "login", None))), "otp_not_found");
        assert_eq!(refusal(world.verify(&acme, saying(&login, "other", None))), "otp_not_found");
    }
    let crossed = by_address(saying(&login, "payment", None));
    assert_eq!(refusal(world.verify(&acme, crossed)), "otp_invalid", "a guess at the payment's code");
    assert!(world.verify(&acme, by_address(saying(&login, "login", None))).is_ok());
    assert!(world.verify(&acme, by_address(saying(&payment, "payment", None))).is_ok());
    assert_eq!(world.count_events(acme.space(), EventKind::OtpFailed), 1);
}

#[test]
fn what_is_approved_is_bound_into_the_code() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask(&acme, asking("payment", Some("Pay 12 EUR to Bob")));
    let message = &world.inbox.all()[0];
    assert!(message.text.contains("Pay 12 EUR to Bob"), "{}", message.text);
    for other in [None, Some("Pay 13 EUR to Bob"), Some("pay 12 EUR to Bob")] {
        assert_eq!(refusal(world.verify(&acme, saying(&asked, "payment", other))), "otp_invalid", "{other:?}");
    }
    let right = || saying(&asked, "payment", Some("Pay 12 EUR to Bob"));
    assert_eq!(refusal(world.verify(&acme, OtpVerification { code: wrong(&asked.code, 0), ..right() })), "otp_invalid");
    assert!(world.verify(&acme, right()).is_ok());
    assert_eq!(refusal(world.verify(&acme, right())), "otp_not_found");
    assert_eq!(world.count_events(acme.space(), EventKind::OtpFailed), 4);
}

#[test]
fn two_approvals_at_a_time_have_codes_of_their_own() {
    let world = World::new();
    let acme = world.live();
    let twelve = world.ask(&acme, asking("payment", Some("12 EUR")));
    let ninety = world.ask(&acme, asking("payment", Some("90 EUR")));
    assert!(twelve.id != ninety.id && twelve.code != ninety.code);
    assert_eq!(refusal(world.verify(&acme, saying(&twelve, "payment", Some("90 EUR")))), "otp_invalid");
    assert!(world.verify(&acme, saying(&twelve, "payment", Some("12 EUR"))).is_ok());
    assert!(world.verify(&acme, saying(&ninety, "payment", Some("90 EUR"))).is_ok());
}

#[test]
fn purposes_contexts_and_notes_have_their_form() {
    let world = World::new();
    let acme = world.live();
    let long = "p".repeat(65);
    for purpose in ["", "Login", "log in", "päy", long.as_str(), "a/b"] {
        assert_eq!(refusal(world.request(&acme, asking(purpose, None))), "invalid_purpose", "{purpose}");
        let verification =
            OtpVerification { purpose: purpose.to_owned(), ..OtpVerification::at(email(ANN), "123456789") };
        assert_eq!(refusal(world.verify(&acme, verification)), "invalid_purpose", "{purpose}");
    }
    for context in ["", "two\nlines", "nul\0", &"x".repeat(201)] {
        assert_eq!(refusal(world.request(&acme, asking("login", Some(context)))), "invalid_context", "{context}");
    }
    let notes = |length: usize| json!({"note": "x".repeat(length)}).as_object().cloned();
    let with_notes = |length| OtpRequest { metadata: notes(length), ..asking("login", None) };
    assert_eq!(refusal(world.request(&acme, with_notes(1_014))), "invalid_metadata");
    assert_eq!(world.events(acme.space()).len(), world.count_events(acme.space(), EventKind::ApiKeyCreated));
    assert!(world.request(&acme, with_notes(1_013)).is_ok());
    assert!(world.request(&acme, asking(&long[..64], Some(&"ü".repeat(200)))).is_ok());
}

#[test]
fn a_proof_says_who_was_verified_for_what_and_begins_no_session() {
    let world = World::new();
    let tenant = world.tenant("enterprise").id;
    let acme = world.caller(tenant, Mode::Live);
    let asked = world.ask(&acme, asking("payment", Some("12 EUR")));
    let proof = wait(world.service.prove_otp(&acme, saying(&asked, "payment", Some("12 EUR")))).unwrap().value;

    let user = &world.owned::<User>(acme.space().owner())[0];
    let (header, claims) = parts_of(&proof.token);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("proof+jwt"), &json!("HS256")));
    let now = world.now().as_secs();
    let expected = json!({
        "iss": format!("https://otp.example/auth/{tenant}"), "sub": user.id.to_string(), "aud": tenant.to_string(),
        "jti": asked.id.to_string(), "iat": now, "nbf": now, "exp": now + 300, "email": ANN, "amr": ["otp"],
        "purpose": "payment", "context_hash": Digest32::of(b"12 EUR").to_base64url(),
    });
    assert_eq!(claims, expected);
    assert_eq!(proof.expires_at.as_millis(), (now + 300) * 1_000, "the answer and the token say the same");

    assert!(world.owned::<Session>(user.id.as_bytes().into()).is_empty());
    assert_eq!(refusal(wait(world.service.me(proof.token.expose()))), "invalid_token");
    assert_eq!(world.count_events(acme.space(), EventKind::UserLoggedIn), 0);
    assert_eq!(world.count_events(acme.space(), EventKind::OtpVerified), 1);
    let again = wait(world.service.prove_otp(&acme, saying(&asked, "payment", Some("12 EUR"))));
    assert_eq!(refusal(again), "otp_not_found");
}

#[test]
fn a_proof_is_no_sign_in() {
    let world = World::new();
    let acme = world.live();
    let signed_in = world.sign_in(&acme, ANN);
    let then = world.now();
    world.clock.advance(HOUR);
    let asked = world.ask(&acme, asking("payment", None));
    wait(world.service.prove_otp(&acme, saying(&asked, "payment", None))).unwrap();
    assert_eq!(world.me(&signed_in).unwrap().last_login_at(), then);
}

#[test]
fn a_code_gives_a_session_or_a_proof_and_never_both() {
    let world = World::new();
    for _ in 0..20 {
        let acme = world.live();
        let asked = world.ask(&acme, asking("login", None));
        let outcomes = race(32, |racer| match racer % 2 {
            0 => world.verify(&acme, saying(&asked, "login", None)).map(drop),
            _ => wait(world.service.prove_otp(&acme, saying(&asked, "login", None))).map(drop),
        });
        assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "otp_not_found")), (1, 31));
    }
}
