//! Second factors of people whom the tenant names.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::api_key::{KeyScope, KeyType};
use otp_core::audit::Action;
use otp_core::totp::{Digits, HashAlgorithm, Moving, OtpSecret, Period, hotp};
use otp_core::*;

const EVE: &str = "employee-4711";
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn counted(counter: u64) -> String {
    let secret: OtpSecret = SECRET.parse().unwrap();
    Digits::SIX.of(hotp(HashAlgorithm::Sha1, secret.as_bytes(), counter))
}

fn otp(code: &str) -> SecondFactorProof {
    SecondFactorProof::Otp(Secret::from(code.to_owned()))
}

fn brought(moving: Moving) -> NewAuthenticator {
    NewAuthenticator { secret: SECRET.parse().ok(), moving, ..NewAuthenticator::of(EVE) }
}

#[test]
fn a_counter_is_followed_from_code_to_code() {
    let world = World::new();
    let acme = world.live();
    let service = &world.service;
    let enrolment = wait(service.register_authenticator(&acme, brought(Moving::Hotp { next: 0 }))).unwrap();
    assert!(enrolment.uri.expose().starts_with("otpauth://hotp/Acme:employee-4711?secret=GEZDGNBV"));
    assert!(enrolment.uri.expose().ends_with("&digits=6&counter=0"));
    let check = |code: &str| wait(service.check_authenticator(&acme, EVE, &otp(code)));
    assert_eq!(refusal(check("755224")), "not_found", "it waits for its first code");
    let codes = wait(service.enable_authenticator(&acme, EVE, "755224")).unwrap();
    assert_eq!(codes.len(), 10);
    assert_eq!(refusal(check("755224")), "otp_invalid", "taken already");
    assert!(check("969429").is_ok(), "the third of RFC 4226");
    assert_eq!(refusal(check("359152")), "otp_invalid", "the second");
    assert_eq!(refusal(check(&counted(100))), "otp_invalid", "far ahead");
    let resync = |first: u64, second: u64| {
        wait(service.resynchronise_authenticator(&acme, EVE, &counted(first), &counted(second)))
    };
    assert_eq!(refusal(resync(100, 102)), "otp_invalid");
    assert!(resync(100, 101).is_ok());
    assert!(check(&counted(102)).is_ok());
    let left = wait(service.check_authenticator(&acme, EVE, &SecondFactorProof::RecoveryCode(codes[4].clone())));
    assert_eq!(left.unwrap().recovery_codes_left, 9);
}

#[test]
fn a_code_is_shown_to_whoever_may_see_codes_and_it_is_written_down() {
    let world = World::new();
    let acme = world.live();
    let service = &world.service;
    let period = Period::try_from(60).unwrap();
    wait(service.register_authenticator(&acme, brought(Moving::Totp { period, accepted: None }))).unwrap();
    let now = world.now();
    assert_eq!(refusal(wait(service.reveal_code(&acme, EVE))), "not_found", "it is not in use");
    wait(service.enable_authenticator(&acme, EVE, &counted(period.step_at(now)))).unwrap();
    world.clock.advance(MINUTE);
    let code = wait(service.reveal_code(&acme, EVE)).unwrap();
    assert_eq!(code.otp.expose(), counted(period.step_at(world.now())));
    assert_eq!(code.expires_at, Some(period.end_of(period.step_at(world.now()))));
    assert!(wait(service.check_authenticator(&acme, EVE, &otp(code.otp.expose()))).is_ok());
    let revealed = world.audit(acme.space().tenant).into_iter().filter(|line| line.action == Action::OtpRevealed);
    assert_eq!(revealed.count(), 1);

    let key = |scopes| world.create_key(&acme, NewApiKey { scopes, ..new_key(KeyType::Secret, Mode::Live) }).api_key;
    let plain = world.authenticate(&key(Vec::new())).unwrap();
    assert_eq!(refusal(wait(service.reveal_code(&plain, EVE))), "scope_required");
    let scoped = world.authenticate(&key(vec![KeyScope::OtpReveal])).unwrap();
    assert!(wait(service.reveal_code(&scoped, EVE)).is_ok());
    let publishable = world.create_key(&acme, new_key(KeyType::Publishable, Mode::Live)).api_key;
    let publishable = world.authenticate(&publishable).unwrap();
    assert_eq!(refusal(wait(service.authenticator(&publishable, EVE))), "secret_key_required");
}

