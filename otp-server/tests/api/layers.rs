//! Request ids, health and metrics. Security headers are checked on every answer of every test.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Method;
use otp_core::message::{Channel, Mailer, Outgoing};
use otp_core::{Delivered, ManualClock, MessageId, TenantId, Timestamp};
use otp_server::config::{Config, Flags};
use otp_server::delivery::Delivery;
use serde_json::json;

use crate::call::{Call, get, post};
use crate::harness::{ADMIN, World};
use crate::store::Fault;

#[tokio::test]
async fn a_request_id_is_taken_where_it_is_sane_and_made_where_it_is_not() {
    let world = World::new();
    let longest = "x".repeat(128);
    for sane in ["abc", "0af7651916cd43dd8448eb211c80319c", "A-b_c.9", longest.as_str()] {
        let reply = world.send(get("/auth/me").header("x-request-id", sane)).await;
        assert_eq!(reply.header("x-request-id"), Some(sane));
    }
    let too_long = "x".repeat(129);
    let mut made = Vec::new();
    for odd in ["", "a b", "a\"b", "<script>", "a,b", "a;b", "n\u{e4}me", "\"}\u{1b}[31m", too_long.as_str()] {
        let Ok(value) = axum::http::HeaderValue::from_bytes(odd.as_bytes()) else { continue };
        let reply = world.send(get("/auth/me").header("x-request-id", value.as_bytes())).await;
        made.push(reply.header("x-request-id").unwrap().to_owned());
    }
    made.push(world.send(get("/auth/me")).await.header("x-request-id").unwrap().to_owned());
    assert!(made.len() > 8 && made.iter().all(|id| id.starts_with("req_")), "{made:?}");
    made.sort();
    made.dedup();
    assert!(made.len() > 8, "{made:?}");
}

#[tokio::test]
async fn health_follows_the_store_and_the_drain() {
    let world = World::new();
    let status = async |path: &'static str| {
        let reply = world.send(get(path)).await;
        (reply.status.as_u16(), reply.json()["status"].as_str().unwrap().to_owned())
    };
    for path in ["/health", "/health/ready", "/health/live"] {
        assert_eq!(status(path).await, (200, "ok".to_owned()));
    }
    world.store.fail(Fault::Unavailable);
    for path in ["/health", "/health/ready"] {
        assert_eq!(status(path).await, (503, "unavailable".to_owned()));
    }
    assert_eq!(status("/health/live").await, (200, "ok".to_owned()));
    world.store.mend();
    assert_eq!(status("/health/ready").await, (200, "ok".to_owned()));
    world.app.drain();
    for path in ["/health", "/health/ready"] {
        assert_eq!(status(path).await, (503, "draining".to_owned()));
    }
    assert_eq!(status("/health/live").await, (200, "ok".to_owned()));
    // What is still asked is still answered.
    world.customer().await;
}

#[tokio::test]
async fn the_operators_routes_are_not_among_the_public_ones() {
    let world = World::new();
    world.send(get("/metrics")).await.problem(404, "route_not_found");
    let health = world.send_to_operator(get("/health")).await;
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(health.json()["time"], "2026-01-31T08:15:30.123Z");
    let admin = world.send_to_operator(get("/admin/customers").bearer(ADMIN)).await;
    admin.problem(404, "route_not_found");
    for reply in [health, admin, world.send_to_operator(get("/metrics")).await] {
        assert!(reply.header("x-request-id").is_some() && reply.header("x-content-type-options").is_some(), "{reply}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply}");
    }
}

#[tokio::test]
async fn metrics_count_requests_and_name_nobody() {
    let world = World::new();
    let customer = world.customer().await;
    let user = world.sign_in(&customer.key, "ann.canary@example.org").await;
    world.me(&user.token).await.ok();
    world.send(get(customer.path("")).bearer(&customer.key)).await.ok();
    world.send(get(format!("/auth/{}/.well-known/jwks.json", customer.id))).await;
    world.send(get("/nowhere/ann.canary@example.org").bearer(&customer.key)).await;
    world.send(Call::new(Method::from_bytes(b"BREW").unwrap(), "/auth/me")).await;
    world
        .send(post("/auth/verify-otp", json!({"email": "ann.canary@example.org", "otp": "1"})).bearer(&customer.key))
        .await;

    let reply = world.send_to_operator(get("/metrics")).await;
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{reply}");
    let text = reply.text();
    for line in [
        r#"otp_http_requests_total{route="/auth/request-otp",method="POST",status="200"} 1"#,
        r#"otp_http_requests_total{route="/auth/verify-otp",method="POST",status="400"} 1"#,
        r#"otp_http_requests_total{route="/admin/customers/{id}",method="GET",status="200"} 1"#,
        r#"otp_http_requests_total{route="-",method="GET",status="404"} 1"#,
        r#"otp_http_requests_total{route="/auth/me",method="other",status="405"} 1"#,
        r#"otp_http_request_duration_seconds_count{route="/auth/verify-otp"} 2"#,
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    for canary in [&customer.id, &customer.key, &user.token, &user.session, "canary", "nowhere"] {
        assert!(!text.contains(canary), "{canary}\n{text}");
    }
}

fn mail() -> Outgoing {
    Outgoing {
        id: MessageId::from_bytes([1; 16]),
        tenant: TenantId::INSTALLATION,
        channel: Channel::Email,
        to: "ann@example.org".to_owned(),
        from_name: None,
        providers: Arc::new([]),
        from_email: None,
        reply_to: None,
        subject: "Hello".to_owned(),
        text: "Hello".to_owned(),
        html: None,
        code: None,
        expires_at: Timestamp::from_millis(i64::MAX / 2),
    }
}

#[tokio::test]
async fn the_rules_of_prometheus_name_only_what_is_counted() {
    let world = World::new();
    let customer = world.customer().await;
    world.ask(&customer.key, "ann@example.org").await;
    world.app.metrics().events_delivered(Delivered { sent: 1, retried: 1, failed: 1, vetoed: 0 });
    world.app.metrics().delivered(Delivered { sent: 1, retried: 1, failed: 1, vetoed: 1 });
    let config = Config::load(None, Flags::default()).unwrap();
    let delivery = Delivery::of(&config, Arc::new(ManualClock::default())).unwrap_or_else(|error| panic!("{error}"));
    delivery.send(&mail()).await.unwrap();
    world.app.metrics().watch(Arc::new(delivery));
    let counted = world.send_to_operator(get("/metrics")).await.text();
    let rules = include_str!("../../../deploy/prometheus/otp-auth.rules.yml");
    let series = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("otp_"));
    let series: BTreeSet<&str> = series.collect();
    assert!(series.len() > 3, "{series:?}");
    for name in series {
        let family = ["_total", "_bucket", "_count", "_sum"].iter().fold(name, |name, end| name.trim_end_matches(end));
        assert!(counted.contains(&format!("# TYPE {family} ")), "{name}\n{counted}");
    }
    let labels = |label: &str| -> Vec<&str> {
        let begin = format!("{label}=\"");
        let named = rules.match_indices(&begin).map(|(place, _)| &rules[place + begin.len()..]);
        named.map(|rest| rest.split('"').next().unwrap()).collect()
    };
    for (label, values) in ["route", "outcome"].map(|label| (label, labels(label))) {
        assert!(!values.is_empty());
        for value in values {
            assert!(counted.contains(&format!("{label}=\"{value}\"")), "{label} {value}\n{counted}");
        }
    }
}
