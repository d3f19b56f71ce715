//! `/admin/messages` and `/admin/suppressions`.

use serde_json::{Value, json};

use crate::call::{delete, get, post};
use crate::harness::World;

#[tokio::test]
async fn messages_are_listed_in_pages_and_found_by_what_they_are() {
    let world = World::new();
    let customer = world.customer().await;
    let ask = |query: &str| world.send(get(format!("/admin/messages{query}")).bearer(&customer.key));
    assert_eq!(ask("").await.ok(), json!({"success": true, "messages": [], "nextCursor": null}));
    for number in 0..5 {
        world.advance(60);
        world.ask(&customer.key, &format!("user{}@example.org", number % 2)).await;
    }
    let recipients = |page: &Value| -> Vec<String> {
        let all = page["messages"].as_array().unwrap().iter();
        all.map(|message| message["recipient"].as_str().unwrap().to_owned()).collect()
    };
    let first = ask("?limit=3").await.ok();
    let rest = ask(&format!("?limit=3&cursor={}", first["nextCursor"].as_str().unwrap())).await.ok();
    assert_eq!((recipients(&first).len(), recipients(&rest).len(), &rest["nextCursor"]), (3, 2, &json!(null)));
    let by_recipient = recipients(&ask("?recipient=USER1%40example.org").await.ok());
    assert_eq!(by_recipient, ["user1@example.org"; 2]);
    for (query, count) in [
        ("?status=sent", 5),
        ("?status=delivered", 0),
        ("?channel=email", 5),
        ("?channel=sms", 0),
        ("?from=2026-01-31T08:18:00Z", 3),
        ("?to=2026-01-31T08:18:00Z", 2),
        ("?recipient=%2B4915112345678", 0),
    ] {
        assert_eq!(recipients(&ask(query).await.ok()).len(), count, "{query}");
    }
    let stranger = world.customer().await;
    let foreign = format!("?cursor={}", first["nextCursor"].as_str().unwrap());
    world.send(get(format!("/admin/messages{foreign}")).bearer(&stranger.key)).await.problem(400, "invalid_cursor");
    for (query, code) in [
        ("?limit=0", "invalid_field"),
        ("?status=lost", "invalid_field"),
        ("?channel=fax", "invalid_field"),
        ("?from=yesterday", "invalid_field"),
        ("?to=2026-01-31", "invalid_field"),
        ("?recipient=ann", "invalid_recipient"),
        ("?recipient=%40", "invalid_recipient"),
        ("?cursor=nonsense", "invalid_cursor"),
        ("?cursor=msg_1111111111111111111111", "invalid_cursor"),
    ] {
        ask(query).await.problem(400, code);
    }
}

#[tokio::test]
async fn the_list_of_recipients_is_the_customers_own_to_change() {
    let world = World::new();
    let (customer, other) = (world.customer().await, world.customer().await);
    let add = |body: Value| world.send(post("/admin/suppressions", body).bearer(&customer.key));
    let added = add(json!({"email": "Ann@example.org", "note": "asked by letter"})).await;
    assert_eq!(added.status, 201);
    let added = added.ok()["suppression"].clone();
    let expected = json!({
        "recipient": "Ann@example.org",
        "reason": "manual",
        "provider": null,
        "note": "asked by letter",
        "createdAt": added["createdAt"],
        "until": null,
    });
    assert_eq!(added, expected);
    add(json!({"phone": "+49 151 12345678", "reason": "stop"})).await.ok();
    let list = |key: String| async { world.send(get("/admin/suppressions").bearer(key)).await.ok() };
    assert_eq!(list(customer.key.clone()).await["suppressions"].as_array().unwrap().len(), 2);
    assert_eq!(list(other.key.clone()).await["suppressions"], json!([]));
    let ask = json!({"email": "ann@example.org"});
    world.send(post("/auth/request-otp", ask).bearer(&customer.key)).await.problem(403, "recipient_suppressed");
    for (body, code) in [
        (json!({}), "missing_field"),
        (json!({"email": "a@b.example", "phone": "+4915112345678"}), "missing_field"),
        (json!({"email": "ann"}), "invalid_email"),
        (json!({"phone": "12"}), "invalid_phone"),
        (json!({"email": "a@b.example", "reason": "spite"}), "invalid_reason"),
        (json!({"email": "a@b.example", "note": "a\nb"}), "invalid_note"),
        (json!({"recipient": "a@b.example"}), "unknown_field"),
    ] {
        add(body).await.problem(400, code);
    }
    let remove = |key: &str, query: &str| world.send(delete(format!("/admin/suppressions{query}")).bearer(key));
    remove(&other.key, "?recipient=ann%40example.org").await.problem(404, "not_found");
    remove(&customer.key, "").await.problem(400, "invalid_recipient");
    remove(&customer.key, "?recipient=ann").await.problem(400, "invalid_recipient");
    remove(&customer.key, "?recipient=ann%40example.org").await.ok();
    remove(&customer.key, "?recipient=%2B4915112345678").await.ok();
    remove(&customer.key, "?recipient=%2B4915112345678").await.problem(404, "not_found");
    let lines = world.send(get("/admin/audit-logs?eventType=suppression.removed").bearer(&customer.key)).await.ok();
    assert_eq!(lines["total"], 2);
    assert!(!lines.to_string().contains("ann@"), "{lines}");
}
