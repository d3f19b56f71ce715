//! A user's second factor: set up, shown once, guessed at, lost and taken away.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::EventKind;
use otp_core::store::Kind;
use otp_core::tenant::SecondFactorPolicy;
use otp_core::totp::{Period, TotpDevice};
use otp_core::*;

const ANN: &str = "ann@example.org";

/// A user with an authenticator in use.
struct Enrolled {
    me: Me,
    app: App,
    codes: Vec<Secret>,
}

fn enrol(world: &World, caller: &Caller, to: &str) -> Enrolled {
    let me = world.me(&world.sign_in(caller, to)).unwrap();
    let app = App::of(&wait(world.service.register_totp(&me)).unwrap());
    let codes = wait(world.service.enable_totp(&me, &app.shows(world.now()), &Client::default())).unwrap();
    world.clock.advance(MINUTE);
    Enrolled { me, app, codes }
}

/// Says the right code of a mail, where a second factor has to follow.
fn half_sign_in(world: &World, caller: &Caller, to: &str) -> SecondFactorRequired {
    let asked = world.ask_for(caller, to);
    match world.say(caller, asked.id, &asked.code) {
        Err(Error::SecondFactorRequired(required)) => *required,
        other => panic!("no second factor was asked for: {other:?}"),
    }
}

fn complete(
    world: &World,
    caller: &Caller,
    required: &SecondFactorRequired,
    proof: &SecondFactorProof,
) -> Result<SecondSignIn, Error> {
    let token = required.mfa_token.expose();
    wait(world.service.complete_sign_in(caller, token, proof, false, &Client::default()))
}

fn step_up(world: &World, me: &Me, proof: &SecondFactorProof) -> Result<SecondSignIn, Error> {
    wait(world.service.step_up(me, proof, false, &Client::default()))
}

#[test]
fn an_authenticator_is_in_use_from_its_first_code_on() {
    let world = World::new();
    let acme = world.live();
    let me = world.me(&world.sign_in(&acme, ANN)).unwrap();
    let service = &world.service;
    let status = || wait(service.totp_status(&me)).unwrap();
    assert_eq!((status().enabled, status().pending), (false, false));
    let enable = |code: &str| wait(service.enable_totp(&me, code, &Client::default()));
    assert_eq!(refusal(enable("123456")), "not_found");

    let first = App::of(&wait(service.register_totp(&me)).unwrap());
    let app = App::of(&wait(service.register_totp(&me)).unwrap());
    assert!(status().pending && !status().enabled);
    assert_eq!(refusal(enable(&first.shows(world.now()))), "otp_invalid", "the secret was replaced");
    assert_eq!(refusal(enable("12345")), "invalid_otp_format");
    assert_eq!(refusal(enable("12345678")), "invalid_otp_format");
    let codes = enable(&app.shows(world.now())).unwrap();
    assert_eq!(codes.len(), 10);
    assert_eq!((status().enabled, status().pending, status().recovery_codes_left), (true, false, 10));
    assert_eq!(refusal(enable(&app.shows(world.now() + MINUTE))), "conflict");
    assert_eq!(refusal(wait(service.register_totp(&me))), "conflict");
    assert_eq!(world.count_events(acme.space(), EventKind::TotpEnabled), 1);
}

#[test]
fn a_secret_that_nobody_confirms_is_forgotten_after_an_hour() {
    let world = World::new();
    let me = world.me(&world.sign_in(&world.live(), ANN)).unwrap();
    let app = App::of(&wait(world.service.register_totp(&me)).unwrap());
    world.clock.advance(HOUR);
    let late = wait(world.service.enable_totp(&me, &app.shows(world.now()), &Client::default()));
    assert_eq!(refusal(late), "not_found");
}

