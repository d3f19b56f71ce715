//! Guards of paid channels: how many messages go to one prefix, how many of their codes come back, what a day may cost.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::{EventData, EventKind};
use otp_core::limit::Guard;
use otp_core::message::{Channel, Message};
use otp_core::tenant::Settings;
use otp_core::usage::{Counter, Span};
use otp_core::*;

/// Numbers of one prefix, +4915112.
fn number(number: usize) -> OtpRequest {
    OtpRequest::to(phone(&format!("+4915112{number:06}")))
}

/// Of a prefix of its own for each block.
fn elsewhere(block: usize, number: usize) -> OtpRequest {
    OtpRequest::to(phone(&format!("+49151{}{number:06}", 20 + block)))
}

fn guarded<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (Guard, u64) {
    match outcome {
        Err(Error::ChannelGuard(guarded)) => (guarded.guard, guarded.retry_after),
        other => panic!("{other:?}"),
    }
}

fn with(world: &World, change: impl FnOnce(&mut Settings)) -> Caller {
    world.change(&world.texting(), change)
}

#[test]
fn a_prefix_is_sent_ten_messages_an_hour() {
    let world = World::new();
    let acme = world.texting();
    world.clock.set(at("2026-02-10T09:00:00Z"));
    let outcomes = race(64, |racer| world.request(&acme, number(racer)));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "channel_guard")), (10, 54));
    assert_eq!(world.deliver().sent, 10);
    assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Day), 10, "refusals count nothing");
    let (guard, wait) = guarded(world.request(&acme, number(100)));
    assert_eq!(guard, Guard::PrefixVelocity);
    world.request(&acme, elsewhere(0, 1)).unwrap();
    let whatsapp = OtpRequest { channel: Channel::Whatsapp, ..number(101) };
    assert_eq!(guarded(world.request(&acme, whatsapp)).0, Guard::PrefixVelocity, "both ways are paid for");

    world.clock.advance(wait as u32 * SECOND - MILLI);
    assert_eq!(guarded(world.request(&acme, number(102))), (Guard::PrefixVelocity, 1));
    world.clock.advance(MILLI);
    world.request(&acme, number(102)).unwrap();
    assert_eq!(world.count_events(acme.space(), EventKind::ChannelGuarded), 0);
}

#[test]
fn a_prefix_whose_codes_do_not_come_back_is_off_for_a_day() {
    let world = World::new();
    let acme = with(&world, |settings| settings.limits.per_prefix = 1_000);
    world.clock.set(at("2026-02-10T09:00:00Z"));
    let outcomes = race(64, |racer| world.request(&acme, number(racer)));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "channel_guard")), (50, 14));
    assert_eq!(guarded(world.request(&acme, number(100))), (Guard::PrefixConversion, 24 * 3_600));
    world.request(&acme, elsewhere(0, 1)).unwrap();

    let events = world.events(acme.space());
    let told: Vec<&EventData> =
        events.iter().map(|event| &event.data).filter(|data| data.kind() == EventKind::ChannelGuarded).collect();
    let until = world.now() + DAY;
    let country = "DE".parse().unwrap();
    assert_eq!(told, [&EventData::ChannelGuarded { guard: Guard::PrefixConversion, country, until }]);

    world.clock.advance(DAY - MILLI);
    assert_eq!(guarded(world.request(&acme, number(101))), (Guard::PrefixConversion, 1));
    world.clock.advance(MILLI);
    world.request(&acme, number(101)).unwrap();
}

#[test]
fn a_prefix_that_signs_in_is_never_off() {
    let world = World::new();
    let acme = with(&world, |settings| settings.limits.per_prefix = 1_000);
    for each in 0..200 {
        let asked = world.ask(&acme, number(each));
        if each % 5 == 0 {
            world.say(&acme, asked.id, &asked.code).unwrap();
        }
    }
    // One in five is enough; from then on nobody says a code.
    let more = (200..300).take_while(|each| world.request(&acme, number(*each)).is_ok()).count();
    assert_eq!(more, 1);
}

#[test]
fn the_race_to_the_last_send_before_the_verdict_has_one_winner() {
    let world = World::new();
    let acme = with(&world, |settings| settings.limits.per_prefix = 1_000);
    for each in 0..30 {
        let asked = world.ask(&acme, number(each));
        if each < 12 {
            world.say(&acme, asked.id, &asked.code).unwrap();
        }
    }
    let outcomes = race(64, |racer| world.request(&acme, number(1_000 + racer)));
    assert_eq!(tally(&outcomes, "ok"), 12 * 5 + 1 - 30);
}

#[test]
fn a_day_costs_what_it_may_and_not_a_millionth_more() {
    let world = World::new();
    let acme = with(&world, |settings| {
        settings.channels.daily_spend_cap = 1_000_000;
        settings.channels.sms.prices.insert("DE".parse().unwrap(), 90_000);
        settings.channels.whatsapp.prices.insert("DE".parse().unwrap(), 10_000);
    });
    world.clock.set(at("2026-02-10T18:00:00Z"));
    let outcomes = race(64, |racer| world.request(&acme, elsewhere(racer % 16, racer)));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "channel_guard")), (11, 53));
    assert_eq!(world.counter(acme.space(), Counter::Spent, Span::Day), 990_000);
    assert_eq!(guarded(world.request(&acme, elsewhere(20, 1))), (Guard::DailySpend, 6 * 3_600));
    assert_eq!(world.count_events(acme.space(), EventKind::ChannelGuarded), 1, "told once a day");

    let whatsapp = |number| OtpRequest { channel: Channel::Whatsapp, ..elsewhere(21, number) };
    world.request(&acme, whatsapp(1)).unwrap();
    assert_eq!(guarded(world.request(&acme, whatsapp(2))).0, Guard::DailySpend);
    world.request_to(&acme, "ann@example.org").unwrap();

    world.clock.set(at("2026-02-11T00:00:00Z"));
    world.request(&acme, elsewhere(20, 1)).unwrap();
}

#[test]
fn every_part_of_a_long_text_is_paid_for() {
    let world = World::new();
    let acme = with(&world, |settings| settings.channels.sms.prices = [("DE".parse().unwrap(), 90_000)].into());
    let long = OtpRequest { context: Some("я".repeat(100)), ..number(1) };
    world.ask(&acme, long);
    let parts = message::Segments::of(&world.inbox.all()[0].text).count;
    assert!(parts > 1);
    assert_eq!(world.counter(acme.space(), Counter::Spent, Span::Day), u64::from(parts) * 90_000);
}

#[test]
fn whether_somebody_is_a_user_makes_no_difference_to_the_guards() {
    let world = World::new();
    let acme = world.texting();
    let known = |each| OtpRequest { create_user: false, ..number(each) };
    let outcomes: Vec<_> = (0..12).map(|each| world.request(&acme, known(each))).collect();
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "channel_guard")), (10, 2));
    assert_eq!((world.deliver().sent, world.committed::<Message>().len()), (0, 0));
}

#[test]
fn one_tenants_numbers_are_not_anothers() {
    let world = World::new();
    let (acme, other) = (world.texting(), world.texting());
    for each in 0..10 {
        world.request(&acme, number(each)).unwrap();
    }
    assert_eq!(guarded(world.request(&acme, number(10))).0, Guard::PrefixVelocity);
    world.request(&other, number(10)).unwrap();
}
