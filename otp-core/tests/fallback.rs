//! One challenge, several messages: the next one leaves when the code was not said in time.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::*;
use otp_core::api_key::KeyType;
use otp_core::event::EventKind;
use otp_core::message::{Channel, Message, MessageState};
use otp_core::suppression::SuppressionReason;
use otp_core::usage::{Counter, Span};
use otp_core::*;

const ANN: &str = "+4915112345678";

fn step(after: u64, channel: Channel, to: Option<Address>) -> FallbackStep {
    FallbackStep { after: Duration::from_secs(after), channel, to }
}

/// A text message, then WhatsApp, then a mail.
fn three() -> OtpRequest {
    let mail = step(40, Channel::Email, Some(email("ann@example.org")));
    OtpRequest { fallback: vec![step(20, Channel::Whatsapp, None), mail], ..OtpRequest::to(phone(ANN)) }
}

fn sent(world: &World) -> Vec<(Channel, String)> {
    world.inbox.all().into_iter().map(|message| (message.channel, message.to)).collect()
}

#[test]
fn each_step_leaves_in_its_time_with_the_same_code() {
    let world = World::new();
    let acme = world.texting();
    let asked = world.ask(&acme, three());
    assert_eq!((asked.answer.channel, world.inbox.count()), (Channel::Sms, 1));
    for (advance, count) in [(20 * SECOND - MILLI, 1), (MILLI, 2), (40 * SECOND - MILLI, 2), (MILLI, 3), (HOUR, 3)] {
        world.clock.advance(advance);
        world.deliver();
        assert_eq!(world.inbox.count(), count);
    }
    let ways = [(Channel::Sms, ANN), (Channel::Whatsapp, ANN), (Channel::Email, "ann@example.org")];
    assert_eq!(sent(&world), ways.map(|(channel, to)| (channel, to.to_owned())));
    assert!(world.inbox.all().iter().all(|message| message.code.as_ref().unwrap().expose() == asked.code));
    assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Day), 1);
}

#[test]
fn the_code_of_any_of_them_signs_in_who_was_asked_first_and_ends_the_rest() {
    let world = World::new();
    let acme = world.texting();
    let asked = world.ask(&acme, three());
    world.clock.advance(20 * SECOND);
    world.deliver();
    let signed_in = world.say(&acme, asked.id, &world.inbox.code_to(ANN)).unwrap();
    assert_eq!((signed_in.phone.as_deref(), signed_in.email), (Some(ANN), None));
    world.clock.advance(MINUTE);
    world.deliver();
    assert_eq!(world.inbox.count(), 2);
    let spent = world.counter(acme.space(), Counter::Spent, Span::Day);
    let prices = [Channel::Sms, Channel::Whatsapp].map(|way| numbering::price(way, "DE".parse().unwrap()));
    assert_eq!(spent, prices.iter().sum::<u64>(), "what did not leave was not paid for");
}

#[test]
fn guesses_are_of_the_challenge_whatever_carried_its_code() {
    let world = World::new();
    let acme = world.texting();
    let asked = world.ask(&acme, three());
    for guess in 0..5 {
        assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, guess))), "otp_invalid");
    }
    world.clock.advance(20 * SECOND);
    world.deliver();
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "otp_attempts_exceeded");
}

#[test]
fn who_asks_again_begins_with_the_first_step() {
    let world = World::new();
    let acme = world.change(&world.texting(), |settings| settings.limits.phone_cooldown = 0);
    let first = world.ask(&acme, three());
    world.clock.advance(10 * SECOND);
    let second = world.ask(&acme, three());
    assert_eq!(first.id, second.id);
    let channels = |advance| {
        world.clock.advance(advance);
        world.deliver();
        sent(&world).into_iter().map(|(channel, _)| channel).collect::<Vec<_>>()
    };
    use Channel::{Email, Sms, Whatsapp};
    assert_eq!(channels(10 * SECOND), [Sms, Sms]);
    assert_eq!(channels(10 * SECOND), [Sms, Sms, Whatsapp]);
    assert_eq!(channels(40 * SECOND), [Sms, Sms, Whatsapp, Email]);
    assert_eq!(channels(HOUR), [Sms, Sms, Whatsapp, Email]);
}

