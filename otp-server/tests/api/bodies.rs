//! Bodies that are not what they should be.

use axum::body::Body;
use serde_json::{Value, json};

use crate::call::{Call, post, put};
use crate::harness::{ADMIN, Customer, World};

async fn stage() -> (World, Customer) {
    let world = World::new();
    let customer = world.customer().await;
    (world, customer)
}

fn request_otp(customer: &Customer, body: impl Into<Body>) -> Call {
    post("/auth/request-otp", Value::Null).raw(body).bearer(&customer.key)
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let (world, customer) = stage().await;
    let deep = format!("{}{}", "{\"a\":".repeat(200), "[");
    for body in ["", "{", "{\"email\":", "\u{feff}{}", "{\"email\":\"a@b.org\"} x", "{'email':1}", "nonsense", &deep] {
        let reply = world.send(request_otp(&customer, body.to_owned())).await;
        reply.problem(400, "invalid_json");
    }
    let not_utf8 = b"{\"email\":\"a\xff@example.org\"}".to_vec();
    world.send(request_otp(&customer, not_utf8)).await.problem(400, "invalid_json");
    let half_a_surrogate = r#"{"email":"\ud800@example.org"}"#;
    world.send(request_otp(&customer, half_a_surrogate)).await.problem(400, "invalid_json");
}