#[test]
fn the_clock_of_the_app_may_be_a_step_off_and_no_more() {
    let world = World::new();
    let acme = world.live();
    for (number, (off, accepted)) in
        [(1, true), (-1, true), (30, true), (-30, true), (61, false), (-61, false), (3600, false), (-3600, false)]
            .into_iter()
            .enumerate()
    {
        let Enrolled { me, app, .. } = enrol(&world, &acme, &format!("ann{number}@example.org"));
        // In the middle of a step, so that a second to either side is the same one.
        let middle = Period::USUAL.end_of(Period::USUAL.step_at(world.now())) + 15 * SECOND;
        world.clock.set(middle);
        let shown = Timestamp::from_millis(world.now().as_millis() + off * 1000);
        assert_eq!(step_up(&world, &me, &app.proof(shown)).is_ok(), accepted, "{off} seconds");
    }
}

#[test]
fn a_server_whose_clock_is_set_back_or_forth_accepts_no_step_again() {
    let world = World::new();
    let acme = world.live();
    let steps = [1, -1, 30, -30, 3600, -3600];
    for (number, off) in steps.into_iter().enumerate() {
        let Enrolled { me, app, .. } = enrol(&world, &acme, &format!("ann{number}@example.org"));
        let used = app.proof(world.now());
        let accepted_at = world.now();
        let me = world.me(&step_up(&world, &me, &used).unwrap().signed_in).unwrap();
        world.clock.set(Timestamp::from_millis(accepted_at.as_millis() + off * 1000));
        assert_eq!(refusal(step_up(&world, &me, &used)), "otp_invalid", "{off} seconds");
        // Once the time is beyond the step that was accepted, the next code is as good as ever.
        world.clock.set(accepted_at + 2 * MINUTE);
        assert!(step_up(&world, &me, &app.proof(world.now())).is_ok(), "{off} seconds");
    }
}

#[test]
fn a_step_is_accepted_once_among_sixty_four() {
    let world = World::new();
    let acme = world.live();
    for round in 0..10 {
        let Enrolled { me, app, .. } = enrol(&world, &acme, &format!("ann{round}@example.org"));
        let proof = app.proof(world.now());
        let outcomes = race(64, |_| step_up(&world, &me, &proof));
        assert_eq!(tally(&outcomes, "ok"), 1);
        // Whoever comes second has lost its session's tokens as well.
        let refused = tally(&outcomes, "otp_invalid") + tally(&outcomes, "rate_limit_exceeded");
        assert_eq!(refused + tally(&outcomes, "invalid_token"), 63);
    }
}

#[test]
fn a_sign_in_is_ended_once_among_sixty_four() {
    let world = World::new();
    let acme = world.live();
    let Enrolled { app, .. } = enrol(&world, &acme, ANN);
    let required = half_sign_in(&world, &acme, ANN);
    let proof = app.proof(world.now());
    let outcomes = race(64, |_| complete(&world, &acme, &required, &proof));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "invalid_mfa_token")), (1, 63));
}

#[test]
fn a_recovery_code_is_accepted_once_among_sixty_four() {
    let world = World::new();
    let acme = world.unlimited();
    let Enrolled { me, codes, .. } = enrol(&world, &acme, ANN);
    let sessions: Vec<SecondFactorRequired> = (0..3).map(|_| half_sign_in(&world, &acme, ANN)).collect();
    let outcomes = race(64, |racer| complete(&world, &acme, &sessions[racer % 3], &recovery(&codes[0])));
    assert_eq!(tally(&outcomes, "ok"), 1, "{outcomes:?}");
    assert_eq!(wait(world.service.totp_status(&me)).unwrap().recovery_codes_left, 9);
    assert_eq!(world.count_events(acme.space(), EventKind::RecoveryCodeUsed), 1);
}

