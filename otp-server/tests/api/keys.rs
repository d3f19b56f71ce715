//! `/admin/customers/{id}/api-keys`.

use otp_core::KeyId;
use otp_core::api_key::KeyUse;
use serde_json::{Value, json};

use crate::call::{Call, delete, get, post, put};
use crate::harness::{ADMIN, Customer, World};

async fn status_of(world: &World, customer: &Customer, id: &str) -> Value {
    let list = world.send(get(customer.path("/api-keys")).bearer(ADMIN)).await.ok();
    let keys = list["keys"].as_array().unwrap();
    keys.iter().find(|key| key["keyId"] == id).unwrap_or_else(|| panic!("{id} is not listed")).clone()
}

fn me(key: &str) -> Call {
    get("/admin/customers/me").bearer(key)
}

#[tokio::test]
async fn a_key_is_shown_once_and_listed_without_itself() {
    let world = World::new();
    let customer = world.customer().await;
    let body = json!({
        "name": "Web shop", "type": "publishable", "mode": "live", "allowedOrigins": ["https://shop.example"],
        "allowedIps": ["192.0.2.0/24", "2001:db8::1"], "expiresAt": "2027-01-01T00:00:00Z",
    });
    let reply = world.send(post(customer.path("/api-keys"), body).bearer(&customer.key)).await;
    assert_eq!(reply.status, 201);
    let created = reply.ok();
    let key = created["apiKey"].as_str().unwrap();
    assert!(key.starts_with("otp_live_pk_"));
    let list = world.send(get(customer.path("/api-keys")).bearer(&customer.key)).await;
    assert!(!list.text().contains(key));
    let listed = status_of(&world, &customer, created["keyId"].as_str().unwrap()).await;
    assert_eq!(listed["last4"], key[key.len() - 4..]);
    assert_eq!(
        (&listed["type"], &listed["mode"], &listed["status"]),
        (&json!("publishable"), &json!("live"), &json!("active"))
    );
    assert_eq!(listed["allowedOrigins"], json!(["https://shop.example"]));
    assert_eq!(listed["allowedIps"], json!(["192.0.2.0/24", "2001:db8::1/128"]));
    assert_eq!(listed["expiresAt"], "2027-01-01T00:00:00.000Z");
    assert_eq!(listed["lastUsed"], Value::Null);
}

#[tokio::test]
async fn the_last_use_of_a_key_is_noted() {
    let world = World::new();
    let customer = world.customer().await;
    world.advance(90);
    world.send(me(&customer.key)).await.ok();
    let noted = "2026-01-31T08:17:00.123Z";
    assert_eq!(status_of(&world, &customer, &customer.key_id).await["lastUsed"], noted);
    world.service.flush_key_uses().await.unwrap();
    world.send(me(&customer.key)).await.ok();
    let status = status_of(&world, &customer, &customer.key_id).await;
    assert_eq!((&status["lastUsed"], &status["calls"]), (&json!(noted), &json!(2)));
}