#[tokio::test]
async fn what_is_of_the_wrong_type_is_refused() {
    let (world, customer) = stage().await;
    for body in [
        json!(null),
        json!([]),
        json!("a@example.org"),
        json!(["a@example.org", null, null, null, null, null, null, null]),
        json!({"email": 1}),
        json!({"email": ["a@example.org"]}),
        json!({"email": {"$ne": null}}),
        json!({"email": "a@example.org", "createUser": "yes"}),
        json!({"email": "a@example.org", "metadata": "x"}),
        json!({"email": "a@example.org", "client": {"ip": "not an address"}}),
        json!({"email": "a@example.org", "deliver": "pigeon"}),
    ] {
        let reply = world.send(request_otp(&customer, body.to_string())).await;
        reply.problem(400, "invalid_request");
    }
    let twice = r#"{"email":"a@example.org","email":"b@example.org"}"#;
    world.send(request_otp(&customer, twice)).await.problem(400, "invalid_request");
    let number = json!({"challengeId": "otp_x", "otp": 123456789});
    world.verify(&customer.key, number).await.problem(400, "invalid_request");
    let array = post(customer.path("/suspend"), json!(["because"])).bearer(ADMIN);
    world.send(array).await.problem(400, "invalid_request");
    assert_eq!(world.inbox.count(), 0);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (world, customer) = stage().await;
    for (call, field) in [
        (post("/auth/request-otp", json!({})).bearer(&customer.key), "email"),
        (post("/auth/verify-otp", json!({"email": "a@example.org"})).bearer(&customer.key), "otp"),
        (post("/auth/verify-otp", json!({"otp": "123456789"})).bearer(&customer.key), "email"),
        (post("/auth/refresh", json!({})), "refreshToken"),
        (post("/admin/customers", json!({"email": "a@example.org"})).bearer(ADMIN), "name"),
        (post(customer.path("/api-keys"), json!({})).bearer(ADMIN), "name"),
        (put(customer.path("/status"), json!({})).bearer(ADMIN), "status"),
    ] {
        let problem = world.send(call).await.problem(400, "missing_field");
        assert_eq!(problem["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn unknown_fields_are_refused_in_configuration_and_ignored_elsewhere() {
    let (world, customer) = stage().await;
    let me = "/admin/customers/me".to_owned();
    let key = customer.path(&format!("/api-keys/{}", customer.key_id));
    for call in [
        post("/admin/customers", json!({"name": "A", "email": "a@example.org", "status": "active"})).bearer(ADMIN),
        put(me.clone(), json!({"status": "active"})).bearer(&customer.key),
        put(me.clone(), json!({"name": "A", "plan": "enterprise"})).bearer(&customer.key),
        put(me, json!({"features": ["sso"]})).bearer(&customer.key),
        put(customer.path(""), json!({"status": "active"})).bearer(ADMIN),
        put(customer.path("/status"), json!({"status": "active", "plan": "pro"})).bearer(ADMIN),
        post(customer.path("/suspend"), json!({"because": "so"})).bearer(ADMIN),
        post(customer.path("/activate"), json!({"because": "so"})).bearer(ADMIN),
        post(customer.path("/api-keys"), json!({"name": "A", "customerId": "x"})).bearer(ADMIN),
        put(key.clone(), json!({"scopes": ["otp:reveal"]})).bearer(&customer.key),
        post(format!("{key}/rotate"), json!({"grace": 1})).bearer(&customer.key),
    ] {
        let problem = world.send(call).await.problem(400, "unknown_field");
        let field = problem["errors"][0]["field"].as_str().unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(field), "{problem}");
    }
    let body = json!({"email": "a@example.org", "locale": "de", "surprise": 1, "client": {"x": 1}});
    world.send(post("/auth/request-otp", body).bearer(&customer.key)).await.ok();
}

#[tokio::test]
async fn bodies_over_64_kib_are_refused_whether_or_not_they_say_their_length() {
    let (world, customer) = stage().await;
    let body = r#"{"email":"a@example.org"}"#;
    let padded = |length: usize| body.to_owned() + &" ".repeat(length - body.len());
    world.send(request_otp(&customer, padded(64 * 1024))).await.ok();
    world.send(request_otp(&customer, padded(64 * 1024 + 1))).await.problem(413, "body_too_large");
    let parts = (0..65).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let stream = Body::from_stream(futures_util::stream::iter(parts));
    world.send(request_otp(&customer, stream)).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn only_json_is_read() {
    let (world, customer) = stage().await;
    let say = |content_type: &'static str| {
        let call = request_otp(&customer, r#"{"email":"a@example.org"}"#);
        if content_type.is_empty() { call.without("content-type") } else { call.header("content-type", content_type) }
    };
    for content_type in
        ["", "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data", "jso\u{e4}n"]
    {
        world.send(say(content_type)).await.problem(415, "unsupported_media_type");
    }
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.acme+json"] {
        world.send(say(content_type)).await.ok();
    }
    // Where a body may be left out, its type is asked for only when there is one.
    let user = world.sign_in(&customer.key, "ann@example.org").await;
    let logout =
        |body: &'static str| post("/auth/logout", Value::Null).raw(body).without("content-type").bearer(&user.token);
    world.send(logout("{}")).await.problem(415, "unsupported_media_type");
    world.send(logout("")).await.ok();
}

#[tokio::test]
async fn a_message_quotes_little_of_the_body() {
    let (world, customer) = stage().await;
    let long = "x".repeat(60_000);
    for body in [json!({(long.clone()): 1}), json!({"status": long})] {
        let reply = world.send(put(customer.path("/status"), body).bearer(ADMIN)).await;
        assert_eq!(reply.status, 400);
        assert!(reply.body.len() < 2_000, "{}", reply.body.len());
    }
}

#[tokio::test]
async fn fields_that_break_their_rule_are_named() {
    let (world, customer) = stage().await;
    let key = |body: Value| post(customer.path("/api-keys"), body).bearer(ADMIN);
    let own = |body: Value| put("/admin/customers/me", body).bearer(&customer.key);
    let request = |body: Value| post("/auth/request-otp", body).bearer(&customer.key);
    let origins = |list: Value| json!({"name": "A", "allowedOrigins": list});
    for (call, code, field) in [
        (key(origins(json!(["https://acme.com/"]))), "invalid_origin", "allowedOrigins"),
        (key(origins(json!(["acme.com"]))), "invalid_origin", "allowedOrigins"),
        (key(origins(json!(["https://*.acme.com"]))), "invalid_origin", "allowedOrigins"),
        (key(origins(json!(["*"]))), "invalid_origin", "allowedOrigins"),
        (key(origins(json!(["null"]))), "invalid_origin", "allowedOrigins"),
        (key(origins(json!(["http://localhost:*"]))), "invalid_origin", "allowedOrigins"),
        (own(json!({"allowedOrigins": ["http://localhost:*"]})), "invalid_origin", "allowedOrigins"),
        (own(json!({"allowedOrigins": ["https://acme.com/"]})), "invalid_origin", "allowedOrigins"),
        (key(json!({"name": "A", "allowedIps": ["10.0.0.0/33"]})), "invalid_ip", "allowedIps"),
        (key(json!({"name": "A", "expiresAt": "tomorrow"})), "invalid_field", "expiresAt"),
        (key(json!({"name": "A", "expiresAt": "2020-01-01T00:00:00Z"})), "invalid_field", "expiresAt"),
        (key(json!({"name": ""})), "invalid_field", "name"),
        (own(json!({"name": "a\u{0}b"})), "invalid_field", "name"),
        (own(json!({"name": "a\nb"})), "invalid_field", "name"),
        (own(json!({"email": "nobody"})), "invalid_email", "email"),
        (own(json!({"webhookUrl": "ftp://acme.com"})), "invalid_webhook_url", "webhookUrl"),
        (own(json!({"webhookUrl": "https://user:pw@acme.com"})), "invalid_webhook_url", "webhookUrl"),
        (put(customer.path(""), json!({"plan": "gold"})).bearer(ADMIN), "unknown_plan", "plan"),
        (request(json!({"email": "a@example.org", "phone": "+4930123456"})), "invalid_request", "phone"),
        (request(json!({"phone": "123"})), "invalid_phone", "phone"),
        (request(json!({"phone": "+49 30 1234567"})), "invalid_phone", "phone"),
        (request(json!({"email": "a@example.org", "purpose": "Log in"})), "invalid_purpose", "purpose"),
        (request(json!({"email": "a@example.org", "context": "a\nb"})), "invalid_context", "context"),
        (
            request(json!({"email": "a@example.org", "metadata": {"x": "y".repeat(2_000)}})),
            "invalid_metadata",
            "metadata",
        ),
    ] {
        let reply = world.send(call).await;
        let problem = reply.problem(400, code);
        assert_eq!(problem["errors"], json!([{"field": field, "message": problem["detail"]}]), "{reply}");
    }
    world.key(&customer, json!({"mode": "test", "allowedOrigins": ["http://localhost:*"]})).await;
}

#[tokio::test]
async fn who_may_not_call_is_told_before_the_body_is_looked_at() {
    let (world, customer) = stage().await;
    let key = customer.path(&format!("/api-keys/{}", customer.key_id));
    for (method, path) in [
        ("POST", "/auth/request-otp".to_owned()),
        ("POST", "/auth/verify-otp".to_owned()),
        ("POST", "/auth/logout".to_owned()),
        ("POST", "/admin/customers".to_owned()),
        ("PUT", "/admin/customers/me".to_owned()),
        ("PUT", customer.path("")),
        ("PUT", customer.path("/status")),
        ("POST", customer.path("/suspend")),
        ("POST", customer.path("/activate")),
        ("POST", customer.path("/api-keys")),
        ("PUT", key.clone()),
        ("POST", format!("{key}/rotate")),
    ] {
        for body in [vec![b'x'; 70_000], Vec::new(), b"{".to_vec()] {
            let call = Call::new(method.parse().unwrap(), path.clone()).raw(body).header("content-type", "text/plain");
            assert_eq!(world.send(call).await.status, 401, "{method} {path}");
        }
    }
    // Nor does a customer learn from a body that another one exists.
    let other = world.customer().await;
    let call = put(other.path("/status"), Value::Null).raw("{").bearer(&customer.key);
    world.send(call).await.problem(404, "not_found");
}
