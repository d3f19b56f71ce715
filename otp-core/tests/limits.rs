//! Rate limits on asking for codes: per recipient, between two messages, per client network, per tenant. All slide.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::EventKind;
use otp_core::limit::Allowance;
use otp_core::message::{Channel, Message};
use otp_core::usage::{Counter, Span};
use otp_core::user::User;
use otp_core::*;

const ANN: &str = "ann@example.org";

fn limited<T: std::fmt::Debug>(outcome: Result<T, Error>) -> error::Limited {
    match outcome {
        Err(Error::RateLimited(limited) | Error::Cooldown(limited)) => limited,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recipient_is_sent_three_codes_in_any_hour() {
    let world = World::new();
    let acme = world.live();
    let first_at = world.now();
    for sent in 1..=3_u64 {
        let answer = world.request_to(&acme, ANN).unwrap();
        assert_eq!(answer.limit, Allowance { limit: 3, remaining: 3 - sent, reset_at: first_at + HOUR });
        let resend_at = if sent == 3 { first_at + HOUR } else { world.now() };
        assert_eq!(answer.resend_at, resend_at);
        world.clock.advance(10 * MINUTE);
    }
    let refused = limited(world.request_to(&acme, ANN));
    assert_eq!(refused.retry_after, 30 * 60);
    assert_eq!(refused.allowance, Allowance { limit: 3, remaining: 0, reset_at: first_at + HOUR });

    world.clock.set(first_at + HOUR - MILLI);
    assert_eq!(limited(world.request_to(&acme, ANN)).retry_after, 1);
    assert!(world.request_to(&acme, "bob@example.org").is_ok(), "others are not concerned");
    world.clock.advance(MILLI);
    assert!(world.request_to(&acme, ANN).is_ok(), "refused requests are not counted");
    assert_eq!(limited(world.request_to(&acme, ANN)).retry_after, 10 * 60);
    assert_eq!(world.count_events(acme.space(), EventKind::OtpRequested), 5);
    assert_eq!(world.committed::<Message>().len(), 5);
}

#[test]
fn three_of_sixty_four_at_once_are_sent() {
    let world = World::new();
    let acme = world.live();
    let outcomes = race(64, |_| world.request_to(&acme, ANN));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "rate_limit_exceeded")), (3, 61));
    assert_eq!(world.deliver().sent, 3);
    assert_eq!(world.count_events(acme.space(), EventKind::OtpRequested), 3);
    assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Day), 3);
}

#[test]
fn spellings_of_one_mailbox_share_its_limits_and_stay_users_of_their_own() {
    let world = World::new();
    let acme = world.live();
    let spellings = ["Ann.Lee@gmail.com", "annlee+shop@googlemail.com", "a.n.n.l.e.e+2@GMAIL.com"];
    let users: Vec<UserId> = spellings.iter().map(|spelling| world.sign_in(&acme, spelling).user_id).collect();
    assert!(users[0] != users[1] && users[1] != users[2] && users[0] != users[2]);
    assert_eq!(world.owned::<User>(acme.space().owner()).len(), 3);
    for spelling in ["annlee@gmail.com", "ANNLEE+9@googlemail.com"] {
        assert_eq!(refusal(world.request_to(&acme, spelling)), "rate_limit_exceeded", "{spelling}");
    }
    assert!(world.request_to(&acme, "annlee@example.org").is_ok());
}

#[test]
fn a_code_of_one_spelling_is_not_one_of_another() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, "ann+a@example.org");
    assert_eq!(refusal(world.say_at(&acme, "ann+b@example.org", &asked.code)), "otp_not_found");
    assert_eq!(refusal(world.say_at(&acme, ANN, &asked.code)), "otp_not_found");
    let other = world.ask_for(&acme, "ann+b@example.org");
    assert_ne!(other.code, asked.code);
    assert_eq!(refusal(world.say_at(&acme, "ann+b@example.org", &asked.code)), "otp_invalid");
}

#[test]
fn a_phone_is_left_in_peace_between_two_messages() {
    let world = World::new();
    let acme = world.texting();
    let request = |channel| OtpRequest { channel, ..OtpRequest::to(phone("+4915112345678")) };
    let first = world.request(&acme, request(Channel::Sms)).unwrap();
    assert_eq!(first.resend_at, world.now() + 30 * SECOND);
    assert_eq!(limited(world.request(&acme, request(Channel::Sms))).retry_after, 30);
    world.clock.advance(30 * SECOND - MILLI);
    let early = world.request(&acme, request(Channel::Whatsapp));
    assert!(matches!(early, Err(Error::Cooldown(_))), "the other channel rings the same phone");
    assert_eq!(limited(early).retry_after, 1);
    world.clock.advance(MILLI);
    assert!(world.request(&acme, request(Channel::Sms)).is_ok());
    assert_eq!(world.committed::<Message>().len(), 2);
}