#[test]
fn two_hundred_wrong_guesses_at_once_are_five() {
    let world = World::new();
    let acme = world.live();
    let Enrolled { me, app, codes } = enrol(&world, &acme, ANN);
    let right = app.shows(world.now());
    let outcomes = race(200, |racer| step_up(&world, &me, &otp(&wrong(&right, racer))));
    assert_eq!((tally(&outcomes, "otp_invalid"), tally(&outcomes, "rate_limit_exceeded")), (5, 195));
    assert_eq!(world.count_events(acme.space(), EventKind::TotpFailed), 5);
    let refused = step_up(&world, &me, &app.proof(world.now()));
    assert!(matches!(&refused, Err(Error::RateLimited(limited)) if limited.retry_after == 300), "{refused:?}");
    assert_eq!(refusal(step_up(&world, &me, &recovery(&codes[0]))), "rate_limit_exceeded", "one budget for both");
    // The mail's code is none of its business.
    let required = half_sign_in(&world, &acme, ANN);
    assert_eq!(refusal(complete(&world, &acme, &required, &app.proof(world.now()))), "rate_limit_exceeded");
    world.clock.advance(5 * MINUTE);
    assert!(complete(&world, &acme, &required, &app.proof(world.now())).is_ok());
}

#[test]
fn registering_anew_makes_no_room_for_guesses() {
    let world = World::new();
    let me = world.me(&world.sign_in(&world.live(), ANN)).unwrap();
    let enable = |code: &str| wait(world.service.enable_totp(&me, code, &Client::default()));
    for number in 0..5 {
        let app = App::of(&wait(world.service.register_totp(&me)).unwrap());
        assert_eq!(refusal(enable(&wrong(&app.shows(world.now()), number))), "otp_invalid");
    }
    let app = App::of(&wait(world.service.register_totp(&me)).unwrap());
    assert_eq!(refusal(enable(&app.shows(world.now()))), "rate_limit_exceeded");
}

