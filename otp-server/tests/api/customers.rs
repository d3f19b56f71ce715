//! `/admin/customers`.

use serde_json::{Value, json};

use crate::call::{get, post, put};
use crate::harness::{ADMIN, World};

#[tokio::test]
async fn the_administrator_creates_a_customer_that_can_start_at_once() {
    let world = World::new();
    let body = json!({
        "name": "Acme", "email": "ops@acme.example", "companyName": "Acme Ltd", "plan": "starter",
        "webhookUrl": "https://acme.example/hooks", "allowedOrigins": ["https://*.acme.example"],
    });
    let reply = world.send(post("/admin/customers", body).bearer(ADMIN)).await;
    assert_eq!(reply.status, 201);
    let created = reply.ok();
    assert_eq!(created["createdAt"], "2026-01-31T08:15:30.123Z");
    assert!(created["apiKey"].as_str().unwrap().starts_with("otp_live_sk_"));
    assert!(created["apiSecret"].as_str().unwrap().starts_with("whsec_"));
    assert!(created["customerId"].as_str().unwrap().starts_with("cust_"));

    let me = world.send(get("/admin/customers/me").bearer(created["apiKey"].as_str().unwrap())).await.ok();
    let customer = &me["customer"];
    assert_eq!(customer["customerId"], created["customerId"]);
    assert_eq!(customer["companyName"], "Acme Ltd");
    assert_eq!(customer["plan"], "starter");
    assert_eq!(customer["status"], "active");
    assert_eq!(customer["features"], json!(["webhooks", "custom_templates", "analytics", "custom_domain"]));
    assert_eq!(customer["allowedOrigins"], json!(["https://*.acme.example"]));
}

#[tokio::test]
async fn a_customer_changes_itself_and_the_administrator_its_plan() {
    let world = World::new();
    let customer = world.customer_on("starter").await;
    let own = |body: Value| world.send(put("/admin/customers/me", body).bearer(&customer.key));
    let changed = own(json!({"companyName": "Acme Ltd", "webhookUrl": "https://acme.example/hooks"})).await.ok();
    assert_eq!(changed["customer"]["webhookUrl"], "https://acme.example/hooks");
    let changed = own(json!({"name": "Acme 2", "webhookUrl": null})).await.ok();
    assert_eq!(changed["customer"]["name"], "Acme 2");
    assert_eq!(changed["customer"]["webhookUrl"], Value::Null);
    assert_eq!(changed["customer"]["companyName"], "Acme Ltd");
    let by_administrator = put(customer.path(""), json!({"plan": "pro", "email": "new@acme.example"})).bearer(ADMIN);
    let changed = world.send(by_administrator).await.ok();
    assert_eq!(
        (&changed["customer"]["plan"], &changed["customer"]["email"]),
        (&json!("pro"), &json!("new@acme.example"))
    );
    let seen = world.send(get(customer.path("")).bearer(&customer.key)).await.ok();
    assert_eq!(seen, changed);
}

#[tokio::test]
async fn standing_changes_at_once_and_only_forward() {
    let world = World::new();
    let customer = world.customer().await;
    world.advance(5);
    let reason = json!({"reason": "unpaid"});
    let changed = world.send(post(customer.path("/suspend"), reason).bearer(ADMIN)).await.ok();
    assert_eq!((&changed["oldStatus"], &changed["newStatus"]), (&json!("active"), &json!("suspended")));
    assert_eq!(changed["statusChangedAt"], "2026-01-31T08:15:35.123Z");
    let without_body = crate::call::Call::new(axum::http::Method::POST, customer.path("/activate")).bearer(ADMIN);
    let changed = world.send(without_body).await.ok();
    assert_eq!((&changed["oldStatus"], &changed["newStatus"]), (&json!("suspended"), &json!("active")));

    let status = |status: &str| put(customer.path("/status"), json!({"status": status}));
    world.send(status("suspended").bearer(&customer.key)).await.problem(403, "administrator_required");
    world.send(status("closed").bearer(ADMIN)).await.problem(400, "invalid_request");
    world.send(status("pending").bearer(ADMIN)).await.problem(409, "conflict");
    let cancelled = world.send(status("cancelled").bearer(&customer.key)).await.ok();
    assert_eq!(cancelled["newStatus"], "cancelled");
    world.send(get("/admin/customers/me").bearer(&customer.key)).await.problem(403, "customer_cancelled");
    world.send(status("active").bearer(ADMIN)).await.problem(409, "conflict");
}

#[tokio::test]
async fn customers_are_listed_in_pages_newest_first() {
    let world = World::new();
    let mut ids = Vec::new();
    for number in 0..5 {
        world.advance(1);
        let body = json!({"name": format!("Customer {number}"), "email": format!("ops{number}@acme.example")});
        let created = world.send(post("/admin/customers", body).bearer(ADMIN)).await.ok();
        ids.insert(0, created["customerId"].clone());
    }
    let page = |query: String| world.send(get(format!("/admin/customers?{query}")).bearer(ADMIN));
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let list = page(query).await.ok();
        let customers = list["customers"].as_array().unwrap();
        assert!(customers.len() <= 2);
        seen.extend(customers.iter().map(|customer| customer["customerId"].clone()));
        let Some(cursor) = list["nextCursor"].as_str() else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ids);
    let found = page("search=CUSTOMER+3".to_owned()).await.ok();
    assert_eq!(found["customers"].as_array().unwrap().len(), 1);
    let found = page("search=ops4%40acme".to_owned()).await.ok();
    assert_eq!(found["customers"][0]["name"], "Customer 4");

    for (query, code) in [
        ("limit=0", "invalid_field"),
        ("limit=201", "invalid_field"),
        ("limit=-1", "invalid_field"),
        ("limit=many", "invalid_field"),
        ("cursor=nonsense", "invalid_cursor"),
        ("cursor=user_1111111111111111111111", "invalid_cursor"),
    ] {
        page(query.to_owned()).await.problem(400, code);
    }
}
