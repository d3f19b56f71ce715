//! `/auth/request-otp` and `/auth/verify-otp`.

use otp_core::Mode;
use otp_core::challenge::Challenge;
use otp_core::event::EventKind;
use otp_core::tenant::{Tenant, TenantStatus};
use serde_json::json;

use crate::call::post;
use crate::harness::{World, wrong};
use crate::store::Fault;

#[tokio::test]
async fn a_code_signs_in_once() {
    let world = World::new();
    let customer = world.customer().await;
    let body = json!({"email": " Ann@Example.org ", "metadata": {"cart": 7}});
    let sent = world.send(post("/auth/request-otp", body).bearer(&customer.key)).await.ok();
    assert_eq!(sent["message"], "Code sent");
    assert_eq!(sent["expiresIn"], 600);
    assert_eq!(sent["expiresAt"], "2026-01-31T08:25:30.123Z");
    assert_eq!(sent["resendAt"], "2026-01-31T08:15:30.123Z");
    assert_eq!(sent["channel"], "email");
    assert_eq!(sent["remaining"], 2);
    assert!(sent.get("testCode").is_none() && sent.get("code").is_none(), "{sent}");

    world.service.deliver_pending(10).await.unwrap();
    let code = world.inbox.code_to("Ann@Example.org");
    assert!(code.len() == 9 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let spaced = format!("{} {}-{}", &code[..3], &code[3..6], &code[6..]);
    let verify = json!({"email": "ann@example.org", "otp": spaced});
    let signed_in = world.verify(&customer.key, verify).await.ok();
    assert_eq!(signed_in["tokenType"], "Bearer");
    assert_eq!(signed_in["email"], "Ann@Example.org");
    assert_eq!(signed_in["isNewUser"], true);
    assert_eq!(signed_in["expiresAt"], "2026-01-31T15:15:30.000Z");
    assert_eq!(signed_in["refreshExpiresAt"], "2026-02-07T08:15:30.123Z");

    let again = json!({"challengeId": sent["challengeId"], "otp": code});
    world.verify(&customer.key, again).await.problem(404, "otp_not_found");
    world.advance(600);
    let next = world.ask(&customer.key, "ann@example.org").await;
    let next = world.verify(&customer.key, next.body()).await.ok();
    assert_eq!(next["isNewUser"], false);
    assert_eq!(next["userId"], signed_in["userId"]);
}

#[tokio::test]
async fn a_resend_repeats_the_code() {
    let world = World::new();
    let customer = world.customer().await;
    let first = world.ask(&customer.key, "ann@example.org").await;
    let second = world.ask(&customer.key, "ann@example.org").await;
    assert_eq!((&first.challenge, &first.code), (&second.challenge, &second.code));
    assert_eq!(world.inbox.count(), 2);
}

#[tokio::test]
async fn wrong_guesses_count_down_to_nothing() {
    let world = World::new();
    let customer = world.customer().await;
    let asked = world.ask(&customer.key, "ann@example.org").await;
    for remaining in (0..5).rev() {
        let reply = world.verify(&customer.key, asked.wrong(remaining)).await;
        let problem = reply.problem(401, "otp_invalid");
        assert_eq!(problem["remainingAttempts"], remaining);
        assert_eq!(reply.number("x-ratelimit-remaining"), remaining as u64);
        assert_eq!(reply.number("x-ratelimit-limit"), 5);
    }
    world.verify(&customer.key, asked.body()).await.problem(401, "otp_attempts_exceeded");
    // Callers with only the address have guesses of their own.
    let by_address = |otp: String| json!({"email": "ann@example.org", "otp": otp});
    let reply = world.verify(&customer.key, by_address(wrong(&asked.code, 1))).await;
    assert_eq!(reply.problem(401, "otp_invalid")["remainingAttempts"], 4);
    world.verify(&customer.key, by_address(asked.code.clone())).await.ok();
}

#[tokio::test]
async fn a_code_dies_after_ten_minutes() {
    let world = World::new();
    let customer = world.customer().await;
    let asked = world.ask(&customer.key, "ann@example.org").await;
    world.advance(600);
    world.verify(&customer.key, asked.body()).await.problem(401, "otp_expired");
    world.advance(4_000);
    world.service.sweep(100).await.unwrap();
    world.verify(&customer.key, asked.body()).await.problem(404, "otp_not_found");
}

#[tokio::test]
async fn what_can_be_no_code_is_refused_uncounted() {
    let world = World::new();
    let customer = world.customer().await;
    let asked = world.ask(&customer.key, "ann@example.org").await;
    for otp in [
        "",
        "12",
        "12345678",
        "1234567890",
        "12345678a",
        "١٢٣٤٥٦٧٨٩",
        "１２３４５６７８９",
        "123456789\u{0}",
        "1234\u{a0}56789",
        "+12345678",
    ] {
        let body = json!({"challengeId": asked.challenge, "otp": otp});
        let problem = world.verify(&customer.key, body).await.problem(400, "invalid_otp_format");
        assert_eq!(problem["errors"][0]["field"], "otp", "{otp}");
    }
    let id = asked.challenge.parse::<otp_core::ChallengeId>().unwrap();
    let kept = world.record::<Challenge>(customer.tenant(), id.as_bytes()).await;
    assert_eq!((kept.wrong_bound, kept.wrong_unbound), (0, 0));
    world.verify(&customer.key, asked.body()).await.ok();
}

#[tokio::test]
async fn codes_nobody_asked_for_are_not_found() {
    let world = World::new();
    let customer = world.customer().await;
    for body in [
        json!({"email": "ann@example.org", "otp": "123456789"}),
        json!({"challengeId": "otp_nonsense", "otp": "123456789"}),
        json!({"challengeId": "sess_111111111111111111111", "otp": "123456789"}),
    ] {
        world.verify(&customer.key, body).await.problem(404, "otp_not_found");
    }
    let asked = world.ask(&customer.key, "ann@example.org").await;
    let elsewhere = json!({"email": "ben@example.org", "challengeId": asked.challenge, "otp": asked.code});
    world.verify(&customer.key, elsewhere).await.problem(404, "otp_not_found");
    let other_purpose = json!({"challengeId": asked.challenge, "otp": asked.code, "purpose": "pay"});
    world.verify(&customer.key, other_purpose).await.problem(404, "otp_not_found");
    let other_context = json!({"challengeId": asked.challenge, "otp": asked.code, "context": "Pay 1 EUR"});
    world.verify(&customer.key, other_context).await.problem(401, "otp_invalid");
    world.verify(&customer.key, asked.body()).await.ok();
}

#[tokio::test]
async fn addresses_that_are_none_or_pass_for_others_are_refused() {
    let world = World::new();
    let customer = world.customer().await;
    for email in [
        "",
        "ann",
        "ann@",
        "@example.org",
        "ann@localhost",
        "ann@127.0.0.1",
        "ann@[127.0.0.1]",
        "ann@example.org@evil.org",
        "ann@example.org, ben@example.org",
        "Ann <ann@example.org>",
        "\"ann\"@example.org",
        "ann smith@example.org",
        "ann\u{0}@example.org",
        "ann\r\nBcc: x@evil.org@example.org",
        "ann@exa\nmple.org",
        "ann@example.org\u{0}",
        "a\u{200b}nn@example.org",
        "m\u{131}ke@example.org",
        "\u{212a}im@example.org",
        "ａnn@example.org",
        "ann@ｅxample.org",
        "ann@example\u{3002}org",
        "ann@exam\u{ad}ple.org",
        &format!("{}@example.org", "a".repeat(65)),
        &format!("ann@{}.org", "a".repeat(250)),
    ] {
        let call = post("/auth/request-otp", json!({"email": email})).bearer(&customer.key);
        let problem = world.send(call).await.problem(400, "invalid_email");
        assert_eq!(problem["errors"][0]["field"], "email", "{email}");
        let verify = json!({"email": email, "otp": "123456789"});
        world.verify(&customer.key, verify).await.problem(400, "invalid_email");
    }
}

#[tokio::test]
async fn test_keys_show_the_code_and_send_nothing() {
    let world = World::new();
    let customer = world.customer().await;
    let key = world.test_key(&customer).await;
    let sent = world.send(post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(&key)).await.ok();
    assert_eq!(sent["testCode"].as_str().map(str::len), Some(9));
    world.service.deliver_pending(10).await.unwrap();
    assert_eq!(world.inbox.count(), 0);
    world.verify(&key, json!({"email": "ann@example.org", "otp": sent["testCode"]})).await.ok();
    let live = json!({"email": "ann@example.org", "otp": sent["testCode"]});
    world.verify(&customer.key, live).await.problem(404, "otp_not_found");
}

#[tokio::test]
async fn a_live_code_is_shown_to_a_secret_key_with_the_scope_alone() {
    let world = World::new();
    let customer = world.customer().await;
    let ask = |key: String| {
        world.send(post("/auth/request-otp", json!({"email": "ann@example.org", "deliver": "caller"})).bearer(key))
    };
    ask(customer.key.clone()).await.problem(403, "scope_required");
    let publishable = json!({"type": "publishable", "scopes": ["otp:reveal"]});
    let (publishable, _) = world.key(&customer, publishable).await;
    ask(publishable).await.problem(403, "scope_required");
    let (key, _) = world.key(&customer, json!({"scopes": ["otp:reveal"]})).await;
    let sent = ask(key.clone()).await.ok();
    assert!(sent.get("testCode").is_none());
    world.service.deliver_pending(10).await.unwrap();
    assert_eq!(world.inbox.count(), 0);
    world.verify(&key, json!({"challengeId": sent["challengeId"], "otp": sent["code"]})).await.ok();
}

#[tokio::test]
async fn a_proof_is_no_session() {
    let world = World::new();
    let customer = world.customer().await;
    let body = json!({"email": "ann@example.org", "purpose": "pay", "context": "Pay 120 EUR"});
    let sent = world.send(post("/auth/request-otp", body).bearer(&customer.key)).await.ok();
    world.service.deliver_pending(10).await.unwrap();
    let code = world.inbox.code_to("ann@example.org");
    let said = json!({"challengeId": sent["challengeId"], "otp": code, "purpose": "pay", "context": "Pay 120 EUR", "result": "proof"});
    let proof = world.verify(&customer.key, said).await.ok();
    let mut fields: Vec<_> = proof.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["proof", "success"]);
    world.me(proof["proof"].as_str().unwrap()).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn customers_out_of_service_are_refused_by_name() {
    let world = World::new();
    let customer = world.customer().await;
    let ask = || world.send(post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(&customer.key));
    world.set_status(&customer, "suspended").await;
    ask().await.problem(403, "customer_suspended");
    world.set_status(&customer, "active").await;
    ask().await.ok();
    let tenant: Tenant = world.record(customer.tenant(), customer.tenant().as_bytes()).await;
    world.write(customer.tenant(), Tenant { status: TenantStatus::Pending, ..tenant }).await;
    ask().await.problem(403, "customer_pending");
    world.set_status(&customer, "cancelled").await;
    ask().await.problem(403, "customer_cancelled");
}

#[tokio::test]
async fn more_users_than_the_plan_allows_do_not_sign_in() {
    let world = World::with_plans("[[plan]]\nname = \"tiny\"\nusers = 1");
    let customer = world.customer_on("tiny").await;
    world.sign_in(&customer.key, "ann@example.org").await;
    let second = world.ask(&customer.key, "ben@example.org").await;
    world.verify(&customer.key, second.body()).await.problem(403, "plan_limit");
    let test = world.test_key(&customer).await;
    world.sign_in(&test, "ben@example.org").await;
}

/// Nothing is handed out where it is not known whether a commit happened.
#[tokio::test]
async fn a_store_that_fails_accepts_nothing() {
    let world = World::new();
    let customer = world.customer().await;
    let asked = world.ask(&customer.key, "ann@example.org").await;
    world.store.fail(Fault::Busy);
    let busy = world.verify(&customer.key, asked.body()).await;
    assert_eq!(busy.problem(503, "busy")["retryAfter"], 1);
    world.store.fail(Fault::Unavailable);
    let away = world.verify(&customer.key, asked.body()).await;
    let away = away.problem(503, "store_unavailable");
    assert_eq!(away["retryAfter"], 1);
    assert!(away["detail"].as_str().unwrap().contains("nothing was changed"), "{away}");
    world.store.fail(Fault::Corrupt);
    world.verify(&customer.key, asked.body()).await.problem(500, "internal_error");
    world.store.mend();
    world.store.fail(Fault::Unknown);
    let unknown = world.verify(&customer.key, asked.body()).await;
    let unknown = unknown.problem(503, "store_unavailable");
    assert_eq!(unknown.get("retryAfter"), None);
    assert!(!unknown["detail"].as_str().unwrap().contains("nothing was changed"), "{unknown}");
    world.store.mend();
    // The commit had happened, so the code is used up and no second token leaves.
    world.verify(&customer.key, asked.body()).await.problem(404, "otp_not_found");
    assert_eq!(world.events(customer.space(Mode::Live), EventKind::UserLoggedIn).await, 1);
}
