//! `/api/otp` and `/api/code`: authenticators of people whom the customer names.

use serde_json::{Value, json};

use crate::call::{get, post, put};
use crate::factors::NAME;
use crate::harness::World;

const COUNTED: [&str; 4] = ["755224", "287082", "359152", "969429"];
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[tokio::test]
async fn a_picture_is_given_to_whoever_asks_for_one() {
    let world = World::new();
    let customer = world.customer().await;
    let register = |accept: &str| {
        let call = post("/api/otp/register", json!({"userId": NAME, "issuer": "Acme Ltd", "accountName": "Eve"}));
        world.send(call.bearer(&customer.key).header("accept", accept))
    };
    let picture = register("text/html, image/png;q=0.9").await;
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert!(picture.body.starts_with(b"\x89PNG\r\n\x1a\n"));
    let told = register("*/*").await.ok();
    assert!(told["otpauthUri"].as_str().unwrap().starts_with("otpauth://totp/Acme%20Ltd:Eve?secret="));
}

#[tokio::test]
async fn what_an_authenticator_is_to_be_is_checked() {
    let world = World::new();
    let customer = world.customer().await;
    let register = |more: Value| {
        let mut body = json!({"userId": NAME});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.send(post("/api/otp/register", body).bearer(&customer.key))
    };
    for (field, value) in [
        ("algorithm", json!("MD5")),
        ("digits", json!(5)),
        ("period", json!(14)),
        ("secret", json!("JBSWY3DPEHPK3PXP")),
    ] {
        let refused = register(json!({ field: value })).await.problem(400, "invalid_field");
        assert_eq!(refused["errors"][0]["field"], field);
    }
    register(json!({"userId": ""})).await.problem(400, "invalid_user_id");
    register(json!({"type": "steam"})).await.problem(400, "invalid_request");
    let told = register(json!({"algorithm": "SHA512", "digits": 8, "period": 60, "secret": SECRET})).await.ok();
    assert!(told["otpauthUri"].as_str().unwrap().ends_with("&algorithm=SHA512&digits=8&period=60"));
}

#[tokio::test]
async fn a_counter_is_generated_checked_and_found_again() {
    let world = World::new();
    let customer = world.customer().await;
    let (seeing, _) = world.key(&customer, json!({"scopes": ["otp:reveal"]})).await;
    let send = |call: crate::call::Call| world.send(call.bearer(&seeing));
    let body = json!({"userId": NAME, "type": "hotp", "secret": SECRET});
    send(post("/api/otp/register", body)).await.ok();
    let enabled = send(put("/api/otp/enable", json!({"userId": NAME, "otp": COUNTED[0]}))).await.ok();
    let shown = send(post("/api/code/generate", json!({"userId": NAME}))).await.ok();
    assert_eq!(
        (&shown["otp"], &shown["type"], &shown["expiresAt"]),
        (&json!(COUNTED[1]), &json!("hotp"), &Value::Null)
    );
    let verify = |body: Value| send(post("/api/code/verify", body));
    verify(json!({"userId": NAME, "otp": COUNTED[1]})).await.ok();
    verify(json!({"userId": NAME, "otp": COUNTED[1]})).await.problem(401, "otp_invalid");
    let found = verify(json!({"userId": NAME, "otp": COUNTED[2], "nextOtp": COUNTED[3]})).await.ok();
    assert_eq!(found["recoveryCodesLeft"], 10);
    let recovery = json!({"userId": NAME, "recoveryCode": enabled["recoveryCodes"][0]});
    assert_eq!(send(post("/api/otp/verify", recovery.clone())).await.ok()["recoveryCodesLeft"], 9);
    send(post("/api/otp/verify", recovery)).await.problem(401, "otp_invalid");
    let status = send(get(format!("/api/otp/status?userId={NAME}"))).await.ok();
    assert_eq!((&status["enabled"], &status["type"]), (&json!(true), &json!("hotp")));
    send(put("/api/otp/recovery", json!({"userId": NAME}))).await.ok();
    send(post("/api/code/generate", json!({"userId": NAME}))).await.problem(404, "not_found");
    send(put("/api/otp/disable", json!({"userId": NAME}))).await.ok();
    send(get("/api/otp/status")).await.problem(400, "missing_field");
}
