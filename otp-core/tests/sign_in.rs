//! A code is asked for, received and said: who is signed in by it, how often, and until when.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::EventKind;
use otp_core::message::Channel;
use otp_core::session::Session;
use otp_core::user::User;
use otp_core::*;

#[test]
fn a_code_signs_in_whoever_names_its_challenge() {
    let world = World::new();
    let acme = world.live();
    let answer = world.request_to(&acme, "Ann@Example.org").unwrap();
    assert_eq!(answer.requested_at, world.now());
    assert_eq!(answer.expires_at, world.now() + 10 * MINUTE);
    assert_eq!((answer.channel, answer.resend_at), (Channel::Email, world.now()));
    assert_eq!((answer.limit.limit, answer.limit.remaining), (3, 2));
    assert_eq!(answer.limit.reset_at, world.now() + HOUR);
    assert!(answer.quota.is_none() && answer.code.is_none());

    assert_eq!(wait(world.service.deliver_fresh(10)).unwrap(), Delivered { sent: 1, ..Delivered::default() });
    let message = &world.inbox.all()[0];
    assert_eq!((message.to.as_str(), message.expires_at), ("Ann@Example.org", answer.expires_at));
    let code = message.code.as_ref().unwrap().expose();
    assert!(code.len() == 9 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    assert!(message.text.contains(code) || message.text.contains(&grouped(code)), "{}", message.text);

    let signed_in = world.say(&acme, answer.challenge_id, code).unwrap();
    assert_eq!((signed_in.email.as_deref(), signed_in.phone.as_deref()), (Some("Ann@Example.org"), None));
    assert!(signed_in.is_new_user);
    assert_eq!(signed_in.refresh_expires_at, world.now() + 7 * DAY);
    let me = world.me(&signed_in).unwrap();
    assert_eq!((me.user_id(), me.session_id()), (signed_in.user_id, signed_in.session_id));
    assert_eq!((me.created_at(), me.last_login_at()), (world.now(), world.now()));
    assert_eq!(me.email.as_deref(), Some("Ann@Example.org"));
}

fn grouped(code: &str) -> String {
    code.as_bytes().chunks(3).map(|three| std::str::from_utf8(three).unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_code_signs_in_whoever_names_the_address_in_any_spelling() {
    let world = World::new();
    let acme = world.live();
    let first = world.sign_in(&acme, "Ann@Example.org");
    let created = world.now();
    world.clock.advance(MINUTE);
    let asked = world.ask_for(&acme, "ANN@example.ORG");
    let second = world.say_at(&acme, " ann@EXAMPLE.org ", &asked.code).unwrap();
    assert_eq!(second.user_id, first.user_id);
    assert_ne!(second.session_id, first.session_id);
    assert!(!second.is_new_user);
    // The first spelling is kept for display.
    assert_eq!(second.email.as_deref(), Some("Ann@Example.org"));
    let me = world.me(&second).unwrap();
    assert_eq!((me.created_at(), me.last_login_at()), (created, world.now()));
    assert!(world.me(&first).is_ok());
}

#[test]
fn a_phone_number_signs_in_too() {
    let world = World::new();
    let acme = world.texting();
    let asked = world.ask(&acme, OtpRequest::to(phone("+49 1511 2345678")));
    assert_eq!(asked.answer.channel, Channel::Sms);
    assert_eq!(world.inbox.all()[0].html, None);
    let verification = OtpVerification::at(phone("+49 (1511) 234-5678"), &asked.code);
    let signed_in = world.verify(&acme, verification).unwrap();
    assert_eq!((signed_in.phone.as_deref(), signed_in.email.as_deref()), (Some("+4915112345678"), None));
    assert_eq!(world.me(&signed_in).unwrap().phone.as_deref(), Some("+4915112345678"));
}

#[test]
fn the_channel_has_to_fit_the_address() {
    let world = World::new();
    let acme = world.texting();
    for (address, channel) in [
        (email("ann@example.org"), Channel::Sms),
        (email("ann@example.org"), Channel::Whatsapp),
        (phone("+4915112345678"), Channel::Email),
    ] {
        let request = OtpRequest { channel, ..OtpRequest::to(address) };
        assert_eq!(refusal(world.request(&acme, request)), "invalid_channel");
    }
    let whatsapp = OtpRequest { channel: Channel::Whatsapp, ..OtpRequest::to(phone("+4915112345678")) };
    assert_eq!(world.ask(&acme, whatsapp).answer.channel, Channel::Whatsapp);
}

#[test]
fn a_code_works_once_ever() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, "ann@example.org");
    world.say(&acme, asked.id, &asked.code).unwrap();
    world.clock.advance(MINUTE);
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "otp_not_found");
    assert_eq!(refusal(world.say_at(&acme, "ann@example.org", &asked.code)), "otp_not_found");
    assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, 0))), "otp_not_found");
    world.clock.advance(10 * MINUTE);
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "otp_not_found");
}

