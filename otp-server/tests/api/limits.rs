//! Rate limits and quotas, the headers that tell of them, and whose address they count.

use serde_json::json;

use crate::call::{Call, Reply, post};
use crate::harness::{Customer, World};

fn ask(key: &str, email: &str) -> Call {
    post("/auth/request-otp", json!({"email": email})).bearer(key)
}

/// The three headers of a limit.
fn told(reply: &Reply, of: &str) -> (u64, u64, u64) {
    let number = |what: &str| reply.number(&format!("x-{of}-{what}"));
    (number("limit"), number("remaining"), number("reset"))
}

/// The clock stands at 2026-01-31T08:15:30.123Z.
const NOW: u64 = 1_769_847_331;
const END_OF_DAY: u64 = 1_769_904_000;

#[tokio::test]
async fn three_codes_an_hour_reach_one_recipient() {
    let world = World::new();
    let customer = world.customer().await;
    for remaining in (0..3).rev() {
        let reply = world.send(ask(&customer.key, "ann@example.org")).await;
        assert_eq!(reply.ok()["remaining"], remaining);
        assert_eq!(told(&reply, "ratelimit"), (3, remaining, NOW + 3_600));
        world.advance(60);
    }
    for spelling in ["ann@example.org", "Ann@Example.ORG", "ann+tag@example.org"] {
        let reply = world.send(ask(&customer.key, spelling)).await;
        let problem = reply.problem(429, "rate_limit_exceeded");
        assert_eq!(problem["retryAfter"], 3_420);
        assert_eq!(told(&reply, "ratelimit"), (3, 0, NOW + 3_600));
    }
    assert_eq!(world.send(ask(&customer.key, "ben@example.org")).await.status, 200);
    world.advance(3_420);
    let reply = world.send(ask(&customer.key, "ann@example.org")).await;
    assert_eq!(reply.ok()["remaining"], 0);
    assert_eq!(
        world.send(ask(&customer.key, "ann@example.org")).await.problem(429, "rate_limit_exceeded")["retryAfter"],
        60
    );
}

#[tokio::test]
async fn the_51st_code_of_a_free_day_is_over_quota() {
    let world = World::new();
    let customer = world.customer_on("free").await;
    let publishable = world.publishable_key(&customer).await;
    for number in 0..50 {
        let reply = world.send(ask(&customer.key, &format!("ann{number}@example.org"))).await;
        reply.ok();
        assert_eq!(told(&reply, "quota"), (50, 49 - number, END_OF_DAY));
    }
    let reply = world.send(ask(&customer.key, "ben@example.org")).await;
    let problem = reply.problem(429, "quota_exceeded");
    assert_eq!(problem["retryAfter"], END_OF_DAY - NOW + 1);
    assert_eq!(told(&reply, "quota"), (50, 0, END_OF_DAY));
    // How much of its plan a customer has used is not for browsers to know.
    let reply = world.send(ask(&publishable, "ben@example.org")).await;
    reply.problem(429, "quota_exceeded");
    assert!(reply.header("x-quota-limit").is_none() && reply.header("retry-after").is_some(), "{reply}");
    let test = world.test_key(&customer).await;
    world.send(ask(&test, "ben@example.org")).await.ok();
    world.advance(END_OF_DAY - NOW + 1);
    world.send(ask(&customer.key, "ben@example.org")).await.ok();
}

#[tokio::test]
async fn quota_headers_are_for_secret_keys_and_limit_headers_for_all() {
    let world = World::new();
    let customer = world.customer_on("free").await;
    let publishable = world.publishable_key(&customer).await;
    for (key, shows_quota) in [(&customer.key, true), (&publishable, false)] {
        let asked = world.send(ask(key, "ann@example.org")).await;
        world.service.deliver_pending(10).await.unwrap();
        let code = world.inbox.code_to("ann@example.org");
        let verify = json!({"challengeId": asked.ok()["challengeId"], "otp": code});
        let verified = world.verify(key, verify).await;
        for reply in [asked, verified] {
            assert!(reply.status.is_success() && reply.header("x-ratelimit-limit").is_some(), "{reply}");
            assert_eq!(reply.header("x-quota-limit").is_some(), shows_quota, "{reply}");
            assert!(reply.header("retry-after").is_none());
        }
    }
    let unlimited = world.customer().await;
    let reply = world.send(ask(&unlimited.key, "ann@example.org")).await;
    assert!(reply.header("x-quota-limit").is_none(), "{reply}");
}