#[test]
fn a_step_is_counted_when_it_leaves_and_once_whatever_the_provider_says() {
    let world = World::new();
    let acme = world.texting();
    world.ask(&acme, three());
    let spent = || world.counter(acme.space(), Counter::Spent, Span::Day);
    let of = |way| numbering::price(way, "DE".parse().unwrap());
    assert_eq!(spent(), of(Channel::Sms));
    let busy = message::SendError::Temporary { reason: "busy".to_owned(), retry_after: Some(5 * SECOND) };
    world.inbox.refuse([busy]);
    world.clock.advance(20 * SECOND);
    assert_eq!(world.deliver().retried, 1);
    world.clock.advance(5 * SECOND);
    assert_eq!(world.deliver().sent, 1);
    assert_eq!(spent(), of(Channel::Sms) + of(Channel::Whatsapp));
}

#[test]
fn a_guard_stops_a_step_and_not_the_next() {
    let world = World::new();
    let acme = world.change(&world.texting(), |settings| settings.limits.per_prefix = 1);
    world.ask(&acme, three());
    world.clock.advance(20 * SECOND);
    world.deliver();
    assert_eq!(world.inbox.count(), 1);
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 1);
    let messages: Vec<Message> = world.owned(acme.space().owner());
    let failed = |message: &&Message| matches!(&message.state, MessageState::Failed { reason, .. } if reason == "channel_guard: prefix_velocity");
    assert_eq!(messages.iter().filter(failed).count(), 1);
    world.clock.advance(40 * SECOND);
    world.deliver();
    assert_eq!(sent(&world)[1].0, Channel::Email);
}

/// The list is of recipients, and a step may go to another than was asked for.
#[test]
fn nothing_is_sent_to_the_recipient_of_a_step_who_wants_nothing() {
    let world = World::new();
    let acme = world.texting();
    world.ask(&acme, three());
    let who = otp_core::service::NewSuppression {
        recipient: email("ann@example.org"),
        reason: SuppressionReason::Complaint,
        note: None,
    };
    wait(world.service.suppress(&acme, who)).unwrap();
    for after in [20, 40] {
        world.clock.advance(after * SECOND);
        world.deliver();
    }
    assert_eq!(sent(&world).into_iter().map(|(way, _)| way).collect::<Vec<_>>(), [Channel::Sms, Channel::Whatsapp]);
    let messages: Vec<Message> = world.owned(acme.space().owner());
    let failed = |message: &&Message| matches!(&message.state, MessageState::Failed { reason, .. } if reason == "recipient_suppressed: complaint");
    assert_eq!(messages.iter().filter(failed).count(), 1);
    assert_eq!(world.count_events(acme.space(), EventKind::MessageFailed), 1);
}

/// So is the list of a message that was tried in vain before.
#[test]
fn a_try_after_a_stop_is_none() {
    let world = World::new();
    let acme = world.texting();
    let busy = message::SendError::Temporary { reason: "busy".to_owned(), retry_after: Some(5 * SECOND) };
    world.inbox.refuse([busy]);
    world.request(&acme, OtpRequest::to(phone(ANN))).unwrap();
    assert_eq!(world.deliver().retried, 1);
    let Address::Phone(number) = phone(ANN) else { panic!("a number") };
    wait(world.service.opt_out(acme.space().tenant, number, "twilio")).unwrap();
    world.clock.advance(5 * SECOND);
    world.deliver();
    world.clock.advance(MINUTE);
    world.deliver();
    assert_eq!(world.inbox.count(), 0);
}

