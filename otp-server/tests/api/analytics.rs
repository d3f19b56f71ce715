//! `/admin/analytics`, `/admin/customers/me/usage` and `/admin/customers/me/plan`.

use otp_core::Mode;
use otp_core::event::EventKind;
use serde_json::{Value, json};

use crate::call::{get, post};
use crate::harness::{ADMIN, Customer, World};

/// Three codes, one of them said right after a wrong guess, and a call that is refused.
async fn some_use(world: &World, customer: &Customer) {
    let asked = world.ask(&customer.key, "ann@example.org").await;
    world.verify(&customer.key, asked.wrong(0)).await.problem(401, "otp_invalid");
    world.verify(&customer.key, asked.body()).await.ok();
    world.ask(&customer.key, "ben@example.org").await;
    world.ask(&customer.key, "cy@example.org").await;
    world
        .send(post("/auth/request-otp", json!({"email": "nobody"})).bearer(&customer.key))
        .await
        .problem(400, "invalid_email");
    world.service.flush_calls().await.unwrap();
}

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn the_report_has_its_shape_and_what_was_done() {
    let world = World::new();
    let (customer, other) = (world.customer().await, world.customer().await);
    some_use(&world, &customer).await;
    some_use(&world, &other).await;
    let path = "/admin/analytics?startDate=2026-01-30&endDate=2026-01-31&granularity=day";
    let report = world.send(get(path).bearer(&customer.key)).await.ok();
    assert_eq!(names(&report), ["dailyBreakdown", "funnel", "metrics", "period", "success"]);
    assert_eq!(report["period"], json!({"start": "2026-01-30", "end": "2026-01-31"}));
    let metrics = &report["metrics"];
    let expected = [
        "averageResponseTime",
        "emailDeliveryRate",
        "emailsSent",
        "failedAttempts",
        "newUsers",
        "otpRequests",
        "otpVerifications",
        "successRate",
        "successfulLogins",
        "uniqueUsers",
    ];
    assert_eq!(names(metrics), expected);
    assert!(metrics["averageResponseTime"].as_f64().is_some_and(|millis| millis > 0.0));
    let mut counts = metrics.clone();
    counts["averageResponseTime"] = Value::Null;
    let known = json!({
        "otpRequests": 3, "otpVerifications": 2, "successfulLogins": 1, "failedAttempts": 1, "successRate": 0.5,
        "averageResponseTime": null, "emailsSent": 3, "emailDeliveryRate": 1.0, "uniqueUsers": 1, "newUsers": 1,
    });
    assert_eq!(counts, known);
    assert_eq!(report["funnel"]["email"], json!({"requested": 3, "sent": 3, "verified": 1}));
    assert_eq!(report["funnel"]["sms"], json!({"requested": 0, "sent": 0, "verified": 0}));
    let days = report["dailyBreakdown"].as_array().unwrap();
    assert_eq!((days.len(), &days[0]["date"], &days[1]["date"]), (2, &json!("2026-01-30"), &json!("2026-01-31")));
    assert_eq!((&days[0]["otpRequests"], &days[0]["successRate"]), (&json!(0), &Value::Null));
    assert_eq!((&days[1]["otpRequests"], &days[1]["uniqueUsers"]), (&json!(3), &json!(1)));

    let test = world.test_key(&customer).await;
    let report = world.send(get(path).bearer(test)).await.ok();
    assert_eq!(report["metrics"]["otpRequests"], 0, "test mode is counted apart");
}

#[tokio::test]
async fn the_parts_are_hours_days_or_months() {
    let world = World::new();
    let customer = world.customer().await;
    some_use(&world, &customer).await;
    let parts = |query: &'static str| {
        let call = get(format!("/admin/analytics?{query}")).bearer(&customer.key);
        async { world.send(call).await.ok()["dailyBreakdown"].clone() }
    };
    let hours = parts("startDate=2026-01-31&endDate=2026-01-31&granularity=hour").await;
    assert_eq!((hours.as_array().unwrap().len(), &hours[8]["date"]), (24, &json!("2026-01-31T08:00:00.000Z")));
    assert_eq!((&hours[8]["otpRequests"], &hours[8]["uniqueUsers"]), (&json!(3), &json!(1)));
    let months = parts("startDate=2025-01-01&endDate=2026-01-31&granularity=month").await;
    assert_eq!((months.as_array().unwrap().len(), &months[12]["date"]), (13, &json!("2026-01")));
    assert_eq!((&months[12]["otpRequests"], &months[12]["uniqueUsers"]), (&json!(3), &json!(1)));
    let berlin = parts("startDate=2026-01-31&endDate=2026-01-31&timezone=Europe/Berlin").await;
    assert_eq!((&berlin[0]["otpRequests"], &berlin[0]["uniqueUsers"]), (&json!(3), &Value::Null));
    assert_eq!(parts("").await.as_array().unwrap().len(), 30);
}