#[tokio::test]
async fn a_cooldown_is_told_apart_from_a_limit() {
    let world = World::new();
    let customer = world.customer().await;
    world.settings(&customer, |settings| settings.limits.email_cooldown = 30).await;
    let first = world.send(ask(&customer.key, "ann@example.org")).await.ok();
    assert_eq!(first["resendAt"], "2026-01-31T08:16:00.123Z");
    world.advance(10);
    assert_eq!(world.send(ask(&customer.key, "ann@example.org")).await.problem(429, "cooldown")["retryAfter"], 20);
    world.advance(20);
    world.send(ask(&customer.key, "ann@example.org")).await.ok();
}

#[tokio::test]
async fn guesses_over_many_codes_are_limited() {
    let world = World::new();
    let customer = world.customer().await;
    world.settings(&customer, |settings| settings.limits.guesses_per_recipient = 2).await;
    let asked = world.ask(&customer.key, "ann@example.org").await;
    for number in 0..2 {
        world.verify(&customer.key, asked.wrong(number)).await.problem(401, "otp_invalid");
    }
    let reply = world.verify(&customer.key, asked.body()).await;
    assert_eq!(reply.problem(429, "rate_limit_exceeded")["retryAfter"], 3_600);
    assert_eq!(told(&reply, "ratelimit"), (2, 0, NOW + 3_600));
}

/// A world behind these proxies in which a client address may ask for two codes an hour.
async fn two_per_address(proxies: &[&str]) -> (World, Customer, String) {
    let world = World::behind(proxies);
    let customer = world.customer().await;
    world.settings(&customer, |settings| settings.limits.per_ip = 2).await;
    let key = world.publishable_key(&customer).await;
    (world, customer, key)
}

/// The statuses of requests for different recipients that come this way.
async fn come(world: &World, key: &str, ways: &[(&str, &str)]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (number, (peer, forwarded)) in ways.iter().enumerate() {
        let call = ask(key, &format!("from{}-{number}@example.org", peer.replace([':', '.'], "-"))).from(peer);
        let call = if forwarded.is_empty() { call } else { call.header("x-forwarded-for", forwarded) };
        statuses.push(world.send(call).await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn a_forwarded_address_of_an_untrusted_peer_counts_for_nothing() {
    let (world, _, key) = two_per_address(&["10.0.0.0/8"]).await;
    let spoofed = [("192.0.2.1", "1.1.1.1"), ("192.0.2.1", "2.2.2.2"), ("192.0.2.1", "3.3.3.3"), ("192.0.2.1", "")];
    assert_eq!(come(&world, &key, &spoofed).await, [200, 200, 429, 429]);
    assert_eq!(come(&world, &key, &[("192.0.2.2", "192.0.2.1"), ("192.0.2.2", "")]).await, [200, 200]);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_last_untrusted_hop_counts() {
    let (world, _, key) = two_per_address(&["10.0.0.0/8", "2001:db8:f::/48"]).await;
    let ways = [
        ("10.0.0.1", "198.51.100.1"),
        ("2001:db8:f::1", "198.51.100.1"),
        ("10.0.0.2", "9.9.9.9, 198.51.100.1"),
        ("10.0.0.2", "8.8.8.8, 198.51.100.1, 10.0.0.1"),
        ("10.0.0.1", "198.51.100.2"),
        ("198.51.100.2", ""),
        ("::ffff:198.51.100.2", ""),
    ];
    assert_eq!(come(&world, &key, &ways).await, [200, 200, 429, 429, 200, 200, 429]);
}

#[tokio::test]
async fn an_ipv6_subscriber_counts_as_one() {
    let (world, _, key) = two_per_address(&[]).await;
    let ways = [("2001:db8::1", ""), ("2001:db8::ffff:2", ""), ("2001:db8:0:0:1234::", ""), ("2001:db8:0:1::1", "")];
    assert_eq!(come(&world, &key, &ways).await, [200, 200, 429, 200]);
}

/// A server says whose address counts; its own would lump all its users together.
#[tokio::test]
async fn a_secret_key_names_the_end_users_address() {
    let (world, customer, publishable) = two_per_address(&[]).await;
    let named = |key: &str, to: usize, ip: &str| {
        let body = json!({"email": format!("to{to}@example.org"), "client": {"ip": ip}});
        world.send(post("/auth/request-otp", body).bearer(key).from("192.0.2.77"))
    };
    for number in 0..5 {
        world.send(ask(&customer.key, &format!("own{number}@example.org"))).await.ok();
    }
    for to in 0..2 {
        named(&customer.key, to, "198.51.100.9").await.ok();
    }
    named(&customer.key, 2, "198.51.100.9").await.problem(429, "rate_limit_exceeded");
    named(&customer.key, 2, "198.51.100.10").await.ok();
    // A browser cannot choose what it is counted as.
    for to in 3..5 {
        named(&publishable, to, &format!("203.0.113.{to}")).await.ok();
    }
    named(&publishable, 5, "203.0.113.5").await.problem(429, "rate_limit_exceeded");
}