#[test]
fn two_workers_count_a_step_once() {
    let world = World::new();
    let acme = world.texting();
    world.ask(&acme, three());
    world.clock.advance(20 * SECOND);
    let other = world.another_service();
    race(8, |racer| {
        let service = if racer % 2 == 0 { &world.service } else { &other };
        wait(service.deliver_pending(10)).unwrap()
    });
    assert_eq!(world.inbox.count(), 2);
    let prices = [Channel::Sms, Channel::Whatsapp].map(|way| numbering::price(way, "DE".parse().unwrap()));
    assert_eq!(world.counter(acme.space(), Counter::Spent, Span::Day), prices.iter().sum::<u64>());
}

/// Whoever has a publishable key could have the code of another's phone sent to a mailbox of their own.
#[test]
fn only_a_secret_key_may_name_another_address() {
    let world = World::new();
    let acme = world.texting();
    for (key_type, code) in [(KeyType::Publishable, "secret_key_required"), (KeyType::Secret, "ok")] {
        let key = world.create_key(&acme, new_key(key_type, Mode::Live)).api_key;
        let caller = world.authenticate(&key).unwrap();
        let outcome = world.request(&caller, three());
        assert_eq!(outcome.map_or_else(|error| error.code(), |_| "ok"), code);
        world.clock.advance(MINUTE);
        let same =
            OtpRequest { fallback: vec![step(20, Channel::Whatsapp, Some(phone(ANN)))], ..OtpRequest::to(phone(ANN)) };
        world.request(&caller, same).unwrap();
        world.clock.advance(HOUR);
    }
}

#[test]
fn steps_that_make_no_sense_are_refused() {
    let world = World::new();
    let acme = world.texting();
    let base = || OtpRequest::to(phone(ANN));
    let whatsapp = |after| step(after, Channel::Whatsapp, None);
    for (fallback, code, field) in [
        (vec![whatsapp(4)], "invalid_after", "channels[0].after"),
        (vec![whatsapp(301)], "invalid_after", "channels[0].after"),
        (vec![step(20, Channel::Sms, None)], "invalid_channel", "channels[1].channel"),
        (vec![whatsapp(20), step(20, Channel::Sms, None)], "invalid_channel", "channels[2].channel"),
        (vec![step(20, Channel::Email, None)], "invalid_channel", "channels[1].channel"),
        (
            vec![whatsapp(300), step(300, Channel::Email, Some(email("a@example.org")))],
            "invalid_after",
            "channels[1].after",
        ),
        (vec![step(20, Channel::Whatsapp, Some(phone("+499001234567")))], "invalid_phone", "channels[1].to"),
    ] {
        let Err(Error::Invalid(invalid)) = world.request(&acme, OtpRequest { fallback, ..base() }) else {
            panic!("{code} {field}")
        };
        assert_eq!((invalid.code, &*invalid.field), (code, field), "{}", invalid.message);
    }
    let abroad = vec![step(20, Channel::Whatsapp, Some(phone("+436641234567")))];
    assert_eq!(refusal(world.request(&acme, OtpRequest { fallback: abroad, ..base() })), "country_not_enabled");
    let revealed = OtpRequest { deliver: Deliver::Caller, fallback: vec![whatsapp(20)], ..base() };
    assert_eq!(refusal(world.request(&acme, revealed)), "invalid_request");
    assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Day), 0);
}

#[test]
fn test_mode_shows_every_step_and_sends_none() {
    let world = World::new();
    let live = world.texting();
    let test = world.caller(live.space().tenant, Mode::Test);
    world.ask(&test, three());
    world.clock.advance(MINUTE);
    world.deliver();
    let messages: Vec<Message> = world.owned(test.space().owner());
    assert!(messages.len() == 3 && messages.iter().all(|message| message.state == MessageState::Held));
    assert_eq!(world.inbox.count(), 0);
}

#[test]
fn steps_are_erased_with_their_user() {
    let world = World::new();
    let acme = world.texting();
    let asked = world.ask(&acme, three());
    let user = world.say(&acme, asked.id, &asked.code).unwrap().user_id;
    assert_eq!(world.owned::<Message>(acme.space().owner()).len(), 3);
    wait(world.service.erase_user(&acme, user)).unwrap();
    assert_eq!(world.owned::<Message>(acme.space().owner()).len(), 0);
}