#[tokio::test]
async fn what_is_no_period_is_refused_by_name() {
    let world = World::new();
    let customer = world.customer().await;
    for (query, code, field) in [
        ("startDate=2026-02-01&endDate=2026-01-31", "invalid_period", "endDate"),
        ("startDate=2024-12-01&endDate=2026-01-31", "invalid_period", "startDate"),
        ("startDate=2026-01-32", "invalid_period", "startDate"),
        ("endDate=31.1.2026", "invalid_period", "endDate"),
        ("endDate=", "invalid_period", "endDate"),
        ("timezone=Mars/Olympus", "invalid_timezone", "timezone"),
        ("timezone=Asia/Kolkata", "invalid_timezone", "timezone"),
        ("startDate=2026-01-01&startDate=2026-01-02", "invalid_field", "query"),
    ] {
        for route in ["", "/errors"] {
            let reply = world.send(get(format!("/admin/analytics{route}?{query}")).bearer(&customer.key)).await;
            assert_eq!(reply.problem(400, code)["errors"][0]["field"], field, "{reply}");
        }
    }
    for (query, code, field) in [
        ("granularity=week", "invalid_granularity", "granularity"),
        ("granularity=hour&startDate=2025-12-31&endDate=2026-01-31", "invalid_period", "startDate"),
        ("format=xlsx", "invalid_field", "format"),
    ] {
        let reply = world.send(get(format!("/admin/analytics?{query}")).bearer(&customer.key)).await;
        assert_eq!(reply.problem(400, code)["errors"][0]["field"], field, "{reply}");
    }
}

#[tokio::test]
async fn a_plan_without_analytics_has_usage_and_plan() {
    let world = World::new();
    let customer = world.customer_on("free").await;
    for path in
        ["/admin/analytics", "/admin/analytics/realtime", "/admin/analytics/errors", "/admin/analytics?format=csv"]
    {
        world.send(get(path).bearer(&customer.key)).await.problem(403, "plan_limit");
    }
    let plan = world.send(get("/admin/customers/me/plan").bearer(&customer.key)).await.ok();
    let expected = json!({
        "success": true, "plan": "free", "price": 0, "features": [],
        "quotas": {"otpRequestsPerDay": 50, "otpRequestsPerMonth": 1_000, "users": 100},
        "nextPlan": {
            "plan": "starter", "price": 29,
            "quotas": {"otpRequestsPerDay": 500, "otpRequestsPerMonth": 10_000, "users": 1_000},
            "addedFeatures": ["webhooks", "custom_templates", "analytics", "custom_domain"],
        },
    });
    assert_eq!(plan, expected);
    some_use(&world, &customer).await;
    let usage = world.send(get("/admin/customers/me/usage").bearer(&customer.key)).await.ok();
    let day = json!({"limit": 50, "used": 3, "remaining": 47, "resetAt": "2026-02-01T00:00:00.000Z"});
    assert_eq!(usage["quotas"]["otpRequestsPerDay"], day);
    assert_eq!(usage["quotas"]["users"], json!({"limit": 100, "used": 1, "remaining": 99, "resetAt": null}));
}

#[tokio::test]
async fn usage_is_told_by_the_day() {
    let world = World::new();
    let customer = world.customer().await;
    some_use(&world, &customer).await;
    let fetch = |path: &'static str| world.send(get(path).bearer(&customer.key));
    let usage = fetch("/admin/customers/me/usage").await.ok();
    assert_eq!(usage["usage"].as_array().unwrap().len(), 31);
    let today = json!({
        "customerId": customer.id, "date": "2026-01-31", "otpRequests": 3, "otpVerifications": 2,
        "successfulLogins": 1, "failedAttempts": 1, "emailsSent": 3, "apiCalls": 6, "storageUsed": null,
        "lastUpdated": "2026-01-31T08:15:30.123Z",
    });
    assert_eq!(usage["today"], today);
    assert_eq!(usage["usage"][30], today);
    assert_eq!(usage["usage"][29]["lastUpdated"], "2026-01-31T00:00:00.000Z");
    assert_eq!((&usage["month"]["date"], &usage["month"]["apiCalls"]), (&json!("2026-01"), &json!(6)));
    assert_eq!(usage["quotas"]["otpRequestsPerDay"]["limit"], Value::Null);
    assert!(world.service.measure_storage().await.unwrap());
    let usage = fetch("/admin/customers/me/usage").await.ok();
    assert!(usage["today"]["storageUsed"].as_u64().is_some_and(|bytes| bytes > 1_000));
    assert_eq!(usage["storageMeasuredAt"], "2026-01-31T08:15:30.123Z");
}

