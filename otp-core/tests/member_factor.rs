//! A member's second factor: set up, asked for wherever a member signs in, guessed at, lost, and shown again before what cannot
//! be undone.

#![allow(clippy::unwrap_used)]

mod common;

use common::members::{PASSWORD, Plays, secret};
use common::*;
use otp_core::audit::{Action, Actor, Audit};
use otp_core::member::MemberSession;
use otp_core::store::Item;
use otp_core::totp::Period;
use otp_core::*;

const ANN: &str = "ann@acme.example";

/// A member with an authenticator in use, signed in.
struct Enrolled {
    caller: MemberCaller,
    app: App,
    codes: Vec<Secret>,
}

trait Shows {
    fn enrol(&self, email: &str) -> Enrolled;
    fn password(&self, email: &str, password: &str) -> Result<SignedInMember, Error>;
    fn half(&self, email: &str) -> SecondFactorOfMember;
    fn complete(&self, half: &SecondFactorOfMember, proof: &SecondFactorProof) -> Result<SignedInMember, Error>;
    fn caller_of(&self, signed_in: &SignedInMember) -> MemberCaller;
    fn actions(&self) -> Vec<Action>;
}

impl Shows for World {
    fn enrol(&self, email: &str) -> Enrolled {
        self.register(email);
        let caller = self.let_in(email);
        let app = App::of(&wait(self.service.register_member_totp(&caller)).unwrap());
        let enabled = wait(self.service.enable_member_totp(&caller, &app.shows(self.now()))).unwrap();
        self.clock.advance(MINUTE);
        Enrolled { caller: self.caller_of(&enabled.signed_in), app, codes: enabled.recovery_codes }
    }

    fn password(&self, email: &str, password: &str) -> Result<SignedInMember, Error> {
        let proof = MemberProof::Password(secret(password));
        wait(self.service.sign_in_member(email, proof, true, &Client::default()))
    }

    fn half(&self, email: &str) -> SecondFactorOfMember {
        match self.password(email, PASSWORD) {
            Err(Error::SecondFactorOfMember(half)) => *half,
            other => panic!("no second factor was asked for: {other:?}"),
        }
    }

    fn complete(&self, half: &SecondFactorOfMember, proof: &SecondFactorProof) -> Result<SignedInMember, Error> {
        wait(self.service.complete_member_sign_in(half.mfa_token.expose(), proof, &Client::default()))
    }

    fn caller_of(&self, signed_in: &SignedInMember) -> MemberCaller {
        wait(self.service.member(signed_in.token.expose())).unwrap()
    }

    fn actions(&self) -> Vec<Action> {
        let lines = self.committed::<Audit>().into_iter().filter(|line| line.tenant == TenantId::INSTALLATION);
        lines.map(|line| line.action).collect()
    }
}

