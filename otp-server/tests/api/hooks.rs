//! Hooks, as callers see them.

use otp_core::tenant::{HookTarget, OnFailure, SecondFactorPolicy};
use serde_json::json;

use crate::call::{Reply, get, post, put};
use crate::harness::{Customer, World};

const DOT: &str = "dot@example.org";

fn nowhere(on_failure: OnFailure) -> HookTarget {
    let url = Some("https://hooks.acme.com/otp".to_owned());
    HookTarget { url, on_failure, ..HookTarget::default() }
}

/// A sign-in for which nobody names the claims that are a must, by the operation that ends it.
pub async fn sign_in_without_claims(world: &World, customer: &Customer, operation: &str) -> Reply {
    let mut secret = String::new();
    if operation == "POST /auth/totp/verify" {
        secret = world.enrol(&world.sign_in(&customer.key, DOT).await.token).await;
    }
    let has_second = operation != "POST /auth/verify-otp";
    let change = |settings: &mut otp_core::tenant::Settings| {
        settings.hooks.claims = nowhere(OnFailure::Closed);
        settings.second_factor = if has_second { SecondFactorPolicy::Required } else { SecondFactorPolicy::Optional };
    };
    world.settings(customer, change).await;
    let asked = world.ask(&customer.key, DOT).await;
    let verified = world.verify(&customer.key, asked.body()).await;
    if !has_second {
        return verified;
    }
    let mfa = verified.ok()["mfaToken"].clone();
    let send = |path: &str, otp: String| {
        let body = json!({"mfaToken": mfa, "otp": otp});
        world.send(post(format!("/auth/totp/{path}"), body).bearer(&customer.key))
    };
    if !secret.is_empty() {
        return send("verify", world.code(&secret, 30)).await;
    }
    let register = post("/auth/totp/register", json!({"mfaToken": mfa})).bearer(&customer.key);
    let enrolment = world.send(register).await.ok();
    send("enable", world.code(enrolment["secret"].as_str().unwrap(), 0)).await
}

#[tokio::test]
async fn without_claims_that_are_a_must_nobody_signs_in() {
    let world = World::new();
    let customer = world.customer().await;
    for operation in ["POST /auth/verify-otp", "POST /auth/totp/enable"] {
        sign_in_without_claims(&world, &customer, operation).await.problem(502, "hook_failed");
        world.advance(120);
    }
}

#[tokio::test]
async fn hooks_are_set_shown_and_taken_away() {
    let world = World::new();
    let customer = world.customer().await;
    let set = |hooks| world.send(put("/admin/config", json!({"config": {"hooks": hooks}})).bearer(&customer.key));
    let claims = json!({"url": "https://acme.com/otp/claims", "onFailure": "closed", "timeoutMillis": 800});
    set(json!({"claims": claims})).await.ok();
    let shown = world.send(get("/admin/config").bearer(&customer.key)).await.ok();
    assert_eq!(shown["config"]["hooks"]["claims"], claims);
    assert_eq!(
        shown["config"]["hooks"]["beforeSend"],
        json!({"url": null, "onFailure": "open", "timeoutMillis": 1000})
    );
    for (field, wrong) in [
        ("hooks.claims.url", json!({"claims": {"url": "http://acme.com/"}})),
        ("hooks.beforeSend.url", json!({"beforeSend": {"url": "https://169.254.169.254/latest"}})),
        ("hooks.beforeSend.url", json!({"beforeSend": {"url": "https://otp.example/admin/customers"}})),
        ("hooks.beforeSend.url", json!({"beforeSend": {"url": "https://otp.example./admin/customers"}})),
        ("hooks.claims.timeoutMillis", json!({"claims": {"timeoutMillis": 49}})),
        ("hooks.claims.onFailure", json!({"claims": {"onFailure": "shrug"}})),
    ] {
        let refused = set(wrong).await;
        assert_eq!(refused.status, 400, "{refused}");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{refused}");
    }
    set(json!(null)).await.ok();
    let shown = world.send(get("/admin/config").bearer(&customer.key)).await.ok();
    assert_eq!(shown["config"]["hooks"]["claims"]["url"], json!(null));
}

#[tokio::test]
async fn a_hook_that_gives_no_answer_is_counted() {
    let world = World::new();
    let customer = world.customer().await;
    world.settings(&customer, |settings| settings.hooks.before_send = nowhere(OnFailure::Open)).await;
    world.ask(&customer.key, DOT).await;
    let metrics = world.send_to_operator(get("/metrics")).await.text();
    assert!(metrics.contains("otp_hooks_total{hook=\"before_send\",outcome=\"failed\"} 1\n"), "{metrics}");
    assert!(metrics.contains("otp_hooks_total{hook=\"claims\",outcome=\"failed\"} 0\n"), "{metrics}");
}
