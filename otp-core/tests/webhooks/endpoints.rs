//! Endpoints and what they sign with.

use crate::common::*;
use crate::stage::*;
use otp_core::store::Stored;
use otp_core::webhook::{DeliveryState, EndpointState, Signing};
use otp_core::*;
use serde_json::json;

#[test]
fn the_simple_endpoint_is_what_the_settings_say() {
    let stage = Stage::new();
    stage.configure(json!({"webhookConfig": {"url": URL, "events": ["otp.requested"]}})).unwrap();
    let test = stage.world.caller(stage.acme.space().tenant, Mode::Test);
    for caller in [&stage.acme, &test] {
        stage.world.request_to(caller, "ann@example.org").unwrap();
    }
    assert_eq!(stage.deliver().sent, 2);
    let mut modes: Vec<_> = stage.receiver.all().iter().map(|received| received.json()["mode"].to_string()).collect();
    modes.sort();
    assert_eq!(modes, ["\"live\"", "\"test\""]);
    let [simple] = wait(stage.world.service.endpoints(&stage.acme)).unwrap().try_into().unwrap();
    assert!(simple.is_simple && simple.mode.is_none() && simple.url == URL);

    // It can be paused, and everything else is set where it is set.
    assert_eq!(stage.enable(simple.id, false).state, EndpointState::Paused);
    let moved = EditEndpoint { url: Some("https://a.example".to_owned()), ..EditEndpoint::default() };
    assert_eq!(refusal(wait(stage.world.service.edit_endpoint(&stage.acme, simple.id, moved))), "conflict");
    assert_eq!(refusal(wait(stage.world.service.delete_endpoint(&stage.acme, simple.id))), "conflict");
    stage.configure(json!({"webhookConfig": {"url": "https://b.example"}})).unwrap();
    assert_eq!(stage.view(simple.id).state, EndpointState::Enabled, "at another URL it begins anew");
    stage.configure(json!({"webhookConfig": {"url": null}})).unwrap();
    assert_eq!(refusal(wait(stage.world.service.endpoint(&stage.acme, simple.id))), "not_found");
    stage.world.request_to(&stage.acme, "ben@example.org").unwrap();
    stage.deliver();
    assert_eq!(stage.receiver.count(), 2);
}

#[test]
fn old_and_new_secret_sign_for_a_day() {
    let new_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let stage = Stage::new();
    let created = stage.endpoint(&["otp.requested"]);
    let old = secret_of(&created);
    let given = Secret::from(new_secret.to_owned());
    let rotated =
        wait(stage.world.service.rotate_endpoint_secret(&stage.acme, created.endpoint.id, Some(given), None, None));
    assert_eq!(secret_of(&rotated.unwrap().value), new_secret);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    for secret in [new_secret, &old] {
        stage.receiver.last().verify(secret, stage.world.now()).unwrap();
    }
    let older: Vec<_> = stage.receiver.last().header("x-otp-signature").split(',').map(str::to_owned).collect();
    assert_eq!(older.len(), 3);
    stage.world.clock.advance(DAY);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    stage.receiver.last().verify(new_secret, stage.world.now()).unwrap();
    assert!(stage.receiver.last().verify(&old, stage.world.now()).is_err());
}

#[test]
fn the_secret_of_the_settings_overlaps_too_by_either_way() {
    let stage = Stage::new();
    stage.configure(json!({"webhookConfig": {"url": URL}})).unwrap();
    let first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    stage.configure(json!({"webhookConfig": {"secret": first}})).unwrap();
    let [simple] = wait(stage.world.service.endpoints(&stage.acme)).unwrap().try_into().unwrap();
    let rotated = wait(stage.world.service.rotate_endpoint_secret(&stage.acme, simple.id, None, Some(HOUR), None));
    let second = secret_of(&rotated.unwrap().value);
    let shown = wait(stage.world.service.configuration(&stage.acme)).unwrap();
    let masked = shown.document["webhookConfig"]["secret"].as_str().unwrap().to_owned();
    assert!(second.ends_with(masked.trim_start_matches('•')));
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    for secret in [first, &second] {
        stage.receiver.last().verify(secret, stage.world.now()).unwrap();
    }
    stage.world.clock.advance(HOUR);
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    assert!(stage.receiver.last().verify(first, stage.world.now()).is_err());
}

