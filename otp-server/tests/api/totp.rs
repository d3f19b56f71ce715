//! `/auth/totp`: a user's second factor over HTTP.

use otp_core::Mode;
use otp_core::event::EventKind;
use otp_core::tenant::SecondFactorPolicy;
use serde_json::{Value, json};

use crate::call::{delete, get, post};
use crate::harness::{Customer, SignedIn, World};

const ANN: &str = "ann@example.org";

async fn claims(world: &World, token: &str) -> Value {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap();
    world.me(token).await.ok();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The right code of a mail; what it comes to.
async fn first_factor(world: &World, customer: &Customer, more: Value) -> Value {
    let asked = world.ask(&customer.key, ANN).await;
    let mut body = asked.body();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.verify(&customer.key, body).await.ok()
}

#[tokio::test]
async fn a_user_sets_an_authenticator_up_and_steps_up_with_it() {
    let world = World::new();
    let customer = world.customer().await;
    let ann = world.sign_in(&customer.key, ANN).await;
    let send = |path: &str, body: Value| world.send(post(format!("/auth/totp/{path}"), body).bearer(&ann.token));

    let enrolment = send("register", json!({})).await.ok();
    let secret = enrolment["secret"].as_str().unwrap();
    let uri =
        format!("otpauth://totp/Acme:ann%40example.org?secret={secret}&issuer=Acme&algorithm=SHA1&digits=6&period=30");
    assert_eq!(enrolment["otpauthUri"], uri);
    assert!(enrolment["qrPng"].as_str().unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
    assert!(enrolment["qrSvg"].as_str().unwrap().starts_with("<svg "));
    let status = world.send(get("/auth/totp/status").bearer(&ann.token)).await.ok();
    assert_eq!((&status["enabled"], &status["pending"]), (&json!(false), &json!(true)));

    send("enable", json!({"otp": "12345"})).await.problem(400, "invalid_otp_format");
    let wrong = send("enable", json!({"otp": world.code(secret, 3600)})).await;
    assert_eq!(wrong.problem(401, "otp_invalid")["remainingAttempts"], 4);
    let enabled = send("enable", json!({"otp": world.code(secret, 0)})).await.ok();
    assert_eq!(enabled["recoveryCodes"].as_array().unwrap().len(), 10);
    assert_eq!(world.me(&ann.token).await.ok()["totpEnabled"], true);
    send("register", json!({})).await.problem(409, "conflict");
    send("verify", json!({})).await.problem(400, "missing_field");
    send("verify", json!({"otp": world.code(secret, 0)})).await.problem(401, "otp_invalid");

    let fresh = send("verify", json!({"otp": world.code(secret, 30)})).await.ok();
    let token = fresh["token"].as_str().unwrap();
    let claims = claims(&world, token).await;
    assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["otp", "totp"]), &json!("2fa")));
    assert_eq!(claims["auth_time"], world.clock_seconds());
    world.me(&ann.token).await.problem(401, "invalid_token");

    let renewed = world.send(post("/auth/totp/recovery-codes", json!({})).bearer(token)).await.ok();
    let code = renewed["recoveryCodes"][0].as_str().unwrap();
    let disable = || world.send(post("/auth/totp/disable", json!({"recoveryCode": code})).bearer(token));
    disable().await.ok();
    disable().await.problem(404, "not_found");
    let events = [EventKind::TotpEnabled, EventKind::TotpDisabled, EventKind::TotpFailed, EventKind::RecoveryCodeUsed];
    for (event, count) in events.into_iter().zip([1, 1, 2, 1]) {
        assert_eq!(world.events(customer.space(Mode::Live), event).await, count, "{event:?}");
    }
}

