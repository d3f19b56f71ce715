//! Asking again while a code lives: the same code, with neither attempts nor lifetime renewed, until a new one supersedes it.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::EventKind;
use otp_core::message::Channel;
use otp_core::*;

#[test]
fn asking_again_sends_the_same_code_of_the_same_challenge() {
    let world = World::new();
    let acme = world.live();
    let first = world.ask_for(&acme, "ann@example.org");
    world.clock.advance(2 * MINUTE);
    let second = world.ask_for(&acme, "Ann@example.org");
    assert_eq!((second.id, &second.code), (first.id, &first.code));
    assert_eq!(second.answer.expires_at, first.answer.expires_at);
    assert_eq!(second.answer.requested_at, world.now());
    assert_eq!(world.inbox.count(), 2);
    let [one, two] = [0, 1].map(|number| world.inbox.all()[number].id);
    assert_ne!(one, two, "providers must not take the second for a repeat of the first");
    assert_eq!(world.count_events(acme.space(), EventKind::OtpRequested), 2);

    world.clock.set(first.answer.expires_at);
    assert_eq!(refusal(world.say(&acme, first.id, &first.code)), "otp_expired");
}

#[test]
fn asking_again_gives_no_guess_back() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, "ann@example.org");
    for number in 0..4 {
        assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, number))), "otp_invalid");
    }
    assert_eq!(world.ask_for(&acme, "ann@example.org").id, asked.id);
    let fifth = world.say(&acme, asked.id, &wrong(&asked.code, 5)).unwrap_err();
    assert!(matches!(fifth, Error::OtpInvalid { remaining: 0, .. }), "{fifth:?}");
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "otp_attempts_exceeded");
}

#[test]
fn in_the_last_third_of_its_life_a_new_code_supersedes_it() {
    let world = World::new();
    let acme = world.live();
    let old = world.ask_for(&acme, "ann@example.org");
    world.clock.set(old.answer.expires_at - 200 * SECOND);
    assert_eq!(world.ask_for(&acme, "ann@example.org").id, old.id, "a third is left");
    world.clock.advance(MILLI);
    let new = world.ask_for(&acme, "ann@example.org");
    assert_ne!(new.id, old.id);
    assert_ne!(new.code, old.code);
    assert_eq!(new.answer.expires_at, world.now() + 10 * MINUTE);

    // The address stands for the newest code; whoever holds the old challenge can still use it.
    assert_eq!(refusal(world.say_at(&acme, "ann@example.org", &old.code)), "otp_invalid");
    assert!(world.say(&acme, old.id, &old.code).is_ok());
    assert!(world.say_at(&acme, "ann@example.org", &new.code).is_ok());
}

#[test]
fn a_code_with_a_spent_budget_is_not_sent_again() {
    let world = World::new();
    let acme = world.live();
    let first = world.ask_for(&acme, "ann@example.org");
    for number in 0..5 {
        let _ = world.say_at(&acme, "ann@example.org", &wrong(&first.code, number));
    }
    // At the same millisecond, so that nothing but the budget tells the two apart.
    let second = world.ask_for(&acme, "ann@example.org");
    assert_ne!(second.id, first.id);
    assert!(world.say_at(&acme, "ann@example.org", &second.code).is_ok());
    assert!(world.say(&acme, first.id, &first.code).is_ok(), "others' requests do not void a bound challenge");
}

#[test]
fn a_used_code_is_not_sent_again() {
    let world = World::new();
    let acme = world.live();
    let first = world.ask_for(&acme, "ann@example.org");
    world.say(&acme, first.id, &first.code).unwrap();
    let second = world.ask_for(&acme, "ann@example.org");
    assert_ne!((second.id, &second.code), (first.id, &first.code));
    assert!(world.say_at(&acme, "ann@example.org", &second.code).is_ok());
}

#[test]
fn the_address_stands_for_the_code_that_was_sent_last() {
    let world = World::new();
    let acme = world.change(&world.unlimited(), |settings| settings.limits.phone_cooldown = 0);
    let number = || phone("+4915112345678");
    let by = |channel| OtpRequest { channel, ..OtpRequest::to(number()) };
    let sms = world.ask(&acme, by(Channel::Sms));
    world.clock.advance(MINUTE);
    let whatsapp = world.ask(&acme, by(Channel::Whatsapp));
    assert_ne!(whatsapp.id, sms.id, "a message of one channel does not carry the code of another's challenge");
    world.clock.advance(MINUTE);
    let again = world.ask(&acme, by(Channel::Sms));
    assert_eq!((again.id, &again.code), (sms.id, &sms.code));
    assert!(world.verify(&acme, OtpVerification::at(number(), &again.code)).is_ok());
}

#[test]
fn the_newest_code_is_found_among_hundreds_that_nobody_swept_away() {
    let world = World::new();
    let acme = world.live();
    for _ in 0..300 {
        world.ask_for(&acme, "ann@example.org");
        world.clock.advance(30 * MINUTE);
    }
    world.clock.advance(HOUR);
    let asked = world.ask_for(&acme, "ann@example.org");
    assert!(world.say_at(&acme, "ann@example.org", &asked.code).is_ok());
    let asked = world.ask_for(&acme, "ann@example.org");
    assert_eq!(world.ask_for(&acme, "ann@example.org").id, asked.id);
}

#[test]
fn the_newest_code_is_found_among_hundreds_that_live() {
    let world = World::new();
    let acme = world.unlimited();
    for number in 0..300 {
        let request =
            OtpRequest { context: Some(format!("order {number}")), ..OtpRequest::to(email("ann@example.org")) };
        world.request(&acme, request).unwrap();
        world.clock.advance(MILLI);
    }
    let asked = world.ask_for(&acme, "ann@example.org");
    assert_eq!(world.ask_for(&acme, "ann@example.org").id, asked.id);
    assert!(world.say_at(&acme, "ann@example.org", &asked.code).is_ok());
}
