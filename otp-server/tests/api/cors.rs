//! Browsers: origins, preflights, and secret keys that should not be there.

use axum::http::Method;
use otp_core::Mode;
use otp_core::event::EventKind;
use serde_json::{Value, json};

use crate::call::{Call, Reply, get, post, put};
use crate::harness::{ADMIN, Customer, World};

fn preflight(path: &str, origin: &str) -> Call {
    let call = Call::new(Method::OPTIONS, path).origin(origin).header("access-control-request-method", "POST");
    call.header("access-control-request-headers", "content-type, x-otp-api-key")
}

fn ask(key: &str, origin: &str) -> Call {
    post("/auth/request-otp", json!({"email": "ann@example.org", "createUser": false})).bearer(key).origin(origin)
}

fn named(reply: &Reply) -> Option<&str> {
    assert!(reply.headers.get_all("vary").iter().any(|value| value == "Origin"), "{reply}");
    reply.header("access-control-allow-origin")
}

async fn stage() -> (World, Customer) {
    let world = World::new();
    let customer = world.customer().await;
    world.settings(&customer, |settings| settings.limits.per_recipient = 1_000).await;
    (world, customer)
}

#[tokio::test]
async fn a_preflight_needs_no_key_and_is_answered_on_every_auth_route() {
    let world = World::new();
    for path in [
        "/auth/request-otp",
        "/auth/verify-otp",
        "/auth/me",
        "/auth/refresh",
        "/auth/logout",
        "/auth/sessions",
        "/auth/sessions/sess_x",
    ] {
        let reply = world.send(preflight(path, "https://shop.example")).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0), "{reply}");
        assert_eq!(named(&reply), Some("https://shop.example"));
        let allowed = reply.header("access-control-allow-headers").unwrap();
        for name in ["authorization", "content-type", "x-otp-api-key", "idempotency-key"] {
            assert!(allowed.split(", ").any(|allowed| allowed == name), "{allowed}");
        }
        let methods = reply.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
    }
}

