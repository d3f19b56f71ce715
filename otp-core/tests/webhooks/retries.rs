//! What is not taken is tried again, and at last given up.

use crate::common::*;
use crate::stage::*;
use otp_core::webhook::{Answer, DeliveryState, EndpointState, Failure, WhyDisabled};
use otp_core::*;

#[test]
fn a_refusal_is_tried_again_on_the_schedule_under_the_same_id() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    stage.receiver.always(answer(500));
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    let waits = [5, 60, 300, 900, 3_600, 6 * 3_600, 24 * 3_600];
    for (number, wait) in waits.into_iter().enumerate() {
        assert_eq!((stage.deliver().retried, stage.receiver.count()), (1, number + 1));
        stage.world.clock.advance(SECOND * wait * 79 / 100);
        stage.deliver();
        assert_eq!(stage.receiver.count(), number + 1, "before {wait} s less a fifth");
        stage.world.clock.advance(SECOND * wait * 42 / 100);
    }
    assert_eq!(stage.deliver().failed, 1);
    stage.world.clock.advance(DAY * 2);
    stage.deliver();
    let ids: Vec<_> = stage.receiver.all().iter().map(|received| received.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 8);
    assert!(ids.iter().all(|id| *id == ids[0]));
    let delivery = stage.deliveries().pop().unwrap();
    assert!(matches!(delivery.state, DeliveryState::Failed { .. }));
    assert_eq!(delivery.attempts.len(), 8);
    assert_eq!((delivery.attempts[0].status, delivery.attempts[0].answer.as_str()), (Some(500), "so  be it"));
}

#[test]
fn a_receiver_says_how_long_it_wants_to_be_left_alone() {
    let busy = |status, seconds| Ok(Answer { status, retry_after: Some(SECOND * seconds), body: Vec::new() });
    for (answer, earliest, latest) in [
        (busy(429, 100), 100, 100),
        (busy(503, 100), 100, 100),
        (busy(503, 10 * 86_400), 86_400, 86_400),
        (busy(503, 0), 4, 6),
        (busy(500, 100), 4, 6),
    ] {
        let stage = Stage::new();
        stage.endpoint(&["otp.requested"]);
        stage.receiver.answers([answer]);
        stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
        stage.deliver();
        let delivery = stage.deliveries().pop().unwrap();
        let wait = delivery.due.at.unwrap().since(stage.world.now());
        assert!((SECOND * earliest..=SECOND * latest).contains(&wait), "{wait:?}");
    }
}

#[test]
fn redirects_and_failures_are_refusals_and_are_told_of() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    let failures =
        [Failure::Dns, Failure::Forbidden, Failure::Connect, Failure::Tls, Failure::Timeout, Failure::Broken];
    stage.receiver.answers([answer(301)]);
    stage.receiver.answers(failures.map(Err));
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    for _ in 0..7 {
        stage.deliver();
        stage.world.clock.advance(HOUR * 8);
    }
    let delivery = stage.deliveries().pop().unwrap();
    assert_eq!(delivery.attempts[0].status, Some(301));
    let told: Vec<_> = delivery.attempts.iter().filter_map(|attempt| attempt.failure).collect();
    assert_eq!(told, failures);
}

#[test]
fn one_that_is_gone_is_given_up_at_once_and_its_owner_is_told() {
    let stage = Stage::new();
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    stage.receiver.answers([answer(410)]);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    let state = stage.view(id).state;
    assert_eq!(state, EndpointState::Disabled { at: stage.world.now(), why: WhyDisabled::Gone });
    stage.world.deliver();
    let mail = stage.world.inbox.all().into_iter().find(|mail| mail.subject.contains("events are not sent")).unwrap();
    assert!(mail.text.contains(URL) && mail.to == "ops@acme.example", "{}", mail.text);
    let lines = stage.world.audit(stage.acme.space().tenant);
    assert_eq!(lines.iter().filter(|line| line.action.as_str() == "webhook_endpoint.disabled").count(), 1);

    // What happens meanwhile is held, and sent when it is asked for.
    stage.world.request_to(&stage.acme, "ben@example.org").unwrap();
    stage.deliver();
    assert_eq!(stage.receiver.count(), 1);
    stage.enable(id, true);
    stage.deliver();
    assert_eq!(stage.receiver.count(), 1, "held until it is asked for");
    let since = stage.world.now() - HOUR;
    assert_eq!(wait(stage.world.service.recover_deliveries(&stage.acme, since, None)).unwrap(), 2);
    assert_eq!(stage.deliver().sent, 2);
    assert_eq!(wait(stage.world.service.recover_deliveries(&stage.acme, since, None)).unwrap(), 0);
}

#[test]
fn one_that_takes_nothing_for_five_days_is_given_up() {
    let stage = Stage::new();
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    stage.receiver.always(answer(500));
    for hour in 0..5 * 24 {
        stage.world.request_to(&stage.acme, &format!("user{hour}@example.org")).unwrap();
        stage.deliver();
        assert_eq!(stage.view(id).state, EndpointState::Enabled, "after {hour} hours");
        stage.world.clock.advance(HOUR);
    }
    stage.deliver();
    assert!(matches!(stage.view(id).state, EndpointState::Disabled { why: WhyDisabled::Failing, .. }));
}

#[test]
fn one_success_in_between_is_enough_to_go_on() {
    let stage = Stage::new();
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    for hour in 0..6 * 24 {
        stage.receiver.always(answer(if hour == 60 { 200 } else { 500 }));
        stage.world.request_to(&stage.acme, &format!("user{hour}@example.org")).unwrap();
        stage.deliver();
        stage.world.clock.advance(HOUR);
    }
    assert_eq!(stage.view(id).state, EndpointState::Enabled);
}

/// However much is sent, hardly anything is written about how it went.
#[test]
fn health_is_noted_seldom() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    for number in 0..100 {
        stage.receiver.answers([answer(if number % 2 == 0 { 500 } else { 200 })]);
        stage.world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap();
        wait(stage.world.service.deliver_webhooks(1)).unwrap();
    }
    assert!(stage.world.committed::<webhook::Endpoint>().len() <= 4);
}
