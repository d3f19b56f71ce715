//! `/auth/me`, `/auth/refresh`, `/auth/logout`, `/auth/sessions`.

use serde_json::{Value, json};

use crate::call::{delete, get, post};
use crate::harness::{Customer, SignedIn, World};

async fn stage() -> (World, Customer, SignedIn) {
    let world = World::new();
    let customer = world.customer().await;
    let user = world.sign_in(&customer.key, "ann@example.org").await;
    (world, customer, user)
}

fn refresh(token: &str) -> crate::call::Call {
    post("/auth/refresh", json!({"refreshToken": token}))
}

#[tokio::test]
async fn a_token_tells_who_is_signed_in() {
    let (world, _, user) = stage().await;
    let me = world.me(&user.token).await.ok();
    assert_eq!(me["email"], "ann@example.org");
    assert_eq!(me["phone"], Value::Null);
    assert_eq!(me["createdAt"], "2026-01-31T08:15:30.123Z");
    assert_eq!(me["lastLogin"], "2026-01-31T08:15:30.123Z");
    assert_eq!(me["sessionId"], user.session.as_str());
    assert_eq!(me["totpEnabled"], false);
}

#[tokio::test]
async fn a_token_that_is_none_opens_nothing() {
    let (world, customer, user) = stage().await;
    world.send(get("/auth/me")).await.problem(401, "missing_token");
    world.send(get("/auth/me").bearer(&customer.key)).await.problem(401, "missing_token");
    let (signed, signature) = user.token.rsplit_once('.').unwrap();
    let other = world.sign_in(&customer.key, "ben@example.org").await;
    for forged in [
        "a.b.c".to_owned(),
        "..".to_owned(),
        format!("{signed}."),
        format!("{signed}.{}", signature.chars().rev().collect::<String>()),
        format!("{signed}.{}", other.token.rsplit_once('.').unwrap().1),
        format!("{}.{}.{}", "x".repeat(9_000), "y", "z"),
    ] {
        world.me(&forged).await.problem(401, "invalid_token");
    }
    world.advance(7 * 3600);
    world.me(&user.token).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn a_refresh_token_works_once_and_a_spent_one_ends_the_session() {
    let (world, _, user) = stage().await;
    let next = SignedIn::of(&world.send(refresh(&user.refresh)).await.ok());
    assert_eq!(next.session, user.session);
    world.me(&next.token).await.ok();
    world.send(refresh(&user.refresh)).await.problem(401, "refresh_token_reused");
    world.send(refresh(&next.refresh)).await.problem(401, "invalid_refresh_token");
    world.me(&next.token).await.problem(401, "invalid_token");
    for none in ["", "otp_rt_", "otp_rt_AAAA", &user.token] {
        world.send(refresh(none)).await.problem(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn an_access_token_can_be_replaced() {
    let (world, _, user) = stage().await;
    let replaced = world.send(post("/auth/refresh", json!({"token": user.token}))).await.ok();
    world.me(&user.token).await.problem(401, "invalid_token");
    world.me(replaced["token"].as_str().unwrap()).await.ok();
    world.send(post("/auth/refresh", json!({"token": user.token}))).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn signing_out_kills_the_session_at_once() {
    let (world, customer, user) = stage().await;
    let elsewhere = world.sign_in(&customer.key, "ann@example.org").await;
    world.send(post("/auth/logout", json!({})).bearer(&user.token)).await.ok();
    world.me(&user.token).await.problem(401, "invalid_token");
    world.send(refresh(&user.refresh)).await.problem(401, "invalid_refresh_token");
    world.send(post("/auth/logout", json!({})).bearer(&user.token)).await.problem(401, "invalid_token");
    world.me(&elsewhere.token).await.ok();

    let third = world.sign_in(&customer.key, "ann@example.org").await;
    let ben = world.sign_in(&customer.key, "ben@example.org").await;
    world.send(post("/auth/logout", json!({"everywhere": true})).bearer(&third.token)).await.ok();
    for ended in [&elsewhere, &third] {
        world.me(&ended.token).await.problem(401, "invalid_token");
    }
    world.me(&ben.token).await.ok();
}

#[tokio::test]
async fn a_user_sees_and_ends_its_own_sessions() {
    let (world, customer, user) = stage().await;
    world.advance(1);
    let body = json!({"email": "ann@example.org", "client": {"ip": "203.0.113.7", "userAgent": "Phone"}});
    let asked = world.ask(&customer.key, "ann@example.org").await;
    let mut said = asked.body();
    said["client"] = body["client"].clone();
    let phone = SignedIn::of(&world.verify(&customer.key, said).await.ok());
    let list = world.send(get("/auth/sessions").bearer(&user.token)).await.ok();
    let sessions = list["sessions"].as_array().unwrap();
    let ids: Vec<&Value> = sessions.iter().map(|session| &session["sessionId"]).collect();
    assert_eq!(ids, [phone.session.as_str(), user.session.as_str()]);
    assert_eq!((&sessions[0]["ip"], &sessions[0]["userAgent"]), (&json!("203.0.113.7"), &json!("Phone")));
    assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&json!(false), &json!(true)));

    let end = || delete(format!("/auth/sessions/{}", phone.session)).bearer(&user.token);
    world.send(end()).await.ok();
    world.send(end()).await.problem(404, "not_found");
    world.me(&phone.token).await.problem(401, "invalid_token");
    world.me(&user.token).await.ok();
}

#[tokio::test]
async fn suspending_a_customer_refuses_its_keys_and_tokens_at_once() {
    let (world, customer, user) = stage().await;
    let other = world.customer().await;
    let publishable = world.publishable_key(&customer).await;
    world.set_status(&customer, "suspended").await;
    for call in [
        get("/auth/me").bearer(&user.token),
        get("/auth/sessions").bearer(&user.token),
        post("/auth/logout", json!({})).bearer(&user.token),
        refresh(&user.refresh),
        post("/auth/refresh", json!({"token": user.token})),
        post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(&publishable),
        get("/admin/customers/me").bearer(&customer.key),
        get(customer.path("/api-keys")).bearer(&customer.key),
    ] {
        world.send(call).await.problem(403, "customer_suspended");
    }
    world.send(get("/admin/customers/me").bearer(&other.key)).await.ok();
    world.set_status(&customer, "active").await;
    world.me(&user.token).await.ok();
    world.send(refresh(&user.refresh)).await.ok();
}