#[tokio::test]
async fn admin_routes_never_answer_with_cors_headers() {
    let (world, customer) = stage().await;
    let origin = "https://shop.example";
    let path = customer.path("/api-keys");
    for path in ["/admin/customers", "/admin/customers/me", &path] {
        // `send` refuses any such header under /admin.
        world.send(preflight(path, origin)).await.problem(405, "method_not_allowed");
        world.send(get(path).bearer(&customer.key).origin(origin)).await.problem(403, "secret_key_in_browser");
        world.send(get(path).origin(origin)).await.problem(401, "missing_api_key");
    }
    world.send(get("/admin/customers").bearer(ADMIN).origin(origin)).await.ok();
    let health = world.send(get("/health").origin(origin)).await;
    assert_eq!(health.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_a_list_any_origin_may_call() {
    let (world, customer) = stage().await;
    let key = world.publishable_key(&customer).await;
    for origin in ["https://shop.example", "http://localhost:5173", "https://xn--mnchen-3ya.example"] {
        let reply = world.send(ask(&key, origin)).await;
        reply.ok();
        assert_eq!(named(&reply), Some(origin));
    }
}

#[tokio::test]
async fn a_key_with_origins_admits_exactly_these() {
    let (world, customer) = stage().await;
    let list = json!(["https://shop.example", "http://127.0.0.1:5173"]);
    let (key, _) = world.key(&customer, json!({"type": "publishable", "allowedOrigins": list})).await;
    for origin in ["https://shop.example", "https://SHOP.example:443", "http://127.0.0.1:5173"] {
        let reply = world.send(ask(&key, origin)).await;
        reply.ok();
        assert_eq!(named(&reply), Some(origin));
    }
    for origin in [
        "https://shop.example.evil.com",
        "https://evil-shop.example",
        "https://www.shop.example",
        "http://shop.example",
        "https://shop.example:8443",
        "http://127.0.0.1:5174",
        "https://shop.example/",
        "https://shop.example.",
        "https://shop.example@evil.com",
        "null",
        "",
        "file://",
        "shop.example",
        "https://sh\u{f6}p.example",
    ] {
        let reply = world.send(ask(&key, origin)).await;
        reply.problem(403, "origin_not_allowed");
        assert_eq!(named(&reply), None, "{origin}");
    }
    // An origin is no authentication: who sends none is not asked for one.
    world.send(ask(&key, "").without("origin")).await.ok();
}

#[tokio::test]
async fn a_key_without_origins_falls_back_to_its_customers() {
    let (world, customer) = stage().await;
    let key = world.publishable_key(&customer).await;
    let set = |list: Value| put("/admin/customers/me", json!({"allowedOrigins": list})).bearer(&customer.key);
    world.send(set(json!(["https://*.acme.example", "https://partner.example"]))).await.ok();
    for origin in ["https://app.acme.example", "https://a.b.acme.example", "https://partner.example"] {
        world.send(ask(&key, origin)).await.ok();
    }
    for origin in ["https://acme.example", "http://app.acme.example", "https://evilacme.example", "null"] {
        world.send(ask(&key, origin)).await.problem(403, "origin_not_allowed");
    }
    world.send(set(json!(["*"]))).await.ok();
    world.send(ask(&key, "https://anyone.example")).await.ok();
    world.send(ask(&key, "null")).await.problem(403, "origin_not_allowed");

    // A key's own list takes the place of the customer's.
    let own = json!({"type": "publishable", "allowedOrigins": ["https://shop.example"]});
    let (own, _) = world.key(&customer, own).await;
    world.send(ask(&own, "https://anyone.example")).await.problem(403, "origin_not_allowed");
}

#[tokio::test]
async fn localhost_on_any_port_is_for_test_keys() {
    let (world, customer) = stage().await;
    let list = json!(["http://localhost:*"]);
    let (key, _) = world.key(&customer, json!({"type": "publishable", "mode": "test", "allowedOrigins": list})).await;
    for origin in ["http://localhost", "http://localhost:5173"] {
        world.send(ask(&key, origin)).await.ok();
    }
    for origin in ["https://localhost:5173", "http://localhost.evil.com:5173", "http://127.0.0.1:5173", "null"] {
        world.send(ask(&key, origin)).await.problem(403, "origin_not_allowed");
    }
}

/// The page has to be able to read why it was refused.
#[tokio::test]
async fn errors_are_readable_by_the_page_too() {
    let (world, customer) = stage().await;
    let key = world.publishable_key(&customer).await;
    let origin = "https://shop.example";
    let verify = post("/auth/verify-otp", json!({"email": "ann@example.org", "otp": "1"})).bearer(&key).origin(origin);
    let reply = world.send(verify).await;
    reply.problem(400, "invalid_otp_format");
    assert_eq!(named(&reply), Some(origin));
    let exposed = reply.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
    assert!(exposed.contains("retry-after") && exposed.contains("x-request-id"), "{exposed}");
    let reply = world.send(get("/auth/me").origin(origin)).await;
    assert_eq!(named(&reply), Some(origin));
}

/// A cache must not give a browser what it kept of an answer to somebody without an origin.
#[tokio::test]
async fn answers_that_may_be_kept_vary_by_origin() {
    let (world, customer) = stage().await;
    for path in ["/.well-known/jwks.json".to_owned(), format!("/auth/{}/.well-known/jwks.json", customer.id)] {
        let reply = world.send(get(path.clone())).await;
        assert!(reply.header("cache-control").unwrap().contains("max-age"));
        assert_eq!(named(&reply), None);
        assert_eq!(named(&world.send(get(path).origin("https://shop.example")).await), Some("https://shop.example"));
    }
}

#[tokio::test]
async fn a_secret_key_in_a_browser_works_for_users_and_is_reported_once_a_day() {
    let (world, customer) = stage().await;
    let space = customer.space(Mode::Live);
    let exposed = || world.events(space, EventKind::ApiKeyExposed);
    world.send(ask(&customer.key, "https://shop.example").without("origin")).await.ok();
    assert_eq!(exposed().await, 0);
    world.send(ask(&customer.key, "https://shop.example")).await.ok();
    assert_eq!(exposed().await, 1);
    for name in ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user"] {
        world.send(ask(&customer.key, "").without("origin").header(name, "x")).await.ok();
        let admin = get("/admin/customers/me").bearer(&customer.key).header(name, "x");
        world.send(admin).await.problem(403, "secret_key_in_browser");
    }
    assert_eq!(exposed().await, 1);
    let (other, _) = world.key(&customer, json!({})).await;
    world.send(ask(&other, "https://shop.example")).await.ok();
    assert_eq!(exposed().await, 2);
    world.advance(86_400);
    world.send(ask(&customer.key, "https://shop.example")).await.ok();
    assert_eq!(exposed().await, 3);

    let publishable = world.publishable_key(&customer).await;
    world.send(ask(&publishable, "https://shop.example")).await.ok();
    assert_eq!(exposed().await, 3);
}
