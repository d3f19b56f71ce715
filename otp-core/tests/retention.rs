//! How long what is about people is kept: as long as their tenant has set.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::audit::{Action, Actor};
use otp_core::message::Message;
use otp_core::*;

const ANN: &str = "ann@example.org";
const BEN: &str = "ben@example.org";

#[test]
fn users_who_stay_away_for_as_long_as_the_tenant_has_set_are_erased() {
    let world = World::new();
    let keep = world.live();
    let acme = world.change(&world.live(), |settings| {
        settings.privacy.inactive_user_days = Some(30);
        settings.tokens.session_ttl = 90 * 86_400;
    });
    let test = world.caller(acme.space().tenant, Mode::Test);
    let round = || {
        let mut round = wait(world.service.retention_round()).unwrap();
        let steps = std::iter::from_fn(|| wait(world.service.continue_retention(&mut round)).unwrap());
        steps.sum::<usize>()
    };
    let away: Vec<UserId> =
        (0..120).map(|number| world.sign_in(&acme, &format!("u{number}@example.org")).user_id).collect();
    let back = world.sign_in(&acme, BEN).user_id;
    let mut stays = world.sign_in(&acme, "cyd@example.org");
    let (elsewhere, in_test) = (world.sign_in(&keep, ANN).user_id, world.sign_in(&test, ANN).user_id);
    for day in 1..=30 {
        world.clock.advance(DAY - MILLI);
        assert_eq!(round(), 0, "before day {day}");
        world.clock.advance(MILLI);
        stays = world.refresh(&stays.refresh_token).unwrap();
        if day == 20 {
            world.sign_in(&acme, BEN);
        }
    }
    assert_eq!(round(), 121, "and the one of test mode");
    assert_eq!(round(), 0);
    let is_there = |caller: &Caller, id| wait(world.service.user(caller, id)).is_ok();
    assert!(away.iter().all(|id| !is_there(&acme, *id)) && !is_there(&test, in_test));
    assert!(is_there(&acme, back) && is_there(&keep, elsewhere));
    assert!(is_there(&acme, stays.user_id) && world.me(&stays).is_ok(), "who has a session is there");
    let lines = world.audit(acme.space().tenant);
    let by_service = lines.iter().filter(|line| line.actor == Actor::Service && line.action == Action::UserErased);
    assert_eq!(by_service.count(), 121);
}

#[test]
fn messages_and_events_are_kept_for_as_long_as_the_tenant_has_set() {
    let world = World::new();
    let acme = world.change(&world.live(), |settings| {
        settings.privacy.message_days = 2;
        settings.privacy.event_days = 5;
    });
    let signed_in = world.sign_in(&acme, ANN);
    let held = || {
        wait(world.service.sweep(10_000)).unwrap();
        let messages = world.owned::<Message>(acme.space().owner()).len();
        (messages, world.events(acme.space()).iter().filter(|event| event.person.is_some()).count())
    };
    assert_eq!(held(), (1, 4));
    world.clock.advance(2 * DAY + SECOND);
    assert_eq!(held(), (0, 4));
    world.clock.advance(3 * DAY);
    assert_eq!(held(), (0, 0));
    assert!(wait(world.service.user(&acme, signed_in.user_id)).is_ok());

    for (days, field) in [
        ((None, 6, 5), "privacy.messageDays"),
        ((None, 0, 5), "privacy.messageDays"),
        ((None, 1, 31), "privacy.eventDays"),
        ((Some(29), 1, 5), "privacy.inactiveUserDays"),
        ((Some(3651), 1, 5), "privacy.inactiveUserDays"),
    ] {
        let (inactive_user_days, message_days, event_days) = days;
        let privacy = tenant::PrivacySettings { inactive_user_days, message_days, event_days };
        let refused = tenant::Settings { privacy, ..tenant::Settings::default() }.check().unwrap_err();
        assert_eq!(refused.field, field, "{days:?}");
    }
}