#[test]
fn tokens_tell_what_was_proven_and_when() {
    let world = World::new();
    let acme = world.live();
    let Enrolled { app, codes, .. } = enrol(&world, &acme, ANN);
    let claims = |token: &Secret| {
        let (_, claims) = parts_of(token);
        (claims["amr"].to_string(), claims["acr"].as_str().unwrap().to_owned(), claims["auth_time"].as_i64().unwrap())
    };
    let off = world.change(&acme, |settings| settings.second_factor = SecondFactorPolicy::Off);
    let signed_in = world.sign_in(&off, ANN);
    let began = world.now().as_secs();
    assert_eq!(claims(&signed_in.token), (r#"["otp"]"#.into(), "1fa".into(), began));
    world.clock.advance(HOUR);
    let me = world.me(&signed_in).unwrap();
    let stepped_up = step_up(&world, &me, &app.proof(world.now())).unwrap().signed_in;
    let proven = world.now().as_secs();
    assert_eq!(claims(&stepped_up.token), (r#"["otp","totp"]"#.into(), "2fa".into(), proven));
    assert_eq!(refusal(world.me(&signed_in)), "invalid_token", "the tokens before are replaced");
    assert_eq!(stepped_up.session_id, signed_in.session_id);
    world.clock.advance(HOUR);
    let refreshed = world.refresh(&stepped_up.refresh_token).unwrap();
    assert_eq!(claims(&refreshed.token).2, proven, "prolonging proves nothing");
    let me = world.me(&refreshed).unwrap();
    let recovered = step_up(&world, &me, &recovery(&codes[3])).unwrap().signed_in;
    assert_eq!(claims(&recovered.token), (r#"["otp","recovery_code"]"#.into(), "2fa".into(), world.now().as_secs()));
}

/// What the right code of a mail comes to, by what the tenant wants and what the user has.
#[test]
fn the_policy_decides_what_a_code_alone_does() {
    use SecondFactorPolicy::{Off, Optional, Required};
    for (policy, has_one, expected) in [
        (Off, false, "ok"),
        (Off, true, "ok"),
        (Optional, false, "ok"),
        (Optional, true, "code"),
        (Required, false, "enrol"),
        (Required, true, "code"),
    ] {
        let world = World::new();
        let acme = world.live();
        match has_one {
            true => drop(enrol(&world, &acme, ANN)),
            false => drop(world.sign_in(&acme, ANN)),
        }
        let acme = world.change(&acme, |settings| settings.second_factor = policy);
        let before = world.count_events(acme.space(), EventKind::UserLoggedIn);
        let asked = world.ask_for(&acme, ANN);
        let outcome = match world.say(&acme, asked.id, &asked.code) {
            Ok(_) => "ok",
            Err(Error::SecondFactorRequired(required)) if required.enrol => "enrol",
            Err(Error::SecondFactorRequired(_)) => "code",
            Err(error) => panic!("{error}"),
        };
        assert_eq!(outcome, expected, "{policy:?}, {has_one}");
        let began = world.count_events(acme.space(), EventKind::UserLoggedIn) - before;
        assert_eq!(began, usize::from(expected == "ok"));
        let asked = world.ask(&acme, OtpRequest { purpose: "pay".into(), ..OtpRequest::to(email(ANN)) });
        let proof = OtpVerification { purpose: "pay".into(), ..OtpVerification::of(asked.id, &asked.code) };
        assert!(wait(world.service.prove_otp(&acme, proof)).is_ok(), "a proof is of the address alone");
    }
}

#[test]
fn whoever_has_none_where_one_is_required_sets_it_up_to_sign_in() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.second_factor = SecondFactorPolicy::Required);
    let required = half_sign_in(&world, &acme, ANN);
    assert!(required.enrol);
    let token = required.mfa_token.expose();
    assert_eq!(refusal(complete(&world, &acme, &required, &otp("123456"))), "not_found");
    let app = App::of(&wait(world.service.register_totp_to_sign_in(&acme, token)).unwrap());
    let enable = |code: &str| wait(world.service.enable_totp_to_sign_in(&acme, token, code, false, &Client::default()));
    assert_eq!(refusal(enable(&wrong(&app.shows(world.now()), 0))), "otp_invalid");
    let done = enable(&app.shows(world.now())).unwrap();
    assert!(done.signed_in.is_new_user);
    assert_eq!(done.recovery_codes.len(), 10);
    assert!(world.me(&done.signed_in).is_ok());
    assert_eq!(refusal(enable(&app.shows(world.now() + MINUTE))), "invalid_mfa_token", "used up");
    assert!(!half_sign_in(&world, &acme, ANN).enrol);
}

#[test]
fn what_a_sign_in_goes_on_with_is_good_for_nothing_else() {
    let world = World::new();
    let (acme, other) = (world.live(), world.live());
    let Enrolled { app, .. } = enrol(&world, &acme, ANN);
    let required = half_sign_in(&world, &acme, ANN);
    let token = required.mfa_token.expose();
    let proof = app.proof(world.now());
    assert_eq!(refusal(complete(&world, &other, &required, &proof)), "invalid_mfa_token", "another tenant");
    let test = world.caller(acme.space().tenant, Mode::Test);
    assert_eq!(refusal(complete(&world, &test, &required, &proof)), "invalid_mfa_token", "the other mode");
    assert_eq!(refusal(wait(world.service.register_totp_to_sign_in(&acme, token))), "invalid_mfa_token");
    assert_eq!(refusal(wait(world.service.me(token))), "invalid_token");
    assert_eq!(refusal(world.refresh(&required.mfa_token)), "invalid_refresh_token");
    world.clock.set(required.expires_at);
    assert_eq!(refusal(complete(&world, &acme, &required, &app.proof(world.now()))), "invalid_mfa_token", "too late");
}

#[test]
fn the_first_answer_is_given_again_under_its_idempotency_key() {
    let world = World::new();
    let acme = world.live();
    enrol(&world, &acme, ANN);
    let asked = world.ask_for(&acme, ANN);
    let once = || Some(idempotency::Idempotency::new("k", "verify", b"body"));
    let say = || {
        let verification = OtpVerification { idempotency: once(), ..OtpVerification::of(asked.id, &asked.code) };
        match world.verify(&acme, verification) {
            Err(Error::SecondFactorRequired(required)) => (required.mfa_token.expose().to_owned(), required.replayed),
            other => panic!("{other:?}"),
        }
    };
    let (first, second) = (say(), say());
    assert_eq!((first.0 == second.0, first.1, second.1), (true, false, true));
}

#[test]
fn a_trusted_device_is_not_asked_for_thirty_days() {
    let world = World::new();
    let acme = world.unlimited();
    let Enrolled { me, app, .. } = enrol(&world, &acme, ANN);
    let required = half_sign_in(&world, &acme, ANN);
    let token = required.mfa_token.expose();
    let client = from_ip("203.0.113.7");
    let proof = app.proof(world.now());
    let done = wait(world.service.complete_sign_in(&acme, token, &proof, true, &client)).unwrap();
    let trusted = done.device_token.unwrap();
    let sign_in = |token: &Secret| {
        let asked = world.ask_for(&acme, ANN);
        let trusted_device = Some(token.clone());
        world.verify(&acme, OtpVerification { trusted_device, ..OtpVerification::of(asked.id, &asked.code) })
    };
    let signed_in = sign_in(&trusted).unwrap();
    assert_eq!(parts_of(&signed_in.token).1["acr"], "1fa", "nothing was shown this time");
    assert_eq!(refusal(sign_in(&Secret::from("otp_td_nonsense".to_owned()))), "mfa_required");
    let listed = wait(world.service.trusted_devices(&me)).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].ip, listed[0].last_used_at), (client.ip, Some(world.now())));

    world.clock.advance(30 * DAY);
    assert_eq!(refusal(sign_in(&trusted)), "mfa_required");
    assert!(wait(world.service.trusted_devices(&me)).unwrap().is_empty());
}

#[test]
fn a_device_that_is_forgotten_is_asked_again() {
    let world = World::new();
    let acme = world.unlimited();
    let ann = enrol(&world, &acme, ANN);
    let ben = enrol(&world, &acme, "ben@example.org");
    let stepped_up = |enrolled: &Enrolled| {
        let proof = enrolled.app.proof(world.now());
        wait(world.service.step_up(&enrolled.me, &proof, true, &Client::default())).unwrap()
    };
    let trusted = stepped_up(&ann).device_token.unwrap();
    let bens = stepped_up(&ben).device_token.unwrap();
    let sign_in = |token: &Secret| {
        let asked = world.ask_for(&acme, ANN);
        let trusted_device = Some(token.clone());
        world.verify(&acme, OtpVerification { trusted_device, ..OtpVerification::of(asked.id, &asked.code) })
    };
    assert_eq!(refusal(sign_in(&bens)), "mfa_required", "somebody else's");
    assert!(sign_in(&trusted).is_ok());
    let id = wait(world.service.trusted_devices(&ann.me)).unwrap()[0].id;
    assert_eq!(refusal(wait(world.service.forget_device(&ben.me, id))), "not_found");
    wait(world.service.forget_device(&ann.me, id)).unwrap();
    assert_eq!(refusal(sign_in(&trusted)), "mfa_required");
}

#[test]
fn disabling_takes_codes_and_trusted_devices_along() {
    let world = World::new();
    let acme = world.live();
    let Enrolled { me, app, codes } = enrol(&world, &acme, ANN);
    let proof = app.proof(world.now());
    let stepped_up = wait(world.service.step_up(&me, &proof, true, &Client::default())).unwrap();
    let me = world.me(&stepped_up.signed_in).unwrap();
    let disable = |proof: &SecondFactorProof| wait(world.service.disable_totp(&me, proof, &Client::default()));
    assert_eq!(refusal(disable(&otp(&wrong(&app.shows(world.now()), 1)))), "otp_invalid");
    disable(&recovery(&codes[9])).unwrap();
    assert_eq!(world.count_events(acme.space(), EventKind::TotpDisabled), 1);
    let left = world.record::<TotpDevice>(acme.space().tenant, stepped_subject(&world, &acme).as_bytes());
    assert!(left.is_none());
    assert!(wait(world.service.trusted_devices(&me)).unwrap().is_empty());
    assert_eq!(refusal(disable(&recovery(&codes[8]))), "not_found");
    assert!(world.say(&acme, world.ask_for(&acme, ANN).id, "000000000").is_err());
    assert!(world.sign_in(&acme, ANN).expires_at > world.now(), "a code alone signs in again");
}

fn stepped_subject(world: &World, caller: &Caller) -> subject::SubjectKey {
    let users: Vec<user::User> = world.owned(caller.space().owner());
    users[0].subject
}

#[test]
fn recovery_codes_are_renewed_by_whoever_showed_a_factor_just_now() {
    let world = World::new();
    let acme = world.live();
    let Enrolled { me, app, codes } = enrol(&world, &acme, ANN);
    let renew = |me: &Me, proof: Option<&SecondFactorProof>| {
        wait(world.service.renew_recovery_codes(me, proof, &Client::default()))
    };
    let fresh = step_up(&world, &me, &app.proof(world.now())).unwrap();
    let me = world.me(&fresh.signed_in).unwrap();
    world.clock.advance(5 * MINUTE - SECOND);
    let second = renew(&me, None).unwrap();
    assert_eq!(second.len(), 10);
    world.clock.advance(SECOND);
    assert_eq!(refusal(renew(&me, None)), "step_up_required");
    assert_eq!(refusal(renew(&me, Some(&recovery(&codes[0])))), "otp_invalid", "the first ten are dead");
    let third = renew(&me, Some(&recovery(&second[0]))).unwrap();
    assert!(step_up(&world, &me, &recovery(&third[9])).is_ok());
}

#[test]
fn no_secret_and_no_code_stands_anywhere() {
    let world = World::new();
    let acme = world.live();
    let me = world.me(&world.sign_in(&acme, ANN)).unwrap();
    let enrolment = wait(world.service.register_totp(&me)).unwrap();
    let app = App::of(&enrolment);
    let codes = wait(world.service.enable_totp(&me, &app.shows(world.now()), &Client::default())).unwrap();
    world.clock.advance(MINUTE);
    let done = wait(world.service.step_up(&me, &app.proof(world.now()), true, &Client::default())).unwrap();
    let required = half_sign_in(&world, &acme, ANN);
    let mut secrets: Vec<String> = codes.iter().map(|code| code.expose().to_owned()).collect();
    secrets.extend(
        [&enrolment.secret, &done.device_token.unwrap(), &required.mfa_token].map(|secret| secret.expose().to_owned()),
    );
    let bare: Vec<String> = secrets.iter().map(|secret| secret.replace('-', "")).collect();
    secrets.extend(bare);
    let commits = world.store.commits.lock().unwrap();
    let bodies = commits.iter().flat_map(|changes| changes.puts.iter().chain(&changes.creates)).map(|r| r.body());
    for body in bodies {
        assert!(secrets.iter().all(|secret| !body.contains(secret.as_str())), "{body}");
    }
    assert!(!format!("{enrolment:?} {required:?}").contains(enrolment.secret.expose()));
}

#[test]
fn erasing_a_user_takes_the_second_factor_along_and_an_export_shows_it() {
    let world = World::new();
    let acme = world.live();
    let Enrolled { me, app, .. } = enrol(&world, &acme, ANN);
    wait(world.service.step_up(&me, &app.proof(world.now()), true, &from_ip("203.0.113.7"))).unwrap();
    half_sign_in(&world, &acme, ANN);
    let export = wait(world.service.export_user(&acme, me.user_id())).unwrap();
    assert_eq!(export.second_factor["recoveryCodesLeft"], 10);
    assert_eq!(export.second_factor["waitingSignInsAt"].as_array().unwrap().len(), 1);
    assert_eq!(export.trusted_devices[0]["ip"], "203.0.113.7");
    wait(world.service.erase_user(&acme, me.user_id())).unwrap();
    let factors = [Kind::TotpDevice, Kind::TrustedDevice, Kind::PendingSignIn];
    let items = wait(store::Store::inventory(&world.store.inner, None, usize::MAX)).unwrap();
    for item in items {
        let store::Item::Record(record) = item else { continue };
        assert!(!factors.contains(&record.key().kind), "{record:?}");
    }
}