#[tokio::test]
async fn a_sign_in_goes_on_with_the_second_factor() {
    let world = World::new();
    let customer = world.customer().await;
    let ann = world.sign_in(&customer.key, ANN).await;
    let secret = world.enrol(&ann.token).await;
    let required = first_factor(&world, &customer, json!({})).await;
    assert_eq!((&required["mfaRequired"], &required["enrolmentRequired"]), (&json!(true), &json!(false)));
    assert!(required.get("token").is_none() && required.get("refreshToken").is_none());
    let mfa = required["mfaToken"].as_str().unwrap();
    let complete = |body: Value| world.send(post("/auth/totp/verify", body).bearer(&customer.key));
    complete(json!({"otp": world.code(&secret, 30)})).await.problem(401, "missing_token");
    complete(json!({"otp": world.code(&secret, 30), "mfaToken": "x"})).await.problem(401, "invalid_mfa_token");
    complete(json!({"otp": world.code(&secret, 3600), "mfaToken": mfa})).await.problem(401, "otp_invalid");
    let body =
        json!({"otp": world.code(&secret, 30), "mfaToken": mfa, "trustDevice": true, "client": {"ip": "203.0.113.7"}});
    let done = complete(body.clone()).await.ok();
    complete(body).await.problem(401, "invalid_mfa_token");
    let signed_in = SignedIn::of(&done);
    assert_eq!(claims(&world, &signed_in.token).await["acr"], "2fa");

    let device = done["deviceToken"].as_str().unwrap();
    let again = first_factor(&world, &customer, json!({"deviceToken": device})).await;
    assert_eq!(claims(&world, again["token"].as_str().unwrap()).await["acr"], "1fa");
    let devices = world.send(get("/auth/totp/devices").bearer(&signed_in.token)).await.ok();
    assert_eq!(devices["devices"][0]["ip"], "203.0.113.7");
    let id = devices["devices"][0]["deviceId"].as_str().unwrap();
    world.send(delete(format!("/auth/totp/devices/{id}")).bearer(&signed_in.token)).await.ok();
    world.advance(3600);
    let required = first_factor(&world, &customer, json!({"deviceToken": device})).await;
    assert_eq!(required["mfaRequired"], true);
}

#[tokio::test]
async fn where_it_is_required_it_is_set_up_when_signing_in() {
    let world = World::new();
    let customer = world.customer().await;
    world.settings(&customer, |settings| settings.second_factor = SecondFactorPolicy::Required).await;
    let required = first_factor(&world, &customer, json!({})).await;
    assert_eq!(required["enrolmentRequired"], true);
    let mfa = required["mfaToken"].as_str().unwrap();
    let send = |path: &str, body: Value| world.send(post(format!("/auth/totp/{path}"), body).bearer(&customer.key));
    send("register", json!({})).await.problem(401, "missing_token");
    let enrolment = send("register", json!({"mfaToken": mfa})).await.ok();
    let code = world.code(enrolment["secret"].as_str().unwrap(), 0);
    let done = send("enable", json!({"mfaToken": mfa, "otp": code})).await.ok();
    assert_eq!(done["recoveryCodes"].as_array().unwrap().len(), 10);
    assert_eq!((&done["isNewUser"], done["email"].as_str()), (&json!(true), Some(ANN)));
    world.me(done["token"].as_str().unwrap()).await.ok();
}

#[tokio::test]
async fn too_many_wrong_codes_wait_and_the_mail_goes_on() {
    let world = World::new();
    let customer = world.customer().await;
    let ann = world.sign_in(&customer.key, ANN).await;
    let secret = world.enrol(&ann.token).await;
    let guess = |body: Value| world.send(post("/auth/totp/verify", body).bearer(&ann.token));
    for left in (0..5).rev() {
        let refused = guess(json!({"otp": world.code(&secret, 3600)})).await.problem(401, "otp_invalid");
        assert_eq!(refused["remainingAttempts"], left);
    }
    let refused = guess(json!({"otp": world.code(&secret, 30)})).await;
    assert_eq!(refused.problem(429, "rate_limit_exceeded")["retryAfter"], 300);
    assert_eq!(refused.number("x-ratelimit-remaining"), 0);
    assert_eq!(first_factor(&world, &customer, json!({})).await["mfaRequired"], true);
}