#[test]
fn sixty_four_say_the_right_code_and_one_session_begins() {
    let world = World::new();
    for round in 0..20 {
        let acme = world.live();
        let asked = world.ask_for(&acme, "ann@example.org");
        let outcomes = race(64, |racer| match racer % 2 {
            0 => world.say(&acme, asked.id, &asked.code),
            _ => world.say_at(&acme, "ann@example.org", &asked.code),
        });
        assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "otp_not_found")), (1, 63), "round {round}");
        let winner = outcomes.into_iter().find_map(Result::ok).unwrap();
        let space = acme.space();
        assert_eq!(world.owned::<User>(space.owner()).len(), 1);
        assert_eq!(world.owned::<Session>(winner.user_id.as_bytes().into()).len(), 1);
        for kind in [EventKind::OtpVerified, EventKind::UserCreated, EventKind::UserLoggedIn] {
            assert_eq!(world.count_events(space, kind), 1, "{kind:?}");
        }
        assert_eq!(world.count_events(space, EventKind::OtpFailed), 0);
    }
}

#[test]
fn first_sign_ins_of_one_address_make_one_user() {
    let world = World::new();
    let acme = world.unlimited();
    let asked: Vec<(String, Asked)> = (0..32)
        .map(|number| {
            let purpose = format!("purpose-{number}");
            let request = OtpRequest { purpose: purpose.clone(), ..OtpRequest::to(email("ann@example.org")) };
            (purpose, world.ask(&acme, request))
        })
        .collect();
    let outcomes = race(32, |racer| {
        let (purpose, asked) = &asked[racer];
        let verification = OtpVerification { purpose: purpose.clone(), ..OtpVerification::of(asked.id, &asked.code) };
        world.verify(&acme, verification)
    });
    assert_eq!(tally(&outcomes, "ok"), 32);
    let new = outcomes.iter().flatten().filter(|signed_in| signed_in.is_new_user).count();
    assert_eq!((new, world.owned::<User>(acme.space().owner()).len()), (1, 1));
    assert_eq!(world.count_events(acme.space(), EventKind::UserCreated), 1);
}

#[test]
fn a_code_is_right_until_the_last_millisecond_and_no_longer() {
    let world = World::new();
    let acme = world.unlimited();
    let asked = world.ask_for(&acme, "in@example.org");
    world.clock.set(asked.answer.expires_at - MILLI);
    assert!(world.say(&acme, asked.id, &asked.code).is_ok());

    let asked = world.ask_for(&acme, "late@example.org");
    world.clock.set(asked.answer.expires_at);
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "otp_expired");
    assert_eq!(refusal(world.say_at(&acme, "late@example.org", &asked.code)), "otp_expired");
    assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, 0))), "otp_expired");
    assert_eq!(world.count_events(acme.space(), EventKind::OtpFailed), 0);
}

#[test]
fn what_was_not_asked_for_is_not_found() {
    let world = World::new();
    let acme = world.live();
    let unknown = ChallengeId::new(&SeededRandom::new(9));
    assert_eq!(refusal(world.say(&acme, unknown, "123456789")), "otp_not_found");
    assert_eq!(refusal(world.say_at(&acme, "nobody@example.org", "123456789")), "otp_not_found");
    for text in ["", "otp_", "otp_1111", "user_1111111111111111111111", "otp_000000000000000000000O"] {
        assert_eq!(service::parse_challenge(text).unwrap_err().code(), "otp_not_found", "{text}");
    }
    assert_eq!(service::parse_challenge(&unknown.to_string()).unwrap(), unknown);
    let nameless = OtpVerification { challenge: None, ..OtpVerification::of(unknown, "123456789") };
    assert_eq!(refusal(world.verify(&acme, nameless)), "missing_field");
}

