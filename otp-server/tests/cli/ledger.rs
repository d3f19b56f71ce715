use serde_json::Value;

use crate::support::{Place, Server, word};

fn usage(server: &Server, key: &str) -> Value {
    let (status, body) = server.fetch("/admin/customers/me/usage", &format!("X-OTP-API-Key: {key}\r\n"));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["month"].clone()
}

#[test]
fn counts_outlive_a_crash_and_agree_with_the_records() {
    let place = Place::new();
    let mut server = place.start();
    server.read_until("verify-otp");
    let key = word(&server.said, "otp_live_sk_").to_owned();
    for user in ["ann", "ben", "cy"] {
        let (status, body) = server.post("/auth/request-otp", &key, &format!(r#"{{"email":"{user}@example.org"}}"#));
        assert_eq!(status, 200, "{body}");
    }
    server.crash();

    let server = place.start();
    let before = usage(&server, &key);
    assert_eq!(before["otpRequests"], 3, "what was answered is counted");
    let running = place.done(&["verify-ledger"]);
    assert!(running.contains("counts are what the records tell"), "{running}");
    for _ in 0..4 {
        usage(&server, &key);
    }
    assert_eq!(server.stop().status, 0);

    let server = place.start();
    let after = usage(&server, &key);
    let calls = |usage: &Value| usage["apiCalls"].as_u64().unwrap();
    assert!(calls(&after) >= calls(&before) + 5, "a server that is stopped writes down its calls: {after}");
    server.stop();
    place.done(&["verify-ledger"]);
}

#[test]
fn a_count_that_is_off_is_printed() {
    let place = Place::new();
    let mut server = place.start();
    server.read_until("verify-otp");
    let key = word(&server.said, "otp_live_sk_").to_owned();
    server.post("/auth/request-otp", &key, r#"{"email":"ann@example.org"}"#);
    server.stop();
    place.done(&["verify-ledger"]);
    // After the tenant and the mode, the counter and the span: codes asked for, in a day.
    place.sql("UPDATE counter SET value = value + 41 WHERE substr(key, 18, 2) = x'0102'");
    let found = place.run(&["verify-ledger"]);
    assert_eq!((found.status, found.stderr.as_str()), (1, ""), "{found:?}");
    let line = found.stdout.lines().nth(1).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert!(cells[0].starts_with("cust_") && cells[4].ends_with("T00:00:00.000Z"), "{line}");
    assert_eq!([cells[1], cells[2], cells[3], cells[5], cells[6]], ["live", "OtpRequests", "Day", "42", "1"]);
    assert_eq!(found.stdout.lines().filter(|line| line.starts_with("cust_")).count(), 1, "{}", found.stdout);
}
