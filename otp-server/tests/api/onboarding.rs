//! `/admin/onboarding`, another plan, and what a downgrade is refused for.

use serde_json::json;

use crate::call::{get, post, put};
use crate::harness::{ADMIN, World};

#[tokio::test]
async fn the_steps_follow_what_is_done() {
    let world = World::new();
    let mail = world.sign_up("dee@example.org").await;
    let opened = world.send(post("/signup/verify", mail.by_code())).await.ok();
    let key = opened["apiKey"].as_str().unwrap();
    let show = || async { world.send(get("/admin/onboarding").bearer(key)).await.ok()["onboarding"].clone() };
    let begun = show().await;
    assert_eq!((&begun["step"], &begun["completed"]), (&json!("firstTestCompleted"), &json!(false)));
    let steps = json!({
        "accountCreated": true, "emailVerified": true, "apiKeyGenerated": true, "firstTestCompleted": false,
        "webhookConfigured": false, "emailTemplateConfigured": false,
    });
    assert_eq!(begun["steps"], steps);

    let sent = world.send(post("/admin/onboarding/test-otp", json!({"email": "dee@example.org"})).bearer(key)).await;
    let challenge = sent.ok()["challengeId"].clone();
    assert!(sent.json()["testCode"].is_null() && sent.number("x-ratelimit-remaining") == 2, "{sent}");
    assert_eq!(show().await["step"], "firstTestCompleted");
    world.service.deliver_pending(100).await.unwrap();
    let code = world.inbox.code_to("dee@example.org");
    world.verify(key, json!({"challengeId": challenge, "otp": code})).await.ok();
    assert_eq!(show().await["step"], "webhookConfigured");

    let skip = |body| world.send(put("/admin/onboarding", body).bearer(key));
    let refused = skip(json!({"skip": ["webhooks"]})).await;
    assert_eq!(refused.problem(400, "unknown_step")["errors"][0]["field"], "skip");
    skip(json!({"skip": [], "step": "x"})).await.problem(400, "unknown_field");
    let skipped = skip(json!({"skip": ["emailTemplateConfigured", "webhookConfigured"]})).await.ok();
    assert_eq!((&skipped["onboarding"]["step"], &skipped["onboarding"]["completed"]), (&json!(null), &json!(true)));
    assert_eq!(show().await["skipped"], json!(["webhookConfigured", "emailTemplateConfigured"]));
}

#[tokio::test]
async fn a_test_key_shows_the_test_code() {
    let world = World::new();
    let customer = world.customer().await;
    let test = world.test_key(&customer).await;
    let sent = post("/admin/onboarding/test-otp", json!({"email": "ann@example.org"})).bearer(&test);
    assert!(world.send(sent).await.ok()["testCode"].is_string());
    let bad = post("/admin/onboarding/test-otp", json!({"email": "ann"})).bearer(&test);
    assert_eq!(world.send(bad).await.problem(400, "invalid_email")["errors"][0]["field"], "email");
}

#[tokio::test]
async fn plans_are_changed_by_the_administrator_and_not_below_what_is_in_use() {
    let world = World::new();
    let customer = world.customer().await;
    let upgrade =
        |plan: &str| world.send(post("/admin/customers/me/upgrade", json!({"plan": plan})).bearer(&customer.key));
    let refused = upgrade("pro").await.problem(402, "billing_not_configured");
    assert!(refused["detail"].as_str().unwrap().contains("PUT /admin/customers/{id}"), "{refused}");
    upgrade("huge").await.problem(400, "unknown_plan");
    let hooked = put("/admin/customers/me", json!({"webhookUrl": "https://acme.example/hooks"}));
    world.send(hooked.bearer(&customer.key)).await.ok();
    let change = |body| world.send(put(customer.path(""), body).bearer(ADMIN));
    let below = change(json!({"plan": "free"})).await.problem(409, "plan_below_use");
    assert_eq!(below["errors"][0]["field"], "webhookUrl");
    assert_eq!(change(json!({"name": "Acme"})).await.ok()["customer"]["plan"], "enterprise");
    assert_eq!(change(json!({"plan": "free", "force": true})).await.ok()["customer"]["plan"], "free");
    assert_eq!(
        change(json!({"plan": "free"})).await.problem(409, "plan_below_use")["errors"][0]["field"],
        "webhookUrl"
    );
}

#[tokio::test]
async fn a_change_of_standing_is_mailed() {
    let world = World::new();
    let customer = world.customer().await;
    let suspend = post(customer.path("/suspend"), json!({"reason": "Invoice 4711"})).bearer(ADMIN);
    world.send(suspend).await.ok();
    world.service.deliver_pending(100).await.unwrap();
    let mail = world.inbox.to("ops@acme.example");
    assert!(mail.subject == "Acme is suspended" && mail.text.contains("Invoice 4711"), "{}", mail.text);
}
