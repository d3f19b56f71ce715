//! `/admin/webhooks` and `/docs/events`.

use serde_json::{Value, json};

use crate::call::{delete, get, post, put};
use crate::harness::World;

const ENDPOINTS: &str = "/admin/webhooks/endpoints";

#[tokio::test]
async fn an_endpoint_is_made_shown_changed_and_deleted() {
    let world = World::new();
    let customer = world.customer().await;
    let body = json!({
        "url": "https://hooks.acme.example/otp", "events": ["otp.verified", "user.created"], "description": "Shop",
        "headers": {"X-Acme": "7"}, "ratePerSecond": 10,
    });
    let reply = world.send(post(ENDPOINTS, body.clone()).bearer(&customer.key).once("k")).await;
    assert_eq!(reply.status, 201, "{reply}");
    let created = reply.json();
    assert!(created["secret"].as_str().unwrap().starts_with("whsec_"), "{created}");
    let endpoint = &created["endpoint"];
    assert_eq!(endpoint["events"], body["events"]);
    assert_eq!((&endpoint["headers"], &endpoint["mode"]), (&json!(["x-acme"]), &json!("live")));
    let again = world.send(post(ENDPOINTS, body).bearer(&customer.key).once("k")).await;
    assert_eq!((again.header("idempotent-replayed"), again.json()), (Some("true"), created.clone()));

    let path = format!("{ENDPOINTS}/{}", endpoint["endpointId"].as_str().unwrap());
    assert_eq!(&world.send(get(&path).bearer(&customer.key)).await.ok()["endpoint"], endpoint);
    let edit = json!({"enabled": false, "ratePerSecond": null, "events": ["*"]});
    let edited = world.send(put(&path, edit).bearer(&customer.key)).await.ok();
    let edited = &edited["endpoint"];
    assert_eq!((&edited["enabled"], &edited["disabledReason"]), (&json!(false), &json!("paused")));
    assert_eq!((&edited["ratePerSecond"], &edited["url"]), (&Value::Null, &endpoint["url"]));
    let rotated = world.send(post(format!("{path}/rotate-secret"), json!({})).bearer(&customer.key)).await.ok();
    assert_ne!(rotated["secret"], created["secret"]);
    assert_eq!(rotated["endpoint"]["oldSecretUntil"], "2026-02-01T08:15:30.123Z");
    let listed = world.send(get(ENDPOINTS).bearer(&customer.key)).await.ok();
    assert_eq!(listed["endpoints"].as_array().unwrap().len(), 1);
    assert!(!listed.to_string().contains("whsec_"));
    world.send(delete(&path).bearer(&customer.key)).await.ok();
    world.send(get(&path).bearer(&customer.key)).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_field_that_breaks_its_rule_is_named() {
    let world = World::new();
    let customer = world.customer().await;
    for (body, code, field) in [
        (json!({}), "missing_field", "url"),
        (json!({"url": "http://acme.example"}), "invalid_webhook_url", "url"),
        (json!({"url": "https://10.0.0.1/"}), "invalid_webhook_url", "url"),
        (json!({"url": "https://a.example", "events": ["otp.gone"]}), "invalid_field", "events"),
        (json!({"url": "https://a.example", "headers": {"host": "b"}}), "invalid_header", "headers"),
        (json!({"url": "https://a.example", "secret": "hush"}), "invalid_webhook_secret", "secret"),
        (json!({"url": "https://a.example", "colour": "red"}), "unknown_field", "colour"),
    ] {
        let reply = world.send(post(ENDPOINTS, body).bearer(&customer.key)).await;
        assert_eq!(reply.problem(400, code)["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn deliveries_are_listed_shown_tried_and_sent_again() {
    let world = World::new();
    let customer = world.customer().await;
    let endpoint = world.endpoint(&customer).await;
    let id = world.delivery(&customer).await;
    let one = world.send(get(format!("/admin/webhooks/deliveries/{id}")).bearer(&customer.key)).await.ok();
    let delivery = &one["delivery"];
    assert_eq!((&delivery["event"], &delivery["status"]), (&json!("otp.requested"), &json!("pending")));
    assert_eq!(delivery["endpointId"], endpoint);
    assert_eq!(
        (delivery["attempts"].as_array().unwrap().len(), &delivery["attempts"][0]["error"]),
        (1, &json!("unavailable"))
    );
    let retried = world.send(post(format!("/admin/webhooks/{id}/retry"), json!({})).bearer(&customer.key)).await;
    assert_eq!(retried.status, 202, "{retried}");

    // There is nothing to send requests with here, and the answer says so.
    let test = world.send(post("/admin/webhooks/test", json!({"event": "user.created"})).bearer(&customer.key)).await;
    let tested = test.ok()["delivery"].clone();
    assert_eq!((&tested["status"], &tested["sample"]), (&json!("failed"), &json!(true)));
    assert_eq!(tested["attempts"][0]["error"], "unavailable");
    let listed = |query: &str| {
        let call = get(format!("/admin/webhooks/deliveries?{query}")).bearer(&customer.key);
        async { world.send(call).await.ok()["deliveries"].as_array().unwrap().len() }
    };
    assert_eq!((listed("").await, listed("status=failed").await, listed("event=otp.requested").await), (2, 1, 1));
    assert_eq!(listed(&format!("endpoint={endpoint}&limit=1")).await, 1);
    for query in ["status=lost", "event=otp.gone", "endpoint=7", "limit=0", "cursor=x"] {
        let call = get(format!("/admin/webhooks/deliveries?{query}")).bearer(&customer.key);
        assert_eq!(world.send(call).await.status, 400, "{query}");
    }
    let recover = post("/admin/webhooks/recover", json!({"since": "2026-01-01T00:00:00Z"})).bearer(&customer.key);
    assert_eq!(world.send(recover).await.ok()["recovered"], 0);
}

#[tokio::test]
async fn the_catalogue_has_a_schema_and_a_sample_of_every_event() {
    let world = World::new();
    let catalogue = world.send(get("/docs/events")).await.ok();
    let events = catalogue["events"].as_array().unwrap();
    assert_eq!(events.len(), otp_core::event::EventKind::ALL.len());
    for event in events {
        assert_eq!(event["schema"]["properties"]["event"]["const"], event["event"]);
        assert!(event["sample"].is_object() && !event["description"].as_str().unwrap().is_empty());
    }
}
