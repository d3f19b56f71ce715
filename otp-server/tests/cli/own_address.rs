//! A customer names this very server as the receiver of its events and as the service that hooks ask.

use serde_json::{Value, json};

use crate::support::{Place, Server};

fn json_of((status, body): (u16, String), expected: u16) -> Value {
    assert_eq!(status, expected, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn make(server: &Server, key: &str, url: &str) -> (u16, String) {
    server.post("/admin/webhooks/endpoints", key, &json!({"url": url}).to_string())
}

#[test]
fn its_own_name_and_every_address_of_the_machine_are_refused() {
    let place = Place::new();
    let server = place.start_with(&[("OTP_PUBLIC_URL", "https://otp.acme.com")]);
    let made = place.json(&["customer", "create", "Acme", "--email", "ops@acme.com", "--plan", "pro", "--json"]);
    let key = made["apiKey"].as_str().unwrap();
    let own = format!("http://{}/admin/customers", server.address);
    for url in ["https://otp.acme.com/admin/customers", "https://OTP.acme.com./admin/customers", &own] {
        let refused = json_of(make(&server, key, url), 400);
        assert_eq!(refused["code"], "invalid_webhook_url", "{url}: {refused}");
        for hook in ["beforeSend", "claims"] {
            let change = json!({"config": {"hooks": {hook: {"url": url}}}});
            let (status, refused) = server.put("/admin/config", key, &change.to_string());
            assert!(status == 400 && refused.contains("invalid_webhook_url"), "{url}: {refused}");
        }
    }
}

/// Where the operator lets customers name any address, a request to this server is one without a key.
#[test]
fn a_request_to_itself_has_no_authority() {
    let place = Place::new();
    let server = place.start_with(&[("OTP_WEBHOOK_ALLOW_PRIVATE", "true")]);
    let made = place.json(&["customer", "create", "Acme", "--email", "ops@acme.com", "--plan", "pro", "--json"]);
    let key = made["apiKey"].as_str().unwrap();
    let customers = || place.json(&["customer", "list", "--json"])["customers"].as_array().unwrap().len();
    let before = customers();
    for path in ["/admin/customers", "/admin/webhooks/test", "/admin/webhooks/recover", "/auth/request-otp"] {
        let made = json_of(make(&server, key, &format!("http://{}{path}", server.address)), 201);
        let endpoint = &made["endpoint"]["endpointId"];
        let test = server.post("/admin/webhooks/test", key, &json!({"endpointId": endpoint}).to_string());
        let tested = json_of(test, 200);
        let attempt = &tested["delivery"]["attempts"][0];
        assert_eq!(
            (&tested["delivery"]["status"], &attempt["status"]),
            (&json!("failed"), &json!(401)),
            "{path}: {tested}"
        );
    }
    assert_eq!(customers(), before);
}