#[test]
fn a_name_is_of_one_tenant_and_mode() {
    let world = World::new();
    let (acme, other) = (world.live(), world.live());
    wait(world.service.register_authenticator(&acme, brought(Moving::Hotp { next: 0 }))).unwrap();
    wait(world.service.enable_authenticator(&acme, EVE, &counted(0))).unwrap();
    let test = world.caller(acme.space().tenant, Mode::Test);
    for stranger in [&other, &test] {
        assert!(!wait(world.service.authenticator(stranger, EVE)).unwrap().enabled);
        assert_eq!(refusal(wait(world.service.check_authenticator(stranger, EVE, &otp(&counted(1))))), "not_found");
        assert_eq!(refusal(wait(world.service.disable_authenticator(stranger, EVE))), "not_found");
    }
    assert!(wait(world.service.check_authenticator(&acme, EVE, &otp(&counted(1)))).is_ok());
    for name in ["", &"x".repeat(129), "a\nb"] {
        assert_eq!(refusal(wait(world.service.authenticator(&acme, name))), "invalid_user_id");
    }
}

#[test]
fn whoever_lost_it_gets_a_new_secret_and_the_old_one_is_dead() {
    let world = World::new();
    let acme = world.live();
    let service = &world.service;
    assert_eq!(refusal(wait(service.replace_authenticator(&acme, EVE, None))), "not_found");
    wait(service.register_authenticator(&acme, brought(Moving::Hotp { next: 7 }))).unwrap();
    let codes = wait(service.enable_authenticator(&acme, EVE, &counted(7))).unwrap();
    let enrolment = wait(service.replace_authenticator(&acme, EVE, Some("eve@example.org"))).unwrap();
    assert!(enrolment.uri.expose().contains("Acme:eve%40example.org?"));
    assert!(enrolment.uri.expose().ends_with("&counter=0"));
    let check = |proof: &SecondFactorProof| wait(service.check_authenticator(&acme, EVE, proof));
    assert_eq!(refusal(check(&otp(&counted(8)))), "not_found");
    assert_eq!(refusal(check(&SecondFactorProof::RecoveryCode(codes[0].clone()))), "not_found");
    let fresh: OtpSecret = enrolment.secret.expose().parse().unwrap();
    let first = Digits::SIX.of(hotp(HashAlgorithm::Sha1, fresh.as_bytes(), 0));
    assert_eq!(wait(service.enable_authenticator(&acme, EVE, &first)).unwrap().len(), 10);
    wait(service.disable_authenticator(&acme, EVE)).unwrap();
    let lines = world.audit(acme.space().tenant);
    for (action, count) in [(Action::TotpEnabled, 2), (Action::TotpRecovered, 1), (Action::TotpDisabled, 1)] {
        assert_eq!(lines.iter().filter(|line| line.action == action).count(), count, "{lines:?}");
    }
}

#[test]
fn the_id_of_a_user_names_that_user() {
    let world = World::new();
    let acme = world.live();
    let service = &world.service;
    let signed_in = world.sign_in(&acme, "ann@example.org");
    let name = signed_in.user_id.to_string();
    let new = NewAuthenticator { secret: SECRET.parse().ok(), ..NewAuthenticator::of(&name) };
    wait(service.register_authenticator(&acme, new)).unwrap();
    let step = |at| Period::USUAL.step_at(at);
    wait(service.enable_authenticator(&acme, &name, &counted(step(world.now())))).unwrap();
    let me = world.me(&signed_in).unwrap();
    assert!(wait(service.totp_status(&me)).unwrap().enabled);
    assert_eq!(refusal(wait(service.reveal_code(&acme, &name))), "not_found", "a user's is shown to nobody");
    let asked = world.ask_for(&acme, "ann@example.org");
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "mfa_required");
    wait(service.disable_authenticator(&acme, &name)).unwrap();
    assert!(!wait(service.totp_status(&me)).unwrap().enabled);
    let stranger = UserId::from_bytes([7; 16]).to_string();
    assert_eq!(refusal(wait(service.authenticator(&acme, &stranger))), "not_found");
    assert_eq!(refusal(wait(service.authenticator(&world.live(), &name))), "not_found", "another tenant's user");
}
