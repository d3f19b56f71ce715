//! What the plan includes: codes a day and a month, and users. Never one more, and nothing of it in test mode.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::limit::Allowance;
use otp_core::usage::{Counter, Span};
use otp_core::user::User;
use otp_core::*;

const SMALL: &str = r#"
[[plan]]
name = "small"
otp_per_day = 10
otp_per_month = 25
users = 2

[[plan]]
name = "large"
"#;

fn user(number: usize) -> String {
    format!("user{number}@example.org")
}

fn exceeded<T: std::fmt::Debug>(outcome: Result<T, Error>) -> error::Limited {
    match outcome {
        Err(Error::QuotaExceeded(limited)) => limited,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_fifty_first_code_of_a_day_is_refused_on_the_free_plan() {
    let world = World::new();
    world.clock.set(at("2026-02-10T23:00:00Z"));
    let acme = world.caller(world.tenant("free").id, Mode::Live);
    for number in 0..50 {
        let quota = world.request_to(&acme, &user(number)).unwrap().quota;
        let remaining = 49 - number as u64;
        assert_eq!(quota, Some(Allowance { limit: 50, remaining, reset_at: at("2026-02-11T00:00:00Z") }));
    }
    let refused = exceeded(world.request_to(&acme, &user(50)));
    assert_eq!((refused.retry_after, refused.allowance.remaining), (3600, 0));
    assert_eq!(world.deliver().sent, 50 + 2, "and at 80 and 100 % the tenant is told");
    world.clock.set(at("2026-02-10T23:59:59.999Z"));
    assert_eq!(exceeded(world.request_to(&acme, &user(50))).retry_after, 1);
    world.clock.set(at("2026-02-11T00:00:00Z"));
    assert_eq!(world.request_to(&acme, &user(50)).unwrap().quota.unwrap().remaining, 49);
}

#[test]
fn fifty_of_sixty_four_at_once_are_sent_on_the_free_plan() {
    let world = World::new();
    for _ in 0..10 {
        let acme = world.caller(world.tenant("free").id, Mode::Live);
        let outcomes = race(64, |racer| world.request_to(&acme, &user(racer)));
        assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "quota_exceeded")), (50, 14));
        assert_eq!(world.deliver().sent, 50 + 2, "and at 80 and 100 % the tenant is told");
        assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Day), 50);
        assert_eq!(world.counter(acme.space(), Counter::OtpRequests, Span::Month), 50);
    }
}

#[test]
fn the_nearer_of_day_and_month_is_told_and_the_later_of_two_that_are_used_up() {
    let world = World::with_plans(SMALL);
    let acme = world.caller(world.tenant("small").id, Mode::Live);
    world.clock.set(at("2026-02-10T12:00:00Z"));
    let ask = |from: usize, count: usize| -> Vec<Allowance> {
        let ask = |number| world.request_to(&acme, &user(number)).unwrap().quota.unwrap();
        (from..from + count).map(ask).collect()
    };
    let day = |limit, remaining, reset_at: &str| Allowance { limit, remaining, reset_at: at(reset_at) };
    assert_eq!(ask(0, 10)[9], day(10, 0, "2026-02-11T00:00:00Z"));
    world.clock.set(at("2026-02-11T12:00:00Z"));
    assert_eq!(ask(10, 10)[9], day(10, 0, "2026-02-12T00:00:00Z"));
    world.clock.set(at("2026-02-12T12:00:00Z"));
    let last = ask(20, 5);
    assert_eq!((last[0], last[4]), (day(25, 4, "2026-03-01T00:00:00Z"), day(25, 0, "2026-03-01T00:00:00Z")));
    let refused = exceeded(world.request_to(&acme, &user(25)));
    assert_eq!(refused.allowance.reset_at, at("2026-03-01T00:00:00Z"));
    world.clock.set(at("2026-02-28T23:59:59.999Z"));
    assert_eq!(exceeded(world.request_to(&acme, &user(25))).retry_after, 1);
    world.clock.set(at("2026-03-01T00:00:00Z"));
    assert!(world.request_to(&acme, &user(25)).is_ok());
}

#[test]
fn whoever_waits_for_a_day_is_not_told_to_when_the_month_is_used_up_too() {
    let world = World::with_plans("[[plan]]\nname = 'tiny'\notp_per_day = 1\notp_per_month = 1");
    world.clock.set(at("2026-02-10T12:00:00Z"));
    let acme = world.caller(world.tenant("tiny").id, Mode::Live);
    world.request_to(&acme, &user(0)).unwrap();
    assert_eq!(exceeded(world.request_to(&acme, &user(1))).allowance.reset_at, at("2026-03-01T00:00:00Z"));
}

