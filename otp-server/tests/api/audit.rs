//! `/admin/audit-logs`.

use serde_json::{Value, json};

use crate::call::{get, put};
use crate::harness::{ADMIN, World};

#[tokio::test]
async fn the_trail_tells_who_changed_what_and_from_where() {
    let world = World::new();
    let customer = world.customer().await;
    world.advance(1);
    let change = put("/admin/config", json!({"config": {"passcode": {"ttl": 60}}})).bearer(&customer.key);
    world.send(change.header("user-agent", "=curl/8, \"x\"").header("x-request-id", "r-1")).await.ok();
    world.advance(1);
    world.send(put(customer.path(""), json!({"plan": "pro"})).bearer(ADMIN)).await.ok();
    world.advance(1);
    let read = |query: &str| world.send(get(format!("/admin/audit-logs{query}")).bearer(&customer.key));
    let log = read("").await.ok();
    let names: Vec<&Value> = log["events"].as_array().unwrap().iter().map(|event| &event["eventType"]).collect();
    assert_eq!(names, ["customer.changed", "config.changed", "customer.created"]);
    assert_eq!(log["total"], 3);
    assert_eq!(log["period"], json!({"start": "2025-11-03", "end": "2026-01-31"}));
    let event = &log["events"][1];
    let told = ["keyId", "method", "endpoint", "ip", "userAgent", "requestId"].map(|name| event[name].clone());
    let key = json!(customer.key_id);
    let [put, path, ip] = ["PUT", "/admin/config", "192.0.2.1"].map(Value::from);
    assert_eq!(told, [key, put, path, ip, json!("=curl/8, \"x\""), json!("r-1")]);
    let change = json!({"field": "passcode.ttl", "old": 600, "new": 60});
    assert_eq!(event["data"], json!({"version": 2, "changes": [change]}));
    assert_eq!((&log["events"][0]["actor"], &log["events"][0]["keyId"]), (&json!("administrator"), &Value::Null));

    let page = read("?limit=2").await.ok();
    let rest = read(&format!("?limit=2&cursor={}", page["nextCursor"].as_str().unwrap())).await.ok();
    assert_eq!((rest["events"].as_array().unwrap().len(), &rest["total"]), (1, &json!(3)));
    assert_eq!(read("?eventType=config.changed").await.ok()["total"], 1);
    assert_eq!(read("?startDate=2026-01-01&endDate=2026-01-30").await.ok()["total"], 0);

    let csv = read("?format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = String::from_utf8(csv.body.to_vec()).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert!(text.contains("\"'=curl/8, \"\"x\"\"\""), "{text}");
    let lines = read("?format=jsonl").await;
    assert_eq!(lines.header("content-type"), Some("application/jsonl"));
    let lines = String::from_utf8(lines.body.to_vec()).unwrap();
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(events), log["events"]);
}

#[tokio::test]
async fn what_is_no_part_of_the_trail_is_refused() {
    let world = World::new();
    let customer = world.customer().await;
    for (query, code) in [
        ("startDate=2026-02-01&endDate=2026-01-31", "invalid_period"),
        ("startDate=2024-01-01&endDate=2026-01-31", "invalid_period"),
        ("startDate=yesterday", "invalid_period"),
        ("eventType=cofee.made", "unknown_event_type"),
        ("format=xml", "invalid_field"),
        ("limit=0", "invalid_field"),
        ("cursor=next", "invalid_cursor"),
    ] {
        world.send(get(format!("/admin/audit-logs?{query}")).bearer(&customer.key)).await.problem(400, code);
    }
}