#[tokio::test]
async fn a_key_was_last_used_from_a_network_that_names_nobody() {
    let world = World::new();
    let customer = world.customer().await;
    let list = || async { status_of(&world, &customer, &customer.key_id).await };
    assert_eq!(list().await["lastUsedIp"], Value::Null);
    for (address, network) in [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:198.51.100.9", "198.51.100.0/24"),
    ] {
        world.advance(1);
        world.send(me(&customer.key).from(address)).await.ok();
        assert_eq!(list().await["lastUsedIp"], network);
        world.service.flush_key_uses().await.unwrap();
        assert_eq!(list().await["lastUsedIp"], network);
        let id = customer.key_id.parse::<KeyId>().unwrap();
        let noted: KeyUse = world.record(customer.tenant(), id.as_bytes()).await;
        assert!(!serde_json::to_string(&noted).unwrap().contains(address), "{noted:?}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_dead_at_once_and_stays_so() {
    let world = World::new();
    let customer = world.customer().await;
    let (key, id) = world.key(&customer, json!({})).await;
    world.send(me(&key)).await.ok();
    let revoke = || delete(customer.path(&format!("/api-keys/{id}"))).bearer(&customer.key);
    world.send(revoke()).await.ok();
    world.send(me(&key)).await.problem(401, "invalid_api_key");
    // Neither writing down its last use nor changing it brings it back.
    world.service.flush_key_uses().await.unwrap();
    let path = customer.path(&format!("/api-keys/{id}"));
    world.send(put(path.clone(), json!({"name": "Again"})).bearer(&customer.key)).await.ok();
    world.send(post(format!("{path}/rotate"), json!({})).bearer(&customer.key)).await.problem(409, "conflict");
    world.send(revoke()).await.ok();
    world.advance(10);
    world.send(me(&key)).await.problem(401, "invalid_api_key");
    assert_eq!(status_of(&world, &customer, &id).await["status"], "revoked");
}

#[tokio::test]
async fn a_rotated_key_works_until_its_grace_ends() {
    let world = World::new();
    let customer = world.customer().await;
    let rotate = |id: &str, body: Value| post(customer.path(&format!("/api-keys/{id}/rotate")), body).bearer(ADMIN);
    let (old, old_id) = world.key(&customer, json!({"allowedIps": ["192.0.2.1"]})).await;
    let rotated = world.send(rotate(&old_id, json!({"graceSeconds": 60}))).await.ok();
    assert_eq!(rotated["oldKeyId"], old_id.as_str());
    assert_eq!(rotated["oldKeyExpiresAt"], "2026-01-31T08:16:30.123Z");
    let new = rotated["apiKey"].as_str().unwrap();
    world.send(me(new).from("198.51.100.1")).await.problem(403, "ip_not_allowed");
    world.send(me(new)).await.ok();
    world.send(me(&old)).await.ok();
    assert_eq!(status_of(&world, &customer, &old_id).await["status"], "rotating");
    world.send(rotate(&old_id, json!({}))).await.problem(409, "conflict");
    world.advance(60);
    world.send(me(&old)).await.problem(401, "invalid_api_key");
    world.send(me(new)).await.ok();
    assert_eq!(status_of(&world, &customer, &old_id).await["status"], "expired");

    let new_id = rotated["keyId"].as_str().unwrap();
    let at_once = world.send(rotate(new_id, json!({"graceSeconds": 0}))).await.ok();
    world.send(me(new)).await.problem(401, "invalid_api_key");
    let by_default = Call::new(
        axum::http::Method::POST,
        customer.path(&format!("/api-keys/{}/rotate", at_once["keyId"].as_str().unwrap())),
    );
    let by_default = world.send(by_default.bearer(ADMIN)).await.ok();
    assert_eq!(by_default["oldKeyExpiresAt"], "2026-02-07T08:16:30.123Z");
    for wrong in [2_592_001_u64, u64::MAX] {
        let call = rotate(&customer.key_id, json!({"graceSeconds": wrong}));
        assert_eq!(world.send(call).await.problem(400, "invalid_field")["errors"][0]["field"], "graceSeconds");
    }
    for wrong in [json!(-1), json!(1.5), json!("60")] {
        world.send(rotate(&customer.key_id, json!({"graceSeconds": wrong}))).await.problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_key_is_bound_to_its_networks_or_its_customers() {
    let world = World::new();
    let customer = world.customer().await;
    let (key, id) = world.key(&customer, json!({"allowedIps": ["192.0.2.0/24", "2001:db8::/32"]})).await;
    for (ip, allowed) in [
        ("192.0.2.200", true),
        ("::ffff:192.0.2.9", true),
        ("2001:db8::7", true),
        ("198.51.100.1", false),
        ("::1", false),
    ] {
        let reply = world.send(me(&key).from(ip)).await;
        match allowed {
            true => drop(reply.ok()),
            false => drop(reply.problem(403, "ip_not_allowed")),
        }
    }
    let path = customer.path(&format!("/api-keys/{id}"));
    let edited = world.send(put(path, json!({"allowedIps": []})).bearer(ADMIN)).await.ok();
    assert_eq!(edited["key"]["allowedIps"], json!([]));
    world.send(me(&key).from("198.51.100.1")).await.ok();
    world.settings(&customer, |settings| settings.allowed_ips = vec!["203.0.113.0/24".parse().unwrap()]).await;
    world.send(me(&key).from("198.51.100.1")).await.problem(403, "ip_not_allowed");
    world.send(me(&key).from("203.0.113.9")).await.ok();
}