#[test]
fn a_challenge_belongs_to_the_address_that_is_named_with_it() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, "ann@example.org");
    let both =
        |address: &str| OtpVerification { address: Some(email(address)), ..OtpVerification::of(asked.id, &asked.code) };
    assert_eq!(refusal(world.verify(&acme, both("bob@example.org"))), "otp_not_found");
    assert_eq!(refusal(world.verify(&acme, both("ann+x@example.org"))), "otp_not_found");
    assert!(world.verify(&acme, both("ann@example.org")).is_ok());
}

#[test]
fn codes_have_the_format_that_the_tenant_set() {
    let world = World::new();
    let acme = world.unlimited();
    for (format, length) in [("digits:4", 4), ("digits:6", 6), ("digits:10", 10), ("letters:6", 6), ("letters:12", 12)]
    {
        let acme = world.change(&acme, |settings| {
            settings.passcode.format = format.parse().unwrap();
            settings.passcode.attempts = 3;
        });
        let asked = world.ask_for(&acme, &format!("{}@example.org", format.replace(':', "-")));
        assert_eq!(asked.code.len(), length, "{format}");
        let digits_only = asked.code.bytes().all(|byte| byte.is_ascii_digit());
        assert_eq!(digits_only, format.starts_with("digits"), "{}", asked.code);
        assert!(!format.starts_with("letters") || !asked.code.contains(['0', 'O', '1', 'I', 'L', '5', 'S', '8', 'B']));

        for text in ["12345678901", "12345", "1234567", "ABC!EFG", "１２３４５６", ""] {
            assert_eq!(refusal(world.say(&acme, asked.id, text)), "invalid_otp_format", "{format} {text}");
        }
        let (head, tail) = asked.code.split_at(length / 2);
        let typed = format!(" {}-{} ", head.to_lowercase(), tail);
        assert!(world.say(&acme, asked.id, &typed).is_ok(), "{format} {typed}");
    }
}

#[test]
fn a_code_keeps_the_format_and_life_it_was_sent_with() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, "ann@example.org");
    let acme = world.change(&acme, |settings| {
        settings.passcode.format = "letters:8".parse().unwrap();
        settings.passcode.ttl = 60;
        settings.passcode.attempts = 1;
    });
    world.clock.advance(5 * MINUTE);
    assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, 0))), "otp_invalid");
    assert!(world.say(&acme, asked.id, &asked.code).is_ok());
}

#[test]
fn each_act_tells_of_itself_once() {
    let world = World::new();
    let acme = world.live();
    let asked = world.ask_for(&acme, "ann@example.org");
    let kinds = |skip: usize| {
        let mut events = world.events(acme.space());
        events.truncate(events.len() - skip);
        let mut kinds: Vec<String> = events.iter().map(|event| serde_json::to_string(&event.kind()).unwrap()).collect();
        kinds.sort();
        kinds
    };
    let before = world.tenant_events(&acme);
    assert_eq!(kinds(before), ["\"otp.requested\""]);
    world.clock.advance(SECOND);
    let _ = world.say(&acme, asked.id, &wrong(&asked.code, 0));
    world.clock.advance(SECOND);
    assert_eq!(kinds(before + 1), ["\"otp.failed\""]);
    world.say(&acme, asked.id, &asked.code).unwrap();
    world.clock.advance(SECOND);
    assert_eq!(kinds(before + 2), ["\"otp.verified\"", "\"user.created\"", "\"user.logged_in\""]);
    let again = world.ask_for(&acme, "ann@example.org");
    world.clock.advance(SECOND);
    world.say(&acme, again.id, &again.code).unwrap();
    assert_eq!(kinds(before + 6), ["\"otp.verified\"", "\"user.logged_in\""]);
    // Nothing else was told: no event says an address or a code.
    for event in world.events(acme.space()) {
        let text = serde_json::to_string(&event).unwrap();
        assert!(!text.contains("example.org") && !text.contains(&asked.code) && !text.contains(&again.code), "{text}");
    }
}

impl World {
    fn tenant_events(&self, caller: &Caller) -> usize {
        self.events(caller.space()).len() - self.count_events(caller.space(), EventKind::OtpRequested)
    }
}