#[test]
fn an_authenticator_is_asked_for_wherever_its_member_signs_in() {
    let world = World::new();
    world.register(ANN);
    let (other, caller) = (world.let_in(ANN), world.let_in(ANN));
    let enrolment = wait(world.service.register_member_totp(&caller)).unwrap();
    assert!(enrolment.uri.expose().starts_with("otpauth://totp/otp.example:ann%40acme.example?"));
    let app = App::of(&enrolment);
    let status = |caller| wait(world.service.member_totp_status(caller)).unwrap();
    assert_eq!((status(&caller).enabled, status(&caller).pending), (false, true));
    assert!(world.password(ANN, PASSWORD).is_ok(), "nothing is asked for before it is in use");
    let right = app.shows(world.now());
    assert_eq!(refusal(wait(world.service.enable_member_totp(&caller, &wrong(&right, 1)))), "otp_invalid");
    let enabled = wait(world.service.enable_member_totp(&caller, &right)).unwrap();
    assert_eq!(enabled.recovery_codes.len(), 10);
    let now = world.caller_of(&enabled.signed_in);
    assert_eq!((status(&now).enabled, status(&now).recovery_codes_left), (true, 10));
    for before in [&other, &caller] {
        let refused = wait(world.service.enable_member_totp(before, &right));
        assert_eq!(refusal(refused), "invalid_session", "all sessions from before are over");
    }
    assert_eq!(refusal(wait(world.service.register_member_totp(&now))), "conflict");

    world.clock.advance(MINUTE);
    let half = world.half(ANN);
    assert_eq!(refusal(world.complete(&half, &otp(&wrong(&app.shows(world.now()), 1)))), "otp_invalid");
    let signed_in = world.complete(&half, &app.proof(world.now())).unwrap();
    assert_eq!(world.caller_of(&signed_in).id(), now.id());
    assert_eq!(refusal(world.complete(&half, &recovery(&enabled.recovery_codes[0]))), "invalid_mfa_token");
    let by_mail = MemberProof::Code(world.code(ANN));
    let by_mail = wait(world.service.sign_in_member(ANN, by_mail, true, &Client::default()));
    let Err(Error::SecondFactorOfMember(half)) = by_mail else { panic!("{by_mail:?}") };
    world.complete(&half, &recovery(&enabled.recovery_codes[0])).unwrap();

    let told: Vec<Action> = world.actions().into_iter().skip(3).collect();
    use Action::*;
    let expected = [
        MemberTotpRegistered,
        MemberSignedIn,
        SecondFactorFailed,
        MemberTotpEnabled,
        SecondFactorAwaited,
        SecondFactorFailed,
        MemberSignedIn,
        SecondFactorAwaited,
        MemberSignedIn,
    ];
    assert_eq!(told, expected);
    let is_hers = |line: &Audit| line.actor == Actor::Member(now.id()) && line.target == now.id().to_string();
    assert!(world.audit(TenantId::INSTALLATION).iter().all(is_hers));
    world.deliver();
    let subjects: Vec<String> = world.inbox.all().into_iter().map(|mail| mail.subject).collect();
    assert!(subjects.contains(&"An authenticator protects your OTP Auth account".to_owned()), "{subjects:?}");
}

#[test]
fn a_step_lets_one_of_sixty_four_in() {
    let world = World::new();
    let Enrolled { app, .. } = world.enrol(ANN);
    for _ in 0..5 {
        world.clock.advance(10 * MINUTE);
        let halves: Vec<SecondFactorOfMember> = (0..16).map(|_| world.half(ANN)).collect();
        let proof = app.proof(world.now());
        let outcomes = race(64, |racer| world.complete(&halves[racer % 16], &proof));
        let refused = ["otp_invalid", "rate_limit_exceeded", "invalid_mfa_token"].map(|code| tally(&outcomes, code));
        assert_eq!((tally(&outcomes, "ok"), refused.iter().sum()), (1, 63), "{outcomes:?}");
        assert!(refused[0] <= 5, "{refused:?}");
    }
}

#[test]
fn a_recovery_code_lets_one_of_sixty_four_in_and_a_token_is_used_once() {
    let world = World::new();
    let Enrolled { caller, codes, .. } = world.enrol(ANN);
    let left = || wait(world.service.member_totp_status(&caller)).unwrap().recovery_codes_left;
    let halves: Vec<SecondFactorOfMember> = (0..16).map(|_| world.half(ANN)).collect();
    let outcomes = race(64, |racer| world.complete(&halves[racer % 16], &recovery(&codes[0])));
    assert_eq!((tally(&outcomes, "ok"), left()), (1, 9), "{outcomes:?}");
    world.clock.advance(5 * MINUTE);
    // Every one of these would do.
    let half = world.half(ANN);
    let outcomes = race(64, |racer| world.complete(&half, &recovery(&codes[1 + racer % 9])));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "invalid_mfa_token")), (1, 63), "{outcomes:?}");
    assert_eq!(left(), 8, "what was refused used nothing up");
}