#[test]
fn requests_that_other_limits_refused_use_up_no_quota() {
    let world = World::with_plans(SMALL);
    let acme = world.caller(world.tenant("small").id, Mode::Live);
    let outcomes: Vec<_> = (0..20).map(|_| world.request_to(&acme, &user(0))).collect();
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "rate_limit_exceeded")), (3, 17));
    assert_eq!(world.request_to(&acme, &user(1)).unwrap().quota.unwrap().remaining, 6);
    // Only after the quota has refused does nothing else matter.
    (2..8).for_each(|number| drop(world.request_to(&acme, &user(number)).unwrap()));
    assert_eq!(refusal(world.request_to(&acme, &user(0))), "rate_limit_exceeded");
    assert_eq!(refusal(world.request_to(&acme, &user(9))), "quota_exceeded");
}

#[test]
fn test_mode_is_not_billed() {
    let world = World::new();
    let id = world.tenant("free").id;
    let test = world.caller(id, Mode::Test);
    for number in 0..60 {
        assert_eq!(world.request_to(&test, &user(number)).unwrap().quota, None);
    }
    let live = world.caller(id, Mode::Live);
    assert_eq!(world.request_to(&live, &user(0)).unwrap().quota.unwrap().remaining, 49);
    assert_eq!(world.counter(test.space(), Counter::OtpRequests, Span::Day), 60);
}

#[test]
fn a_plan_without_quota_has_none() {
    let world = World::new();
    let acme = world.live();
    let outcomes: Vec<_> = (0..200).map(|number| world.request_to(&acme, &user(number))).collect();
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().quota.is_none()));
}

#[test]
fn another_plan_counts_from_the_next_request() {
    let world = World::with_plans(SMALL);
    let acme = world.caller(world.tenant("small").id, Mode::Live);
    (0..10).for_each(|number| drop(world.request_to(&acme, &user(number)).unwrap()));
    assert_eq!(refusal(world.request_to(&acme, &user(10))), "quota_exceeded");
    let edit = |plan: &str| EditTenant { plan: Some(plan.to_owned()), ..EditTenant::default() };
    wait(world.service.edit_tenant(&acme, edit("large"))).unwrap();
    assert!(world.request_to(&acme, &user(10)).is_ok());
    assert_eq!(refusal(wait(world.service.edit_tenant(&acme, edit("small")))), "plan_below_use");
    wait(world.service.edit_tenant(&acme, EditTenant { force: true, ..edit("small") })).unwrap();
    assert_eq!(refusal(world.request_to(&acme, &user(11))), "quota_exceeded");
    assert_eq!(refusal(wait(world.service.edit_tenant(&acme, edit("huge")))), "unknown_plan");
}

#[test]
fn a_plan_has_so_many_users() {
    let world = World::with_plans(SMALL);
    let acme = world.caller(world.tenant("small").id, Mode::Live);
    let first = world.sign_in(&acme, &user(0));
    world.sign_in(&acme, &user(1));
    let asked = world.ask_for(&acme, &user(2));
    assert_eq!(refusal(world.say(&acme, asked.id, &asked.code)), "plan_limit");
    assert_eq!(refusal(world.say(&acme, asked.id, &wrong(&asked.code, 0))), "otp_invalid");
    assert_eq!(world.sign_in(&acme, &user(0)).user_id, first.user_id, "a user there is signs in");
    // The code was not used up by the refusal.
    let edit = EditTenant { plan: Some("large".to_owned()), ..EditTenant::default() };
    wait(world.service.edit_tenant(&acme, edit)).unwrap();
    assert!(world.say(&acme, asked.id, &asked.code).unwrap().is_new_user);
}

#[test]
fn the_last_places_go_to_exactly_as_many_users() {
    let world = World::with_plans("[[plan]]\nname = 'crowd'\nusers = 10");
    let id = world.tenant("crowd").id;
    let acme = world.caller(id, Mode::Live);
    let asked: Vec<Asked> = (0..64).map(|number| world.ask_for(&acme, &user(number))).collect();
    let outcomes = race(64, |racer| world.say(&acme, asked[racer].id, &asked[racer].code));
    assert_eq!((tally(&outcomes, "ok"), tally(&outcomes, "plan_limit")), (10, 54));
    assert_eq!(world.owned::<User>(acme.space().owner()).len(), 10);
    assert_eq!(world.counter(acme.space(), Counter::Users, Span::Ever), 10);

    let test = world.caller(id, Mode::Test);
    for number in 0..15 {
        let answer = world.request_to(&test, &user(number)).unwrap();
        assert!(world.say(&test, answer.challenge_id, answer.code.unwrap().expose()).is_ok());
    }
}
