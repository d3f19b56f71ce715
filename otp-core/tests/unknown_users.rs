//! Asking for existing users only: whoever is unknown gets no message and no right code, and no answer tells.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::user::User;
use otp_core::*;

const ANN: &str = "ann@example.org";
const NOBODY: &str = "nobody@example.org";

fn existing(to: &str) -> OtpRequest {
    OtpRequest { create_user: false, ..OtpRequest::to(email(to)) }
}

/// A tenant that knows Ann, an hour after she signed in.
fn knowing_ann(world: &World) -> Caller {
    let acme = world.live();
    world.sign_in(&acme, ANN);
    world.clock.advance(HOUR);
    acme
}

/// An answer without what is drawn by lot.
fn masked(answer: &OtpChallenge) -> String {
    format!("{answer:?}").replace(&answer.challenge_id.to_string(), "otp_…")
}

/// The code of a live challenge, as the program that delivers it itself is told.
fn revealed(world: &World, caller: &Caller, request: OtpRequest) -> OtpChallenge {
    world.request(caller, OtpRequest { deliver: Deliver::Caller, ..request }).unwrap()
}

#[test]
fn known_and_unknown_get_the_same_answer_and_only_the_known_a_message() {
    let world = World::new();
    let acme = knowing_ann(&world);
    let before = world.inbox.count();
    for _ in 0..3 {
        let [known, unknown] = [ANN, NOBODY].map(|to| world.request(&acme, existing(to)).unwrap());
        assert_eq!(masked(&known), masked(&unknown));
        world.clock.advance(MINUTE);
    }
    let [known, unknown] = [ANN, NOBODY].map(|to| world.request(&acme, existing(to)).unwrap_err());
    assert_eq!(format!("{known:?}"), format!("{unknown:?}"));
    world.deliver();
    let sent = world.inbox.all().split_off(before);
    assert!(sent.len() == 3 && sent.iter().all(|message| message.to == ANN), "{}", sent.len());
}

#[test]
fn the_code_of_an_unknown_address_is_never_right() {
    let world = World::new();
    let acme = knowing_ann(&world);
    let known = revealed(&world, &acme, existing(ANN));
    let unknown = revealed(&world, &acme, existing(NOBODY));
    let say =
        |challenge: &OtpChallenge| world.say(&acme, challenge.challenge_id, challenge.code.as_ref().unwrap().expose());
    assert!(say(&known).is_ok());
    for left in (0..5).rev() {
        let outcome = say(&unknown);
        assert!(matches!(outcome, Err(Error::OtpInvalid { remaining, .. }) if remaining == left), "{outcome:?}");
    }
    assert_eq!(refusal(say(&unknown)), "otp_attempts_exceeded");
    assert_eq!(world.owned::<User>(acme.space().owner()).len(), 1);
}

#[test]
fn guesses_are_answered_alike() {
    let world = World::new();
    let acme = knowing_ann(&world);
    let [known, unknown] = [ANN, NOBODY].map(|to| world.request(&acme, existing(to)).unwrap());
    let code = revealed(&world, &acme, existing(ANN)).code.unwrap().expose().to_owned();
    for number in 0..7 {
        let guess = wrong(&code, number);
        let [one, two] = [&known, &unknown].map(|answer| world.say(&acme, answer.challenge_id, &guess).unwrap_err());
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
        let [one, two] = [ANN, NOBODY].map(|to| world.say_at(&acme, to, &guess).unwrap_err());
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
    }
    world.clock.advance(10 * MINUTE);
    let [one, two] = [&known, &unknown].map(|answer| refusal(world.say(&acme, answer.challenge_id, &code)));
    assert_eq!(one, two);
}

#[test]
fn asking_again_names_the_same_challenge_whoever_is_asked_and_however() {
    for first_creates in [false, true] {
        for second_creates in [false, true] {
            let world = World::new();
            let acme = knowing_ann(&world);
            let ask = |to, create_user| {
                world.request(&acme, OtpRequest { create_user, ..existing(to) }).unwrap().challenge_id
            };
            for to in [ANN, NOBODY] {
                let (first, second) = (ask(to, first_creates), ask(to, second_creates));
                assert_eq!(first, second, "{to}: {first_creates}, then {second_creates}");
            }
        }
    }
}

#[test]
fn a_request_that_may_create_the_user_makes_the_code_right() {
    let world = World::new();
    let acme = knowing_ann(&world);
    let hidden = revealed(&world, &acme, existing(NOBODY));
    let code = hidden.code.unwrap().expose().to_owned();
    assert_eq!(refusal(world.say(&acme, hidden.challenge_id, &code)), "otp_invalid");
    world.clock.advance(MINUTE);
    let asked = world.ask_for(&acme, NOBODY);
    assert_eq!((asked.id, &asked.code, asked.answer.expires_at), (hidden.challenge_id, &code, hidden.expires_at));
    // The guess that was made before is not given back.
    let outcome = world.say(&acme, asked.id, &wrong(&code, 0));
    assert!(matches!(outcome, Err(Error::OtpInvalid { remaining: 3, .. })), "{outcome:?}");
    assert!(world.say(&acme, asked.id, &code).unwrap().is_new_user);
}

#[test]
fn an_unknown_address_gets_no_message_by_way_of_a_code_that_lives() {
    let world = World::new();
    let acme = knowing_ann(&world);
    let asked = world.ask_for(&acme, NOBODY);
    let sent = world.inbox.count();
    assert_eq!(world.request(&acme, existing(NOBODY)).unwrap().challenge_id, asked.id);
    world.deliver();
    assert_eq!(world.inbox.count(), sent);
    assert!(world.say(&acme, asked.id, &asked.code).is_ok(), "what was sent before is still right");
}

#[test]
fn a_user_of_the_other_mode_is_unknown() {
    let world = World::new();
    let acme = knowing_ann(&world);
    let test = world.caller(acme.space().tenant, Mode::Test);
    let answer = world.request(&test, existing(ANN)).unwrap();
    let code = answer.code.unwrap();
    assert_eq!(refusal(world.say(&test, answer.challenge_id, code.expose())), "otp_invalid");
}
