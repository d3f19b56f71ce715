//! `Idempotency-Key`: the same request again gives the first answer again.

use otp_core::Mode;
use otp_core::event::EventKind;
use serde_json::{Value, json};

use crate::call::{Call, Reply, get, post};
use crate::harness::{ADMIN, World};

/// Sends twice under one key, and gives the answer that both times was the same.
async fn twice(world: &World, call: impl Fn() -> Call) -> Reply {
    let first = world.send(call().once("order-7")).await;
    first.ok();
    assert_eq!(first.header("idempotent-replayed"), None, "{first}");
    let second = world.send(call().once("order-7")).await;
    assert_eq!(second.header("idempotent-replayed"), Some("true"), "{second}");
    assert_eq!((first.status, first.json()), (second.status, second.json()));
    first
}

#[tokio::test]
async fn every_route_that_sends_or_creates_does_it_once() {
    let world = World::new();
    let customer = world.customer().await;

    let asked =
        twice(&world, || post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(&customer.key)).await;
    world.service.deliver_pending(10).await.unwrap();
    assert_eq!(world.inbox.count(), 1);

    let said = json!({"challengeId": asked.json()["challengeId"], "otp": world.inbox.code_to("ann@example.org")});
    let signed_in = twice(&world, || post("/auth/verify-otp", said.clone()).bearer(&customer.key)).await.json();
    assert_eq!(world.events(customer.space(Mode::Live), EventKind::UserLoggedIn).await, 1);

    let refreshed =
        twice(&world, || post("/auth/refresh", json!({"refreshToken": signed_in["refreshToken"]}))).await.json();
    world.me(refreshed["token"].as_str().unwrap()).await.ok();

    twice(&world, || post("/admin/customers", json!({"name": "B", "email": "b@example.org"})).bearer(ADMIN)).await;
    let all = world.send(get("/admin/customers").bearer(ADMIN)).await.ok();
    assert_eq!(all["customers"].as_array().unwrap().len(), 2);

    world.loner("ben@example.org").await;
    let member = world.let_in("ben@example.org").await["token"].as_str().unwrap().to_owned();
    twice(&world, || post("/api/app", json!({"name": "C"})).bearer(&member)).await;
    let apps = world.send(get("/api/app").bearer(&member)).await.ok();
    assert_eq!(apps["apps"].as_array().unwrap().len(), 1);
    world.loner("cy@example.org").await;
    let another = world.let_in("cy@example.org").await["token"].as_str().unwrap().to_owned();
    let same_key = world.send(post("/api/app", json!({"name": "C"})).bearer(&another).once("order-7")).await;
    assert_eq!(same_key.header("idempotent-replayed"), None, "a key is one member's: {same_key}");

    let created =
        twice(&world, || post(customer.path("/api-keys"), json!({"name": "New"})).bearer(&customer.key)).await.json();
    let rotate = customer.path(&format!("/api-keys/{}/rotate", created["keyId"].as_str().unwrap()));
    let call = || post(rotate.clone(), json!({})).bearer(&customer.key).once("order-8");
    let first = world.send(call()).await.ok();
    let second = world.send(call()).await;
    assert_eq!((second.ok(), second.header("idempotent-replayed")), (first, Some("true")));
    let keys = world.send(get(customer.path("/api-keys")).bearer(&customer.key)).await.ok();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_same_key_for_another_request_is_a_conflict() {
    let world = World::new();
    let customer = world.customer().await;
    let ask = |body: &'static str| post("/auth/request-otp", Value::Null).raw(body).bearer(&customer.key).once("k");
    world.send(ask(r#"{"email":"ann@example.org"}"#)).await.ok();
    for other in [r#"{"email":"ben@example.org"}"#, r#"{"email": "ann@example.org"}"#] {
        world.send(ask(other)).await.problem(422, "idempotency_conflict");
    }
    let create = |path: &str| post(path, json!({"name": "A"})).bearer(&customer.key).once("k");
    world.send(create(&customer.path("/api-keys"))).await.ok();
    let rotate = customer.path(&format!("/api-keys/{}/rotate", customer.key_id));
    world.send(post(rotate, json!({})).bearer(&customer.key).once("k")).await.problem(422, "idempotency_conflict");
    // After a day the key is free again.
    world.advance(86_400);
    world.send(ask(r#"{"email":"ben@example.org"}"#)).await.ok();
}

#[tokio::test]
async fn keys_of_different_callers_do_not_meet() {
    let world = World::new();
    let (customer, other) = (world.customer().await, world.customer().await);
    let test = world.test_key(&customer).await;
    let mut challenges = Vec::new();
    for key in [&customer.key, &other.key, &test] {
        let call = post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(key).once("k");
        let reply = world.send(call).await;
        assert_eq!(reply.header("idempotent-replayed"), None);
        challenges.push(reply.ok()["challengeId"].as_str().unwrap().to_owned());
    }
    challenges.sort();
    challenges.dedup();
    assert_eq!(challenges.len(), 3);
}

/// A refusal did nothing, so the request may be mended and sent again under its key; a wrong guess counts each time.
#[tokio::test]
async fn refusals_are_not_kept() {
    let world = World::new();
    let customer = world.customer().await;
    let asked = world.ask(&customer.key, "ann@example.org").await;
    for remaining in [4, 3] {
        let call = post("/auth/verify-otp", asked.wrong(0)).bearer(&customer.key).once("guess");
        assert_eq!(world.send(call).await.problem(401, "otp_invalid")["remainingAttempts"], remaining);
    }
    world.send(post("/auth/verify-otp", asked.body()).bearer(&customer.key).once("guess")).await.ok();
}

#[tokio::test]
async fn a_replay_asks_for_the_same_credentials() {
    let world = World::new();
    let customer = world.customer().await;
    let call = || post("/auth/request-otp", json!({"email": "ann@example.org"})).once("k");
    world.send(call().bearer(&customer.key)).await.ok();
    world.send(call()).await.problem(401, "missing_api_key");
    world.set_status(&customer, "suspended").await;
    world.send(call().bearer(&customer.key)).await.problem(403, "customer_suspended");
}

#[tokio::test]
async fn keys_that_are_none_are_refused() {
    let world = World::new();
    let customer = world.customer().await;
    let longest = "x".repeat(255);
    let too_long = "x".repeat(256);
    let path = customer.path("/api-keys");
    for (key, is_good) in [
        ("a", true),
        ("a b~!", true),
        (longest.as_str(), true),
        ("", false),
        (too_long.as_str(), false),
        ("sch\u{f6}n", false),
        ("a\tb", false),
    ] {
        let reply = world.send(post(path.clone(), json!({"name": "A"})).bearer(&customer.key).once(key)).await;
        match is_good {
            true => drop(reply.ok()),
            false => {
                let problem = reply.problem(400, "invalid_idempotency_key");
                assert_eq!(problem["errors"][0]["field"], "Idempotency-Key");
            }
        }
    }
}

#[tokio::test]
async fn of_64_at_once_one_does_it() {
    let world = World::new();
    let customer = world.customer().await;
    let calls = (0..64).map(|_| {
        world.send(post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(&customer.key).once("k"))
    });
    let replies = futures_util::future::join_all(calls).await;
    let fresh = replies.iter().filter(|reply| reply.header("idempotent-replayed").is_none()).count();
    assert_eq!(fresh, 1);
    assert!(replies.windows(2).all(|two| two[0].ok() == two[1].ok()));
    world.service.deliver_pending(100).await.unwrap();
    assert_eq!(world.inbox.count(), 1);
}