#[test]
fn two_hundred_wrong_guesses_are_five_and_the_mail_goes_on() {
    let world = World::new();
    let Enrolled { caller, app, codes } = world.enrol(ANN);
    let halves: Vec<SecondFactorOfMember> = (0..8).map(|_| world.half(ANN)).collect();
    let right = app.shows(world.now());
    let outcomes = race(200, |racer| world.complete(&halves[racer % 8], &otp(&wrong(&right, racer))));
    assert_eq!((tally(&outcomes, "otp_invalid"), tally(&outcomes, "rate_limit_exceeded")), (5, 195));
    let failed = world.actions().into_iter().filter(|action| *action == Action::SecondFactorFailed);
    assert_eq!(failed.count(), 5, "what is not looked at is not written down");
    assert_eq!(refusal(world.complete(&halves[0], &recovery(&codes[0]))), "rate_limit_exceeded", "one budget");
    assert_eq!(refusal(wait(world.service.step_up_member(&caller, &app.proof(world.now())))), "rate_limit_exceeded");
    assert_eq!(refusal(wait(world.service.disable_member_totp(&caller, &recovery(&codes[0])))), "rate_limit_exceeded");

    // Codes by mail and a new password work all the same; what they do not do is let anybody in.
    let by_mail = MemberProof::Code(world.code(ANN));
    let by_mail = wait(world.service.sign_in_member(ANN, by_mail, true, &Client::default()));
    let Err(Error::SecondFactorOfMember(half)) = by_mail else { panic!("{by_mail:?}") };
    assert_eq!(refusal(world.complete(&half, &app.proof(world.now()))), "rate_limit_exceeded");
    wait(world.service.request_recovery(ANN, &Client::default())).unwrap();
    world.deliver();
    let code = world.inbox.code_to(ANN);
    wait(world.service.recover_member(ANN, &code, secret("seven plums in a kettle"), &Client::default())).unwrap();
    world.clock.advance(5 * MINUTE);
    let Err(Error::SecondFactorOfMember(half)) = world.password(ANN, "seven plums in a kettle") else { panic!() };
    assert!(world.complete(&half, &app.proof(world.now())).is_ok());
}

#[test]
fn a_new_password_does_without_no_second_factor_and_ends_what_the_old_one_began() {
    let world = World::new();
    let Enrolled { caller, app, .. } = world.enrol(ANN);
    let before = world.half(ANN);
    wait(world.service.request_recovery(ANN, &Client::default())).unwrap();
    world.deliver();
    let code = world.inbox.code_to(ANN);
    wait(world.service.recover_member(ANN, &code, secret("seven plums in a kettle"), &Client::default())).unwrap();
    assert_eq!(refusal(world.complete(&before, &app.proof(world.now()))), "invalid_mfa_token");
    assert!(matches!(world.password(ANN, "seven plums in a kettle"), Err(Error::SecondFactorOfMember(_))));
    assert_eq!(refusal(wait(world.service.step_up_member(&caller, &app.proof(world.now())))), "invalid_session");
}

#[test]
fn what_a_sign_in_goes_on_with_dies_of_age_and_with_every_other_session() {
    let world = World::new();
    let Enrolled { caller, app, .. } = world.enrol(ANN);
    let half = world.half(ANN);
    world.clock.advance(10 * MINUTE - MILLI);
    world.complete(&half, &app.proof(world.now())).unwrap();
    let half = world.half(ANN);
    world.clock.advance(10 * MINUTE);
    assert_eq!(refusal(world.complete(&half, &app.proof(world.now()))), "invalid_mfa_token");
    let half = world.half(ANN);
    wait(world.service.sign_out_member(&caller, true)).unwrap();
    assert_eq!(refusal(world.complete(&half, &app.proof(world.now()))), "invalid_mfa_token");
    for token in ["", "otp_mfa_", "otp_mfa_AAAA", half.mfa_token.expose().strip_prefix("otp_").unwrap()] {
        let tried = wait(world.service.complete_member_sign_in(token, &otp("123456"), &Client::default()));
        assert_eq!(refusal(tried), "invalid_mfa_token", "{token}");
    }
    // Of more than there may be, the oldest goes.
    let halves: Vec<SecondFactorOfMember> = (0..21)
        .map(|_| {
            world.clock.advance(SECOND);
            world.half(ANN)
        })
        .collect();
    assert_eq!(refusal(world.complete(&halves[0], &app.proof(world.now()))), "invalid_mfa_token");
    assert!(world.complete(&halves[1], &app.proof(world.now())).is_ok());
}

