//! What a tenant does with deliveries: tries out, sends again, looks at.

use crate::common::*;
use crate::stage::*;
use otp_core::event::{Event, EventKind};
use otp_core::webhook::{DeliveryState, Failure};
use otp_core::*;

#[test]
fn a_made_up_event_is_sent_at_once_and_once() {
    let stage = Stage::new();
    let test = |event, endpoint| wait(stage.world.service.test_endpoint(&stage.acme, event, endpoint, None));
    assert_eq!(refusal(test(None, None)), "conflict");
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    let delivery = test(None, None).unwrap().value;
    assert!(matches!(delivery.state, DeliveryState::Delivered { .. }) && delivery.attempts.len() == 1);
    assert_eq!(stage.receiver.last().json()["event"], "webhook.test");
    assert_eq!(stage.receiver.last().json()["sample"], true);
    stage.enable(id, false);
    stage.receiver.answers([Err(Failure::Connect)]);
    let failed = test(Some(EventKind::UserCreated), Some(id)).unwrap().value;
    assert!(matches!(failed.state, DeliveryState::Failed { .. }));
    assert_eq!(stage.receiver.last().json()["data"]["email"], "ann@example.org");
    stage.world.clock.advance(DAY);
    stage.deliver();
    assert_eq!(stage.receiver.count(), 2);
    assert!(stage.world.committed::<Event>().iter().all(|event| event.kind() != EventKind::UserCreated));
    assert_eq!(refusal(wait(stage.world.service.retry_delivery(&stage.acme, failed.id, None))), "conflict");
}

#[test]
fn a_delivery_is_sent_again_when_it_is_asked_for() {
    let stage = Stage::new();
    stage.endpoint(&["otp.requested"]);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    let id = stage.deliveries()[0].id;
    wait(stage.world.service.retry_delivery(&stage.acme, id, None)).unwrap();
    stage.deliver();
    assert_eq!(stage.receiver.count(), 2);
    let [first, second] = stage.receiver.all().try_into().unwrap();
    assert_eq!((first.header("webhook-id"), &first.body), (second.header("webhook-id"), &second.body));
    let attempts = stage.deliveries().remove(0).attempts;
    assert_eq!(attempts.iter().map(|attempt| attempt.trigger.as_str()).collect::<Vec<_>>(), ["schedule", "manual"]);
    let other = stage.world.live();
    assert_eq!(refusal(wait(stage.world.service.delivery(&other, id))), "not_found");
    assert_eq!(refusal(wait(stage.world.service.retry_delivery(&other, id, None))), "not_found");
}

#[test]
fn lists_are_filtered_and_paged() {
    let stage = Stage::new();
    let id = stage.endpoint(&["*"]).endpoint.id;
    for number in 0..5 {
        stage.world.request_to(&stage.acme, &format!("user{number}@example.org")).unwrap();
        stage.world.clock.advance(MILLI);
    }
    stage.receiver.answers([answer(500)]);
    stage.deliver();
    let query =
        |status: Option<&str>, event, endpoint| DeliveryQuery { status: status.map(str::to_owned), event, endpoint };
    let list =
        |query, cursor: Option<&str>, limit| wait(stage.world.service.deliveries(&stage.acme, query, cursor, limit));
    assert_eq!(list(query(Some("pending"), None, None), None, 10).unwrap().items.len(), 1);
    assert_eq!(
        list(query(Some("delivered"), Some(EventKind::OtpRequested), Some(id)), None, 10).unwrap().items.len(),
        4
    );
    assert_eq!(list(query(None, Some(EventKind::OtpFailed), None), None, 10).unwrap().items.len(), 0);
    assert_eq!(refusal(list(query(Some("lost"), None, None), None, 10)), "invalid_field");
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = list(DeliveryQuery::default(), cursor.as_deref(), 2).unwrap();
        seen.extend(page.items.iter().map(|delivery| delivery.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|one, other| one > other));
}