#[test]
fn a_receiver_that_keeps_no_secret_gets_signatures_by_a_public_key() {
    let stage = Stage::new();
    let created = stage.endpoint_with(&["otp.requested"], |new| new.signing = Signing::Ed25519);
    assert!(created.secret.is_none());
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    stage.deliver();
    let received = stage.receiver.last();
    received.verify(&created.endpoint.public_key.unwrap(), stage.world.now()).unwrap();
    assert!(received.header("webhook-signature").starts_with("v1a,"));
    assert!(received.headers.iter().all(|(name, _)| name != "x-otp-signature"));
}

#[test]
fn what_was_deleted_is_sent_nothing() {
    let stage = Stage::new();
    let id = stage.endpoint(&["otp.requested"]).endpoint.id;
    stage.world.request_to(&stage.acme, "ann@example.org").unwrap();
    wait(stage.world.service.delete_endpoint(&stage.acme, id)).unwrap();
    stage.deliver();
    assert_eq!(stage.receiver.count(), 0);
    assert!(matches!(stage.deliveries()[0].state, DeliveryState::Dropped { .. }));
    stage.world.request_to(&stage.acme, "ben@example.org").unwrap();
    assert_eq!(stage.deliveries().len(), 1);
}

#[test]
fn what_a_tenant_writes_is_checked() {
    let stage = Stage::new();
    type Case = (&'static str, fn(&mut NewEndpoint), &'static str);
    let cases: [Case; 13] = [
        ("url", |new| new.url = "acme".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "http://hooks.acme.example".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://127.0.0.1/".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://[::ffff:10.0.0.1]/".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://localhost/".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://169.254.169.254/latest".to_owned(), "invalid_webhook_url"),
        ("url", |new| new.url = "https://otp.example/admin/users".to_owned(), "invalid_webhook_url"),
        ("events", |new| new.events = Vec::new(), "invalid_field"),
        ("events", |new| new.events = vec!["otp.gone".to_owned()], "invalid_field"),
        ("secret", |new| new.secret = Some("hush".to_owned().into()), "invalid_webhook_secret"),
        ("headers", |new| new.headers = vec![("Host".to_owned(), "a".to_owned())], "invalid_header"),
        ("ratePerSecond", |new| new.per_second = Some(0), "invalid_field"),
        ("description", |new| new.description = "a\nb".to_owned(), "invalid_field"),
    ];
    for (field, change, code) in cases {
        let mut new = new_endpoint(&["*"]);
        change(&mut new);
        match wait(stage.world.service.create_endpoint(&stage.acme, new)) {
            Err(Error::Invalid(invalid)) => assert_eq!((invalid.code, &*invalid.field), (code, field)),
            other => panic!("{field}: {other:?}"),
        }
    }
    for _ in 0..16 {
        stage.endpoint(&["*"]);
    }
    let one_more = wait(stage.world.service.create_endpoint(&stage.acme, new_endpoint(&["*"])));
    assert_eq!(refusal(one_more), "conflict");
    let free = stage.world.caller(stage.world.tenant("free").id, Mode::Live);
    assert_eq!(refusal(wait(stage.world.service.create_endpoint(&free, new_endpoint(&["*"])))), "plan_limit");
}

#[test]
fn nothing_that_signs_is_stored_in_clear() {
    let stage = Stage::new();
    let created = stage.endpoint_with(&["*"], |new| new.headers = vec![("x-key".to_owned(), "hush-hush".to_owned())]);
    let endpoint = stage.world.committed::<webhook::Endpoint>().pop().unwrap();
    let body = store::Record::from(endpoint.clone()).body();
    assert!(!body.contains(&secret_of(&created)[6..]) && !body.contains("hush-hush"));
    assert_eq!(endpoint.owner(), Some(stage.acme.space().tenant.as_bytes().into()));
}