#[test]
fn what_cannot_be_undone_takes_a_second_factor_of_the_last_ten_minutes() {
    let world = World::new();
    let Enrolled { app, .. } = world.enrol(ANN);
    let begun = world.now();
    let signed_in = world.complete(&world.half(ANN), &app.proof(world.now())).unwrap();
    let caller = world.caller_of(&signed_in);
    let tenant = world.app(&caller);
    let refused = |caller: &MemberCaller| {
        let reset = wait(world.service.reset_app_key(caller, tenant)).map(drop);
        let deleted = wait(world.service.delete_app(caller, tenant)).map(drop);
        let renewed = wait(world.service.renew_member_recovery_codes(caller)).map(drop);
        [refusal(reset), refusal(deleted), refusal(renewed)]
    };
    world.clock.advance(10 * MINUTE - MILLI);
    wait(world.service.reset_app_key(&caller, tenant)).unwrap();
    world.clock.advance(MILLI);
    assert_eq!(refused(&caller), ["step_up_required"; 3]);
    wait(world.service.rename_app(&caller, tenant, "Acme Rockets".to_owned())).unwrap();

    let stepped_up = wait(world.service.step_up_member(&caller, &app.proof(world.now()))).unwrap();
    assert_ne!((stepped_up.session, stepped_up.token.expose()), (signed_in.session, signed_in.token.expose()));
    assert_eq!(refusal(wait(world.service.member(signed_in.token.expose()))), "invalid_session");
    assert_eq!(stepped_up.expires_at, begun + 12 * HOUR, "it lasts no longer than from the sign-in");
    let caller = world.caller_of(&stepped_up);
    let codes = wait(world.service.renew_member_recovery_codes(&caller)).unwrap();
    wait(world.service.reset_app_key(&caller, tenant)).unwrap();
    world.clock.advance(10 * MINUTE);
    assert_eq!(refused(&caller), ["step_up_required"; 3]);
    let caller = world.caller_of(&wait(world.service.step_up_member(&caller, &recovery(&codes[9]))).unwrap());
    wait(world.service.delete_app(&caller, tenant)).unwrap();
    let told = world.actions();
    for action in [Action::MemberSteppedUp, Action::RecoveryCodesRenewed] {
        assert!(told.contains(&action), "{told:?}");
    }
}

#[test]
fn without_an_authenticator_it_takes_a_sign_in_of_the_last_ten_minutes() {
    let world = World::new();
    world.register(ANN);
    let caller = world.let_in(ANN);
    let tenant = world.app(&caller);
    world.clock.advance(10 * MINUTE);
    assert_eq!(refusal(wait(world.service.delete_app(&caller, tenant))), "step_up_required");
    // Whoever finds a session open does not put an authenticator before it.
    assert_eq!(refusal(wait(world.service.register_member_totp(&caller))), "step_up_required");
    let caller = world.let_in(ANN);
    world.clock.advance(10 * MINUTE - MILLI);
    let app = App::of(&wait(world.service.register_member_totp(&caller)).unwrap());
    world.clock.advance(MILLI);
    assert!(wait(world.service.enable_member_totp(&caller, &app.shows(world.now()))).is_ok());
}

#[test]
fn an_authenticator_goes_by_a_code_of_it_or_by_a_recovery_code() {
    let world = World::new();
    for by_code in [true, false] {
        let email = format!("ann{by_code}@acme.example");
        let Enrolled { caller, app, codes } = world.enrol(&email);
        let half = world.half(&email);
        let proof = if by_code { app.proof(world.now()) } else { recovery(&codes[3]) };
        let signed_in = wait(world.service.disable_member_totp(&caller, &proof)).unwrap();
        let now = world.caller_of(&signed_in);
        assert_eq!(refusal(wait(world.service.step_up_member(&now, &app.proof(world.now())))), "not_found");
        assert_eq!(refusal(wait(world.service.renew_member_recovery_codes(&now))), "not_found");
        assert_eq!(refusal(world.complete(&half, &app.proof(world.now()))), "invalid_mfa_token");
        assert_eq!(refusal(wait(world.service.disable_member_totp(&caller, &proof))), "invalid_session");
        let sessions: Vec<MemberSession> = world.owned(now.id().as_bytes().into());
        assert_eq!(sessions.len(), 1, "the others are over");
        assert!(world.password(&email, PASSWORD).is_ok());
    }
    world.deliver();
    let told = world.inbox.all().into_iter().filter(|mail| mail.subject.contains("no authenticator any more"));
    assert_eq!((told.count(), world.actions().contains(&Action::MemberTotpDisabled)), (2, true));
}

