//! Codes to phone numbers: which numbers take them, and in which countries.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::message::Channel;
use otp_core::numbering::Country;
use otp_core::usage::{Counter, Span};
use otp_core::*;

const ANN: &str = "+4915112345678";

fn by(channel: Channel, to: &str) -> OtpRequest {
    OtpRequest { channel, ..OtpRequest::to(phone(to)) }
}

#[test]
fn no_country_is_sent_to_until_it_is_listed() {
    let world = World::new();
    let acme = world.live();
    for channel in [Channel::Sms, Channel::Whatsapp] {
        assert_eq!(refusal(world.request(&acme, by(channel, ANN))), "country_not_enabled");
    }
    let germany: Country = "DE".parse().unwrap();
    let acme = world.change(&acme, |settings| settings.channels.sms.countries = [germany].into());
    world.request(&acme, by(Channel::Sms, ANN)).unwrap();
    assert_eq!(refusal(world.request(&acme, by(Channel::Whatsapp, "+4915112345679"))), "country_not_enabled");
    let refused = world.request(&acme, by(Channel::Sms, "+436641234567"));
    assert!(matches!(refused, Err(Error::CountryNotEnabled(Channel::Sms, country)) if country.as_str() == "AT"));
    assert_eq!(world.deliver().sent, 1);
}

#[test]
fn countries_that_share_a_calling_code_are_told_apart() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| {
        settings.channels.sms.countries = ["US", "KZ"].map(|country| country.parse().unwrap()).into();
    });
    for (number, code) in [
        ("+12025550123", "ok"),
        ("+14165550123", "country_not_enabled"),
        ("+18765550123", "country_not_enabled"),
        ("+77011234567", "ok"),
        ("+79161234567", "country_not_enabled"),
    ] {
        let outcome = world.request(&acme, by(Channel::Sms, number));
        assert_eq!(outcome.map_or_else(|error| error.code(), |_| "ok"), code, "{number}");
    }
}

#[test]
fn numbers_that_take_no_codes_are_refused_before_anything_is_counted() {
    let world = World::new();
    let acme = world.texting();
    for (channel, number) in [
        (Channel::Sms, "+49301234567"),
        (Channel::Sms, "+491801234567"),
        (Channel::Whatsapp, "+499001234567"),
        (Channel::Sms, "+49151123"),
        (Channel::Sms, "+21012345678"),
        (Channel::Sms, "+881612345678"),
    ] {
        let Err(Error::Invalid(invalid)) = world.request(&acme, by(channel, number)) else { panic!("{number}") };
        assert_eq!((invalid.code, &*invalid.field), ("invalid_phone", "phone"), "{number}: {}", invalid.message);
    }
    world.request(&acme, by(Channel::Whatsapp, "+49301234567")).unwrap();
    assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Day), 1);
}

#[test]
fn test_mode_has_the_rule_of_countries_and_no_guard() {
    let world = World::new();
    let live = world.live();
    let test = world.caller(live.space().tenant, Mode::Test);
    assert_eq!(refusal(world.request(&test, by(Channel::Sms, ANN))), "country_not_enabled");
    let live = world.change(&live, |settings| {
        settings.channels.sms.countries.insert("DE".parse().unwrap());
        settings.limits.per_prefix = 1;
        settings.channels.daily_spend_cap = 0;
    });
    assert_eq!(refusal(world.request(&live, by(Channel::Sms, ANN))), "channel_guard");
    let test = world.caller(live.space().tenant, Mode::Test);
    for number in 0..5 {
        let asked = world.ask(&test, by(Channel::Sms, &format!("+491511234567{number}")));
        world.say(&test, asked.id, &asked.code).unwrap();
    }
    assert_eq!(world.counter(test.space(), Counter::Spent, Span::Day), 0);
}

#[test]
fn a_code_that_the_caller_delivers_goes_anywhere() {
    let world = World::new();
    let acme = world.live();
    let request = OtpRequest { deliver: Deliver::Caller, ..by(Channel::Sms, ANN) };
    let code = world.request(&acme, request).unwrap().code.unwrap();
    world.verify(&acme, OtpVerification::at(phone(ANN), code.expose())).unwrap();
    assert_eq!((world.deliver().sent, world.counter(acme.space(), Counter::Spent, Span::Day)), (0, 0));
}

#[test]
fn the_host_stands_in_the_last_line_where_browsers_look_for_it() {
    let world = World::new();
    let acme =
        world.change(&world.texting(), |settings| settings.channels.host = Some("login.acme.example".to_owned()));
    let asked = world.ask(&acme, by(Channel::Sms, ANN));
    let text = world.inbox.all().pop().unwrap().text;
    assert_eq!(text.lines().last(), Some(format!("@login.acme.example #{}", asked.code).as_str()), "{text}");
}

#[test]
fn a_prefix_is_counted_under_no_number() {
    let world = World::new();
    let acme = world.texting();
    world.ask(&acme, by(Channel::Sms, ANN));
    let told = format!("{:?}", world.committed::<challenge::Challenge>());
    assert!(told.contains("prefixes") && !told.contains("4915112"), "{told}");
}