#[tokio::test]
async fn tables_come_as_csv() {
    let world = World::new();
    let customer = world.customer().await;
    some_use(&world, &customer).await;
    let path = "/admin/analytics?startDate=2026-01-30&endDate=2026-01-31&format=csv";
    let reply = world.send(get(path).bearer(&customer.key)).await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    let text = reply.text();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!((lines.len(), lines[3]), (4, ""));
    assert!(lines[0].starts_with("date,otpRequests,otpVerifications,successfulLogins,failedAttempts,successRate,"));
    assert_eq!(lines[1], "2026-01-30,0,0,0,0,,,0,,0,0");
    assert!(lines[2].starts_with("2026-01-31,3,2,1,1,0.5,"), "{text}");
    let text = world.send(get("/admin/customers/me/usage?format=csv").bearer(&customer.key)).await.text();
    assert_eq!(text.lines().count(), 32);
    assert!(
        text.contains(&format!("\r\n{},2026-01-31,3,2,1,1,3,6,,2026-01-31T08:15:30.123Z\r\n", customer.id)),
        "{text}"
    );
}

#[tokio::test]
async fn real_time_tells_of_calls_and_of_errors() {
    let world = World::new();
    let customer = world.customer().await;
    some_use(&world, &customer).await;
    // Of no customer's, and of an administrator: counted for nobody.
    world.send(get("/admin/customers/me").bearer("nonsense")).await;
    world.send(get(customer.path("")).bearer(ADMIN)).await.ok();
    world.service.flush_calls().await.unwrap();
    let now = world.send(get("/admin/analytics/realtime").bearer(&customer.key)).await.ok();
    let expected = ["currentHour", "errorRate", "last24Hours", "lastUpdated", "responseTimeMetrics", "success"];
    assert_eq!(names(&now), expected);
    assert_eq!(now["currentHour"], json!({"otpRequests": 3, "otpVerifications": 2, "activeUsers": 1}));
    assert_eq!(now["last24Hours"]["apiCalls"], 6);
    assert_eq!(names(&now["responseTimeMetrics"]), ["request-otp", "verify-otp"]);
    assert_eq!(names(&now["responseTimeMetrics"]["request-otp"]), ["avg", "p50", "p95", "p99"]);
    assert_eq!(now["errorRate"], json!(0.3333));

    let errors = world.send(get("/admin/analytics/errors").bearer(&customer.key)).await;
    assert!(!errors.text().contains("nobody"), "{errors}");
    let errors = errors.ok();
    assert_eq!(errors["total"], 2);
    let by_category = json!({
        "validation": 1, "authentication": 1, "rate_limit": 0, "quota": 0, "email_delivery": 0, "internal": 0,
    });
    assert_eq!(errors["byCategory"], by_category);
    assert_eq!(errors["byEndpoint"], json!({"request-otp": 1, "verify-otp": 1}));
    let recent = errors["recentErrors"].as_array().unwrap();
    assert_eq!(recent.len(), 2);
    let validation = json!({
        "category": "validation", "message": "invalid_email", "endpoint": "request-otp",
        "timestamp": "2026-01-31T08:15:30.123Z",
    });
    assert!(recent.contains(&validation), "{recent:?}");
}

#[tokio::test]
async fn a_faulty_program_raises_an_alarm_and_wrong_codes_do_not() {
    let world = World::new();
    let (faulty, guessed) = (world.customer().await, world.customer().await);
    let asked = world.ask(&guessed.key, "ann@example.org").await;
    for number in 0..25 {
        world.send(post("/auth/request-otp", json!({"mail": "ann@example.org"})).bearer(&faulty.key)).await;
        world.verify(&guessed.key, asked.wrong(number)).await;
    }
    assert_eq!(world.service.raise_alarms().await.unwrap(), 1);
    let mut told = Vec::new();
    for customer in [&faulty, &guessed] {
        told.push(world.events(customer.space(Mode::Live), EventKind::ErrorRateHigh).await);
    }
    assert_eq!(told, [1, 0]);
}

#[tokio::test]
async fn calls_with_access_tokens_are_counted_too() {
    let world = World::new();
    let customer = world.customer().await;
    let user = world.sign_in(&customer.key, "ann@example.org").await;
    for _ in 0..5 {
        world.me(&user.token).await.ok();
    }
    world.me("a.b.c").await.problem(401, "invalid_token");
    world.service.flush_calls().await.unwrap();
    let now = world.send(get("/admin/analytics/realtime").bearer(&customer.key)).await.ok();
    assert_eq!(now["last24Hours"]["apiCalls"], 7);
    assert!(now["responseTimeMetrics"]["me"].is_object(), "{now}");
    let calls = world.service.recent_calls(customer.space(Mode::Live)).await.unwrap();
    assert_eq!((calls.calls, calls.failed), (7, 0));
}
