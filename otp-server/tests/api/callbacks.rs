//! `/callbacks`: what a service tells, and who does not get to tell anything.

use otp_core::Mode;
use otp_core::event::EventKind;
use serde_json::{Value, json};

use crate::call::{Call, get, post, put};
use crate::harness::{Customer, World};

/// A customer with a message that was sent to ann@example.org.
async fn sent(world: &World) -> (Customer, String) {
    let customer = world.customer().await;
    world.ask(&customer.key, "ann@example.org").await;
    let message = world.newest_message(&customer.key).await;
    (customer, message["messageId"].as_str().unwrap().to_owned())
}

fn says(message: &str, status: &str) -> Value {
    json!({"messageId": message, "status": status})
}

fn path(customer: &str) -> String {
    format!("/callbacks/gateway/{customer}")
}

async fn status(world: &World, customer: &Customer, message: &str) -> String {
    let shown = world.send(get(format!("/admin/messages/{message}")).bearer(&customer.key)).await.ok();
    shown["message"]["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_a_service_tells_is_shown_and_told_on_once() {
    let world = World::new();
    let (customer, message) = sent(&world).await;
    let tell = |status| world.send(world.told(&path(&customer.id), says(&message, status).to_string()));
    assert_eq!(status(&world, &customer, &message).await, "sent");
    assert_eq!(tell("delivered").await.ok(), json!({"success": true, "recorded": 1, "ignored": 0}));
    assert_eq!(tell("delivered").await.ok(), json!({"success": true, "recorded": 0, "ignored": 1}));
    assert_eq!(tell("failed").await.ok()["ignored"], 1, "out of order");
    let shown = world.newest_message(&customer.key).await;
    let expected = json!({
        "messageId": message,
        "channel": "email",
        "recipient": "ann@example.org",
        "purpose": "login",
        "status": "delivered",
        "provider": "gateway",
        "providerId": null,
        "tries": 1,
        "attempts": [{"provider": null, "at": shown["createdAt"], "taken": true, "reason": null, "providerId": null}],
        "lastError": null,
        "segments": null,
        "createdAt": shown["createdAt"],
        "sentAt": shown["createdAt"],
        "deliveredAt": shown["createdAt"],
        "failedAt": null,
    });
    assert_eq!(shown, expected);
    assert_eq!(world.events(customer.space(Mode::Live), EventKind::MessageDelivered).await, 1);
    let metrics = world.send_to_operator(get("/metrics")).await.text();
    assert!(metrics.contains(r#"otp_callbacks_total{service="gateway",outcome="repeated"} 2"#), "{metrics}");
}

#[tokio::test]
async fn a_forged_request_changes_nothing() {
    let world = World::new();
    let (customer, message) = sent(&world).await;
    let body = says(&message, "bounced").to_string();
    let signed = || world.told(&path(&customer.id), body.clone());
    let forgeries: Vec<Call> = vec![
        signed().without("webhook-signature"),
        signed().header("webhook-id", "id-2"),
        signed().header("webhook-timestamp", "1769847331"),
        signed().header("webhook-signature", "v1,AAAA"),
        signed().raw(body.replace("bounced", "failed ")),
        signed().raw("<html>502 Bad Gateway</html>"),
        post(path(&customer.id), says(&message, "bounced")).bearer(&customer.key),
    ];
    for forged in forgeries {
        world.send(forged).await.problem(403, "invalid_signature");
    }
    let late = signed();
    world.advance(301);
    world.send(late).await.problem(403, "invalid_signature");
    assert_eq!(status(&world, &customer, &message).await, "sent");
    assert_eq!(world.events(customer.space(Mode::Live), EventKind::MessageFailed).await, 0);
    world.send(post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(&customer.key)).await.ok();

    let unknown = |path: &str| world.send(world.told(path, body.clone()));
    for path in ["/callbacks/resend/installation", "/callbacks/nobody/installation", "/callbacks/gateway/me"] {
        unknown(path).await.problem(404, "not_found");
    }
    world.send(world.told(&path(&customer.id), "<html>")).await.problem(400, "invalid_request");
}

/// A path names whose messages may be told of, and the message has to be that customer's.
#[tokio::test]
async fn a_message_of_somebody_else_is_nobodys() {
    let world = World::new();
    let (customer, message) = sent(&world).await;
    let other = world.customer().await;
    let nobody = otp_core::TenantId::from_bytes([9; 16]).to_string();
    let named = |customer: &str| json!({"messageId": message, "customerId": customer, "status": "bounced"});
    let ignored = json!({"success": true, "recorded": 0, "ignored": 1});
    for (path, body) in [
        (path(&other.id), says(&message, "bounced")),
        (path(&other.id), named(&customer.id)),
        (path(&customer.id), named(&other.id)),
        (path(&nobody), says(&message, "bounced")),
        (path("installation"), says(&message, "bounced")),
        (path("installation"), named(&other.id)),
        (path("installation"), named(&nobody)),
        (path(&customer.id), says("msg_11111111111111111111B2", "bounced")),
        (path(&customer.id), says("order-7", "bounced")),
    ] {
        assert_eq!(world.send(world.told(&path, body.to_string())).await.ok(), ignored, "{path} {body}");
    }
    assert_eq!(status(&world, &customer, &message).await, "sent");
    let told = world.send(world.told(&path("installation"), named(&customer.id).to_string())).await.ok();
    assert_eq!(told["recorded"], 1);
    assert_eq!(status(&world, &customer, &message).await, "bounced");
}

#[tokio::test]
async fn nothing_is_sent_where_a_message_bounced_until_the_customer_says_so() {
    let world = World::new();
    let (customer, message) = sent(&world).await;
    let publishable = world.publishable_key(&customer).await;
    world.send(world.told(&path(&customer.id), says(&message, "bounced").to_string())).await.ok();
    let ask = |key: &str| world.send(post("/auth/request-otp", json!({"email": "Ann@example.org"})).bearer(key));
    let detail = |problem: Value| problem["detail"].as_str().unwrap().to_owned();
    let told = detail(ask(&customer.key).await.problem(403, "recipient_suppressed"));
    assert!(told.contains("hard_bounce"), "{told}");
    let told = detail(ask(&publishable).await.problem(403, "recipient_suppressed"));
    assert_eq!(told, "nothing is sent to this recipient");

    let shown = world.send(get("/admin/suppressions?recipient=ANN%40example.org").bearer(&customer.key)).await.ok();
    let one = &shown["suppressions"][0];
    assert_eq!((&one["recipient"], &one["reason"]), (&json!("ann@example.org"), &json!("hard_bounce")));
    assert_eq!((&one["provider"], &one["until"]), (&json!("gateway"), &json!(null)));
    let away = crate::call::delete("/admin/suppressions?recipient=ann%40example.org").bearer(&customer.key);
    world.send(away).await.ok();
    ask(&publishable).await.ok();
}

/// Batches of SendGrid are larger than what other routes take.
#[tokio::test]
async fn a_body_may_have_a_megabyte() {
    let world = World::new();
    let (customer, message) = sent(&world).await;
    let mut body = says(&message, "delivered").to_string();
    body.push_str(&" ".repeat(1024 * 1024 - body.len()));
    assert_eq!(world.send(world.told(&path(&customer.id), body.clone())).await.ok()["recorded"], 1);
    body.push(' ');
    world.send(world.told(&path(&customer.id), body)).await.problem(413, "body_too_large");
}

const OWN: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A customer's own gateway tells of that customer's messages and of nobody else's, for as long as it is in use.
#[tokio::test]
async fn a_customers_own_service_tells_of_its_messages_alone() {
    let world = World::new();
    let (customer, message) = sent(&world).await;
    let (other, others) = sent(&world).await;
    let own = |customer: &Customer, body: Value| world.told_by(OWN, &path(&customer.id), body.to_string());
    world.send(own(&customer, says(&message, "delivered"))).await.problem(403, "invalid_signature");

    let url = |secret: &str| json!({"url": format!("gateway:https://sms.example.com/send?secret={secret}")});
    let added = world.send(post("/admin/providers", url(OWN)).bearer(&customer.key)).await.ok();
    for (who, message, recorded) in [(&customer, &message, 1), (&customer, &others, 0)] {
        assert_eq!(world.send(own(who, says(message, "delivered"))).await.ok()["recorded"], recorded);
    }
    world.send(own(&other, says(&others, "bounced"))).await.problem(403, "invalid_signature");
    let installation = world.told_by(OWN, &path("installation"), says(&others, "bounced").to_string());
    world.send(installation).await.problem(403, "invalid_signature");
    assert_eq!(status(&world, &customer, &message).await, "delivered");
    assert_eq!(status(&world, &other, &others).await, "sent");
    let installation = world.told(&path(&customer.id), says(&message, "complained").to_string());
    assert_eq!(world.send(installation).await.ok()["recorded"], 1, "the installation's service may have sent it");

    let provider = format!("/admin/providers/{}", added["id"].as_str().unwrap());
    let other_secret = "whsec_QyFVsBQIhrscChlQIMV+b5sSYspob7oD";
    world.send(put(&provider, url(other_secret)).bearer(&customer.key)).await.ok();
    world.send(own(&customer, says(&message, "delivered"))).await.problem(403, "invalid_signature");
}

/// A service that the installation does not use has callbacks where a customer uses it.
#[tokio::test]
async fn a_service_that_only_a_customer_uses_is_known() {
    let world = World::new();
    let customer = world.customer().await;
    let call = || post(format!("/callbacks/resend/{}", customer.id), json!({"type": "email.delivered"}));
    world.send(call()).await.problem(404, "not_found");
    let url = json!({"url": format!("resend:re_hush?callback={OWN}")});
    world.send(post("/admin/providers", url).bearer(&customer.key)).await.ok();
    world.send(call()).await.problem(403, "invalid_signature");
    world.send(post("/callbacks/resend/installation", json!({}))).await.problem(404, "not_found");
}