#[test]
fn the_operator_helps_whoever_lost_both() {
    let world = World::new();
    let Enrolled { caller, app, .. } = world.enrol(ANN);
    let half = world.half(ANN);
    let reset = |email: &str| wait(world.service.reset_member_totp(email));
    assert_eq!(refusal(reset("nobody@acme.example")), "not_found");
    assert_eq!(reset(ANN).unwrap().id, caller.id());
    assert_eq!(refusal(reset(ANN)), "not_found");
    assert_eq!(refusal(world.complete(&half, &app.proof(world.now()))), "invalid_mfa_token");
    assert_eq!(refusal(wait(world.service.step_up_member(&caller, &app.proof(world.now())))), "invalid_session");
    assert!(world.password(ANN, PASSWORD).is_ok());
    let line = world.audit(TenantId::INSTALLATION).into_iter().find(|line| line.action == Action::MemberTotpReset);
    let line = line.unwrap();
    assert_eq!((line.actor, line.target), (Actor::Administrator, caller.id().to_string()));
    world.deliver();
    let told = world.inbox.all().into_iter().filter(|mail| mail.subject.contains("was removed") && mail.to == ANN);
    assert_eq!(told.count(), 1);
}

#[test]
fn a_clock_that_steps_lets_no_code_in_twice() {
    for off in [1, -1, 30, -30, 3600, -3600] {
        let world = World::new();
        let Enrolled { app, .. } = world.enrol(ANN);
        let middle = Period::USUAL.end_of(Period::USUAL.step_at(world.now())) + 15 * SECOND;
        world.clock.set(middle);
        let stepped = Timestamp::from_millis(middle.as_millis() + off * 1000);
        // Of an app that is off.
        let is_near = off.abs() < 60;
        let by_app = world.complete(&world.half(ANN), &app.proof(stepped));
        assert_eq!(by_app.is_ok(), is_near, "{off} seconds: {by_app:?}");
        // Of a server whose clock is set.
        world.clock.set(middle + 2 * MINUTE);
        let used = app.proof(world.now());
        world.complete(&world.half(ANN), &used).unwrap();
        world.clock.set(Timestamp::from_millis((middle + 2 * MINUTE).as_millis() + off * 1000));
        assert_eq!(refusal(world.complete(&world.half(ANN), &used)), "otp_invalid", "{off} seconds");
    }
}

#[test]
fn no_secret_no_code_and_no_token_stands_anywhere() {
    let world = World::new();
    world.register(ANN);
    let caller = world.let_in(ANN);
    let enrolment = wait(world.service.register_member_totp(&caller)).unwrap();
    let app = App::of(&enrolment);
    let enabled = wait(world.service.enable_member_totp(&caller, &app.shows(world.now()))).unwrap();
    let half = world.half(ANN);
    let kept = world.everything().into_iter().filter_map(|item| match item {
        Item::Record(record) => Some(record.body()),
        Item::Count(..) => None,
    });
    let kept: String = kept.collect();
    assert!(kept.contains("\"for_program\""), "the waiting sign-in is among it");
    let mfa_token = half.mfa_token.expose().strip_prefix("otp_mfa_").unwrap();
    let session = enabled.signed_in.token.expose().strip_prefix("otp_ms_").unwrap();
    let texts = [enrolment.secret.expose(), mfa_token, session];
    for text in texts.into_iter().chain(enabled.recovery_codes.iter().map(Secret::expose)) {
        assert!(!kept.contains(text), "{text}");
    }
}
