//! Wrong guesses: how many are judged, whatever way and however many at once they come.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::EventKind;
use otp_core::usage::{Counter, Span};
use otp_core::*;

const ANN: &str = "ann@example.org";

fn remaining(outcomes: &[Result<SignedIn, Error>]) -> Vec<u8> {
    let left = outcomes.iter().filter_map(|outcome| match outcome {
        Err(Error::OtpInvalid { remaining, .. }) => Some(*remaining),
        _ => None,
    });
    let mut left: Vec<u8> = left.collect();
    left.sort();
    left
}

#[test]
fn two_hundred_wrong_guesses_at_once_spend_exactly_one_budget() {
    let world = World::new();
    for round in 0..5 {
        for bound in [true, false] {
            let acme = world.live();
            let asked = world.ask_for(&acme, ANN);
            let guess = |bound: bool, code: &str| match bound {
                true => world.say(&acme, asked.id, code),
                false => world.say_at(&acme, ANN, code),
            };
            let outcomes = race(200, |racer| guess(bound, &wrong(&asked.code, racer)));
            assert_eq!(remaining(&outcomes), [0, 1, 2, 3, 4], "round {round}");
            assert_eq!(tally(&outcomes, "otp_attempts_exceeded"), 195);
            assert_eq!(world.count_events(acme.space(), EventKind::OtpFailed), 5);
            assert_eq!(world.counter(acme.space(), Counter::FailedAttempts, Span::Hour), 5);
            assert_eq!(world.counter(acme.space(), Counter::OtpVerifications, Span::Hour), 5);

            assert_eq!(refusal(guess(bound, &asked.code)), "otp_attempts_exceeded");
            assert!(guess(!bound, &asked.code).is_ok(), "the other budget is untouched");
        }
    }
}

#[test]
fn both_budgets_at_once_are_ten_guesses_and_then_the_code_is_dead() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, ANN);
    let outcomes = race(200, |racer| match racer % 2 {
        0 => world.say(&acme, asked.id, &wrong(&asked.code, racer)),
        _ => world.say_at(&acme, ANN, &wrong(&asked.code, racer)),
    });
    assert_eq!(remaining(&outcomes), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    assert_eq!(tally(&outcomes, "otp_attempts_exceeded"), 190);
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "otp_attempts_exceeded");
    assert_eq!(refusal(world.say_at(&acme, ANN, &asked.code)), "otp_attempts_exceeded");
}

#[test]
fn a_right_guess_among_wrong_ones_wins_only_within_the_budget() {
    let world = World::new();
    for round in 0..40 {
        let acme = world.live();
        let asked = world.ask_for(&acme, ANN);
        let outcomes = race(64, |racer| {
            let code = if racer == round { asked.code.clone() } else { wrong(&asked.code, racer) };
            world.say(&acme, asked.id, &code)
        });
        let (won, judged) = (tally(&outcomes, "ok"), tally(&outcomes, "otp_invalid"));
        assert!(won == 1 && judged < 5 || won == 0 && judged == 5, "{won} won, {judged} judged");
    }
}

#[test]
fn the_budget_is_the_tenants() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.passcode.attempts = 3);
    let asked = world.ask_for(&acme, ANN);
    let outcomes: Vec<_> = (0..4).map(|number| world.say(&acme, asked.id, &wrong(&asked.code, number))).collect();
    assert_eq!(remaining(&outcomes), [0, 1, 2]);
    assert_eq!(tally(&outcomes, "otp_attempts_exceeded"), 1);
}

#[test]
fn fifteen_guesses_an_hour_are_judged_over_all_codes_of_a_recipient() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.per_recipient = 100);
    let first_at = world.now();
    for round in 0..3 {
        let asked = world.ask_for(&acme, ANN);
        for number in 0..5 {
            assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, number))), "otp_invalid", "{round}");
            world.clock.advance(MINUTE);
        }
    }
    let asked = world.ask_for(&acme, ANN);
    for guess in [wrong(&asked.code, 0), asked.code.clone()] {
        let error = world.say(&acme, asked.id, &guess).unwrap_err();
        let Error::RateLimited(limited) = error else { panic!("{error:?}") };
        assert_eq!((limited.allowance.limit, limited.allowance.remaining), (15, 0));
        assert_eq!(limited.allowance.reset_at, first_at + HOUR);
        assert_eq!(limited.retry_after, 45 * 60);
    }
    // Refused guesses were not counted: when the first of the fifteen is an hour old, one is judged again.
    world.clock.set(first_at + HOUR);
    let asked = world.ask_for(&acme, ANN);
    assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, 0))), "otp_invalid");
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "rate_limit_exceeded");
    world.clock.advance(MINUTE);
    assert!(world.say(&acme, asked.id, &asked.code).is_ok());
}