#[test]
fn a_mailbox_has_no_cooldown_unless_the_tenant_sets_one() {
    let world = World::new();
    let acme = world.live();
    assert!(world.request_to(&acme, ANN).is_ok() && world.request_to(&acme, ANN).is_ok());
    let acme = world.change(&acme, |settings| settings.limits.email_cooldown = 90);
    assert_eq!(refusal(world.request_to(&acme, ANN)), "cooldown");
    world.clock.advance(90 * SECOND);
    assert!(world.request_to(&acme, ANN).is_ok());
    // The limit that keeps the recipient waiting longer answers first.
    assert_eq!(refusal(world.request_to(&acme, ANN)), "rate_limit_exceeded");
}

fn from(ip: &str, number: usize) -> OtpRequest {
    OtpRequest { client: from_ip(ip), ..OtpRequest::to(email(&format!("user{number}@example.org"))) }
}

#[test]
fn one_client_network_asks_for_so_many_codes_an_hour() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.per_ip = 5);
    let outcomes = race(64, |racer| world.request(&acme, from(&format!("2001:db8::{racer:x}"), racer)));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "rate_limit_exceeded")), (5, 59));
    assert_eq!(world.deliver().sent, 5);
    assert!(world.request(&acme, from("2001:db8:0:1::1", 100)).is_ok(), "another network");
    assert!(world.request_to(&acme, "user101@example.org").is_ok(), "no network known");
    let mapped =
        |number: usize| world.request(&acme, from(["198.51.100.7", "::ffff:198.51.100.7"][number % 2], 200 + number));
    assert_eq!(tally(&(0..8).map(mapped).collect::<Vec<_>>(), "ok"), 5, "one address in two notations");
}

#[test]
fn the_hour_of_a_network_slides() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.per_ip = 5);
    world.clock.set(at("2026-02-10T08:59:59Z"));
    for number in 0..5 {
        world.request(&acme, from("198.51.100.7", number)).unwrap();
    }
    let refused = limited(world.request(&acme, from("198.51.100.7", 5)));
    assert_eq!(refused.allowance, Allowance { limit: 5, remaining: 0, reset_at: at("2026-02-10T09:12:00Z") });
    assert_eq!(refused.retry_after, 12 * 60 + 1);
    world.clock.set(at("2026-02-10T09:11:59.999Z"));
    assert_eq!(limited(world.request(&acme, from("198.51.100.7", 5))).retry_after, 1);
    world.clock.set(at("2026-02-10T09:12:00Z"));
    assert!(world.request(&acme, from("198.51.100.7", 5)).is_ok());
    assert_eq!(limited(world.request(&acme, from("198.51.100.7", 6))).retry_after, 12 * 60);
}

#[test]
fn waiting_as_long_as_told_is_long_enough() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.per_ip = 7);
    let mut sent = 0;
    let mut recipient = 0;
    while sent < 200 {
        recipient += 1;
        let outcome = world.request(&acme, from("198.51.100.7", recipient));
        if outcome.is_ok() {
            sent += 1;
            world.clock.advance(std::time::Duration::from_secs(recipient as u64 % 5 * 97));
            continue;
        }
        world.clock.advance(SECOND * limited(outcome).retry_after as u32);
        recipient += 1;
        assert!(world.request(&acme, from("198.51.100.7", recipient)).is_ok());
        sent += 1;
    }
}

#[test]
fn a_tenant_asks_for_so_many_codes_an_hour() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| settings.limits.per_tenant = Some(10));
    let outcomes = race(64, |racer| world.request_to(&acme, &format!("user{racer}@example.org")));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "rate_limit_exceeded")), (10, 54));
    let test = world.caller(acme.space().tenant, Mode::Test);
    assert!(world.request_to(&test, ANN).is_ok(), "the other mode counts for itself");
    assert!(world.request_to(&world.live(), ANN).is_ok(), "and so does another tenant");
}

#[test]
fn the_first_limit_in_order_answers() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| {
        settings.limits.per_recipient = 1;
        settings.limits.email_cooldown = 60;
        settings.limits.per_ip = 1;
        settings.limits.per_tenant = Some(1);
    });
    let ask = |to: &str, ip| world.request(&acme, OtpRequest { client: from_ip(ip), ..OtpRequest::to(email(to)) });
    ask(ANN, "198.51.100.7").unwrap();
    let limit = |outcome| limited(outcome).allowance.reset_at;
    assert_eq!(limit(ask(ANN, "198.51.100.7")), world.now() + HOUR, "the recipient's");
    assert_eq!(limit(ask("bob@example.org", "198.51.100.7")), at("2026-01-31T10:00:00Z"), "the network's");
    assert_eq!(limit(ask("bob@example.org", "198.51.100.8")), at("2026-01-31T10:00:00Z"), "the tenant's");
}
