//! The clock of a machine that starts anew may be behind: what has expired stays expired.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::*;

const ANN: &str = "ann@example.org";

/// The same store under a service that starts now, and a caller of it.
fn restarted(world: &World, caller: &Caller) -> (Service, Caller) {
    let service = world.another_service();
    let caller = wait(service.program(caller.space().tenant, Mode::Live)).unwrap();
    (service, caller)
}

fn say(service: &Service, caller: &Caller, asked: &Asked) -> Result<(), Error> {
    wait(service.verify_otp(caller, OtpVerification::of(asked.id, &asked.code))).map(drop)
}

#[test]
fn a_restart_with_the_clock_set_back_revives_no_code_and_no_limit() {
    for back in [SECOND, 5 * MINUTE, HOUR, 23 * HOUR] {
        let world = World::new();
        let acme = world.live();
        let asked = world.ask_for(&acme, ANN);
        let full = world.now();
        world.request_to(&acme, ANN).unwrap();
        world.request_to(&acme, ANN).unwrap();
        world.clock.advance(10 * MINUTE);
        wait(world.service.sweep(100)).unwrap();
        let noted = world.now();

        world.clock.set(noted - back);
        let (service, caller) = restarted(&world, &acme);
        assert_eq!(service.now(), noted, "{back:?}");
        assert_eq!(service.standstill(), Some(back).filter(|back| *back > SECOND));
        assert_eq!(refusal(say(&service, &caller, &asked)), "otp_expired");
        let again = wait(service.request_otp(&caller, OtpRequest::to(email(ANN)))).map(|answer| answer.value);
        assert_eq!(refusal(again), "rate_limit_exceeded");

        // It stands still until the clock has caught up, and goes on from there.
        world.clock.set(noted - MILLI);
        assert_eq!(service.now(), noted);
        world.clock.set(full + HOUR);
        assert_eq!((service.now(), service.standstill()), (full + HOUR, None));
        assert!(wait(service.request_otp(&caller, OtpRequest::to(email(ANN)))).is_ok());
    }
}

#[test]
fn a_clock_that_was_days_ahead_when_it_was_noted_is_not_waited_for() {
    let world = World::new();
    let acme = world.live();
    let right = world.now();
    world.clock.advance(400 * DAY);
    wait(world.service.sweep(100)).unwrap();
    world.clock.set(right + MINUTE);
    let (service, caller) = restarted(&world, &acme);
    assert_eq!(service.now(), right + MINUTE);
    assert!(wait(service.request_otp(&caller, OtpRequest::to(email(ANN)))).is_ok());
}

#[test]
fn a_sweep_of_many_rounds_notes_the_time_once() {
    let world = World::new();
    let commits = || world.store.commits.lock().unwrap().len();
    let before = commits();
    for _ in 0..5 {
        wait(world.service.sweep(1)).unwrap();
    }
    assert_eq!(commits() - before, 1);
    world.clock.advance(MINUTE);
    wait(world.service.sweep(1)).unwrap();
    assert_eq!(commits() - before, 2);
}
