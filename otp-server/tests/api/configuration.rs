//! `/admin/config`.

use serde_json::{Value, json};

use crate::call::{Call, get, post, put};
use crate::harness::World;

#[tokio::test]
async fn the_document_has_every_section_and_is_written_in_parts() {
    let world = World::new();
    let customer = world.customer_on("starter").await;
    let send = |call: Call| world.send(call.bearer(&customer.key));
    let reply = send(get("/admin/config")).await;
    assert_eq!(reply.header("etag"), Some("\"1\""));
    let shown = reply.ok();
    let sections: Vec<&String> = shown["config"].as_object().unwrap().keys().collect();
    let expected = [
        "allowedIps",
        "allowedOrigins",
        "branding",
        "channels",
        "emailConfig",
        "hooks",
        "passcode",
        "privacy",
        "rateLimits",
        "secondFactor",
        "templates",
        "tokens",
        "webhookConfig",
    ];
    assert_eq!(sections, expected);
    assert_eq!((&shown["configVersion"], &shown["plan"]), (&json!(1), &json!("starter")));
    assert!(shown["config"]["webhookConfig"]["secret"].as_str().unwrap().starts_with("••••"));

    let changed = send(put("/admin/config", json!({"config": {"passcode": {"length": 6}}}))).await.ok();
    assert_eq!((&changed["configVersion"], &changed["config"]["passcode"]["length"]), (&json!(2), &json!(6)));
    for (path, body, at) in [
        ("email", json!({"fromName": "Acme"}), "/emailConfig/fromName"),
        ("rate-limits", json!({"otpRequestsPerHour": 20}), "/rateLimits/otpRequestsPerHour"),
        ("webhooks", json!({"url": "https://acme.example/hooks"}), "/webhookConfig/url"),
        ("tokens", json!({"accessTtl": 900}), "/tokens/accessTtl"),
        ("origins", json!({"allowedOrigins": ["https://*.acme.example"]}), "/allowedOrigins/0"),
        ("ip-allowlist", json!({"allowedIps": ["192.0.2.0/24"]}), "/allowedIps/0"),
    ] {
        let changed = send(put(format!("/admin/config/{path}"), body.clone())).await.ok();
        let value = body.as_object().unwrap().values().next().unwrap();
        let value = value.get(0).unwrap_or(value);
        assert_eq!(changed["config"].pointer(at), Some(value), "{path}");
    }
    assert_eq!(send(get("/admin/config")).await.ok()["configVersion"], 8);
}

#[tokio::test]
async fn mistakes_are_named_as_the_request_named_them() {
    let world = World::new();
    let customer = world.customer_on("starter").await;
    for (path, body, code, field) in [
        ("", json!({"config": {"passcode": {"ttl": 1}}}), "invalid_field", "passcode.ttl"),
        ("", json!({"config": {"nonsense": 1}}), "unknown_field", "nonsense"),
        ("", json!({"config": 1}), "invalid_field", "config"),
        ("", json!({}), "missing_field", "config"),
        ("", json!({"config": {}, "configVersion": 1}), "read_only_field", "configVersion"),
        ("", json!({"config": {}, "plan": "pro"}), "read_only_field", "plan"),
        ("", json!({"config": {}, "more": 1}), "unknown_field", "more"),
        ("/tokens", json!({"accessTtl": 1}), "invalid_field", "accessTtl"),
        ("/rate-limits", json!({"perip": 1}), "unknown_field", "perip"),
        ("/webhooks", json!({"url": "acme"}), "invalid_webhook_url", "url"),
        ("/email", json!({"replyTo": "acme"}), "invalid_email", "replyTo"),
        ("/origins", json!({"allowedOrigins": ["acme"]}), "invalid_origin", "allowedOrigins"),
        ("/origins", json!({"tokens": {}}), "unknown_field", "tokens"),
        ("/ip-allowlist", json!({"allowedIps": ["acme"]}), "invalid_ip", "allowedIps"),
    ] {
        let reply = world.send(put(format!("/admin/config{path}"), body.clone()).bearer(&customer.key)).await;
        assert_eq!(reply.problem(400, code)["errors"][0]["field"], field, "{path} {body}");
    }
    let above = put("/admin/config/rate-limits", json!({"otpRequestsPerDay": 501})).bearer(&customer.key);
    world.send(above).await.problem(403, "plan_limit");
}

#[tokio::test]
async fn a_version_that_is_expected_has_to_be_the_present_one() {
    let world = World::new();
    let customer = world.customer().await;
    let write = |ttl: u32, version: &str| {
        let call = put("/admin/config", json!({"config": {"passcode": {"ttl": ttl}}})).bearer(&customer.key);
        world.send(call.header("if-match", version))
    };
    assert_eq!(write(60, "\"1\"").await.header("etag"), Some("\"2\""));
    write(70, "\"1\"").await.problem(409, "version_conflict");
    write(70, "1").await.problem(409, "version_conflict");
    write(80, "*").await.ok();
    write(90, "newest").await.problem(400, "invalid_field");

    let versions = world.send(get("/admin/config/versions?limit=2").bearer(&customer.key)).await.ok();
    let told = |version: &Value| (version["version"].clone(), version["changes"].clone(), version["author"].clone());
    let change = json!([{"field": "passcode.ttl", "old": 60, "new": 80}]);
    assert_eq!(told(&versions["versions"][0]), (json!(3), change, json!(customer.key_id)));
    let cursor = versions["nextCursor"].as_str().unwrap();
    let rest = world.send(get(format!("/admin/config/versions?cursor={cursor}")).bearer(&customer.key)).await.ok();
    assert_eq!((rest["versions"].as_array().unwrap().len(), &rest["nextCursor"]), (1, &Value::Null));

    let restore = |version: &str| {
        world.send(post(format!("/admin/config/versions/{version}/restore"), json!({})).bearer(&customer.key))
    };
    let restored = restore("2").await.ok();
    assert_eq!((&restored["configVersion"], &restored["config"]["passcode"]["ttl"]), (&json!(4), &json!(60)));
    restore("99").await.problem(404, "not_found");
    restore("x").await.problem(404, "not_found");
}

#[tokio::test]
async fn the_documentation_tells_every_setting() {
    fn fields(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(object) if !object.is_empty() => object.iter().for_each(|(name, value)| {
                fields(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }),
            _ => found.push(path.to_owned()),
        }
    }
    let world = World::new();
    let customer = world.customer().await;
    let mut found = Vec::new();
    fields(&world.send(get("/admin/config").bearer(&customer.key)).await.ok()["config"], "", &mut found);
    let guide = include_str!("../../../docs/tenant-settings.md");
    let missing: Vec<_> = found.iter().filter(|field| !guide.contains(&format!("| `{field}` |"))).collect();
    assert!(missing.is_empty(), "docs/tenant-settings.md lacks {missing:?}");
    let told = guide.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(told, found.len(), "docs/tenant-settings.md tells settings that are not there");
}
