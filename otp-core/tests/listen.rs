//! A tenant's events as they happen.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use otp_core::event::EventKind;

#[test]
fn whoever_looks_on_sees_the_events_of_one_tenant_since_a_time() {
    let world = World::new();
    let (acme, other) = (world.unlimited(), world.unlimited());
    world.request_to(&acme, "before@example.org").unwrap();
    world.clock.advance(SECOND);
    let since = world.now();
    for number in 0..300 {
        world.request_to(&acme, &format!("user{number}@example.org")).unwrap();
        world.request_to(&other, &format!("user{number}@example.org")).unwrap();
        world.clock.advance(MILLI);
    }
    for caller in [&acme, &other] {
        let told = wait(world.service.events_since(caller.space().tenant, since)).unwrap();
        assert_eq!(told.len(), 300);
        assert!(
            told.is_sorted_by_key(|event| event.id) && told.iter().all(|event| event.kind == EventKind::OtpRequested)
        );
        let body: serde_json::Value = serde_json::from_slice(&told[7].body).unwrap();
        assert_eq!(body["data"]["email"], "user7@example.org");
        assert_eq!(body["customerId"], serde_json::json!(caller.space().tenant));
    }
}