#[test]
fn no_interleaving_of_requests_and_guesses_gets_more_than_fifteen_judged_in_an_hour() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.per_recipient = 1_000);
    let mut judged: Vec<Timestamp> = Vec::new();
    let mut random = 7_u64;
    for step in 0..1_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let asked = world.ask_for(&acme, ANN);
        let guess = wrong(&asked.code, step);
        let outcome = match random >> 63 {
            0 => world.say(&acme, asked.id, &guess),
            _ => world.say_at(&acme, ANN, &guess),
        };
        if refusal(outcome) == "otp_invalid" {
            judged.push(world.now());
        }
        world.clock.advance(std::time::Duration::from_millis(random >> 47));
    }
    assert!(judged.windows(16).all(|many| many[15].since(many[0]) >= HOUR));
    assert!(judged.len() > 250, "{}", judged.len());
}

#[test]
fn fifteen_guesses_are_judged_also_when_they_come_at_once_over_many_codes() {
    let world = World::new();
    let acme = world.unlimited();
    let acme = world.change(&acme, |settings| settings.limits.guesses_per_recipient = 15);
    let ask = |number: usize| {
        let purpose = format!("purpose-{number}");
        let spelling = format!("ann+{number}@example.org");
        (purpose.clone(), world.ask(&acme, OtpRequest { purpose, ..OtpRequest::to(email(&spelling)) }))
    };
    let asked: Vec<(String, Asked)> = (0..20).map(ask).collect();
    let outcomes = race(200, |racer| {
        let (purpose, asked) = &asked[racer % 20];
        let guess = wrong(&asked.code, racer);
        world.verify(&acme, OtpVerification { purpose: purpose.clone(), ..OtpVerification::of(asked.id, &guess) })
    });
    assert_eq!((tally(&outcomes, "otp_invalid"), tally(&outcomes, "rate_limit_exceeded")), (15, 185));
}

#[test]
fn guesses_of_one_address_in_the_network_are_limited_over_all_recipients() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.guesses_per_ip = 10);
    let asked: Vec<Asked> = (0..64).map(|number| world.ask_for(&acme, &format!("user{number}@example.org"))).collect();
    let guess = |number: usize, code: &str, ip: &str| {
        let verification = OtpVerification { client: from_ip(ip), ..OtpVerification::of(asked[number].id, code) };
        world.verify(&acme, verification)
    };
    // Right guesses do not count.
    for (number, Asked { code, .. }) in asked.iter().enumerate().skip(50).take(12) {
        assert!(guess(number, code, "2001:db8::1").is_ok());
    }
    let outcomes = race(50, |racer| guess(racer, &wrong(&asked[racer].code, 0), &format!("2001:db8::{racer:x}")));
    assert_eq!((tally(&outcomes, "otp_invalid"), tally(&outcomes, "rate_limit_exceeded")), (10, 40));
    let refused = guess(62, &asked[62].code, "2001:db8::ffff:1").unwrap_err();
    assert_eq!(refused.code(), "rate_limit_exceeded", "the same /64, and the right code");
    assert!(guess(62, &asked[62].code, "2001:db8:0:1::1").is_ok(), "another network");
    assert!(world.say(&acme, asked[63].id, &asked[63].code).is_ok(), "no network known");

    // 08:15:30 and ten in this clock hour: from 09:06:00 on, nine tenths of them still weigh.
    assert_eq!(refused.retry_after(), Some(50 * 60 + 30));
}

#[test]
fn what_cannot_be_a_code_is_no_guess() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, ANN);
    for text in ["", "123", "12345678", "1234567890", "12345678a", "१२३४५६७८९", "123456789\0", &"9".repeat(100)]
    {
        for _ in 0..10 {
            assert_eq!(refusal(world.say(&acme, asked.id, text)), "invalid_otp_format", "{text}");
            assert_eq!(refusal(world.say_at(&acme, ANN, text)), "invalid_otp_format", "{text}");
        }
    }
    assert_eq!(world.counter(acme.space(), Counter::FailedAttempts, Span::Hour), 0);
    assert!(world.say(&acme, asked.id, &asked.code).is_ok());
}

#[test]
fn guesses_at_one_recipient_leave_others_alone() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.per_recipient = 100);
    let bob = world.ask_for(&acme, "bob@example.org");
    for _ in 0..4 {
        let asked = world.ask_for(&acme, ANN);
        (0..5).for_each(|number| drop(world.say(&acme, asked.id, &wrong(&asked.code, number))));
    }
    assert!(world.say_at(&acme, "bob@example.org", &bob.code).is_ok());
}
